"""Runs that are played through: the tasks of a schedule, and workers of different speeds."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from minari_collect.runs.schedule import Range, Schedule
from minari_collect.workers.messages import TaskOutput

Lengths = npt.NDArray[np.int64]


def draw_lengths(kind: str, mean: int, total: int, seed: int) -> Lengths:
    """The lengths of so many episodes that there is no end of them."""
    count = 3 * total // mean + 10_000
    generator = np.random.default_rng(seed)
    if kind == "equal":
        return np.full(count, mean)
    if kind == "uniform":
        return generator.integers(1, 2 * mean, count)
    return generator.geometric(1 / mean, count)


@dataclass
class Played:
    """What became of a run."""

    tasks: int
    """Its tasks."""
    tasks_of_episodes: int
    """The tasks of as many episodes as it needed."""
    needed: int
    """The episodes that it needed."""
    beyond: int
    """The episodes that it collected beyond those."""
    excess: int
    """The steps of the episodes beyond."""
    covered: bool
    """Whether it collected the needed episodes, each once, and those after them without a gap."""
    singles: int
    """The tasks of one episode."""


def play(
    lengths: Lengths, total: int, workers: int, queued: int = 1, seed: int = 0, num_envs: int = 1
) -> Played:
    """Play a run with workers of different speeds, each with so many tasks under way."""
    schedule = Schedule(
        total_episodes=None,
        total_steps=total,
        workers=workers,
        max_attempts=3,
        num_envs=num_envs,
    )
    ends = np.concatenate([[0], np.cumsum(lengths)])
    speeds = np.random.default_rng(seed).uniform(0.8, 1.25, workers).tolist()
    idle, waiting = [*range(workers)], list[Range]()
    working: list[tuple[float, int, Range]] = []
    tasks = singles = 0
    now = 0.0
    while True:
        while len(working) + len(waiting) < workers * queued:
            wanted = schedule.take_range(len(working) + len(waiting))
            if wanted is None:
                break
            waiting.append(wanted)
            tasks += 1
            singles += len(wanted) == 1
        while idle and waiting:
            worker, wanted = idle.pop(), waiting.pop(0)
            steps = int(ends[wanted.stop] - ends[wanted.first])
            heapq.heappush(working, (now + steps * speeds[worker], worker, wanted))
        if not working:
            break
        now, worker, wanted = heapq.heappop(working)
        idle.append(worker)
        steps = int(ends[wanted.stop] - ends[wanted.first])
        schedule.add_results([TaskOutput(wanted.first, wanted.stop, steps)], (), wanted)
    needed = int(np.searchsorted(ends, total))
    outputs = schedule.outputs
    borders = [(output.first, output.stop) for output in outputs]
    covered = all(one[1] == other[0] for one, other in pairwise(borders))
    size = max(num_envs, min(10_000, math.ceil(needed / (8 * workers))))
    return Played(
        tasks=tasks,
        tasks_of_episodes=math.ceil(needed / size),
        needed=needed,
        beyond=schedule.episodes - needed,
        excess=schedule.steps - int(ends[needed]),
        covered=covered and borders[0][0] == 0 and borders[-1][1] >= needed,
        singles=singles,
    )
