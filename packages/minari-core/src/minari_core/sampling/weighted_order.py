"""Weighted draws that are computed from their number, not one after the other.

So any process can make any of them: a batch, a worker or a rank needs nothing from the others.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from minari_core.sampling.rank_index import Positions
from minari_core.sampling.steps import EpisodeWeights

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST_MULTIPLIER = np.uint64(0xBF58476D1CE4E5B9)
_SECOND_MULTIPLIER = np.uint64(0x94D049BB133111EB)
_ONE, _TWO = np.uint64(1), np.uint64(2)


class WeightedOrder:
    """What is drawn, with repetition, as the first, second, … of an epoch.

    The random numbers are those of SplitMix64 (Steele et al., 2014, "Fast splittable pseudorandom
    number generators"), whose n-th number needs no other; each draw takes two.
    """

    __slots__ = ("_start", "_weights")

    def __init__(self, weights: EpisodeWeights, *key: int) -> None:
        """Choose the draws.

        Args:
            weights: How likely each episode is.
            *key: Numbers, such as a seed and an epoch; other numbers give other draws.
        """
        self._weights = weights
        self._start = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]

    def __call__(self, positions: Positions) -> Positions:
        """What is drawn at each position.

        Args:
            positions: From 0 on, shape (n,).
        """
        numbers = positions.astype(np.uint64) * _TWO
        return self._weights.at(self._uniform(numbers), self._uniform(numbers + _ONE))

    def _uniform(self, numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
        """Numbers from 0 to below 1."""
        mixed = (numbers + _ONE) * _STEP + self._start
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST_MULTIPLIER
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND_MULTIPLIER
        mixed ^= mixed >> np.uint64(31)
        uniform: npt.NDArray[np.float64] = (mixed >> np.uint64(11)) * 2.0**-53
        return uniform
