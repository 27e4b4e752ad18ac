"""Fetch the windows of a pool order some time before batches are drawn from them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from minari_core.random_stream import Process, current_process
from minari_core.sampling.orders.pool import PoolOrder

Fetch: TypeAlias = Callable[[int, int], object]
"""Makes positions from the first to the last + 1 quick to read; called from several threads."""

# About 32 MB are under way: a network of 1 Gbit/s takes 12 MB in 100 ms, and a window may wait for
# three answers one after the other.
WINDOWS_AHEAD = 16
_MOST_THREADS = 16

_Job: TypeAlias = Callable[[], None]
_Jobs: TypeAlias = "queue.SimpleQueue[_Job | None]"
_Outcome: TypeAlias = "queue.SimpleQueue[BaseException | None]"


class ReadingAhead:
    """Fetches for one iterator over batches; not safe to share between threads.

    Where several iterators share an epoch, each fetches ahead what is its turn, and what is wanted
    now is fetched by whoever wants it, unless another one has done so.

    After a fork it begins anew in the child, which has none of the threads of its parent. No
    process waits for these when it ends.
    """

    def __init__(self, fetch: Fetch, number: int = 0, count: int = 1) -> None:
        """Fetch nothing yet.

        Args:
            fetch: Fetches the positions of a window.
            number: Which of the iterators that share an epoch this is.
            count: How many there are.
        """
        self._fetch = fetch
        self._number, self._count = number, count
        self._jobs: _Jobs = queue.SimpleQueue()
        self._threads = 0
        self._process: Process | None = None
        self._epoch = -1
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._outcomes: dict[int, _Outcome] = {}
        self._next = self._done = 0
        # Nothing new is needed for positions from the one to the other.
        self._begun = self._ready = 0

    def prepare(self, epoch: int, order: PoolOrder, first: int, last: int) -> None:
        """Wait until all windows are at hand that some positions are drawn from.

        Args:
            epoch: The epoch of the order.
            order: The order.
            first: The first of the positions of the order.
            last: The last of them.

        Raises:
            Exception: What fetching one of them raised.
        """
        is_same = self._process is current_process()
        if is_same and epoch == self._epoch and first >= self._begun and last < self._ready:
            return
        if not is_same:
            self._process, self._jobs, self._threads = current_process(), queue.SimpleQueue(), 0
            self._epoch = -1
        if self._epoch != epoch:
            self._epoch = epoch
            self._begin_anew()
        pool = range(order.find_pool(first).start, order.find_pool(last).stop)
        # The first batch of all is not to wait for what is needed later.
        is_first = self._done == 0
        if pool.stop > self._done:
            self._done = max(self._done, pool.start)
            for window in range(self._done, pool.stop):
                self._begin(order, window)
            for window in range(self._done, pool.stop):
                error = self._outcomes.pop(window).get()
                self._done = window + 1
                if error is not None:
                    # Whoever tries again is not told what failed before.
                    self._begin_anew()
                    raise error
        if is_first:
            return
        end = min(pool.stop + WINDOWS_AHEAD, len(order.windows[0]))
        for window in range(max(self._next, pool.stop), end):
            if window % self._count == self._number:
                self._begin(order, window)
        self._next = end
        self._begun, self._ready = first, order.find_end(last)

    def _begin(self, order: PoolOrder, window: int) -> None:
        if window in self._outcomes:
            return
        outcome: _Outcome = queue.SimpleQueue()
        self._outcomes[window] = outcome
        first, size = (int(part[window]) for part in order.windows)
        self._jobs.put(partial(_fetch_into, outcome, self._fetch, first, first + size))
        if self._threads < min(_MOST_THREADS, len(self._outcomes)):
            self._threads += 1
            # An interpreter that ends does not wait for these.
            threading.Thread(
                target=_work, args=(self._jobs,), name="minari-ahead", daemon=True
            ).start()

    def __del__(self) -> None:
        """End the threads when what they do is done."""
        if self._process is current_process():
            for _ in range(self._threads):
                self._jobs.put(None)


def _fetch_into(outcome: _Outcome, fetch: Fetch, start: int, stop: int) -> None:
    try:
        fetch(start, stop)
    except BaseException as error:
        outcome.put(error)
    else:
        outcome.put(None)


def _work(jobs: _Jobs) -> None:
    while (job := jobs.get()) is not None:
        job()
