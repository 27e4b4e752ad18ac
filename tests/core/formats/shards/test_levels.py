"""The choice of the small shards that become one, whatever sizes arrive."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minari_core.formats.shards.levels import (
    LARGEST_NBYTES,
    LEVELS,
    PER_LEVEL,
    choose_joins,
    choose_runs,
    find_level,
)

SIZES = st.one_of(
    st.integers(0, 2 * LARGEST_NBYTES),
    st.integers(0, 8 * LEVELS).map(lambda exponent: 1 << min(exponent, 25)),
    st.sampled_from([1, 4096, LARGEST_NBYTES - 1, LARGEST_NBYTES]),
)
ARRIVALS = st.lists(st.lists(SIZES, min_size=1, max_size=20), min_size=1, max_size=40)


class Grown:
    """A dataset as the sizes of its shards, and of what the shards are made."""

    def __init__(self) -> None:
        self.shards: list[tuple[int, list[int]]] = []
        self.rewritten: dict[int, int] = {}
        self.arrived: list[int] = []
        self.longest = 0

    def add(self, sizes: list[int]) -> None:
        for size in sizes:
            self.rewritten[len(self.arrived)] = 0
            self.shards.append((size, [len(self.arrived)]))
            self.arrived.append(size)
        written = 0
        end = len(self.shards)
        for run in reversed(choose_joins([size for size, _ in self.shards], len(sizes))):
            assert 0 <= run.start < run.start + 1 < run.stop <= end
            end = run.start
            joined = self.shards[run.start : run.stop]
            assert all(size < LARGEST_NBYTES for size, _ in joined)
            members = [member for _, some in joined for member in some]
            total = sum(size for size, _ in joined)
            assert total < 2 * LARGEST_NBYTES
            for member in members:
                self.rewritten[member] += 1
            written += total
            self.shards[run.start : run.stop] = [(total, members)]
        self.longest = max(self.longest, written - sum(sizes))


@given(ARRIVALS)
def test_few_shards_are_left_and_no_byte_is_written_often(arrivals: list[list[int]]) -> None:
    grown = Grown()
    for sizes in arrivals:
        grown.add(sizes)
        # What is joined are neighbours, so that the order stays.
        assert [m for _, members in grown.shards for m in members] == [*range(len(grown.arrived))]
        total = sum(grown.arrived)
        assert len(grown.shards) <= LEVELS * (PER_LEVEL - 1) + 2 * (total // LARGEST_NBYTES)
        tail: list[int] = []
        for size, _ in reversed(grown.shards):
            if sum(tail) + size >= LARGEST_NBYTES:
                break
            tail.append(size)
        levels = [find_level(size) for size in tail]
        assert levels == sorted(levels)
        assert all(levels.count(level) < PER_LEVEL for level in levels)
    assert max(grown.rewritten.values()) <= LEVELS + 1
    # Beside what a commit adds, it writes less than this again.
    assert grown.longest < LARGEST_NBYTES


@pytest.mark.parametrize("size", [200, 20_000, 300_000])
def test_ten_thousand_equal_additions_leave_some_dozens(size: int) -> None:
    grown = Grown()
    most = 0
    for _ in range(10_000):
        sizes = [nbytes for nbytes, _ in grown.shards[-40:]]
        runs = choose_joins([*sizes, size], 1)
        shift = len(grown.shards) - len(sizes)
        grown.shards.append((size, []))
        for run in reversed(runs):
            part = slice(run.start + shift, run.stop + shift)
            grown.shards[part] = [(sum(nbytes for nbytes, _ in grown.shards[part]), [])]
        most = max(most, len(grown.shards))
    assert most <= LEVELS * (PER_LEVEL - 1) + 10_000 * size // LARGEST_NBYTES


def test_the_levels_are_those_of_the_documents() -> None:
    bounds = [4 << 10, 32 << 10, 256 << 10, 2 << 20, 16 << 20]
    assert [find_level(bound - 1) for bound in bounds] == [0, 1, 2, 3, 4]
    assert [find_level(bound) for bound in bounds] == [1, 2, 3, 4, 5]


def test_what_an_earlier_release_left_is_joined_as_far_as_it_is_small() -> None:
    """Of a thousand shards of 64 KiB the last 16 MiB; of large ones, none."""
    assert choose_joins([64 << 10] * 1001, 1) == [range(745, 1001)]
    assert choose_joins([10 << 20] * 8000 + [100], 1) == []


@given(st.lists(st.integers(0, 2 << 20), max_size=60))
def test_of_many_shards_at_once_each_small_one_is_written_once(sizes: list[int]) -> None:
    runs = choose_runs(sizes, len(sizes))
    small = [size < 1 << 20 for size in sizes]
    assert sum(small) > 16 or not runs
    end = 0
    for run in runs:
        assert end <= run.start < run.start + 1 < run.stop
        end = run.stop
        assert all(small[run.start : run.stop])
        assert sum(sizes[run.start : run.stop]) <= LARGEST_NBYTES
    if sum(small) > 16:
        # No two small neighbours are left that would fit into one.
        parts = sorted(
            [*runs, *(range(n, n + 1) for n in range(len(sizes)))], key=lambda r: r.start
        )
        kept = [r for r in parts if len(r) > 1 or not any(r.start in run for run in runs)]
        for one, other in pairwise(kept):
            if small[one.start] and small[other.start]:
                assert sum(sizes[one.start : one.stop]) + sizes[other.start] > LARGEST_NBYTES


@pytest.mark.parametrize(
    ("sizes", "added", "expected"),
    [
        ([], 0, []),
        ([1], 1, []),
        ([1] * 7, 1, []),
        ([1] * 8, 1, [range(8)]),
        ([1] * 8, 8, [range(8)]),
        ([5 << 10] + [1] * 8, 1, [range(1, 9)]),
        # One of a higher level takes those before it that are lower, and no other.
        ([300 << 10, 1, 1, 5 << 10], 1, [range(1, 4)]),
        # What is large ends all, and is not written again.
        ([300 << 10, 1, 16 << 20], 1, [range(2)]),
        ([16 << 20, 1, 1, 16 << 20], 3, [range(1, 3)]),
        ([8 << 20, (8 << 20) - 1], 1, []),
        ([8 << 20, 8 << 20], 1, [range(2)]),
        ([8 << 20, 8 << 20], 2, [range(2)]),
        ([8 << 20, (8 << 20) - 1, 1], 1, [range(3)]),
        # Seven of a level and one that seven of the level below become.
        ([5 << 10] * 7 + [600] * 8, 1, [range(15)]),
    ],
)
def test_what_arrives_is_joined_as_the_levels_say(
    sizes: list[int], added: int, expected: list[range]
) -> None:
    assert choose_joins(sizes, added) == expected


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([1] * 16, []),
        ([1] * 17, [range(17)]),
        ([1] * 16 + [1 << 20], []),
        ([1] * 16 + [(1 << 20) - 1], [range(17)]),
        ([1] * 9 + [1 << 20] + [1] * 9, [range(9), range(10, 19)]),
        ([1] * 17 + [1 << 20, 1], [range(17)]),
        # Sixteen MiB and no byte more become one.
        ([(1 << 20) - 1] * 16 + [16, 1], [range(17)]),
        ([(1 << 20) - 1] * 16 + [17, 1], [range(16), range(16, 18)]),
    ],
)
def test_many_small_ones_become_shards_that_are_not_large(
    sizes: list[int], expected: list[range]
) -> None:
    assert choose_runs(sizes, len(sizes)) == expected
