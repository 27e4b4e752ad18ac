"""What samplers of windows have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from minari_core.errors import DatasetChangedError
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.sampling.gathering.needs import Needs
from minari_core.sampling.options.offsets import OffsetOptions
from minari_core.sampling.options.sequences import SequenceOptions
from minari_core.sampling.orders.rank_index import Positions
from minari_core.sampling.orders.weights import EpisodeWeights
from minari_core.sampling.steps.episode_steps import (
    EpisodeSteps,
    check_positions,
    draw_positions,
)

Options = TypeVar("Options", SequenceOptions, OffsetOptions)
Batch = TypeVar("Batch")


class PositionReader(ABC, Generic[Options, Batch]):
    """Read windows of a dataset or view by their positions, or at random.

    Thread-safe for `read`: it holds no position.
    """

    is_random = False
    """Whether `read` needs a source of randomness."""
    counts: Positions
    """The number of windows of each episode of the view, shape (episodes,)."""
    starts: Positions
    """The first window of each episode of the view."""

    def __init__(
        self,
        storage: ShardedStorage,
        episodes: Positions | range,
        options: Options,
        steps: EpisodeSteps | None = None,
    ) -> None:
        """Bind the columns.

        Args:
            storage: The storage to read from.
            episodes: The stored indices of the view's episodes.
            options: What to read of each window.
            steps: The steps of these episodes, if they have been laid out already.

        Raises:
            SamplingError: There is no column of a name, or every episode is shorter than a
                window that is not padded.
        """
        self._storage = storage
        self._episodes = episodes
        self.options: Options = options
        """The options of each window."""
        self._lay_out(steps)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle what was given, and nothing that was read."""
        return type(self), (self._storage, self._episodes, self.options)

    def _lay_out(self, steps: EpisodeSteps | None) -> None:
        if steps is None:
            steps = EpisodeSteps(self._storage, self._episodes, **self.options.layout)
        self.steps = steps
        """The steps of the view."""
        self.counts, self.starts = steps.counts, steps.view_starts
        self._bind()

    def __len__(self) -> int:
        """The number of windows."""
        return self.steps.total

    def sample(
        self,
        generator: np.random.Generator,
        batch_size: int,
        weights: EpisodeWeights | None = None,
    ) -> Batch:
        """Draw windows uniformly, or by weights, with replacement.

        Args:
            generator: The source of randomness.
            batch_size: The number of windows.
            weights: The probabilities of the episodes; in proportion to their windows if None.

        Raises:
            SamplingError: There is nothing to sample.
        """
        return self._read(draw_positions(generator, len(self), batch_size, weights))

    def read(self, positions: npt.ArrayLike, generator: np.random.Generator | None = None) -> Batch:
        """Read windows by their positions.

        Args:
            positions: From 0 to ``len(self) - 1``, shape (B,).
            generator: Not used: nothing of a window is random.

        Raises:
            SamplingError: A position is outside.
        """
        return self._read(check_positions(positions, len(self)))

    def _read(self, positions: Positions) -> Batch:
        try:
            return self._read_bound(positions)
        except DatasetChangedError:
            # As for transitions.
            if not self._storage.refresh():
                raise
            self._storage.read_current(lambda: self._lay_out(None))
            return self._read_bound(positions)

    @abstractmethod
    def find_needs(self, start: int, stop: int) -> Needs:
        """Return what the reading of neighbouring windows needs, so that it can be fetched.

        Args:
            start: The first position.
            stop: The last position + 1.
        """

    @abstractmethod
    def _bind(self) -> None:
        """Find what reads the columns; the steps are laid out."""

    @abstractmethod
    def _read_bound(self, positions: Positions) -> Batch:
        """Read windows by valid positions."""
