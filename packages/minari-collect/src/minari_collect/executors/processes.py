"""Worker processes of this machine, each on its own, so that one that dies takes no other along."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from typing import Any, TypeVar

from minari_core.errors import RecordingError

_Result = TypeVar("_Result")


class ProcessSlots(Executor):
    """A number of processes, started afresh (*spawn*), that take one call each at a time.

    A process that dies fails its own call, and another process takes its place.
    """

    def __init__(self, workers: int) -> None:
        """Start nothing yet.

        Args:
            workers: How many processes.
        """
        self._context = multiprocessing.get_context("spawn")
        # First come, first served: where something is wrong, a call ends soonest.
        self._free: deque[ProcessPoolExecutor | None] = deque([None] * workers)
        self._busy: list[ProcessPoolExecutor] = []

    def submit(
        self, function: Callable[..., _Result], /, *args: Any, **kwargs: Any
    ) -> Future[_Result]:
        """Run a call in a free process.

        Raises:
            RecordingError: All are busy.
        """
        if not self._free:
            raise RecordingError("all worker processes are busy")
        pool = self._free.popleft()
        if pool is None:
            pool = ProcessPoolExecutor(1, mp_context=self._context, initializer=_begin_worker)
        future = pool.submit(function, *args, **kwargs)
        self._busy.append(pool)
        future.pool = pool  # type: ignore[attr-defined]  # to give it back
        return future

    def release(self, future: Future[Any]) -> None:
        """Take back the process of a call that is over."""
        pool: ProcessPoolExecutor = future.pool  # type: ignore[attr-defined]  # set by submit
        self._busy.remove(pool)
        if future.cancelled() or future.exception() is not None:
            pool.shutdown(wait=False, cancel_futures=True)
            self._free.append(None)
        else:
            self._free.append(pool)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End all processes; those that are busy are ended at once."""
        for pool in self._busy:
            # Whoever stops a run does not want to wait for the episodes that are going on.
            for process in list((getattr(pool, "_processes", None) or {}).values()):
                with contextlib.suppress(Exception):  # it may be gone already
                    process.kill()
        for started in (*self._busy, *self._free):
            if started is not None:
                started.shutdown(wait=wait, cancel_futures=True)
        self._busy, self._free = [], deque()


def _begin_worker() -> None:
    """Leave Ctrl-C to the process that waits for the workers, and end when that one is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True, name="parent watch").start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        # A parent that was killed could end nobody, and nobody waits for what is done here.
        os._exit(1)
