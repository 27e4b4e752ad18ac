"""Run what waits for a network in several threads, none of which outlives an interrupt."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar, cast

Job = TypeVar("Job")
Found = TypeVar("Found")

MOST_THREADS = 16


def run_each(work: Callable[[Job], object], jobs: Sequence[Job], most: int = MOST_THREADS) -> None:
    """Call a function for each job, in several threads at once.

    Args:
        work: The function.
        jobs: What it is called with.
        most: The most threads.

    Raises:
        Exception: What the first call that failed raised; the others are done or not begun.
    """
    if len(jobs) <= 1:
        for job in jobs:
            work(job)
        return
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    stop = threading.Event()

    def run() -> None:
        try:
            while not stop.is_set():
                work(waiting.get_nowait())
        except queue.Empty:
            ended.put(None)
        except BaseException as error:
            ended.put(error)
        else:
            ended.put(None)

    threads = min(len(jobs), most)
    for _ in range(threads):
        # An interpreter that ends does not wait for these.
        threading.Thread(target=run, name="minari-stream", daemon=True).start()
    try:
        errors = [ended.get() for _ in range(threads)]
    finally:
        stop.set()
    for error in errors:
        if error is not None:
            raise error


def read_ahead(read: Callable[[Job], Found], jobs: Iterable[Job], count: int) -> Iterator[Found]:
    """Yield what a function returns for each job, in their order, and run some calls ahead.

    Args:
        read: The function.
        jobs: What it is called with; each is taken when it is to be read.
        count: The most calls that are ahead.
    """
    remaining = iter(jobs)
    results: deque[queue.SimpleQueue[tuple[Found | None, BaseException | None]]] = deque()
    work: queue.SimpleQueue[
        tuple[Job, queue.SimpleQueue[tuple[Found | None, BaseException | None]]] | None
    ] = queue.SimpleQueue()
    threads = 0

    def run() -> None:
        while (given := work.get()) is not None:
            job, result = given
            try:
                result.put((read(job), None))
            except BaseException as error:
                result.put((None, error))

    try:
        while True:
            for job in islice(remaining, count - len(results)):
                result: queue.SimpleQueue[tuple[Found | None, BaseException | None]]
                result = queue.SimpleQueue()
                results.append(result)
                work.put((job, result))
                if threads < min(count, MOST_THREADS, len(results)):
                    threads += 1
                    threading.Thread(target=run, name="minari-stream", daemon=True).start()
            if not results:
                return
            found, error = results.popleft().get()
            if error is not None:
                raise error
            yield cast("Found", found)
    finally:
        for _ in range(threads):
            work.put(None)
