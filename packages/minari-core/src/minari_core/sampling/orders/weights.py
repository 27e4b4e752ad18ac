"""Weighted draws that are computed from their number, not one after the other.

So any process can make any of them: a batch, a worker or a rank needs nothing from the others.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from minari_core.errors import SamplingError
from minari_core.sampling.orders.random_words import Words, draw_starts, draw_words
from minari_core.sampling.orders.rank_index import Positions

# A guide takes as long to make as some draws without it.
_DRAWN_BEFORE_GUIDE = 4
# With very uneven weights many borders are between two numbers that are looked up.
_MOST_STEPS = 8
_ONE, _TWO = np.uint64(1), np.uint64(2)


class WeightedOrder:
    """The draws of an epoch, with replacement, by their number.

    Each draw takes two random words.
    """

    __slots__ = ("_start", "_weights")

    def __init__(self, weights: EpisodeWeights, *key: int) -> None:
        """Choose the draws.

        Args:
            weights: The probabilities of the episodes.
            *key: Numbers, such as a seed and an epoch; other numbers give other draws.
        """
        self._weights = weights
        self._start = draw_starts(1, *key)[0]

    def __call__(self, positions: Positions) -> Positions:
        """Return what is drawn at each position.

        Args:
            positions: From 0 on, shape (n,).
        """
        numbers = positions.astype(np.uint64) * _TWO
        return self._weights.at(self._draw_uniform(numbers), self._draw_uniform(numbers + _ONE))

    def _draw_uniform(self, numbers: Words) -> npt.NDArray[np.float64]:
        """Return numbers in [0, 1)."""
        words = draw_words(self._start, numbers) >> np.uint64(11)
        return words.astype(np.float64) * 2.0**-53


class EpisodeWeights:
    """Draw positions so that each episode has the share that it is given.

    Within an episode all steps, or all windows, are equally likely.
    """

    __slots__ = ("_borders", "_counts", "_drawn", "_guide", "_starts")

    def __init__(
        self, weights: npt.ArrayLike | str, counts: Positions, starts: Positions | None = None
    ) -> None:
        """Prepare to draw.

        Args:
            weights: ``"episodes"`` for the same share for each episode that has a position, or
                one share an episode.
            counts: The number of positions of each episode.
            starts: The first position of each; they follow one another if None.

        Raises:
            SamplingError: The shares do not fit the episodes, are negative, or are all zero.
        """
        episodes = len(counts)
        self._counts = counts
        self._starts = np.cumsum(counts) - counts if starts is None else starts
        if isinstance(weights, str):
            if weights != "episodes":
                raise SamplingError(
                    f"weights is {weights!r}; give 'transitions', 'episodes', or a number for each "
                    "episode"
                )
            shares = (counts > 0).astype(np.float64)
        else:
            shares = _as_numbers(weights)
        if shares.shape != (episodes,):
            raise SamplingError(f"weights of shape {shares.shape} for {episodes} episodes")
        bad = np.flatnonzero(~(np.isfinite(shares) & (shares >= 0)))
        if len(bad):
            raise SamplingError(
                f"the weight of episode {bad[0]} of the view is {shares[bad[0]]}; weights are "
                "finite and not negative"
            )
        nowhere = np.flatnonzero((shares > 0) & (counts == 0))
        if len(nowhere):
            raise SamplingError(
                f"episode {nowhere[0]} of the view has weight {shares[nowhere[0]]}, but no window "
                "fits into it, or nobody knows what its only step led to; give it weight 0, or "
                "ask for padding or include_unknown_final"
            )
        # Scaled first, so that a sum of large weights does not overflow.
        largest = shares.max(initial=0.0)
        if largest == 0:
            raise SamplingError(f"the weights of all {episodes} episodes are 0")
        self._borders = np.cumsum(shares / largest)
        self._borders /= self._borders[-1]
        # Rounding must not leave a gap above the last border.
        self._borders[np.flatnonzero(shares)[-1] :] = 1.0
        self._drawn = 0
        self._guide: _Guide | None = None

    def draw(self, generator: np.random.Generator, size: int) -> Positions:
        """Draw positions with replacement."""
        # Two random numbers are drawn in less time than whole numbers below many limits.
        return self.at(generator.random(size), generator.random(size))

    def at(self, shares: npt.NDArray[np.float64], within: npt.NDArray[np.float64]) -> Positions:
        """Return the positions that pairs of numbers in [0, 1) choose.

        Args:
            shares: Numbers that choose the episodes.
            within: Numbers that choose the positions in them.
        """
        episodes = self._find(shares)
        counts = self._counts.take(episodes)
        # Rounding must not reach the position after the last.
        inside = np.minimum((within * counts).astype(np.int64), counts - 1)
        drawn: Positions = self._starts.take(episodes) + inside
        return drawn

    def _find(self, shares: npt.NDArray[np.float64]) -> Positions:
        if self._guide is not None:
            return self._guide.find(shares)
        self._drawn += len(shares)
        if self._drawn > _DRAWN_BEFORE_GUIDE * len(self._borders):
            self._guide = _Guide(self._borders)
        return self._borders.searchsorted(shares, side="right")

    def fingerprint(self) -> str:
        """Return text that is the same for the same shares only."""
        return hashlib.sha256(self._borders.tobytes()).hexdigest()[:32]


class _Guide:
    """Where to begin to look for numbers among borders (Chen and Asau, 1974, "guide table").

    It finds what a binary search does, whose branches no processor foresees, in less time.
    """

    __slots__ = ("_borders", "_firsts", "_most", "_size")

    def __init__(self, borders: npt.NDArray[np.float64]) -> None:
        self._borders = borders
        # A power of two, so that which part a number lies in is exact.
        self._size = 1 << (2 * len(borders) - 1).bit_length()
        bounds = np.arange(self._size + 1) / self._size
        firsts = borders.searchsorted(bounds[:-1], side="right")
        # No number is 1.
        last = borders.searchsorted(1.0)
        self._most = int(np.diff(firsts, append=last).max())
        self._firsts = firsts

    def find(self, numbers: npt.NDArray[np.float64]) -> Positions:
        """Return how many borders are at most each number in [0, 1)."""
        if self._most > _MOST_STEPS:
            return self._borders.searchsorted(numbers, side="right")
        found: Positions = self._firsts.take((numbers * self._size).astype(np.int64))
        for _ in range(self._most):
            found += self._borders.take(found) <= numbers
        return found


class EpisodeShares(ABC):
    """Weights of episodes that follow from what there is of each to draw."""

    @abstractmethod
    def weigh(self, counts: Positions) -> npt.NDArray[np.float64]:
        """Return the weight of each episode.

        Args:
            counts: The number of transitions or windows of each episode, shape (episodes,).
        """

    def apply(self, counts: Positions, starts: Positions) -> EpisodeWeights:
        """Return what draws positions by these weights.

        Args:
            counts: As for `weigh`.
            starts: The first position of each episode.
        """
        return EpisodeWeights(self.weigh(counts), counts, starts)


def _as_numbers(weights: npt.ArrayLike) -> npt.NDArray[np.float64]:
    try:
        given = np.asarray(weights)
        return given.astype(
            np.float64, casting="same_kind" if given.dtype.kind == "c" else "unsafe"
        )
    except (TypeError, ValueError) as error:
        raise SamplingError(f"weights are no numbers: {error}") from error
