"""A random permutation that is computed, not stored.

An epoch over 10⁹ transitions needs no 8 GB permutation: a keyed Feistel network is a bijection of
the numbers below a power of four, and following it until the result is inside the range makes it
one of the range ("cycle walking", Black & Rogaway, 2002, "Ciphers with arbitrary finite domains").
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from minari_core.sampling.orders.rank_index import Positions

_ROUNDS = 6
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_SECOND_MULTIPLIER = np.uint64(0xBF58476D1CE4E5B9)
_SHIFT = np.uint64(32)


class Permutation:
    """A bijection of the numbers from 0 to ``size - 1`` that depends on a key alone."""

    __slots__ = ("_half", "_keys", "_mask", "size")

    def __init__(self, size: int, *key: int) -> None:
        """Choose a permutation.

        Args:
            size: The number of numbers that are permuted.
            *key: Numbers, such as a seed and an epoch; other numbers give another order.
        """
        self.size = size
        """The number of numbers that are permuted."""
        half = max(1, (max(size - 1, 1).bit_length() + 1) // 2)
        self._half = np.uint64(half)
        self._mask = np.uint64((1 << half) - 1)
        words = np.random.SeedSequence(key).generate_state(_ROUNDS, np.uint64)
        self._keys = [np.uint64(word) for word in words]

    def __call__(self, positions: Positions) -> Positions:
        """Return the number at each position of the order.

        Args:
            positions: From 0 to ``size - 1``, shape (n,).
        """
        numbers = self._scramble(positions.astype(np.uint64))
        outside = np.flatnonzero(numbers >= self.size)
        while len(outside):
            walked = self._scramble(numbers[outside])
            numbers[outside] = walked
            outside = outside[walked >= self.size]
        return numbers.view(np.int64)

    def _scramble(self, numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        left, right = numbers >> self._half, numbers & self._mask
        for key in self._keys:
            mixed = (right + key) * _MULTIPLIER
            mixed ^= mixed >> _SHIFT
            mixed *= _SECOND_MULTIPLIER
            mixed >>= _SHIFT
            left, right = right, left ^ (mixed & self._mask)
        scrambled: npt.NDArray[np.uint64] = (left << self._half) | right
        return scrambled
