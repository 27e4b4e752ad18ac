"""Batches as the arrays of another library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np

from minari_core.sampling.transitions import TransitionBatch
from minari_core.sampling.windows import SequenceBatch

# A batch of transitions looks these up instead of holding them.
_LOOKED_UP = ("episode_ids", "time_steps")


def convert_batch(value: Any, convert: Callable[[Any], Any]) -> Any:
    """Convert the arrays in a batch.

    Args:
        value: A batch, or an array, or dicts and tuples of them.
        convert: Converts one array.

    Returns:
        A batch as a dict of what it has; masked arrays as a dict of ``values`` and ``present``;
        text and other values as they are.
    """
    if isinstance(value, TransitionBatch | SequenceBatch):
        names = [item.name for item in fields(value) if item.name != "origin"]
        parts = {name: getattr(value, name) for name in dict.fromkeys([*names, *_LOOKED_UP])}
        kept = {name: part for name, part in parts.items() if not _is_nothing(part)}
        return {name: convert_batch(part, convert) for name, part in kept.items()}
    if isinstance(value, np.ma.MaskedArray):
        present = ~np.asarray(np.ma.getmaskarray(value))
        return {"values": convert(np.asarray(value.data)), "present": convert(present)}
    if isinstance(value, np.ndarray):
        return convert(value)
    if isinstance(value, dict):
        return {key: convert_batch(part, convert) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(convert_batch(part, convert) for part in value)
    return value


def _is_nothing(part: Any) -> bool:
    return part is None or (isinstance(part, dict) and not part)
