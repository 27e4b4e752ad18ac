"""Leaves in the structure of spaces and infos, out of columns named by where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from gymnasium import spaces

from minari_core.environments.gymnasium_compat import ONE_OF
from minari_core.errors import DataError
from minari_core.leaves import Keys
from minari_core.tables.gathering import Columns, join_name, split_name


def nest(columns: Columns, name: str, space: spaces.Space[Any], keys: Keys = ()) -> Any:
    """Return columns in the structure of a space.

    Args:
        columns: The columns.
        name: What the names of the space's columns begin with, such as ``observation``.
        space: The space.
        keys: The keys that lead to it.

    Raises:
        DataError: A column is missing.
    """
    if isinstance(space, spaces.Dict):
        return {key: nest(columns, name, part, (*keys, key)) for key, part in space.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(nest(columns, name, part, (*keys, i)) for i, part in enumerate(space))
    column = join_name(name, keys)
    if column in columns:
        leaf = columns[column]
        if not isinstance(leaf, list):
            return leaf
        if isinstance(space, spaces.Box) and leaf and not is_missing(leaf):
            rows = [np.asarray(value) for value in leaf]
            if len({row.shape for row in rows}) > 1:
                raise DataError(f"column {column!r} has rows of different shapes")
            return np.stack(rows)
        return [restore_graphs(space, value) for value in leaf]
    shape = space.shape or ()
    if 0 in shape and columns:
        return np.zeros((len(next(iter(columns.values()))), *shape), dtype=space.dtype)
    elements = [".".join([column, *map(str, at)]) for at in product(*map(range, shape))]
    if shape and all(element in columns for element in elements):
        stacked = _stack([columns[element] for element in elements])
        return stacked.reshape(len(stacked), *shape)
    raise DataError(f"the table has no column {column!r}, which the {name} space asks for")


def restore_graphs(space: spaces.Space[Any], value: Any) -> Any:
    """Return a value that was read from JSON, in which graphs are plain tuples."""
    if value is None:
        return None
    if isinstance(space, spaces.Graph):
        return spaces.GraphInstance(*value)
    if isinstance(space, spaces.Sequence) and isinstance(value, tuple):
        return tuple(restore_graphs(space.feature_space, part) for part in value)
    if isinstance(space, spaces.Dict):
        return {key: restore_graphs(space[key], part) for key, part in value.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(map(restore_graphs, space.spaces, value))
    if ONE_OF is not None and isinstance(space, ONE_OF):
        options: tuple[spaces.Space[Any], ...] = getattr(space, "spaces", ())
        return (value[0], restore_graphs(options[int(value[0])], value[1]))
    return value


def nest_by_names(columns: Columns, name: str) -> Any:
    """Return columns in the structure of their names: a leaf, or a dict of what follows a dot.

    Vectors that were taken apart are put together.

    Args:
        columns: The columns.
        name: What the names begin with, such as ``info``.

    Returns:
        None if there is no such column.
    """
    if name in columns:
        return columns[name]
    found = read_infos(columns, name)
    return _join_elements(found) if found else None


def read_infos(columns: Columns, name: str) -> dict[str, Any]:
    """Return infos or extra columns by their keys; vectors that were taken apart are put together.

    Args:
        columns: The columns.
        name: ``info``, ``extra``, ``reset_info`` or ``reset_extra``.
    """
    tree: dict[str, Any] = {}
    for column, leaf in columns.items():
        first, *keys = split_name(column)
        if first == name and keys:
            node = tree
            for key in keys[:-1]:
                node = node.setdefault(key, {})
            node[keys[-1]] = leaf
    return {key: _join_elements(value) for key, value in tree.items()}


def _join_elements(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {key: _join_elements(part) for key, part in value.items()}
    is_vector = list(inner) == [str(number) for number in range(len(inner))] and all(
        isinstance(part, np.ndarray) for part in inner.values()
    )
    if not is_vector:
        return inner
    return _stack(list(inner.values()))


def _stack(leaves: Sequence[Any]) -> Any:
    has_mask = any(isinstance(leaf, np.ma.MaskedArray) for leaf in leaves)
    return np.ma.stack(leaves, axis=1) if has_mask else np.stack(leaves, axis=1)


def is_missing(value: Any) -> bool:
    """Return whether any leaf has a row that is missing."""
    if isinstance(value, dict | tuple):
        parts = value.values() if isinstance(value, dict) else value
        return any(is_missing(part) for part in parts)
    if isinstance(value, np.ndarray):
        return bool(np.ma.getmaskarray(value).any())
    return any(part is None for part in value)


def append_rows(first: Any, last: Any) -> Any:
    """Concatenate rows of leaves; None is one row that is missing."""
    some = last if first is None else first
    if isinstance(some, dict):
        keys = list(some)
        return {k: append_rows(*(None if v is None else v[k] for v in (first, last))) for k in keys}
    if isinstance(some, tuple):
        firsts, lasts = (([None] * len(some)) if v is None else v for v in (first, last))
        return tuple(map(append_rows, firsts, lasts))
    parts = [[None] if part is None else part for part in (first, last)]
    arrays = [part for part in parts if not _is_nothing(part)]
    if not arrays or any(isinstance(part, list) for part in arrays):
        return [*parts[0], *parts[1]]
    first, last = (_mask_all(part, arrays[0]) if _is_nothing(part) else part for part in parts)
    if isinstance(first, np.ma.MaskedArray) or isinstance(last, np.ma.MaskedArray):
        joined = np.ma.concatenate([first, last])
        return joined if np.ma.getmaskarray(joined).any() else joined.data
    return np.concatenate([first, last])


def _is_nothing(part: Any) -> bool:
    return isinstance(part, list) and all(value is None for value in part)


def _mask_all(part: Sequence[object], like: Any) -> Any:
    missing = np.ma.masked_all((len(part), *like.shape[1:]), dtype=like.dtype)
    missing.data[...] = 0
    return missing
