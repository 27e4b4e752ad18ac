"""The schedule of a run: which episodes are collected, missing, or failed, and which are next.

It knows no executor and no file, so a run of a thousand workers can be played through in a test.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from minari_collect.runs.lengths import EpisodeLengths
from minari_collect.workers.messages import Failure, TaskOutput

_TASKS_PER_WORKER = 8
_MOST_EPISODES = 10_000
# Of a number of steps, a worker has first one task to learn from, and then others, of which the
# last are smaller; together these are about as many as the tasks of a number of episodes.
_LARGE_TASKS_PER_WORKER = 5
_EPISODES_TO_LEARN_FROM = 16
_TOLERATED = 0.01
_HOPELESS_FAILURES = 20
# A worker whose disk is full comes back for more long before the others have finished.
_WORKERS_PER_ATTEMPT = 4


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
    """Hand out ranges of episodes to collect, in order, and count what becomes of them."""

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
        self.total_episodes = total_episodes
        """Number of episodes to collect, if it was given."""
        self.total_steps = total_steps
        """Number of steps to collect, if it was given."""
        self._workers = workers
        self._max_attempts = max_attempts
        self._num_envs = num_envs
        self._size = episodes_per_task
        self._outputs: dict[int, TaskOutput] = {}
        self._firsts: list[int] = []
        self._failures: dict[int, Failure] = {}
        self._attempts: dict[int, int] = {}
        # Those of them that succeeded, or failed for good.
        self._settled: set[int] = set()
        self._again: deque[Range] = deque()
        self._next = 0
        # What an earlier run has left, after the next episode, the last first.
        self._left: list[int] = []
        # The first episode that is missing, and the steps up to there.
        self._prefix = (0, 0)
        self._failed_in_a_row = 0
        self._lengths = EpisodeLengths()
        # The episodes that are given out and not collected, and the steps of those before the next.
        self._open = 0
        self._steps_before = 0

    @property
    def steps(self) -> int:
        """Number of collected steps."""
        return self._lengths.steps

    @property
    def episodes(self) -> int:
        """Number of collected episodes."""
        return self._lengths.episodes

    @property
    def outputs(self) -> list[TaskOutput]:
        """The outputs collected so far, in the order of their episodes."""
        return [self._outputs[first] for first in self._firsts]

    @property
    def failures(self) -> list[Failure]:
        """The failures of episodes that failed too often and are still needed."""
        stop = self._find_needed_stop() if self._failures else None
        return [self._failures[e] for e in sorted(self._failures) if stop is None or e < stop]

    def needs(self, output: TaskOutput) -> bool:
        """Return whether an output will be in the dataset, as far as is known."""
        if self._outputs.get(output.first) != output:
            return False  # somebody else was first with its episodes
        stop = self.total_episodes
        if stop is None:
            stop = self._find_needed_stop()
        return stop is None or output.first < stop

    @property
    def is_hopeless(self) -> bool:
        """Whether that many episodes in a row failed that others would fail as well."""
        return self._failed_in_a_row >= max(_HOPELESS_FAILURES, 4 * self._workers)

    def start_from(self, outputs: Sequence[TaskOutput]) -> None:
        """Take over what an earlier run has left, before anything is given out."""
        self.add_results(outputs, ())
        self._left = sorted((output.first for output in outputs), reverse=True)

    def take_range(self, in_flight: int) -> Range | None:
        """Take the episodes to collect next, or None if there is nothing to begin.

        Args:
            in_flight: How many ranges are being collected.
        """
        if self.total_steps is not None and self.count_prefix_steps() >= self.total_steps:
            return None
        while self._again:
            again = self._again.popleft()
            if any(episode not in self._settled for episode in range(again.first, again.stop)):
                return again
        while self._next in self._outputs:
            self._steps_before += self._outputs[self._next].steps
            self._next = self._outputs[self._next].stop
        if self.total_episodes is not None and self._next >= self.total_episodes:
            return None
        first = self._next
        size = self._choose_size(in_flight)
        if size == 0:
            return None
        stop = first + size
        if self.total_episodes is not None:
            stop = min(stop, self.total_episodes)
        # An output that an earlier run has left is not collected again.
        while self._left and self._left[-1] <= first:
            self._left.pop()
        if self._left:
            stop = min(stop, self._left[-1])
        self._next = stop
        self._open += stop - first
        return Range(first, stop)

    def add_results(
        self,
        outputs: Iterable[TaskOutput],
        failures: Iterable[Failure],
        wanted: Range | None = None,
    ) -> None:
        """Add the results of a task.

        Args:
            outputs: What it has collected.
            failures: What it could not collect.
            wanted: What it was given; what is left of it comes next.
        """
        for output in outputs:
            index = bisect(self._firsts, output.first)
            if index and self._outputs[self._firsts[index - 1]].stop > output.first:
                continue  # somebody else was first with an episode of it
            if index < len(self._firsts) and self._firsts[index] < output.stop:
                continue
            self._firsts.insert(index, output.first)
            self._outputs[output.first] = output
            self._lengths.add(output.stop - output.first, output.steps)
            if output.first < self._next:
                self._open -= output.stop - output.first
                self._steps_before += output.steps
            self._failed_in_a_row = 0
            tried = range(output.first, output.stop)
            self._settled.update(e for e in self._attempts if e in tried)
        unwritten: list[int] = []
        reported: set[int] = set()
        for failure in failures:
            reported.add(failure.episode)
            if not self._may_try_again(failure):
                continue
            if failure.is_of_worker:
                unwritten.append(failure.episode)
            else:
                self._again.append(Range(failure.episode, failure.episode + 1))
        # Twice, because one of them may come to the same worker; whichever is first counts.
        self._again.extend(each for each in _group_ranges(unwritten) for _ in range(2))
        if wanted is not None:
            left = [episode for episode in self._list_missing(wanted) if episode not in reported]
            self._again.extendleft(reversed(_group_ranges(left)))

    def add_lost(self, wanted: Range, reasons: Sequence[Failure]) -> None:
        """Note that a worker ended, or gave no answer, while it had a range.

        Args:
            wanted: The range.
            reasons: What to report of each of its episodes.
        """
        missing = self._list_missing(wanted)
        if len(wanted) > 1:
            # On their own, it shows which of them it is.
            self._again.extend(Range(episode, episode + 1) for episode in missing)
            return
        if missing and self._may_try_again(reasons[0]):
            self._again.append(wanted)

    def _list_missing(self, wanted: Range) -> list[int]:
        """List the episodes of a range that are in no output."""
        missing: list[int] = []
        episode = wanted.first
        for first in self._firsts[max(bisect(self._firsts, wanted.first) - 1, 0) :]:
            if first >= wanted.stop:
                break
            missing.extend(range(episode, first))
            episode = max(episode, self._outputs[first].stop)
        missing.extend(range(episode, wanted.stop))
        return missing

    def _may_try_again(self, failure: Failure) -> bool:
        """Count an attempt; one that failed by its worker's fault counts for less."""
        if failure.episode in self._settled:
            return False
        cost = 1 if failure.is_of_worker else _WORKERS_PER_ATTEMPT
        attempts = self._attempts.get(failure.episode, 0) + cost
        self._attempts[failure.episode] = attempts
        if attempts < self._max_attempts * _WORKERS_PER_ATTEMPT:
            return True
        self._failures[failure.episode] = failure
        self._open -= failure.episode < self._next
        self._settled.add(failure.episode)
        self._failed_in_a_row += 1
        return False

    def count_prefix_steps(self) -> int:
        """Count the steps of the outputs before the first gap; a failed episode is no gap."""
        episode, steps = self._prefix
        while True:
            output = self._outputs.get(episode)
            if output is not None:
                steps += output.steps
                episode = output.stop
            elif episode in self._failures:
                episode += 1
            else:
                break
        self._prefix = (episode, steps)
        return steps

    def _find_needed_stop(self) -> int | None:
        """Find the episode from which on none is needed, if that is known yet."""
        if self.total_steps is None or self.count_prefix_steps() < self.total_steps:
            return None
        steps = 0
        for output in self.outputs:
            steps += output.steps
            if steps >= self.total_steps:
                return output.stop
        return None

    def _choose_size(self, in_flight: int) -> int:
        """Choose how many episodes the next task has; 0 to wait for what is being collected."""
        if self.total_steps is not None:
            return self._choose_size_of_steps(self.total_steps, in_flight)
        if self._size is not None:
            return self._size
        size = -(-(self.total_episodes or 0) // (self._workers * _TASKS_PER_WORKER))
        return max(self._num_envs, min(size, _MOST_EPISODES))

    def _choose_size_of_steps(self, total: int, in_flight: int) -> int:
        """Choose the size of a task where the number of episodes follows from their lengths.

        Tasks have one size, which is chosen when each worker has ended an episode, and the last
        ones are smaller: so much is given out that what all of it has beyond the total is hardly
        more than a hundredth, or an episode for each worker.
        """
        lengths, is_busy = self._lengths, in_flight >= self._workers
        if lengths.episodes < self._workers:
            # Those that end first are the short ones.
            return 0 if is_busy else self._size or self._num_envs
        mean = lengths.mean
        under_way = lengths.estimate_waiting(self._open, in_flight)
        size = self._size or min(
            math.ceil(total / (mean * self._workers * _LARGE_TASKS_PER_WORKER)), _MOST_EPISODES
        )
        if lengths.episodes < self._workers * _EPISODES_TO_LEARN_FROM:
            if is_busy:
                return 0
            factor = 4 if lengths.episodes < _EPISODES_TO_LEARN_FROM else _EPISODES_TO_LEARN_FROM
            size = min(size, max(1, lengths.episodes * factor - self._open))
            mean, under_way = 2 * mean, 2 * under_way
        size = max(size, self._num_envs)
        left = total - self._steps_before - under_way
        if is_busy and left < self._workers * size * mean:
            return 0
        tolerated = max(_TOLERATED * total, (in_flight + 1) * mean)
        fitting = lengths.count_fitting(left + tolerated, self._open)
        chosen = max(0, min(size, math.ceil(left / mean), fitting))
        return chosen if in_flight else max(chosen, 1)


def _group_ranges(episodes: Sequence[int]) -> list[Range]:
    """Group increasing numbers into ranges without gaps."""
    ranges: list[Range] = []
    for episode in episodes:
        if ranges and ranges[-1].stop == episode:
            ranges[-1] = Range(ranges[-1].first, episode + 1)
        else:
            ranges.append(Range(episode, episode + 1))
    return ranges
