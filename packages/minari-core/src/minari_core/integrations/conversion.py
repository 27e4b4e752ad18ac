"""Convert batches to the arrays of another library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np

from minari_core.sampling.transitions.batch import TransitionBatch
from minari_core.sampling.windows.batch import SequenceBatch
from minari_core.sampling.windows.offsets import OffsetBatch

# A batch of transitions looks these up instead of holding them.
_LOOKED_UP = (
    "episode_ids",
    "dataset_indices",
    "time_steps",
    "goal_episode_ids",
    "goal_time_steps",
)


def convert_batch(value: Any, convert: Callable[[Any], Any]) -> Any:
    """Convert the arrays in a batch.

    Args:
        value: A batch, or an array, or dicts and tuples of them.
        convert: A function that converts one array.

    Returns:
        A batch as a dict of its fields; masked arrays as a dict of ``values`` and ``present``;
        text and other values as they are.
    """
    if isinstance(value, TransitionBatch | SequenceBatch | OffsetBatch):
        names = [item.name for item in fields(value) if item.name != "origin"]
        values = {name: getattr(value, name, None) for name in dict.fromkeys([*names, *_LOOKED_UP])}
        given = {name: item for name, item in values.items() if not _is_nothing(item)}
        return {name: convert_batch(item, convert) for name, item in given.items()}
    if isinstance(value, np.ma.MaskedArray):
        present = ~np.asarray(np.ma.getmaskarray(value))
        return {"values": convert(np.asarray(value.data)), "present": convert(present)}
    if isinstance(value, np.ndarray):
        return convert(value)
    if isinstance(value, dict):
        return {key: convert_batch(item, convert) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(convert_batch(item, convert) for item in value)
    return value


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and not value)
