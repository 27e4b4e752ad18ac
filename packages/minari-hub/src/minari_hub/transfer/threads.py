"""Work on several objects at a time, in threads that Ctrl-C ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import TypeVar

WORKERS = 8
"""How many objects are under way at a time."""

_IDLE_SECONDS = 5.0

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_many(
    work: Callable[[Item], object], items: Sequence[Item], stop: Event | None = None
) -> list[Exception | None]:
    """Call a function with every item, several at a time.

    Args:
        work: The function.
        items: What it is called with.
        stop: Set when the caller is interrupted, so that work under way can end.

    Returns:
        For each item, the error that it raised, or None.
    """
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="minari-hub") as pool:
        futures = [pool.submit(work, item) for item in items]
        wait_until_done(futures, stop)
    return [_take_error(future) for future in futures]


def map_many(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> list[Result]:
    """Return the results of a function of every item, several at a time, in order."""
    with ThreadPoolExecutor(workers, thread_name_prefix="minari-hub") as pool:
        futures = [pool.submit(work, item) for item in items]
        wait_until_done(futures, None)
    return [future.result() for future in futures]


def run_in_background(work: Callable[[], Result], stop: Event) -> Result:
    """Run work that waits for threads of its own, in a thread, so that Ctrl-C is not held up.

    Args:
        work: What to do.
        stop: Set on an interrupt; the work must end soon after.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="minari-hub") as pool:
        future = pool.submit(work)
        wait_until_done([future], stop)
    return future.result()


def wait_until_done(futures: Sequence[Future[Result]], stop: Event | None) -> None:
    """Wait for all; on an interrupt, cancel what has not started and tell the rest to stop."""
    try:
        # Without a timeout, Windows would not wake up for Ctrl-C.
        while wait(futures, timeout=0.5).not_done:
            pass
    except BaseException:
        if stop is not None:
            stop.set()
        for future in futures:
            future.cancel()
        raise


def _take_error(future: Future[Result]) -> Exception | None:
    error = future.exception()
    if error is not None and not isinstance(error, Exception):
        raise error
    return error


class DaemonThreads:
    """Threads that are started when there is work, and end when there was none for a while.

    Neither an interrupt nor the end of the interpreter waits for them.
    """

    def __init__(self, most: int) -> None:
        """Start none yet.

        Args:
            most: The most threads.
        """
        self._most = most
        self._jobs: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._lock = Lock()
        self._threads = 0
        self._unfinished = 0

    def run(self, job: Callable[[], object]) -> None:
        """Have a job done soon; it must raise nothing."""
        with self._lock:
            self._jobs.put(job)
            self._unfinished += 1
            starts = self._threads < min(self._most, self._unfinished)
            self._threads += starts
        if starts:
            Thread(target=self._serve, name="minari-stream", daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=_IDLE_SECONDS)
            except Empty:
                with self._lock:
                    if self._jobs.empty():
                        self._threads -= 1
                        return
                continue
            job()
            with self._lock:
                self._unfinished -= 1
