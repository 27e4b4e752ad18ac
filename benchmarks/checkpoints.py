"""What a checkpoint costs, by the number of those before it, and what many of them leave."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import gymnasium
import numpy as np
from measure import LIMIT, MINARI, Work, in_turns, median, ratio, timed
from report import Figure, megabytes, milliseconds
from setting import Setting
from workloads import ABOUT, actions_for, run

import minari
from minari_core.datasets.dataset import get_raw_storage
from minari_core.formats.columnar.shard_folder import ShardFolder
from minari_core.formats.shards.entry import ShardEntry
from minari_core.formats.shards.levels import LARGEST_NBYTES, LEVELS, PER_LEVEL

_WINDOW = 100
_MOST_RATIO = 1.2
_STEPS = 20
_FULL = (1000, 10_000)
_QUICK = (50,)
_QUICK_WINDOW = 20


def measure(setting: Setting) -> list[Figure]:
    """The mean of 100 checkpoints around several places, pauses, shards and bytes."""
    return [*_many(setting), _longest_join(setting)]


@dataclass
class _Growing:
    """A dataset that grows by one checkpoint of twenty steps of CartPole-v1 at a time."""

    name: str
    collector: minari.DataCollectorV0 = field(
        default_factory=lambda: minari.DataCollectorV0(gymnasium.make("CartPole-v1"))
    )

    def __post_init__(self) -> None:
        self.actions = actions_for(self.collector, _STEPS)
        run(self.collector, self.actions)
        self.dataset = minari.create_dataset_from_collector_env(
            f"bench/{self.name}-v0", self.collector, **ABOUT
        )
        self.steps_joined = 0

    def checkpoint(self) -> float:
        """How many seconds the next checkpoint takes, without the steps before it."""
        before = self._list_shards()
        run(self.collector, self.actions)
        start = time.perf_counter()
        self.dataset.update_dataset_from_collector_env(self.collector)
        seconds = time.perf_counter() - start
        added = {file: steps for file, steps in self._list_shards().items() if file not in before}
        # A shard of more steps than the checkpoint has was written of those before it.
        self.steps_joined += sum(steps for steps in added.values() if steps > _STEPS)
        return seconds

    def _list_shards(self) -> dict[str, int]:
        return {shard.file: shard.steps for shard in _list_shards(self.dataset)}

    def count_shards(self) -> int:
        """The number of its shards."""
        return len(self._list_shards())

    def remove(self) -> None:
        """Delete the dataset."""
        self.collector.close()
        minari.delete_dataset(f"bench/{self.name}-v0")


def _many(setting: Setting) -> Iterator[Figure]:
    """Grow one dataset; at each place, in turns with datasets that begin."""
    places = _QUICK if setting.quick else _FULL
    window = _QUICK_WINDOW if setting.quick else _WINDOW
    with setting.datasets():
        old = _Growing("old")
        longest, most_shards, done = 0.0, 1, 0
        windows: dict[int, tuple[list[float], list[float]]] = {}
        while done < places[-1] + window // 2:
            place = next((p for p in places if p - window // 2 <= done < p + window // 2), None)
            if place is None:
                seconds = old.checkpoint()
            else:
                if place not in windows:
                    windows[place] = ([], [])
                    young = _Growing(f"young{place}")
                seconds = old.checkpoint()
                windows[place][0].append(seconds)
                windows[place][1].append(young.checkpoint())
                if len(windows[place][0]) == window:
                    young.remove()
            done += 1
            longest, most_shards = max(longest, seconds), max(most_shards, old.count_shards())
        rewritten = old.steps_joined / (done * _STEPS)
        old.remove()
    for place, (times, first) in windows.items():
        mean, mean_of_first = statistics.mean(times), statistics.mean(first)
        times_as_long = mean / mean_of_first
        yield Figure(
            work=f"a checkpoint, mean of {window} around the {place:,}th, joining included",
            minari=milliseconds(mean),
            limit=f"{milliseconds(mean_of_first)} (around the {window // 2}th)",
            compared=f"{times_as_long:.2f} ×",
            target=f"at most {_MOST_RATIO} ×",
            reached=times_as_long <= _MOST_RATIO,
            values={MINARI: mean, LIMIT: mean_of_first, "ratio": times_as_long},
            obstacle="Single flushes of this disk take many times as long as others.",
        )
    earliest = windows[places[0]][1][:20]
    yield Figure(
        work="a checkpoint, mean of 20 around the 10th",
        minari=milliseconds(statistics.mean(earliest)),
        values={MINARI: statistics.mean(earliest)},
    )
    most = LEVELS * (PER_LEVEL - 1)
    yield Figure(
        work=f"shards of {done:,} checkpoints, at their most",
        minari=str(most_shards),
        limit=f"{most} (levels)",
        compared=f"{most_shards - most:+}",
        target="at most as many",
        reached=most_shards <= most,
        values={MINARI: most_shards, LIMIT: most},
    )
    yield Figure(
        work="how often each byte of them was written again",
        minari=f"{rewritten:.1f} ×",
        limit=f"{LEVELS + 1} × (levels)",
        compared=f"{rewritten / (LEVELS + 1):.0%}",
        target="at most as often",
        reached=rewritten <= LEVELS + 1,
        values={MINARI: rewritten, LIMIT: LEVELS + 1},
    )
    yield Figure(
        work=f"the longest pause of {done:,} checkpoints",
        minari=milliseconds(longest),
        values={MINARI: longest},
    )


def _longest_join(setting: Setting) -> Figure:
    """The most that a small checkpoint can join, beside writing and flushing as many bytes."""
    # A step has 66 bytes, so that the last of eight makes them large together.
    steps = LARGEST_NBYTES // PER_LEVEL // 66 + 1
    space = gymnasium.spaces.Box(-1, 1, (6,), np.float64)
    with setting.datasets() as folder:
        episode = minari.EpisodeBuffer(
            observations=np.zeros((steps + 1, 6)),
            actions=np.zeros(steps, dtype=np.int64),
            rewards=np.zeros(steps),
            terminations=np.zeros(steps, dtype=bool),
            truncations=np.arange(steps) == steps - 1,
        )

        def joined() -> float:
            dataset = minari.create_dataset_from_buffers(
                "bench/pause-v0",
                [episode],
                observation_space=space,
                action_space=gymnasium.spaces.Discrete(2),
                **ABOUT,
            )
            for _ in range(PER_LEVEL - 2):
                dataset.update_dataset_from_buffer([episode])
            seconds = timed(lambda: dataset.update_dataset_from_buffer([episode]))
            sizes.append(_list_shards(dataset)[0].nbytes)
            minari.delete_dataset("bench/pause-v0")
            return seconds

        sizes: list[int] = []
        works: dict[str, Work] = {
            MINARI: joined,
            LIMIT: lambda: timed(lambda: _write_flushed(folder / "plain", sizes[-1])),
        }
        times = in_turns(works, setting.rounds(5))
    return Figure(
        work=f"a checkpoint that joins {megabytes(sizes[-1])}, the most beside what is added",
        minari=milliseconds(median(times, MINARI)),
        limit=f"{milliseconds(median(times, LIMIT))} (a file of as many bytes, flushed)",
        compared=f"{ratio(times):.1f} ×",
        values={name: median(times, name) for name in times},
    )


def _list_shards(dataset: minari.MinariDataset) -> Sequence[ShardEntry]:
    storage = get_raw_storage(dataset)
    return storage.snapshot.shards if isinstance(storage, ShardFolder) else ()


def _write_flushed(path: Path, nbytes: int) -> None:
    content = bytes(nbytes)
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
