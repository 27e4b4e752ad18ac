"""Which rooms of the code the common trips enter, and how often they come back into one.

python benchmarks/rooms.py

A *room* is a folder of a package: its root is one, and a folder within a folder is another. What is
followed is where the calling thread is, inside the four packages alone: a call enters the callee's
file, and a return enters the caller's; a resumed generator is called, and its yield returns. What
other code does in between, when it is called and when it is returned to, leaves the trip where it
was, and so does what runs while a module is imported. A *return* is an entry of a module, or of a
room, that was entered before and left since. So many entries, less the distinct ones, are counted.

The trips are those of one CartPole-v1 episode of seven steps, so the figures of one version of
Python can be compared; from 3.12 on they are lower, as comprehensions are no calls any more. A
package that is one large folder has few rooms, too: this counts only beside the limit of how many
modules a folder may have.
"""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import gymnasium
import numpy as np
from report import markdown
from setting import folder_to_measure_in
from workloads import ABOUT, actions_for, run

import minari
import minari_collect
import minari_core
import minari_hub

Answer = TypeVar("Answer")

_FOLDERS = {
    package.__name__: Path(package.__path__[0])
    for package in (minari_core, minari_collect, minari_hub, minari)
}
_ENV_ID = "CartPole-v1"
_STEPS = 7


@dataclass(frozen=True)
class _Counts:
    """How many places were entered, and how often one that had been left."""

    entered: int
    returns: int | None
    """None if no figure was taken."""

    def __str__(self) -> str:
        return f"{self.entered}" if self.returns is None else f"{self.entered} ({self.returns:,})"

    def is_within(self, most: _Counts) -> bool:
        is_few = self.entered <= most.entered
        return is_few and (most.returns is None or (self.returns or 0) <= most.returns)


@dataclass(frozen=True)
class _Trip:
    """What is known of a trip."""

    name: str
    modules_before: _Counts
    """Its modules when the code had hardly any rooms."""
    most_rooms: _Counts


_COLLECT = _Trip("collector → dataset on disk", _Counts(44, 1130), _Counts(19, 395))
_CHECKPOINT = _Trip("a checkpoint", _Counts(36, 923), _Counts(15, 254))
_BUFFERS = _Trip("`create_dataset_from_buffers`", _Counts(33, 402), _Counts(13, 144))
_SAMPLE = _Trip("`sample_transitions`, first", _Counts(16, 815), _Counts(6, 363))
_LOAD = _Trip("`load_dataset`", _Counts(17, None), _Counts(9, None))
_DOWNLOAD = _Trip("a download from a folder", _Counts(28, None), _Counts(13, None))


@dataclass
class Trace:
    """The places that were entered one after another."""

    modules: list[str] = field(default_factory=list)
    """As in ``minari_core/columns/base.py``."""

    @contextmanager
    def following(self) -> Iterator[None]:
        """Follow the calling thread."""
        # Any module's own code that is running; what it calls is the import's, too.
        importing: list[FrameType] = []

        def note(frame: FrameType, event: str, _argument: object) -> None:
            if event not in ("call", "return"):
                return
            if frame.f_code.co_name == "<module>":
                if event == "call":
                    importing.append(frame)
                else:
                    importing.pop()
                return
            entered = frame if event == "call" else frame.f_back
            if importing or entered is None:
                return
            module = _module_of(entered.f_code.co_filename)
            if module is not None and self.modules[-1:] != [module]:
                self.modules.append(module)

        sys.setprofile(note)
        try:
            yield
        finally:
            sys.setprofile(None)

    def of(self, call: Callable[[], Answer]) -> Answer:
        """Follow a call."""
        with self.following():
            return call()

    def count_modules(self) -> _Counts:
        return _count(self.modules)

    def count_rooms(self) -> _Counts:
        return _count([module.rpartition("/")[0] for module in self.modules])


def trace_trips(root: Path) -> dict[_Trip, Trace]:
    """Walk each trip, in an order in which one finds what another has left.

    Args:
        root: An empty folder, in which datasets and the remote are made.
    """
    os.environ["MINARI_DATASETS_PATH"] = str(root / "datasets")
    remote = root / "remote"
    remote.mkdir()
    os.environ["MINARI_REMOTE"] = remote.as_uri()
    traces = {
        trip: Trace() for trip in (_COLLECT, _CHECKPOINT, _BUFFERS, _SAMPLE, _LOAD, _DOWNLOAD)
    }

    collector = minari.DataCollectorV0(gymnasium.make(_ENV_ID))
    actions = actions_for(collector, _STEPS)

    def collect() -> minari.MinariDataset:
        run(collector, actions)
        return minari.create_dataset_from_collector_env("rooms/collected-v0", collector, **ABOUT)

    dataset = traces[_COLLECT].of(collect)
    run(collector, actions)
    traces[_CHECKPOINT].of(lambda: dataset.update_dataset_from_collector_env(collector))
    collector.close()

    env: gymnasium.Env[Any, Any] = gymnasium.make(_ENV_ID)
    buffers = [_episode(env, actions)]
    traces[_BUFFERS].of(
        lambda: minari.create_dataset_from_buffers("rooms/buffers-v0", buffers, env=env, **ABOUT)
    )
    env.close()

    loaded = traces[_LOAD].of(lambda: minari.load_dataset("rooms/collected-v0"))
    loaded.set_seed(1)
    traces[_SAMPLE].of(lambda: loaded.sample_transitions(256))

    minari.upload_dataset("rooms/collected-v0")
    minari.delete_dataset("rooms/collected-v0")
    traces[_DOWNLOAD].of(lambda: minari.download_dataset("rooms/collected-v0"))
    return traces


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    with folder_to_measure_in(None) as root:
        traces = trace_trips(root)
    rows = [("trip", "modules (returns)", "before", "rooms (returns)", "at most", "reached")]
    for trip, trace in traces.items():
        rooms = trace.count_rooms()
        rows.append(
            (
                trip.name,
                str(trace.count_modules()),
                str(trip.modules_before),
                str(rooms),
                str(trip.most_rooms),
                "yes" if rooms.is_within(trip.most_rooms) else "**no**",
            )
        )
    print(markdown(rows))


def _count(places: list[str]) -> _Counts:
    entries = sum(a != b for a, b in zip(places, [None, *places], strict=False))
    return _Counts(len(set(places)), entries - len(set(places)))


@functools.cache
def _module_of(file_name: str) -> str | None:
    path = Path(file_name)
    for package, folder in _FOLDERS.items():
        if path.is_relative_to(folder):
            return f"{package}/{path.relative_to(folder).as_posix()}"
    return None


def _episode(env: gymnasium.Env[Any, Any], actions: list[Any]) -> minari.EpisodeBuffer:
    observations, rewards, terminations, truncations = [env.reset(seed=1)[0]], [], [], []
    for action in actions:
        observation, reward, terminated, truncated, _ = env.step(action)
        observations.append(observation)
        rewards.append(reward)
        terminations.append(terminated)
        truncations.append(truncated)
    return minari.EpisodeBuffer(
        observations=np.stack(observations),
        actions=np.stack(actions),
        rewards=np.array(rewards),
        terminations=np.array(terminations),
        truncations=np.array(truncations),
    )


if __name__ == "__main__":
    main()
