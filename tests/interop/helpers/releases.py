"""Datasets of every public release since 0.4, recorded and read under that release.

The tests import it where this project is installed, and run it as a program where a release of the
public Minari is: ``python -m tests.interop.helpers.releases write|read FOLDER ANSWER``.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import numpy as np
from gymnasium import spaces
from gymnasium.spaces import Space

import minari
from minari.serialization import deserialize_space, serialize_space
from tests.interop.helpers.sampling_environment import SPACES, register

KINDS = ("cartpole", "frozenlake", *SPACES)
EPISODES = 2
STEPS = 4
SHORT = {"observations": (0, 0), "infos": (1, 0), "both": (0, 1)}
"""Buffers that are a row short: how many observations, and infos, there are beside the steps."""
_NAMES = ("observations", "actions", "rewards", "terminations", "truncations", "infos")


class Disc(Space[Any]):
    """A space of a class that no release has."""

    def __init__(self, radius: float) -> None:
        """Take the radius."""
        super().__init__((2,), np.float64)
        self.radius = radius

    def contains(self, x: Any) -> bool:
        """Return whether a point lies within."""
        return bool(np.hypot(*x) <= self.radius)

    def sample(self, *_: Any, **__: Any) -> Any:
        """Return a point of it."""
        return self.np_random.uniform(-0.5, 0.5, 2) * self.radius


@serialize_space.register(Disc)
def write_disc(space: Disc, to_string: bool = True) -> Any:
    """Write it, as the public tutorial does."""
    fields = {"type": "Disc", "radius": space.radius}
    return json.dumps(fields) if to_string else fields


@deserialize_space.register("Disc")
def read_disc(fields: dict[str, Any]) -> Disc:
    """Read it."""
    assert fields["type"] == "Disc"
    return Disc(fields["radius"])


class Wandering(gymnasium.Env[Any, Any]):
    """An environment whose observations are of that space."""

    def __init__(self) -> None:
        """Make its spaces."""
        self.observation_space = Disc(4.0)
        self.action_space = Disc(1.0)

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        """Begin at a random point."""
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        """Go to another one."""
        return self.observation_space.sample(), 0.5, False, False, {}


def make_environment(kind: str) -> gymnasium.Env[Any, Any]:
    """Make the environment of a kind."""
    named = {"cartpole": "CartPole-v1", "frozenlake": "FrozenLake-v1", "disc": "interop/Disc-v0"}
    if kind in named:
        return gymnasium.make(named[kind], disable_env_checker=True)
    return gymnasium.make("interop/Sampling-v0", kind=kind, disable_env_checker=True)


def name_dataset(kind: str, data_format: str) -> str:
    """Return an id that every release takes."""
    return f"{kind.replace(' ', '-')}-{data_format}-v0"


def record(kind: str, data_format: str, record_infos: bool) -> None:
    """Make a dataset of what an environment does under a random policy."""
    environment = make_environment(kind)
    options: dict[str, Any] = {"record_infos": record_infos}
    if minari.__version__ >= "0.5":
        options["data_format"] = data_format
    if kind in ("image", "grey image", "dict", "tuple") and is_new():
        options["jpeg_encoding"] = False
    collector_class = getattr(minari, "DataCollector", None) or minari.DataCollectorV0
    collector: Any = collector_class(environment, **options)
    environment.action_space.seed(1)
    for seed in range(EPISODES):
        collector.reset(seed=seed)
        for _ in range(STEPS):
            _, _, terminated, truncated, _ = collector.step(environment.action_space.sample())
            if terminated or truncated:
                break
    described: dict[str, Any] = {
        "algorithm_name": "random",
        "author": "Ada",
        "author_email": "ada@example.org",
        "code_permalink": "https://example.org/code",
    }
    new_id = name_dataset(kind, data_format)
    if hasattr(collector, "create_dataset"):
        collector.create_dataset(new_id, **described)
    else:
        minari.create_dataset_from_collector_env(new_id, collector, **described)
    collector.close()


def is_new() -> bool:
    """Return whether images may be stored as they are, which has to be said."""
    return tuple(map(int, minari.__version__.split(".")[:3])) >= (0, 5, 4)


def make_short_columns(rows: int, info_rows: int) -> dict[str, Any]:
    """Return the columns of an episode of four steps, with so many observations and infos more."""
    observations, infos = STEPS + rows, STEPS + info_rows
    return {
        "observations": {
            "place": np.arange(2.0 * observations).reshape(observations, 2),
            "number": np.arange(observations),
        },
        "actions": np.arange(STEPS) % 3,
        "rewards": np.arange(1.0, STEPS + 1),
        "terminations": np.zeros(STEPS, dtype=bool),
        "truncations": np.arange(STEPS) == STEPS - 1,
        "infos": {"count": np.arange(infos), "inner": {"speed": np.arange(infos) / 2}},
    }


def create_short(name: str, data_format: str) -> None:
    """Make a dataset of a buffer with as many observations, or infos, as steps."""
    from minari.data_collector import EpisodeBuffer

    columns = make_short_columns(*SHORT[name])
    as_lists = ("rewards", "terminations", "truncations")
    columns.update({key: columns[key].tolist() for key in as_lists})
    minari.create_dataset_from_buffers(
        name_dataset(f"short-{name}", data_format),
        [EpisodeBuffer(**columns)],
        observation_space=spaces.Dict(
            place=spaces.Box(-99, 99, (2,), np.float64), number=spaces.Discrete(99)
        ),
        action_space=spaces.Discrete(3),
        data_format=data_format,
        algorithm_name="none",
        author="Ada",
        author_email="ada@example.org",
        code_permalink="https://example.org/code",
    )


def list_tasks(formats: tuple[str, ...]) -> dict[str, Callable[[], None]]:
    """List what can be tried, by the ids of the datasets that come of it."""
    tasks: dict[str, Callable[[], None]] = {}
    for data_format in formats:
        for kind in (*KINDS, "disc"):
            name = name_dataset(kind, data_format)
            tasks[name] = partial(record, kind, data_format, kind != "disc")
        if minari.__version__ >= "0.5":
            for name in SHORT:
                new_id = name_dataset(f"short-{name}", data_format)
                tasks[new_id] = partial(create_short, name, data_format)
    return tasks


def find_formats() -> tuple[str, ...]:
    """Return the formats that the installed release writes."""
    if minari.__version__ < "0.5":
        return ("hdf5",)
    return ("hdf5", "arrow") if minari.__version__ < "0.5.3" else ("hdf5", "arrow", "parquet")


def write_all(folder: Path, formats: tuple[str, ...]) -> dict[str, str]:
    """Make everything below a folder; what went wrong, by the dataset's id."""
    os.environ["MINARI_DATASETS_PATH"] = str(folder)
    failures: dict[str, str] = {}
    for new_id, make in list_tasks(formats).items():
        try:
            make()
        except Exception as error:
            failures[new_id] = f"{type(error).__name__}: {error}"
    return failures


