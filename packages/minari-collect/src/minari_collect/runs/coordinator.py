"""The coordinator of a run, which keeps its workers busy until all episodes are there."""

from __future__ import annotations

import contextlib
import itertools
import queue
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass

from minari_collect.executors.processes import ProcessSlots
from minari_collect.runs.columns import OutputColumns
from minari_collect.runs.folder import RunFolder
from minari_collect.runs.progress import ProgressMeter
from minari_collect.runs.schedule import Range, Schedule
from minari_collect.workers.messages import (
    Failure,
    Recipe,
    Task,
    TaskOutput,
    TaskResult,
    Transport,
    derive_seeds,
)
from minari_collect.workers.task import run_task
from minari_core.errors import DatasetWriteError, RecordingError
from minari_core.formats.registry import check_format_holds

_QUEUED_PER_WORKER = 2
_SECONDS_BETWEEN_LOOKS = 0.5
_GRACE_SECONDS = 30.0


@dataclass
class CollectRun:
    """A run that is going on, as its coordinator sees it."""

    recipe: Recipe
    """The recipe of the workers."""
    pickled: bytes
    """The pickled recipe."""
    seed: int
    """The seed from which those of all episodes are derived."""
    folder: RunFolder
    """The folder in which their outputs come together."""
    schedule: Schedule
    """The schedule of what is left to do."""
    meter: ProgressMeter
    """Reports its progress."""
    transport: Transport
    """The means by which shards get here."""
    work_folder: str
    """The folder that the workers write to."""
    data_format: str
    """The data format of the dataset."""

    def __post_init__(self) -> None:
        """Prepare what all tasks share."""
        self._name = f"collect-{uuid.uuid4().hex}"
        self._remote = None if self.recipe.open_remote is None else self.recipe.open_remote()
        # Filled by the callbacks of any thread while it is being read.
        self._ended: queue.SimpleQueue[Future[TaskResult]] = queue.SimpleQueue()
        self._numbers = itertools.count()
        self._in_flight: dict[Future[TaskResult], tuple[Range, float]] = {}
        self._columns = OutputColumns(self.folder)
        self._is_format_checked = False

    def drive(self, executor: Executor | None, workers: int) -> None:
        """Collect all that is missing, or as much as can be.

        Args:
            executor: Who runs the tasks; processes of this machine if None.
            workers: How many tasks run at a time.

        Raises:
            RecordingError: The executor is broken.
        """
        self._report_progress()
        with contextlib.ExitStack() as stack:
            stack.callback(self._cancel)
            if executor is not None:
                self._work(executor, None, workers * _QUEUED_PER_WORKER)
            else:
                slots = ProcessSlots(workers)
                stack.callback(slots.shutdown)
                self._work(slots, slots, workers)
        self._report_progress(is_last=True)

    def check_outputs(self, outputs: Sequence[TaskOutput]) -> None:
        """Raise as soon as it is known that no dataset can be made of what is collected.

        Args:
            outputs: Outputs that were added to the schedule.

        Raises:
            SpaceError: The format cannot hold a space; what is complete waits for another format.
            DataError: Outputs have dtypes that no column holds together; the message says where
                they are.
        """
        if outputs and not self._is_format_checked:
            first = self.folder.open_output(outputs[0])
            check_format_holds(self.data_format, first.observation_space, first.action_space)
            self._is_format_checked = True
        for output in filter(self.schedule.needs, outputs):
            self._columns.add(output)

    def _work(self, executor: Executor, slots: ProcessSlots | None, limit: int) -> None:
        while self._submit_up_to(limit, executor, may_exit=slots is not None):
            ended = self._wait()
            for future in ended:
                if future not in self._in_flight:
                    continue  # nobody waited for it any longer
                wanted, _ = self._in_flight.pop(future)
                if slots is not None:
                    slots.release(future)
                self._settle(future, wanted, is_own=slots is not None)
            if ended:
                self._report_progress()
            elif slots is None:
                self._give_up_on_the_silent()

    def _submit_up_to(self, limit: int, executor: Executor, *, may_exit: bool) -> bool:
        """Submit tasks, and return whether there is one to wait for."""
        while len(self._in_flight) < limit and not self.schedule.is_hopeless:
            wanted = self.schedule.take_range(len(self._in_flight))
            if wanted is None:
                break
            task = Task(
                recipe=self.pickled,
                seed=self.seed,
                run=self._name,
                number=next(self._numbers),
                first=wanted.first,
                stop=wanted.stop,
                folder=self.work_folder,
                transport=self.transport,
                may_exit=may_exit,
            )
            future = executor.submit(run_task, task)
            self._in_flight[future] = (wanted, time.monotonic())
            future.add_done_callback(self._ended.put)
        return bool(self._in_flight)

    def _wait(self) -> list[Future[TaskResult]]:
        """Wait a while for calls to end, at a cost that does not grow with how many there are."""
        ended: list[Future[TaskResult]] = []
        with contextlib.suppress(queue.Empty):
            ended.append(self._ended.get(timeout=_SECONDS_BETWEEN_LOOKS))
            while True:
                ended.append(self._ended.get_nowait())
        return ended

    def _settle(self, future: Future[TaskResult], wanted: Range, *, is_own: bool) -> None:
        try:
            result = future.result()
        except BrokenExecutor as error:
            if not is_own:
                raise RecordingError(
                    f"the executor is broken ({error}), and only its owner can start another; "
                    "what is complete waits for resume=True"
                ) from error
            self._lose(wanted, f"its worker process ended: {error}")
            return
        except Exception as error:  # an engine raises errors of its own when a node is gone
            self._lose(wanted, f"its worker failed: {type(error).__name__}: {error}")
            return
        try:
            outputs = [self.folder.receive(output, self._remote) for output in result.outputs]
        except DatasetWriteError:
            raise  # the disk is this machine's, and no other worker would help
        except Exception as error:  # a remote raises errors of its own
            self._lose(wanted, f"its shards did not arrive: {type(error).__name__}: {error}")
        else:
            self.schedule.add_results(outputs, result.failures, wanted)
            self.check_outputs(outputs)

    def _lose(self, wanted: Range, reason: str) -> None:
        # What it had handed in before is not lost.
        outputs = self.folder.list_outputs(wanted)
        self.schedule.add_results(outputs, ())
        self.check_outputs(outputs)
        reasons = [
            Failure(episode, derive_seeds(self.seed, episode)[0], reason)
            for episode in range(wanted.first, wanted.stop)
        ]
        self.schedule.add_lost(wanted, reasons)

    def _give_up_on_the_silent(self) -> None:
        """Count tasks as lost of which nothing is heard long after they should be done."""
        if self.recipe.episode_timeout is None:
            return
        for future, (wanted, since) in list(self._in_flight.items()):
            if not future.running():
                self._in_flight[future] = (wanted, time.monotonic())
                continue
            patience = _GRACE_SECONDS + self.recipe.episode_timeout * (len(wanted) + 1)
            if time.monotonic() - since > patience:
                future.cancel()
                del self._in_flight[future]
                self._lose(wanted, f"nothing was heard of its worker for {patience:.0f} seconds")

    def _cancel(self) -> None:
        for future in self._in_flight:
            future.cancel()

    def _report_progress(self, *, is_last: bool = False) -> None:
        schedule = self.schedule
        failed = len(schedule.failures)
        self.meter.update(schedule.episodes, schedule.steps, failed, is_last=is_last)
