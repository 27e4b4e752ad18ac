"""Columns that are a row short: T observations, or T rows of infos, in an episode of T steps.

The public Minari writes what it is given. T observations are an episode whose final observation
nobody knows; an info of T rows has none beside the final observation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium import spaces

from minari_core.episodes.episode import EpisodeData
from minari_core.episodes.final_observation import (
    FINAL_OBSERVATION,
    count_rows,
    remove_placeholder,
)


def complete_episode(episode: EpisodeData, space: spaces.Space[Any]) -> EpisodeData:
    """Return an episode as every format gives it, from what is stored.

    Args:
        episode: The episode, with a placeholder where its metadata says that there is one.
        space: The space of its observations.

    Returns:
        It without a placeholder, with metadata that says so if the final observation is not known,
        and with infos and extra columns of T+1 rows, of which the last may be missing.
    """
    steps = len(episode)
    if count_rows(space, episode.observations) == steps:
        metadata = {**episode.metadata, FINAL_OBSERVATION: False}
        episode = replace(episode, metadata=metadata)
    elif not episode.final_observation_known:
        episode = replace(episode, observations=remove_placeholder(episode.observations))
    columns = (episode.infos, episode.extras)
    if not any(columns):
        return episode
    infos, extras = (_add_missing_rows(values, steps) for values in columns)
    if infos is columns[0] and extras is columns[1]:
        return episode
    return replace(episode, infos=infos, extras=extras)


def find_short_rows(value: object) -> Any:
    """Return all rows of an info but the last, if that alone is missing; else None.

    Args:
        value: The rows, as `EpisodeData.infos` shows them.
    """
    if isinstance(value, np.ma.MaskedArray) and value.ndim and value.size:
        missing = np.ma.getmaskarray(value).reshape(len(value), -1)
        if missing[-1].all() and not missing[:-1].any():
            return np.asarray(value.data[:-1])
    if isinstance(value, list) and value and value[-1] is None and None not in value[:-1]:
        return value[:-1]
    return None


def _add_missing_rows(values: Mapping[str, Any], steps: int) -> Any:
    """Complete columns of T rows; return the same dict if none of them is short."""
    completed = {key: _add_missing_row(value, steps) for key, value in values.items()}
    is_same = all(completed[key] is value for key, value in values.items())
    return values if is_same else completed


def _add_missing_row(rows: Any, steps: int) -> Any:
    if isinstance(rows, Mapping):
        return _add_missing_rows(rows, steps)
    if isinstance(rows, list) and len(rows) == steps:
        return [*rows, None]
    if not isinstance(rows, np.ndarray) or rows.ndim == 0 or len(rows) != steps:
        return rows
    if rows.size == 0 or rows.dtype.hasobject:
        return [*rows, None]
    mask = np.zeros((steps + 1, *rows.shape[1:]), dtype=np.bool_)
    mask[:-1], mask[-1] = np.ma.getmaskarray(rows), True
    filled = np.concatenate([np.ma.getdata(rows), np.zeros_like(np.ma.getdata(rows[:1]))])
    return np.ma.MaskedArray(filled, mask=mask)
