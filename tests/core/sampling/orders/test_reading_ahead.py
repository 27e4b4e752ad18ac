"""Windows are fetched before they are read, each once, and no error or thread is lost."""

from __future__ import annotations

import gc
import os
import pickle
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minari_core.sampling import Batches
from minari_core.sampling.orders.pool import PoolOrder
from minari_core.sampling.orders.rank_index import Positions
from minari_core.sampling.orders.reading_ahead import WINDOWS_AHEAD, ReadingAhead

SIZE, WINDOW = 4000, 16


class Numbers:
    """A sampler that refuses positions which nobody has fetched."""

    def __init__(self, size: int = SIZE) -> None:
        self.fetched = np.zeros(size, dtype=np.int64)
        self.lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"fetched": np.zeros(len(self.fetched), dtype=np.int64)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, lock=threading.Lock())

    def __len__(self) -> int:
        return len(self.fetched)

    def fetch(self, start: int, stop: int) -> None:
        with self.lock:
            self.fetched[start:stop] += 1

    is_random = False

    def read(self, positions: Positions, generator: object = None) -> list[int]:
        assert self.fetched[positions].all(), "nobody has fetched them"
        numbers: list[int] = positions.tolist()
        return numbers


def batches_of(numbers: Numbers, **options: Any) -> Batches[list[int]]:
    options = {"seed": 0, "identity": "numbers", "window": WINDOW, **options}
    return Batches(numbers, 32, fetch=numbers.fetch, **options)


def wait_until(is_true: Callable[[], bool]) -> None:
    for _ in range(2000):
        if is_true():
            return
        time.sleep(0.01)
    pytest.fail("it never became true")


def test_what_is_read_was_fetched_once_and_little_of_what_is_not_read_yet() -> None:
    numbers = Numbers()
    batches = batches_of(numbers)
    order = PoolOrder(SIZE, WINDOW, 0, 0)
    firsts, sizes = order.windows
    seen = []
    for place in range(0, SIZE, 32):
        pool = order.find_pool(min(place + 31, SIZE - 1))
        seen += next(batches)
        last = min(pool.stop + WINDOWS_AHEAD, len(firsts))
        windows = zip(firsts[last:], sizes[last:], strict=True)
        assert not any(numbers.fetched[first : first + size].any() for first, size in windows)
    assert sorted(seen) == list(range(SIZE))
    assert numbers.fetched.tolist() == [1] * SIZE
    plain = Batches(Numbers(), 32, seed=0, identity="numbers", window=WINDOW)
    plain._sampler.fetched[:] = 1  # type: ignore[attr-defined]  # of this test's own sampler
    assert seen == [number for batch in plain for number in batch]


def test_a_resumed_epoch_fetches_the_pool_that_it_is_in() -> None:
    first = batches_of(Numbers())
    for _ in range(60):
        next(first)
    state = first.state_dict()
    numbers = Numbers()
    resumed = batches_of(numbers)
    resumed.load_state_dict(state)
    assert next(resumed) == next(first)
    assert 0 < int(np.count_nonzero(numbers.fetched)) < SIZE // 2
    assert list(resumed) == list(first)


def test_shares_and_ranks_and_epochs_fetch_what_they_read() -> None:
    plain = list(batches_of(Numbers(), epochs=2))
    shares = [batches_of(Numbers(), epochs=2).share(number, 3) for number in range(3)]
    assert [next(shares[place % 3]) for place in range(len(plain))] == plain
    for rank in range(2):
        assert list(batches_of(Numbers(), rank=rank, world_size=2))
    # What is exact is read as it comes.
    exact = batches_of(Numbers(), pool_epochs=0)
    with pytest.raises(AssertionError, match="nobody has fetched"):
        next(exact)


def test_what_fetching_raises_is_raised_where_it_is_waited_for() -> None:
    def fail(start: int, stop: int) -> None:
        raise OSError(f"{start} to {stop} cannot be fetched")

    batches = Batches(Numbers(), 32, seed=0, identity="", window=WINDOW, fetch=fail)
    with pytest.raises(OSError, match="cannot be fetched"):
        next(batches)


def test_threads_end_with_the_batches() -> None:
    before = set(threading.enumerate())
    batches = batches_of(Numbers())
    next(batches)
    own = set(threading.enumerate()) - before
    assert {thread.name for thread in own} == {"minari-ahead"}
    assert all(thread.daemon for thread in own)
    del batches
    gc.collect()
    wait_until(lambda: not any(thread.is_alive() for thread in own))


def test_pickled_batches_go_on_with_threads_of_their_own() -> None:
    batches = batches_of(Numbers())
    for _ in range(5):
        next(batches)
    other = pickle.loads(pickle.dumps(batches))
    assert list(other) == list(batches)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a fork")
def test_a_forked_child_goes_on_with_threads_of_its_own() -> None:
    numbers = Numbers()
    batches = batches_of(numbers)
    next(batches)
    expected = list(batches_of(Numbers()))[1:]
    child = os.fork()
    if not child:
        numbers.fetched[:] = 0
        os._exit(0 if list(batches) == expected else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert list(batches) == expected


def test_what_is_another_iterators_turn_is_not_fetched_ahead() -> None:
    numbers = Numbers()
    order = PoolOrder(SIZE, WINDOW, 0, 0)
    first, second = (ReadingAhead(numbers.fetch, number, 2) for number in range(2))
    pool = order.find_pool(0)
    first.prepare(0, order, 0, 0)
    assert int(np.count_nonzero(numbers.fetched)) == int(order.windows[1][: pool.stop].sum())
    first.prepare(0, order, 0, 0)
    wait_until(lambda: int(np.count_nonzero(numbers.fetched)) >= _measure(order, pool, 2))
    second.prepare(0, order, 0, 0)
    second.prepare(0, order, 0, 0)
    last = pool.stop + WINDOWS_AHEAD
    wait_until(lambda: int(np.count_nonzero(numbers.fetched)) == int(order.windows[1][:last].sum()))
    ahead = np.concatenate(
        [
            numbers.fetched[start : start + size]
            for start, size in zip(*(part[pool.stop : last] for part in order.windows), strict=True)
        ]
    )
    assert ahead.tolist() == [1] * len(ahead)


def _measure(order: PoolOrder, pool: range, step: int) -> int:
    sizes = order.windows[1]
    return int(sizes[: pool.stop].sum() + sizes[pool.stop : pool.stop + WINDOWS_AHEAD : step].sum())
