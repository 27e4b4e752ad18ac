"""Join the values that one column read from successive shards, and split values into rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from minari_core.columns.base import Array
from minari_core.columns.exact import cast_exactly

Counts: TypeAlias = Sequence[int] | None


def join_pieces(pieces: Sequence[object], counts: Counts = None) -> object:
    """Join the values that one column read from successive shards.

    Arrays are concatenated, lists are chained, dicts and tuples are joined leaf by leaf. Where
    shards show a column in different ways (an info that was a number in one and is text in the
    next, arrays whose shape changes) the result is a list with one value a row, and None where
    a row has none. No row is lost and no value changed.

    Args:
        pieces: The values read from each shard, at least one piece.
        counts: The rows of each piece; needed only where a dict lacks a key that another has.
    """
    first = pieces[0]
    if len(pieces) == 1:
        return first
    arrays = [piece for piece in pieces if isinstance(piece, np.ndarray)]
    if len(arrays) == len(pieces):
        joined = _join_arrays(arrays)
        if joined is not None:
            return joined
    mappings = [piece for piece in pieces if isinstance(piece, Mapping)]
    if len(mappings) == len(pieces):
        return _join_mappings(mappings, counts)
    tuples = [piece for piece in pieces if isinstance(piece, tuple)]
    if len(tuples) == len(pieces) and len({len(piece) for piece in tuples}) == 1:
        return tuple(join_pieces(leaves, counts) for leaves in zip(*tuples, strict=True))
    rows: list[object] = []
    for index, piece in enumerate(pieces):
        rows += split_rows(piece, count_rows(piece) if counts is None else counts[index])
    return rows


def split_rows(value: object, count: int) -> list[object]:
    """Split a column's value into those of single rows, dicts and tuples too.

    Args:
        value: The value that a column read for some rows.
        count: The number of rows.

    Returns:
        One value a row; None where a masked array has none. A key that has no value in a row is
        not in that row's dict.
    """
    if isinstance(value, np.ma.MaskedArray):
        if value.size == 0:
            return list(value.data)
        mask = np.asarray(np.ma.getmaskarray(value)).reshape(count, -1)
        gone = np.all(mask, axis=1, keepdims=True)[:, 0].tolist()
        return [None if absent else row for absent, row in zip(gone, value.data, strict=True)]
    if isinstance(value, np.ndarray | list):
        return list(value)
    if isinstance(value, Mapping):
        leaves = {key: split_rows(leaf, count) for key, leaf in value.items()}
        return [
            {key: rows[index] for key, rows in leaves.items() if rows[index] is not None}
            for index in range(count)
        ]
    if isinstance(value, tuple):
        columns = [split_rows(leaf, count) for leaf in value]
        return [tuple(rows[index] for rows in columns) for index in range(count)]
    return [value] * count


def count_rows(value: object) -> int:
    """Count the rows of a column's value, as far as its leaves tell."""
    if isinstance(value, np.ndarray | list):
        return len(value)
    leaves: Sequence[object] = ()
    if isinstance(value, Mapping):
        leaves = list(value.values())
    elif isinstance(value, tuple):
        leaves = value
    return max(map(count_rows, leaves), default=0)


def _join_mappings(pieces: Sequence[Mapping[str, object]], counts: Counts) -> dict[str, object]:
    rows = [count_rows(piece) for piece in pieces] if counts is None else counts
    keys = dict.fromkeys(key for piece in pieces for key in piece)
    return {
        key: join_pieces(
            [
                piece[key] if key in piece else [None] * count
                for piece, count in zip(pieces, rows, strict=True)
            ],
            counts,
        )
        for key in keys
    }


def _join_arrays(arrays: Sequence[Array]) -> Array | None:
    """Concatenate arrays, if one array can hold all their values unchanged."""
    if len({array.shape[1:] for array in arrays}) > 1:
        return None
    dtypes = {array.dtype for array in arrays}
    if len(dtypes) > 1:
        kinds = {dtype.kind for dtype in dtypes}
        if "b" in kinds and len(kinds) > 1:
            return None
        common = np.result_type(*dtypes)
        if any(cast_exactly(np.asarray(array), common) is None for array in arrays):
            return None
    if any(isinstance(array, np.ma.MaskedArray) for array in arrays):
        # numpy leaves its masked arrays untyped.
        concatenate: Callable[[Sequence[Array]], Array] = np.ma.concatenate
        return concatenate(arrays)
    # numpy would give arrays of the other byte order its own.
    return np.concatenate(arrays, dtype=dtypes.pop() if len(dtypes) == 1 else None)
