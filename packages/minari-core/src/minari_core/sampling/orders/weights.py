"""Weighted draws that are computed from their number, not one after the other.

So any process can make any of them: a batch, a worker or a rank needs nothing from the others.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from minari_core.errors import SamplingError
from minari_core.sampling.orders.random_words import Words, draw_starts, draw_words
from minari_core.sampling.orders.rank_index import Positions

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

    __slots__ = ("_borders", "_counts", "_starts")

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

    def draw(self, generator: np.random.Generator, size: int) -> Positions:
        """Draw positions with replacement."""
        episodes = np.searchsorted(self._borders, generator.random(size), side="right")
        within = generator.integers(0, self._counts[episodes])
        drawn: Positions = self._starts[episodes] + within
        return drawn

    def at(self, shares: npt.NDArray[np.float64], within: npt.NDArray[np.float64]) -> Positions:
        """Return the positions that pairs of numbers in [0, 1) choose.

        Args:
            shares: Numbers that choose the episodes.
            within: Numbers that choose the positions in them.
        """
        episodes = np.searchsorted(self._borders, shares, side="right")
        counts = self._counts[episodes]
        # Rounding must not reach the position after the last.
        inside = np.minimum((within * counts).astype(np.int64), counts - 1)
        drawn: Positions = self._starts[episodes] + inside
        return drawn

    def fingerprint(self) -> str:
        """Return text that is the same for the same shares only."""
        return hashlib.sha256(self._borders.tobytes()).hexdigest()[:32]


def _as_numbers(weights: npt.ArrayLike) -> npt.NDArray[np.float64]:
    try:
        given = np.asarray(weights)
        return given.astype(
            np.float64, casting="same_kind" if given.dtype.kind == "c" else "unsafe"
        )
    except (TypeError, ValueError) as error:
        raise SamplingError(f"weights are no numbers: {error}") from error
