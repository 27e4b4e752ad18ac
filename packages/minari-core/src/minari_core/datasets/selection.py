"""Selections of episodes: indices, slices and masks, validated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from minari_core.errors import EpisodeIndexError
from minari_core.messages import format_value

Indices: TypeAlias = npt.NDArray[np.int64]


def select_indices(indices: Indices, positions_or_mask: object) -> Indices:
    """Select by positions, or by a mask.

    Raises:
        EpisodeIndexError: It is neither, or a position is outside.
    """
    positions = _as_array(positions_or_mask)
    if positions.size == 0:
        positions = positions.astype(np.int64)
    if positions.ndim != 1 or positions.dtype.kind not in "iub":
        raise EpisodeIndexError(
            f"an array of {positions.dtype} and shape {positions.shape} chooses no episodes; give "
            "numbers or a mask in one dimension"
        )
    try:
        found: Indices = indices[positions]
        return found
    except IndexError as error:
        raise EpisodeIndexError(f"{error} ({len(indices)} episodes)") from error


def as_episode_indices(given: object) -> Indices:
    """Return the indices of episodes as an int64 array.

    Raises:
        EpisodeIndexError: They are anything but whole numbers in one dimension.
    """
    numbers = _as_array(list(given) if isinstance(given, Iterable) else given)
    if numbers.size == 0:
        return np.zeros(0, dtype=np.int64)
    if numbers.dtype.kind == "b":
        raise EpisodeIndexError(
            f"{format_value(given)} is a mask, where the indices of episodes belong; dataset[mask] "
            "is a view of the episodes for which a mask is true"
        )
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        raise EpisodeIndexError(
            f"{format_value(given)} are not the indices of episodes; give whole numbers, such as "
            "[0, 3]"
        )
    return numbers.astype(np.int64)


def _as_array(given: object) -> npt.NDArray[Any]:
    try:
        return np.asarray(given)
    except ValueError as error:  # rows of different lengths
        raise EpisodeIndexError(f"{format_value(given)} chooses no episodes: {error}") from error
