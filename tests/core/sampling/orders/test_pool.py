"""A random order that keeps to a few windows at a time, and visits everything once."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise
from math import ceil
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core.sampling.orders.pool import (
    FEWEST_WINDOWS,
    MOST_WINDOWS,
    PoolOrder,
    choose_window,
)

sizes = st.integers(1, 1200)
windows = st.sampled_from([2, 8, 16, 64, 1024])
_MOST = 2**64
Value = TypeVar("Value")


def word(start: int, number: int) -> int:
    mixed = ((number + 1) * 0x9E3779B97F4A7C15 + start) % _MOST
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 % _MOST
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % _MOST
    return mixed ^ (mixed >> 31)


def shuffle(start: int, first: int, values: list[Value]) -> list[Value]:
    low = (1 << max(len(values) - 1, 0).bit_length()) - 1
    keys = [word(start, first + place) & ~low | place for place in range(len(values))]
    return [values[key & low] for key in sorted(keys)]


def take_turns(start: int, count: int) -> list[list[int]]:
    """All windows, by the share of regions that they are in, whose regions take turns in it."""
    neighbours = min(max(count // 64, 1), 32)
    regions: list[list[int]] = [[] for _ in range(ceil(count / neighbours))]
    for number in shuffle(start, count, [*range(count)]):
        regions[number // neighbours].append(number)
    shares = max(len(regions) // 32, 1)
    turns: list[list[set[int]]] = [[set() for _ in range(neighbours)] for _ in range(shares)]
    for rank, region in enumerate(shuffle(start, 2 * count, regions)):
        for turn, number in enumerate(region):
            turns[rank * shares // len(regions)][turn].add(number)
    order = [number for region in regions for number in region]
    mixed = shuffle(start, 3 * count, order)
    return [[number for turn in share for number in mixed if number in turn] for share in turns]


def visit_one_by_one(size: int, window: int, *key: int) -> list[int]:
    """The order as it is described: a pool of windows, of which each round takes a part."""
    starts = np.random.SeedSequence(key).generate_state(3, np.uint64).tolist()
    whole = [[*range(first, min(first + window, size))] for first in range(0, size, window)]
    places = shuffle(starts[0], 0, [*range(len(whole) // 4)])[:2]
    early = [4 * place + number for place in places for number in range(4)]
    shares = take_turns(starts[0], len(whole))
    later = [number for number in reversed(shares[0]) if number not in early]
    heads = []
    for number, share in zip(early + later, [32] * 8 + [8] * 8 + [2] * 8, strict=False):
        cut = ceil(len(whole[number]) / share)
        heads.append(whole[number][:cut])
        whole[number] = whole[number][cut:]
    waiting = heads + [whole[number] for share in shares for number in share if whole[number]]

    order: list[int] = []
    pool: list[list[list[int]]] = []
    admitted = 0
    while waiting or pool:
        for _ in range(1 if admitted else FEWEST_WINDOWS):
            if waiting:
                rows = waiting.pop(0)
                rows = shuffle(starts[1], rows[0], rows)
                stay = 4 + admitted if admitted < FEWEST_WINDOWS else MOST_WINDOWS
                borders = [part * len(rows) // stay for part in range(stay + 1)]
                pool.append([rows[start:stop] for start, stop in pairwise(borders)])
                admitted += 1
        if waiting:
            drawn = [row for parts in pool for row in parts.pop(0)]
        else:
            drawn = [row for parts in pool for part in parts for row in part]
            pool = []
        pool = [parts for parts in pool if parts]
        order += shuffle(starts[2], len(order), drawn)
    return order


@given(sizes, windows, st.integers(0, 2**64))
@settings(max_examples=25)
def test_it_is_what_a_pool_that_is_filled_window_by_window_gives(
    size: int, window: int, key: int
) -> None:
    order = PoolOrder(size, window, key, 1)(np.arange(size)).tolist()
    assert order == visit_one_by_one(size, window, key, 1)
    assert sorted(order) == [*range(size)]


@given(sizes, windows, st.data())
@settings(max_examples=25)
def test_any_part_of_it_is_known_without_the_rest(
    size: int, window: int, data: st.DataObject
) -> None:
    order = PoolOrder(size, window, 5)
    whole = order(np.arange(size))
    for _ in range(3):
        wanted = data.draw(st.lists(st.integers(0, size - 1), max_size=40).map(sorted))
        places = np.array(wanted, dtype=np.int64)
        assert np.array_equal(order(places), whole[places])
        assert np.array_equal(PoolOrder(size, window, 5)(places), whole[places])


@given(sizes, windows)
@settings(max_examples=20)
def test_what_is_visited_lies_in_the_windows_that_are_said_to_be_in_the_pool(
    size: int, window: int
) -> None:
    order = PoolOrder(size, window, 2)
    firsts, counts = order.windows
    covered = np.concatenate([np.arange(a, a + n) for a, n in zip(firsts, counts, strict=True)])
    assert sorted(covered.tolist()) == [*range(size)]
    holder = np.empty(size, dtype=np.int64)
    holder[covered] = np.repeat(np.arange(len(firsts)), counts)
    numbers = order(np.arange(size))
    before = range(0)
    for place in range(0, size, 7):
        pool = order.find_pool(place)
        assert holder[numbers[place]] in pool
        assert min(FEWEST_WINDOWS, len(firsts)) <= len(pool) <= MOST_WINDOWS
        assert before.start <= pool.start
        assert before.stop <= pool.stop
        before = pool


def test_it_is_the_same_in_every_release() -> None:
    # A saved state goes on in it, so that another one would repeat some rows and miss others.
    order = PoolOrder(400, 8, 7, 3)
    assert order(np.arange(12)).tolist() == [128, 136, 144, 152, 64, 72, 80, 88, 8, 19, 393, 313]
    assert order(np.arange(394, 400)).tolist() == [346, 287, 65, 33, 13, 132]
    large = PoolOrder(10**9 + 7, 8192, 2**64, 1)
    places = np.array([0, 1, 300_000, 10**9])
    assert large(places).tolist() == [834642107, 419315753, 820611259, 338935323]
    assert [len(part) for part in large.windows] == [122_095, 122_095]


def test_a_pool_starts_with_eight_short_windows_and_grows_to_many_whole_ones() -> None:
    order = PoolOrder(51_000_000, 8192, 0)
    firsts, sizes = order.windows
    assert sizes[:24].tolist() == [256] * 8 + [1024] * 8 + [4096] * 8
    assert len(np.unique(firsts[:24] // 8192)) == 24
    assert len(np.unique(firsts[:8] // (4 * 8192))) == 2
    # The first batch of 256 draws from all eight, and from no others.
    assert order.find_pool(255) == range(8)
    batch = order(np.arange(256))
    shares = [np.count_nonzero((batch >= a) & (batch < a + 256)) for a in firsts[:8]]
    assert sum(shares) == 256
    assert min(shares) > 12
    assert len(order.find_pool(100_000)) == MOST_WINDOWS
    assert np.count_nonzero(sizes > 8192) == 0
    assert np.count_nonzero(sizes < 8192) <= 2 * 24 + 1


def test_blocks_that_neighbouring_windows_share_are_visited_before_many_others() -> None:
    # A block of 256 kB has the flags of 32 windows.
    firsts, sizes = PoolOrder(51_000_000, 8192, 0).windows
    for count in (1000, 2000, 4000):
        touched = len(np.unique(firsts[:count] >> 18))
        assert touched < 1.5 * sizes[:count].sum() / 2**18
    # And yet the windows that are in the pool together are of different ones.
    for start in range(24, len(firsts) - MOST_WINDOWS, 500):
        assert len(np.unique(firsts[start : start + MOST_WINDOWS] >> 18)) > 0.6 * MOST_WINDOWS


def test_batches_are_drawn_evenly_from_all_windows_in_the_pool() -> None:
    window, size = 1024, 1 << 20
    order = PoolOrder(size, window, 11)
    firsts, sizes = order.windows
    numbers = order(np.arange(size))
    holders = np.argsort(firsts)[np.searchsorted(np.sort(firsts), numbers, side="right") - 1]
    middle = np.arange(size // 4, size // 2)
    batches = middle[: len(middle) // 256 * 256].reshape(-1, 256)
    counts = np.zeros((len(batches), MOST_WINDOWS))
    for row, batch in zip(counts, batches, strict=True):
        first = order.find_pool(int(batch[0])).start
        np.add.at(row, (holders[batch] - first) % MOST_WINDOWS, 1)
    # Whole windows give 8 each to a batch, and vary as draws without replacement do.
    assert np.all(np.abs(counts.mean(axis=0) - 8) < 0.5)
    assert 4 < counts.var() < 8
    # Where in a window and when in its stay a row is visited have nothing to do with each other.
    inside = (numbers - firsts[holders])[middle]
    whole = sizes[holders[middle]] == window
    early = np.arange(size)[middle] % window
    assert abs(np.corrcoef(inside[whole], early[whole])[0, 1]) < 0.01
    cells = np.histogram2d(inside[whole], early[whole], bins=16)[0]
    expected = cells.mean()
    assert ((cells - expected) ** 2 / expected).sum() < 256 + 6 * np.sqrt(2 * 256)


def test_neighbours_in_a_batch_are_as_far_apart_as_in_an_exact_permutation() -> None:
    size = 1 << 22
    order = PoolOrder(size, 8192, 3)
    for place in (0, size // 3, size - 25_600):
        numbers = order(np.arange(place, place + 25_600))
        apart = np.abs(np.diff(numbers))
        # Two random numbers are a third of the size apart; a window is 1/512 of it.
        assert apart.mean() > 0.2 * size
        near = np.count_nonzero(apart < 8192) / len(apart)
        assert near < 2.5 / len(order.find_pool(place))
        assert abs(np.corrcoef(numbers[:-1] % 256, numbers[1:] % 256)[0, 1]) < 0.05


def test_orders_of_different_keys_are_as_good_as_unrelated() -> None:
    size = 20_000
    orders = [
        PoolOrder(size, 64, key, epoch)(np.arange(size)) for key in (0, 1) for epoch in (0, 1)
    ]
    for place, order in enumerate(orders):
        for other in orders[:place]:
            assert np.count_nonzero(order == other) < 12


def test_the_order_of_a_billion_takes_little_memory() -> None:
    tracemalloc.start()
    order = PoolOrder(10**9, 8192, 7)
    for place in (0, 5 * 10**8, 10**9 - 4096):
        order(np.arange(place, place + 4096))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 << 20


@pytest.mark.parametrize(
    ("row_nbytes", "size", "window"),
    [
        (194, 51_000_000, 8192),
        (194, 10, 8192),
        (20, 10**6, 1 << 16),
        (0, 10**6, 1 << 16),
        (1000, 10**6, 2048),
        (8000, 10**6, 256),
        (100_000, 10**6, 16),
        (1 << 40, 10**6, 16),
        (100_000, 10**9, 512),
        (8, 10**12, 1 << 19),
    ],
)
def test_windows_have_two_megabytes_and_are_not_too_many(
    row_nbytes: int, size: int, window: int
) -> None:
    assert choose_window(row_nbytes, size) == window
