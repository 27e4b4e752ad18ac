"""Which episodes a caller means: numbers, places and masks, or an error."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from minari_core.errors import EpisodeIndexError
from minari_core.messages import format_value

Indices: TypeAlias = npt.NDArray[np.int64]


def chosen(indices: Indices, places_or_mask: object) -> Indices:
    """Those indices that stand at some places, or for which a mask is true.

    Raises:
        EpisodeIndexError: It is neither, or there is no such place.
    """
    places = _as_array(places_or_mask)
    if places.size == 0:
        places = places.astype(np.int64)
    if places.ndim != 1 or places.dtype.kind not in "iub":
        raise EpisodeIndexError(
            f"an array of {places.dtype} and shape {places.shape} chooses no episodes; give "
            "numbers or a mask in one dimension"
        )
    try:
        found: Indices = indices[places]
        return found
    except IndexError as error:
        raise EpisodeIndexError(f"{error} ({len(indices)} episodes)") from error


def episode_numbers(given: object) -> Indices:
    """The indices of episodes as an array.

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
