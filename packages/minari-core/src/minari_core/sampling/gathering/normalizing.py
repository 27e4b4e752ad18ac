"""Normalize the columns of a batch that was read."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from minari_core.columns.base import escape_key
from minari_core.sampling.gathering.info_rows import GROUPS
from minari_core.statistics.normalizer import Normalizers

_FIELDS = ("observations", "actions", "next_observations")


class Batch(Protocol):
    """A batch of transitions or windows."""

    columns: dict[str, Any]


def normalize_batch(batch: Batch, normalizers: Normalizers, goal_column: str = "") -> None:
    """Put normalized values, in float32, in the place of those of some columns.

    Args:
        batch: A batch that was read.
        normalizers: The columns and what normalizes them.
        goal_column: The column that goals are from.

    Raises:
        SamplingError: There are no statistics of a column, or they have another shape.
    """
    for name in _FIELDS:
        setattr(batch, name, _normalize(name, getattr(batch, name), normalizers))
    for name, value in batch.columns.items():
        batch.columns[name] = _normalize(name, value, normalizers)
    goals = getattr(batch, "goals", None)
    if goals is not None:
        batch.goals = _normalize(goal_column, goals, normalizers)  # type: ignore[attr-defined]  # only transitions have some


def _normalize(name: str, value: Any, normalizers: Normalizers) -> Any:
    if value is None:
        return None
    group, slash, rest = name.partition("/")
    return _normalize_column(f"{GROUPS.get(group, group)}{slash}{rest}", value, normalizers)


def _normalize_column(path: str, value: Any, normalizers: Normalizers) -> Any:
    for column, normalizer in normalizers:
        if path == column or path.startswith(f"{column}/"):
            return normalizer.normalize(value, np.float32, path=path.removeprefix(column))
    if any(column.startswith(f"{path}/") for column, _ in normalizers):
        if isinstance(value, dict):
            return {
                key: _normalize_column(f"{path}/{escape_key(key)}", item, normalizers)
                for key, item in value.items()
            }
        if isinstance(value, tuple):
            return tuple(
                _normalize_column(f"{path}/_index_{index}", item, normalizers)
                for index, item in enumerate(value)
            )
    return value
