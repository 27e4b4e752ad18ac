"""Worker processes of this machine, each on its own, so that one that dies takes no other along."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, TypeVar

from minari_core.errors import RecordingError

_Result = TypeVar("_Result")

_UNGUARDED_EXIT_CODE = 76
_GUARD = 'put what the script does under `if __name__ == "__main__":`'


def check_main_is_guarded() -> None:
    """Check that this process is not one that only imports the main script, to begin as a worker.

    A worker of this module ends without a word then, because its parent says it once for all.

    Raises:
        RecordingError: It is, and would start processes of its own, which would, too.
    """
    process = multiprocessing.current_process()
    if not getattr(process, "_inheriting", False):
        return
    if process.name.startswith(_WorkerProcess.__name__):
        os._exit(_UNGUARDED_EXIT_CODE)
    raise RecordingError(f"a worker process imports the main script, which collects anew; {_GUARD}")


class _WorkerProcess(SpawnProcess):
    """A worker, which its name tells from other processes, even before it has begun."""


class _WorkerContext(SpawnContext):
    """Starts the process of one pool, and knows what became of it."""

    def __init__(self) -> None:
        super().__init__()
        self._process: _WorkerProcess | None = None
        self.has_begun = self.RawValue("b", 0)
        """Set by the process when it has imported the main script."""

    # A class in the base; `concurrent.futures` only calls it.
    def Process(  # type: ignore[override]  # noqa: N802
        self, *args: Any, **kwargs: Any
    ) -> _WorkerProcess:
        """Make the process."""
        self._process = _WorkerProcess(*args, **kwargs)
        return self._process

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            with contextlib.suppress(Exception):  # it may be gone already
                self._process.kill()

    def check_has_begun(self) -> None:
        """Check that the process, which is gone, has not ended by itself before it began.

        Raises:
            RecordingError: It has, and so would any other.
        """
        code = None if self._process is None else self._process.exitcode
        if code is not None and code > 0 and not self.has_begun.value:
            raise RecordingError(
                "a worker process imports the main script, and that ended it before it began "
                f"(exit code {code}); {_GUARD}, in a file"
            )


@dataclass
class _Slot:
    """A slot for a process, which is started when it is needed."""

    context: _WorkerContext = field(default_factory=_WorkerContext)
    pool: ProcessPoolExecutor | None = None

    def start(self) -> ProcessPoolExecutor:
        """Return the pool of the process; it is started by the first call."""
        if self.pool is None:
            self.pool = ProcessPoolExecutor(
                1,
                mp_context=self.context,
                initializer=_begin_worker,
                initargs=(self.context.has_begun,),
            )
        return self.pool


class ProcessSlots(Executor):
    """A number of processes, started afresh (*spawn*), that take one call each at a time.

    A process that dies fails its own call, and another process takes its place.
    """

    def __init__(self, workers: int) -> None:
        """Start nothing yet.

        Args:
            workers: How many processes.
        """
        # First come, first served: where something is wrong, a call ends soonest.
        self._free: deque[_Slot] = deque(_Slot() for _ in range(workers))
        self._busy: list[_Slot] = []

    def submit(
        self, function: Callable[..., _Result], /, *args: Any, **kwargs: Any
    ) -> Future[_Result]:
        """Run a call in a free process.

        Raises:
            RecordingError: All are busy.
        """
        if not self._free:
            raise RecordingError("all worker processes are busy")
        slot = self._free.popleft()
        future = slot.start().submit(function, *args, **kwargs)
        self._busy.append(slot)
        future.slot = slot  # type: ignore[attr-defined]  # to give it back
        return future

    def release(self, future: Future[Any]) -> None:
        """Take back the process of a call that is over.

        Raises:
            RecordingError: It ended before it began, and so would any other.
        """
        slot: _Slot = future.slot  # type: ignore[attr-defined]  # set by submit
        self._busy.remove(slot)
        if not future.cancelled() and future.exception() is None:
            self._free.append(slot)
            return
        self._free.append(_Slot())
        is_gone = not future.cancelled() and isinstance(future.exception(), BrokenExecutor)
        slot.start().shutdown(wait=is_gone, cancel_futures=True)
        if is_gone:
            slot.context.check_has_begun()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End all processes; those that are busy are ended at once."""
        for slot in self._busy:
            # Whoever stops a run does not want to wait for the episodes that are going on.
            slot.context.kill()
        pools = [slot.pool for slot in (*self._busy, *self._free) if slot.pool is not None]
        if pools:
            # To end, a process takes a tenth of a second, in which the others end as well.
            with ThreadPoolExecutor(len(pools)) as threads:
                ending = partial(ProcessPoolExecutor.shutdown, wait=wait, cancel_futures=True)
                list(threads.map(ending, pools))
        self._busy, self._free = [], deque()


def _begin_worker(has_begun: Any) -> None:
    """Leave Ctrl-C to the process that waits for the workers, and end when that one is gone."""
    has_begun.value = 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True, name="parent watch").start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        # A parent that was killed could end nobody, and nobody waits for what is done here.
        os._exit(1)
