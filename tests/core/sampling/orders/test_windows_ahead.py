"""Which windows are at hand when positions are drawn, one position after the other."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

import numpy as np
import pytest

from minari_core.sampling.orders.pool import PoolOrder
from minari_core.sampling.orders.reading_ahead import WINDOWS_AHEAD, ReadingAhead
from minari_core.sampling.orders.recent_share import RecentShare
from tests.core.sampling.orders.test_reading_ahead import wait_until

SIZE = 700
NOBODYS_TURN = (1, 1 << 40)  # that of a window which is in the first pool


class Fetched:
    """The windows of an order that were fetched, and how often."""

    def __init__(self, *orders: PoolOrder) -> None:
        self.counts: dict[int, int] = {}
        self.fails: Callable[[int], bool] = lambda window: False
        self._lock = Lock()
        self._numbers = {
            (first, first + size): number
            for order in orders
            for number, (first, size) in enumerate(
                zip(*map(np.ndarray.tolist, order.windows), strict=True)
            )
        }

    def fetch(self, start: int, stop: int) -> None:
        window = self._numbers[start, stop]
        if self.fails(window):
            raise OSError(f"window {window}")
        with self._lock:
            self.counts[window] = self.counts.get(window, 0) + 1


def test_each_position_waits_for_the_windows_of_its_pool_and_no_others() -> None:
    order = PoolOrder(SIZE, 8, 3)
    fetched = Fetched(order)
    ahead = ReadingAhead(fetched.fetch, *NOBODYS_TURN)
    for position in range(SIZE):
        ahead.prepare(0, order, position, position)
        assert fetched.counts == dict.fromkeys(range(order.find_pool(position).stop), 1)


@pytest.mark.parametrize(("first", "last"), [(0, 0), (100, 100), (100, 400), (699, 699), (0, 699)])
def test_who_begins_anywhere_waits_for_the_pools_of_what_is_drawn(first: int, last: int) -> None:
    order = PoolOrder(SIZE, 8, 3)
    fetched = Fetched(order)
    ahead = ReadingAhead(fetched.fetch, *NOBODYS_TURN)
    ahead.prepare(0, order, first, last)
    pool = range(order.find_pool(first).start, order.find_pool(last).stop)
    assert fetched.counts == dict.fromkeys(pool, 1)


def test_what_is_needed_is_fetched_ahead_from_the_second_batch_on() -> None:
    order = PoolOrder(SIZE, 8, 3)
    fetched = Fetched(order)
    ahead = ReadingAhead(fetched.fetch)
    ahead.prepare(0, order, 0, 9)
    ahead.prepare(0, order, 10, 19)
    stop = order.find_pool(19).stop
    wait_until(lambda: len(fetched.counts) >= stop + WINDOWS_AHEAD)
    assert fetched.counts == dict.fromkeys(range(stop + WINDOWS_AHEAD), 1)
    # At the end there are no more.
    ahead.prepare(0, order, 20, SIZE - 1)
    assert fetched.counts == dict.fromkeys(range(len(order.windows[0])), 1)


def test_another_epoch_is_fetched_anew() -> None:
    orders = [PoolOrder(SIZE, 8, 3, epoch) for epoch in range(2)]
    for number in range(2):
        fetched = Fetched(orders[number])
        ahead = ReadingAhead(fetched.fetch, *NOBODYS_TURN)
        for _ in range(2):
            ahead.prepare(number, orders[number], 5, 5)
        assert fetched.counts == dict.fromkeys(orders[number].find_pool(5), 1)
        ahead.prepare(number + 1, orders[number], 5, 5)
        assert fetched.counts == dict.fromkeys(orders[number].find_pool(5), 2)


def test_what_failed_is_fetched_again_by_whoever_tries_again() -> None:
    order = PoolOrder(SIZE, 8, 3)
    fetched = Fetched(order)
    ahead = ReadingAhead(fetched.fetch, *NOBODYS_TURN)
    fetched.fails = lambda window: window == 3
    with pytest.raises(OSError, match=r"^window 3$"):
        ahead.prepare(0, order, 0, 0)
    fetched.fails = lambda window: False
    ahead.prepare(0, order, 0, 0)
    assert set(fetched.counts) == set(order.find_pool(0))


def test_a_share_of_the_newest_is_divided_by_what_there_is_of_them() -> None:
    counts = np.array([1, 3, 4, 0])
    assert RecentShare(0.25, since=2).weigh(counts).tolist() == [0.1875, 0.5625, 0.25, 0]
    assert RecentShare(0.25, since=-2).weigh(counts).tolist() == [0.1875, 0.5625, 0.25, 0]
    assert RecentShare(1, since=1).weigh(counts).tolist() == [0, 3 / 7, 4 / 7, 0]
    # Where one of the two has none, all are as likely.
    for since in (0, 3, 4, 9):
        assert RecentShare(0.25, since=since).weigh(counts).tolist() == [1, 3, 4, 0]
