"""Episodes whose final observation nobody knows.

Every format has T+1 rows of observations for an episode of T steps. Where flat data has no
``next_observations``, or a buffer no more observations than steps, what the last action led to is
not in the data. The episode metadata then says so, the episode has T observations, and the last row
that is stored is a placeholder, which goes in by `add_placeholder` and is not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from minari_core.errors import DataError

FINAL_OBSERVATION = "final_observation_known"
"""The key of the episode metadata that says whether the final observation is known."""


def is_final_observation_known(metadata: Mapping[str, object] | None) -> bool:
    """Return whether the final observation of an episode is known: unless its metadata denies it.

    Args:
        metadata: The metadata of the episode.
    """
    if not metadata or FINAL_OBSERVATION not in metadata:
        return True
    known = metadata[FINAL_OBSERVATION]
    return not isinstance(known, bool | np.bool_) or bool(known)


def count_rows(space: spaces.Space[Any], block: object) -> int | None:
    """Count the rows of observations or actions; those of the first column of a Dict or Tuple.

    Args:
        space: Their space.
        block: An array, a list of values, or a dict or tuple of them.

    Returns:
        The number of rows; None if there are no columns, or what is given has no rows.
    """
    if isinstance(space, spaces.Dict) and isinstance(block, Mapping):
        keys = [key for key in space.spaces if key in block]
        return count_rows(space.spaces[keys[0]], block[keys[0]]) if keys else None
    if isinstance(space, spaces.Tuple) and isinstance(block, tuple):
        return count_rows(space.spaces[0], block[0]) if space.spaces and block else None
    if isinstance(block, np.ndarray):
        return len(block) if block.ndim else None
    return len(block) if isinstance(block, list | tuple) else None


def add_placeholder(space: spaces.Space[Any], block: object, steps: int, episode: int) -> object:
    """Add the row that a format needs to the T observations of an episode; the last one again.

    Args:
        space: The space of the observations.
        block: Their rows: an array, a list of values, or a dict or tuple of them.
        steps: How many rows there have to be.
        episode: The index of the episode for error messages.

    Raises:
        DataError: There are more or fewer rows.
    """
    if isinstance(space, spaces.Dict) and isinstance(block, Mapping):
        parts = space.spaces
        return {
            key: add_placeholder(parts[key], rows, steps, episode) if key in parts else rows
            for key, rows in block.items()
        }
    if isinstance(space, spaces.Tuple) and isinstance(block, tuple):
        if len(block) != len(space.spaces):
            return block  # what encodes it says what is wrong
        return tuple(
            add_placeholder(part, rows, steps, episode)
            for part, rows in zip(space.spaces, block, strict=True)
        )
    if isinstance(block, np.ndarray) and block.ndim:
        _check_row_count(len(block), steps, episode)
        return np.concatenate([block, block[-1:]])
    if isinstance(block, list | tuple):
        _check_row_count(len(block), steps, episode)
        return [*block, *block[-1:]]
    return block


def _check_row_count(found: int, steps: int, episode: int) -> None:
    if found != steps:
        raise DataError(
            f"episode {episode}: observations has {found} rows, not {steps} (one a step, because "
            f"its metadata says that its final observation is not known)"
        )


def remove_placeholder(rows: Any) -> Any:
    """Remove the last row of observations that were read from a format."""
    return take_rows(rows, slice(None, -1))


def take_rows(rows: Any, wanted: slice) -> Any:
    """Take some rows of a column as an episode shows it: arrays, lists, dicts and tuples."""
    if isinstance(rows, Mapping):
        return {key: take_rows(part, wanted) for key, part in rows.items()}
    if isinstance(rows, tuple):
        return tuple(take_rows(part, wanted) for part in rows)
    return rows[wanted]
