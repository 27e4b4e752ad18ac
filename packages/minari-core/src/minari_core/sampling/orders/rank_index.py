"""Find which of many consecutive runs a position is in: constant time, a quarter byte each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]

_WORD_BITS = 6
_ONE = np.uint64(1)
_BIT = np.uint64(63)
# For each bit of a word, the bits up to it: looking one up takes less than computing it.
_UP_TO = (np.uint64(2) << np.arange(64, dtype=np.uint64)) - _ONE


class RankIndex:
    """Find the run of a position among consecutive runs of positive length.

    A binary search takes longer the more runs there are, and misses the cache at every step.
    Here a bit marks where each run begins; the run of a position is the number of bits up to it,
    which a running count every 64 positions makes one addition and one population count
    (Jacobson, 1989, "Space-efficient static trees and graphs").
    """

    __slots__ = ("_counts", "_words", "total")

    def __init__(self, lengths: Positions) -> None:
        """Index runs.

        Args:
            lengths: The length of each run, all positive, shape (runs,).
        """
        ends = np.cumsum(lengths, dtype=np.int64)
        self.total = int(ends[-1]) if len(ends) else 0
        """The number of positions."""
        starts = np.zeros(len(ends), dtype=np.int64)
        starts[1:] = ends[:-1]
        words = np.zeros((self.total >> _WORD_BITS) + 1, dtype=np.uint64)
        if len(starts):
            # The starts are sorted, so those of one word are neighbours.
            word_indices = starts >> _WORD_BITS
            first = np.flatnonzero(np.diff(word_indices, prepend=-1))
            bits = _ONE << (starts.astype(np.uint64) & _BIT)
            words[word_indices[first]] = np.bitwise_or.reduceat(bits, first)
        counts = np.zeros(len(words), dtype=np.int64)
        np.cumsum(_population_count(words)[:-1], out=counts[1:])
        self._words = words
        # The count is of the runs before a word, less one, because runs are numbered from 0.
        self._counts = counts - 1

    def runs(self, positions: Positions) -> Positions:
        """Return the index of the run that each position is in.

        Args:
            positions: From 0 to ``total - 1``, of any shape.
        """
        return _find_runs(self._words, self._counts, positions >> _WORD_BITS, positions)


class RankIndexes:
    """The same for several sequences of runs, whose lengths become known one after the other."""

    __slots__ = ("_counts", "_firsts", "_words")

    def __init__(self, totals: Positions) -> None:
        """Make room, which is taken when it is used.

        Args:
            totals: The number of positions of each sequence.
        """
        self._firsts: Positions = np.zeros(len(totals) + 1, dtype=np.int64)
        np.cumsum((totals >> _WORD_BITS) + 1, out=self._firsts[1:])
        self._words = np.zeros(int(self._firsts[-1]), dtype=np.uint64)
        self._counts = np.zeros(len(self._words), dtype=np.int64)

    def add(self, number: int, lengths: Positions) -> None:
        """Index the runs of a sequence; see `RankIndex`."""
        index = RankIndex(lengths)
        inside = slice(int(self._firsts[number]), int(self._firsts[number + 1]))
        self._words[inside], self._counts[inside] = index._words, index._counts

    def runs(self, numbers: Positions, positions: Positions) -> Positions:
        """Return the index of the run that each position is in, among those of its sequence.

        Args:
            numbers: Sequences, all of them added.
            positions: Positions in them, of the same shape.
        """
        words = self._firsts.take(numbers) + (positions >> _WORD_BITS)
        return _find_runs(self._words, self._counts, words, positions)


def _find_runs(
    words: npt.NDArray[np.uint64], counts: Positions, indices: Positions, positions: Positions
) -> Positions:
    bits = words.take(indices) & _UP_TO.take(positions & 63)
    return counts.take(indices) + _population_count(bits)


if hasattr(np, "bitwise_count"):

    def _population_count(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
        counts: npt.NDArray[np.uint8] = np.bitwise_count(words)
        return counts

else:
    _BYTE_COUNTS = np.array([bin(byte).count("1") for byte in range(256)], dtype=np.uint8)

    def _population_count(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
        octets = np.ascontiguousarray(words)[..., None].view(np.uint8)
        counts: npt.NDArray[np.uint8] = _BYTE_COUNTS[octets].sum(axis=-1, dtype=np.uint8)
        return counts