def read_all(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Read everything below a folder; what was read, and what went wrong, by the dataset's id."""
    os.environ["MINARI_DATASETS_PATH"] = str(folder)
    found: dict[str, Any] = {}
    failures: dict[str, str] = {}
    for dataset_id in sorted(
        path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != "."
    ):
        try:
            dataset = minari.load_dataset(dataset_id)
            found[dataset_id] = {
                "spaces": [
                    serialize_space(space)
                    for space in (dataset.spec.observation_space, dataset.spec.action_space)
                ],
                "steps": dataset.total_steps,
                "episodes": [
                    {name: getattr(episode, name) for name in _NAMES if hasattr(episode, name)}
                    for episode in dataset.iterate_episodes()
                ],
            }
            for number, episode in enumerate(found[dataset_id]["episodes"]):
                if "infos" not in episode:
                    # Before 0.4.2, they are stored and not shown.
                    main = folder / dataset_id / "data" / "main_data.hdf5"
                    with h5py.File(main, "r") as file:
                        episode["infos"] = _read_infos(file[f"episode_{number}"].get("infos", {}))
        except Exception as error:
            failures[dataset_id] = f"{type(error).__name__}: {error}"
    return found, failures


def _read_infos(group: Any) -> dict[str, Any]:
    return {
        key: _read_infos(node) if isinstance(node, h5py.Group) else node[()]
        for key, node in group.items()
    }


def main() -> None:
    """Do what the command line asks for."""
    warnings.simplefilter("ignore")
    work, folder, answer = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    done: object = write_all(folder, find_formats()) if work == "write" else read_all(folder)
    # Only ever between two processes of one test, on one machine.
    answer.write_bytes(pickle.dumps(done))


register()
gymnasium.register("interop/Disc-v0", f"{__name__}:Wandering", max_episode_steps=20)

if __name__ == "__main__":
    main()
