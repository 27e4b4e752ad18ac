"""Batch the indices of episodes that are read from one file at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from gymnasium import spaces

from minari_core.errors import EpisodeIndexError
from minari_core.storage.base import check_episode_index

_BATCH_NBYTES = 4 << 20
_LARGEST_BATCH = 512
_OTHER_NBYTES = 16
_UNKNOWN_NBYTES = 64


def batch_indices(
    indices: Iterable[int],
    total_episodes: int,
    total_steps: int,
    observation_space: spaces.Space[Any],
) -> Iterator[list[int]]:
    """Batch indices by the estimated size of their episodes; batches begin small and grow.

    No index is twice in a batch.

    Args:
        indices: The indices of episodes.
        total_episodes: The number of stored episodes.
        total_steps: The number of their steps.
        observation_space: The space of the observations.

    Raises:
        EpisodeIndexError: An index is outside the storage; those before it were yielded.
    """
    steps = total_steps / max(total_episodes, 1)
    nbytes = max(1.0, steps * estimate_row_nbytes(observation_space))
    largest = int(min(max(_BATCH_NBYTES / nbytes, 1), _LARGEST_BATCH))
    size = 1
    batch: list[int] = []
    known: set[int] = set()
    for index in indices:
        try:
            number = check_episode_index(index, total_episodes)
        except EpisodeIndexError:
            if batch:
                yield batch
            raise
        if number in known:
            # A file that is open may give as much as it holds, and once.
            yield batch
            batch, known = [], set()
        batch.append(number)
        known.add(number)
        if len(batch) == size:
            yield batch
            batch, known, size = [], set(), min(size * 2, largest)
    if batch:
        yield batch


def estimate_row_nbytes(space: spaces.Space[Any]) -> int:
    """Estimate how much memory a value of a space takes."""
    if isinstance(space, spaces.Dict):
        return sum(map(estimate_row_nbytes, space.spaces.values()))
    if isinstance(space, spaces.Tuple):
        return sum(map(estimate_row_nbytes, space.spaces))
    if space.shape is None or space.dtype is None:
        return _UNKNOWN_NBYTES
    elements = int(np.prod(space.shape, dtype=np.int64))
    return elements * np.dtype(space.dtype).itemsize + _OTHER_NBYTES
