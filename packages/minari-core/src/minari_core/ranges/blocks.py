"""Where the objects of a stream lie among blocks of one size, which are numbered through all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

BLOCK_NBYTES = 1 << 18
"""The size of a block; the last one of an object may be shorter."""

Blocks = npt.NDArray[np.int64]
"""Numbers of blocks, counted through all objects."""


class BlockLayout:
    """The numbers of the blocks of objects of known sizes."""

    __slots__ = ("firsts", "sizes")

    def __init__(self, sizes: Sequence[int]) -> None:
        """Number the blocks.

        Args:
            sizes: The size of each object in bytes.
        """
        self.sizes: Blocks = np.array(sizes, dtype=np.int64)
        """The size of each object in bytes."""
        self.firsts: Blocks = np.zeros(len(sizes) + 1, dtype=np.int64)
        """The first block of each object, and the number of all."""
        np.cumsum(-(-self.sizes // BLOCK_NBYTES), out=self.firsts[1:])

    def find(self, number: int, spans: Sequence[tuple[int, int]] | Blocks) -> Blocks:
        """Return the blocks of some bytes of an object; some may be listed twice.

        Args:
            number: The object.
            spans: The first byte and the last + 1 of each run of bytes; some may be empty. Pairs,
                or an array of shape (n, 2).
        """
        if len(spans) == 1:  # as nearly always, and quicker so
            ((start, stop),) = spans
            first, last = start // BLOCK_NBYTES, (stop - 1) // BLOCK_NBYTES
            before = int(self.firsts[number])
            return np.arange(before + first, before + (last + 1 if stop > start else first))
        starts, stops = np.array(spans, dtype=np.int64).reshape(-1, 2).T
        firsts = starts // BLOCK_NBYTES
        counts = np.where(stops > starts, (stops - 1) // BLOCK_NBYTES + 1 - firsts, 0)
        begins = np.repeat(firsts - np.cumsum(counts) + counts, counts)
        blocks: Blocks = begins + np.arange(len(begins)) + self.firsts[number]
        return blocks

    def split(self, blocks: Blocks) -> Iterator[tuple[int, Blocks]]:
        """Split ascending blocks by object.

        Yields:
            An object, and its blocks counted from its own first.
        """
        owners = np.searchsorted(self.firsts, blocks, side="right") - 1
        for number in np.unique(owners).tolist():
            yield number, blocks[owners == number] - self.firsts[number]

    def find_span(self, number: int, block: int) -> tuple[int, int]:
        """Return the bytes of a block, counted from the first of its object."""
        start = block * BLOCK_NBYTES
        return start, min(start + BLOCK_NBYTES, int(self.sizes[number]))


def split_blocks(content: bytes | memoryview) -> list[memoryview]:
    """Split bytes that begin with a block into blocks."""
    view = memoryview(content)
    return [view[at : at + BLOCK_NBYTES] for at in range(0, len(view), BLOCK_NBYTES)]


def join_blocks(blocks: Blocks, most: int) -> list[tuple[int, int]]:
    """Join neighbouring blocks to runs.

    Args:
        blocks: Ascending numbers of blocks of one object.
        most: The most blocks of a run.

    Returns:
        The first block of each run, and the last + 1.
    """
    runs: list[tuple[int, int]] = []
    for block in blocks.tolist():
        if runs and runs[-1][1] == block and block - runs[-1][0] < most:
            runs[-1] = runs[-1][0], block + 1
        else:
            runs.append((block, block + 1))
    return runs
