"""Append rows to the columns of an episode that is assembled step by step."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

import numpy as np

from minari_core.columns.untyped import freeze
from minari_core.errors import DataError

# What is nested deeper is kept row by row.
_DEEPEST = 16


def append_row(column: object, value: object) -> object:
    """Append one row to a column: a list of rows, or a dict or tuple of such columns.

    What is there already says which: a dict or tuple that is no list is a structure of columns,
    or the first row itself, given bare.

    Raises:
        DataError: A dict has other keys than those of the rows before.
    """
    if isinstance(column, list):
        column.append(deepcopy(value))
        return column
    if isinstance(value, Mapping) and (column is None or isinstance(column, Mapping)):
        parts = {} if column is None else column
        if column is not None and parts.keys() != value.keys():
            raise DataError(f"a row with the keys {list(value)} after rows with {list(parts)}")
        return {key: append_row(parts.get(key), part) for key, part in value.items()}
    if type(value) is tuple and type(column) is tuple and len(value) == len(column):
        return tuple(append_row(leaf, part) for leaf, part in zip(column, value, strict=True))
    if column is None:
        return [deepcopy(value)]
    return [column, deepcopy(value)]


def append_info(
    infos: Mapping[str, object] | None, info: object, steps: int
) -> Mapping[str, object] | None:
    """Append the info of a step; a value that is missing, here or before, is None.

    Args:
        infos: The columns so far. Before the first step, what is not a list of one is the first
            row itself, given bare.
        info: The info; nothing if it is no dict.
        steps: The number of steps before this one.

    Returns:
        The columns: a list of rows a key, and a dict of columns where the rows are dicts.
    """
    given = info if isinstance(info, Mapping) else {}
    if not given and not infos:
        return infos
    columns = dict(infos or {})
    if steps == 0:
        are_columns = all(_is_column(first, given.get(key)) for key, first in columns.items())
        columns = {key: _begin_column(first, are_columns) for key, first in columns.items()}
    for key in dict.fromkeys([*columns, *given]):
        columns[key] = _append_value(columns.get(key), freeze(given.get(key)), steps + 1, 0)
    return columns


def _is_column(first: object, following: object) -> bool:
    """Return whether what a constructor was given can be a column of one row, not the row."""
    if isinstance(first, Mapping):
        inner = following if isinstance(following, Mapping) else {}
        return all(_is_column(value, inner.get(key)) for key, value in first.items())
    if isinstance(first, np.ndarray):
        following_shape = getattr(following, "shape", ())
        return bool(first.shape == (1, *following_shape))
    return (
        isinstance(first, list)
        and len(first) == 1
        and (following is None or isinstance(first[0], list) == isinstance(following, list))
    )


def _begin_column(first: object, is_column: bool) -> object:
    if isinstance(first, Mapping):
        return {key: _begin_column(value, is_column) for key, value in first.items()}
    return list(first) if is_column and isinstance(first, list | np.ndarray) else [freeze(first)]


def _append_value(column: object, value: object, rows: int, depth: int) -> object:
    """Append a frozen value to a column that has at most ``rows`` rows."""
    if isinstance(column, Mapping) and (value is None or isinstance(value, dict)):
        parts = value or {}
        return {
            key: _append_value(column.get(key), parts.get(key), rows, depth + 1)
            for key in dict.fromkeys([*column, *parts])
        }
    if isinstance(column, Mapping):
        column = [_take_row(column, row) for row in range(rows)]
    if column is None and isinstance(value, dict) and value and depth < _DEEPEST:
        return {key: _append_value(None, part, rows, depth + 1) for key, part in value.items()}
    if isinstance(column, np.ndarray) and column.ndim:
        column = list(column)
    if not isinstance(column, list):
        column = [] if column is None else [column]
    column += [None] * (rows - len(column))
    column.append(value)
    return column


def _take_row(column: object, row: int) -> object:
    if isinstance(column, Mapping):
        found = {key: _take_row(part, row) for key, part in column.items()}
        return {key: value for key, value in found.items() if value is not None} or None
    return column[row] if isinstance(column, list) and row < len(column) else None
