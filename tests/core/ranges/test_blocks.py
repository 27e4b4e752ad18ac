"""Blocks of objects, as bytes and numbers that are counted out one by one."""

from __future__ import annotations

import zlib
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minari_core.ranges.blocks import BLOCK_NBYTES, BlockLayout, join_blocks
from minari_core.ranges.checksums import BlockChecksums

# What is near the end of a block, where a byte more or less is another block.
near_a_block = st.builds(
    lambda blocks, more: max(blocks * BLOCK_NBYTES + more, 0), st.integers(0, 3), st.integers(-2, 2)
)


@given(st.lists(near_a_block, min_size=1, max_size=4), st.data())
def test_the_blocks_of_bytes_are_those_that_the_bytes_lie_in(
    sizes: list[int], data: st.DataObject
) -> None:
    layout = BlockLayout(sizes)
    spans_of: list[tuple[int, int, int]] = [  # each block: its object, and its bytes there
        (number, start, min(start + BLOCK_NBYTES, size))
        for number, size in enumerate(sizes)
        for start in range(0, size, BLOCK_NBYTES)
    ]
    number = data.draw(st.integers(0, len(sizes) - 1))
    ends = st.tuples(near_a_block, near_a_block).map(lambda pair: tuple(sorted(pair)))
    asked = data.draw(st.lists(ends, max_size=3))
    spans = [(min(start, sizes[number]), min(stop, sizes[number])) for start, stop in asked]

    found = layout.find(number, spans)

    assert found.dtype == np.int64
    assert set(found.tolist()) == {
        index
        for index, (owner, first, last) in enumerate(spans_of)
        for start, stop in spans
        if owner == number and start < last and first < stop
    }
    assert int(layout.firsts[-1]) == len(spans_of)
    for index, (owner, first, last) in enumerate(spans_of):
        assert layout.find_span(owner, index - int(layout.firsts[owner])) == (first, last)


@given(st.lists(near_a_block, min_size=1, max_size=5), st.data())
def test_blocks_are_split_by_the_object_that_they_are_of(
    sizes: list[int], data: st.DataObject
) -> None:
    layout = BlockLayout(sizes)
    owners = [number for number, size in enumerate(sizes) for _ in range(0, size, BLOCK_NBYTES)]
    blocks = sorted(data.draw(st.sets(st.integers(0, len(owners) - 1)))) if owners else []

    split = [
        (number, inside.tolist()) for number, inside in layout.split(np.array(blocks, np.int64))
    ]

    assert split == [
        (number, [block - owners.index(number) for block in blocks if owners[block] == number])
        for number in sorted({owners[block] for block in blocks})
    ]


@given(st.sets(st.integers(0, 20)), st.integers(1, 4))
def test_neighbouring_blocks_are_joined_up_to_the_most(blocks: set[int], most: int) -> None:
    runs = join_blocks(np.array(sorted(blocks), np.int64), most)

    assert [block for start, stop in runs for block in range(start, stop)] == sorted(blocks)
    assert all(1 <= stop - start <= most for start, stop in runs)
    for (start, stop), (following, _) in pairwise(runs):
        assert stop < following or stop - start == most


def test_a_block_fits_as_far_as_it_was_summed_up() -> None:
    content = np.random.default_rng(0).bytes(2 * BLOCK_NBYTES + 10)
    summed = content[: BLOCK_NBYTES + 3]
    pieces = (summed[:BLOCK_NBYTES], summed[BLOCK_NBYTES:])
    sums = BlockChecksums(len(summed), np.array([zlib.crc32(each) for each in pieces], np.uint32))

    def damage(at: int) -> memoryview:
        damaged = bytearray(content)
        damaged[at] ^= 1
        return memoryview(damaged)

    assert sums.find_damaged(memoryview(content)) == []
    assert sums.find_damaged(damage(0)) == [0]
    assert sums.find_damaged(damage(BLOCK_NBYTES - 1)) == [0]
    assert sums.find_damaged(damage(BLOCK_NBYTES + 2)) == [1]
    assert sums.find_damaged(damage(BLOCK_NBYTES + 3)) == []
    assert sums.fits(2, b"anything")
    assert not sums.fits(1, b"anything")
