"""Which episodes to collect next: what is there, what is missing, what has failed how often.

It knows no executor and no file, so a run of a thousand workers can be played through in a test.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from minari_collect.collect_task import Failure, Part

_TASKS_PER_WORKER = 8
_MOST_EPISODES = 10_000


@dataclass(frozen=True, slots=True)
class Range:
    """Consecutive episodes that are collected by one task."""

    first: int
    """The first episode."""
    stop: int
    """One past the last episode."""

    def __len__(self) -> int:
        """The number of episodes."""
        return self.stop - self.first


class Schedule:
    """What is left to collect. Episode numbers are given out in order."""

    def __init__(
        self,
        *,
        total_episodes: int | None,
        total_steps: int | None,
        workers: int,
        max_attempts: int,
        num_envs: int = 1,
        episodes_per_task: int | None = None,
    ) -> None:
        """Begin with nothing collected.

        Args:
            total_episodes: How many episodes to collect.
            total_steps: How many steps to collect, if the number of episodes follows from it.
            workers: How many workers share them.
            max_attempts: How often an episode is begun before it counts as failed.
            num_envs: How many episodes a worker collects at a time.
            episodes_per_task: How many episodes a task has; chosen if None.
        """
        self._total_episodes = total_episodes
        self._total_steps = total_steps
        self._workers = workers
        self._max_attempts = max_attempts
        self._num_envs = num_envs
        self._size = episodes_per_task
        self._parts: dict[int, Part] = {}
        self._failures: dict[int, Failure] = {}
        self._attempts: dict[int, int] = {}
        self._again: deque[Range] = deque()
        self._next = 0
        self.steps = 0
        """How many steps have been collected."""
        self.episodes = 0
        """How many episodes have been collected."""

    @property
    def parts(self) -> list[Part]:
        """What has been collected, in the order of the episodes."""
        return [self._parts[first] for first in sorted(self._parts)]

    @property
    def failures(self) -> list[Failure]:
        """What failed too often."""
        return [self._failures[episode] for episode in sorted(self._failures)]

    def next_range(self, in_flight: int) -> Range | None:
        """What to collect next, or None if there is nothing to begin.

        Args:
            in_flight: How many ranges others are at.
        """
        if self._again:
            return self._again.popleft()
        if in_flight and self._total_steps is not None and self.steps >= self._total_steps:
            # Only what others are at is missing, so anything more would be too much.
            return None
        while self._next in self._parts:
            self._next = self._parts[self._next].stop
        if self._has_enough():
            return None
        first = self._next
        stop = first + self._chosen_size()
        if self._total_episodes is not None:
            stop = min(stop, self._total_episodes)
        # A part that an earlier run has left is not collected again.
        known = [part_first for part_first in self._parts if part_first > first]
        stop = min([stop, *known])
        if stop <= first:
            return None
        self._next = stop
        return Range(first, stop)

    def done(self, parts: Iterable[Part], failures: Iterable[Failure]) -> None:
        """Note what became of a range."""
        for part in parts:
            if part.first not in self._parts:
                self._parts[part.first] = part
                self.steps += part.steps
                self.episodes += part.stop - part.first
        for failure in failures:
            self._attempt(failure)

    def lost(self, wanted: Range, reasons: Sequence[Failure]) -> None:
        """Note that a worker ended, or gave no answer, while it had a range.

        Args:
            wanted: The range.
            reasons: What to report of each of its episodes.
        """
        if len(wanted) > 1:
            # On their own, it shows which of them it is.
            for episode in range(wanted.first, wanted.stop):
                self._again.append(Range(episode, episode + 1))
            return
        self._attempt(reasons[0])

    def _attempt(self, failure: Failure) -> None:
        episode = failure.episode
        attempts = self._attempts[episode] = self._attempts.get(episode, 0) + 1
        if attempts >= self._max_attempts:
            self._failures[episode] = failure
        else:
            self._again.append(Range(episode, episode + 1))

    def _has_enough(self) -> bool:
        if self._total_episodes is not None:
            return self._next >= self._total_episodes
        return self._total_steps is not None and self.prefix_steps() >= self._total_steps

    def prefix_steps(self) -> int:
        """The steps of the parts before the first gap; a failed episode is no gap."""
        steps = 0
        place = 0
        while True:
            part = self._parts.get(place)
            if part is not None:
                steps += part.steps
                place = part.stop
            elif place in self._failures:
                place += 1
            else:
                return steps

    def _chosen_size(self) -> int:
        if self._size is not None:
            return self._size
        tasks = self._workers * _TASKS_PER_WORKER
        if self._total_episodes is not None:
            size = -(-self._total_episodes // tasks)
        elif self.episodes == 0 or self._total_steps is None:
            size = 1
        else:
            left = max(self._total_steps - self.steps, 0) * self.episodes / max(self.steps, 1)
            size = int(left / tasks) + 1
        return max(self._num_envs, min(size, _MOST_EPISODES))
