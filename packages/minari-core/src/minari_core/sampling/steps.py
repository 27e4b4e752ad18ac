"""The steps of a dataset or view, numbered through its episodes from 0."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core.errors import SamplingError
from minari_core.sampling.rank_index import Positions, RankIndex
from minari_core.sharded_storage import ShardedStorage


class EpisodeSteps:
    """Where the steps of a view's episodes lie among all rows and steps of a storage."""

    __slots__ = ("_identity", "_rank", "episodes", "first_steps", "lengths", "total", "view_starts")

    def __init__(self, storage: ShardedStorage, episodes: Positions | range) -> None:
        """Lay out the episodes of a view.

        Args:
            storage: Where they are.
            episodes: Their indices, in the view's order.
        """
        lengths = storage.episode_lengths()
        self._identity = isinstance(episodes, range) and episodes == range(len(lengths))
        starts = storage.index.starts
        self.episodes = np.asarray(episodes, dtype=np.int64)
        """The stored index of each episode, shape (episodes,)."""
        self.lengths = lengths if self._identity else lengths[self.episodes]
        """The steps of each episode."""
        self.first_steps = starts[:-1] if self._identity else starts[self.episodes]
        """The first step of each episode, counted through the storage."""
        self._rank = RankIndex(self.lengths)
        self.total = self._rank.total
        """How many steps there are."""
        if self._identity:
            self.view_starts = self.first_steps
            """The first step of each episode, counted through the view."""
        else:
            self.view_starts = np.cumsum(self.lengths) - self.lengths

    def locate(self, positions: Positions) -> tuple[Positions, Positions]:
        """The place of each position among the view's episodes, and its step in the storage.

        Args:
            positions: Steps of the view, from 0 to ``total - 1``.
        """
        places = self._rank.runs(positions)
        if self._identity:
            return places, positions
        shift = self.first_steps.take(places) - self.view_starts.take(places)
        return places, positions + shift

    def rows(self, places: Positions, steps: Positions) -> Positions:
        """The row of the observation before each step; the one after it is the next row."""
        return steps + (places if self._identity else self.episodes.take(places))


class EpisodeWeights:
    """Draws steps so that each episode has the share that it is given.

    Within an episode all steps are as likely.
    """

    def __init__(self, weights: npt.ArrayLike | str, steps: EpisodeSteps) -> None:
        """Prepare to draw.

        Args:
            weights: ``"episodes"`` for the same share for each episode, or one share an episode.
            steps: The steps to draw from.

        Raises:
            SamplingError: The shares do not fit the episodes, are negative, or are all zero.
        """
        count = len(steps.lengths)
        if isinstance(weights, str):
            if weights != "episodes":
                raise SamplingError(
                    f"weights is {weights!r}; give 'transitions', 'episodes', or a number for each "
                    "episode"
                )
            shares = np.ones(count)
        else:
            shares = np.asarray(weights, dtype=np.float64)
        if shares.shape != (count,):
            raise SamplingError(f"weights of shape {shares.shape} for {count} episodes")
        if not (np.isfinite(shares).all() and (shares >= 0).all() and shares.sum() > 0):
            raise SamplingError("weights must be finite, not negative, and not all zero")
        self._borders = np.cumsum(shares) / shares.sum()
        # Rounding must not leave a gap above the last border.
        self._borders[np.flatnonzero(shares)[-1] :] = 1.0
        self._steps = steps

    def draw(self, generator: np.random.Generator, size: int) -> Positions:
        """Draw positions of steps, with repetition."""
        places = np.searchsorted(self._borders, generator.random(size), side="right")
        within = generator.integers(0, self._steps.lengths[places])
        drawn: Positions = self._steps.view_starts[places] + within
        return drawn


def draw_positions(
    generator: np.random.Generator, steps: EpisodeSteps, size: int, weights: Any
) -> Positions:
    """Draw steps with repetition, uniformly or by weights.

    Raises:
        SamplingError: There is nothing to draw from, or the size is not positive.
    """
    check_batch_size(size)
    if steps.total == 0:
        raise SamplingError("there is no step to sample: the dataset or view is empty")
    if weights is None:
        return generator.integers(0, steps.total, size=size)
    drawn: Positions = weights.draw(generator, size)
    return drawn


def check_batch_size(size: int) -> None:
    """Raise unless a batch has at least one element.

    Raises:
        SamplingError: It has not.
    """
    if size < 1:
        raise SamplingError(f"batch_size is {size}; a batch has at least 1 element")
