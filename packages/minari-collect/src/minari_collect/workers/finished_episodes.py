"""Hand in the episodes that a task has finished, from time to time and at the end.

A task of hours would otherwise be lost with its process. Where the run sees the folder that its
workers write to, each part is put there at once. Elsewhere only the result of a call gets to the
run, so that the call ends, and the run goes on with what is left of the task in another one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from minari_collect.workers.messages import ShardRemote, Task, TaskOutput
from minari_collect.workers.output_recording import TaskCollector, VectorTaskCollector
from minari_collect.workers.transport import send_output
from minari_core.environments.space_json import LOSSY_SPACES
from minari_core.errors import RecordingError

FIRST_SECONDS = 2.0
"""After how long a task hands in for the first time; then it waits twice as long each time."""
MOST_SECONDS = 60.0
"""How long it waits at most."""
CALL_SECONDS = 30.0
"""After how long a call begins no other episode, if only its result gets to the run."""

_Collector: TypeAlias = TaskCollector | VectorTaskCollector


class FinishedEpisodes:
    """The episodes that a task has finished, by their numbers."""

    def __init__(self, task: Task, warnings: Sequence[str]) -> None:
        """Begin with none.

        Args:
            task: The task.
            warnings: What there is to warn of, which may become more.
        """
        self._task = task
        self._warnings = warnings
        self._remote: ShardRemote | None = None
        self._collector: _Collector | None = None
        # That of each episode which the collector has and nobody else, in the order of recording.
        self._numbers: list[int | None] = []
        self._wait = FIRST_SECONDS
        self._next = time.monotonic() + self._wait
        self._last = math.inf
        if task.transport != "folder":
            self._next, self._last = math.inf, time.monotonic() + CALL_SECONDS
        self.outputs: list[TaskOutput] = []
        """The outputs that were handed in."""
        self.due = math.inf
        """The time of ``time.monotonic`` at which there is something to hand in."""

    @property
    def is_enough(self) -> bool:
        """Whether the call should begin no other episode, but return what there is."""
        return bool(self.outputs or self._numbers) and time.monotonic() >= self._last

    def follow(self, collector: _Collector, remote: ShardRemote | None) -> None:
        """Go on with a new collector; what another one had and has not handed in is gone.

        Args:
            collector: The collector, which has recorded nothing yet.
            remote: What its episodes travel through, if they do.
        """
        self._collector = collector
        self._remote = remote
        self._numbers = []
        self.due = math.inf

    def note(self, number: int | None) -> None:
        """Note that the collector has recorded the end of an episode.

        Args:
            number: Which one; None if it does not count.
        """
        self._numbers.append(number)
        if number is not None:
            self.due = self._next

    def list_missing(self, first: int, stop: int) -> list[int]:
        """List the episodes of a range that were not handed in."""
        known = {e for output in self.outputs for e in range(output.first, output.stop)}
        return [episode for episode in range(first, stop) if episode not in known]

    def hand_in(self, *, is_last: bool = False) -> None:
        """Hand in all that is finished, while another episode may be going on.

        Args:
            is_last: Whether nothing more is recorded; an episode that goes on is dropped.

        Raises:
            DatasetWriteError: The file system refused.
            RemoteError: The remote did.
            RecordingError: The collector has not recorded the episodes that the environment had.
        """
        # If an error comes in between, nobody knows what is where, and it is collected again.
        collector, self._collector = self._collector, None
        self.due = math.inf
        if collector is None or not any(number is not None for number in self._numbers):
            return
        staging = collector.finish_output() if is_last else collector.flush_output()
        extra = staging.count_finished() - len(self._numbers)
        if not 0 <= extra <= is_last:
            raise RecordingError(
                f"{extra + len(self._numbers)} episodes were recorded of {len(self._numbers)} that "
                "ended, so that it is not known which is which"
            )
        task = self._task
        # Who runs processes of its own has warned of the spaces before.
        is_known = LOSSY_SPACES if task.may_exit else ()
        staging.note_warnings([w for w in self._warnings if not w.startswith(is_known)])
        for first, indices in self._list_runs():
            output, folder = staging.complete(first, indices)
            self.outputs.append(send_output(output, folder, task.transport, self._remote, task.run))
        staging.forget_finished()
        self._numbers = []
        self._wait = min(2 * self._wait, MOST_SECONDS)
        self._next = time.monotonic() + self._wait
        self._collector = collector

    def _list_runs(self) -> Iterator[tuple[int, list[int]]]:
        """List runs of consecutive episodes: the first number, and the index of each in order."""
        index_of = {number: i for i, number in enumerate(self._numbers) if number is not None}
        first, run = -1, list[int]()
        for number in sorted(index_of):
            if number != first + len(run):
                if run:
                    yield first, run
                first, run = number, []
            run.append(index_of[number])
        yield first, run
