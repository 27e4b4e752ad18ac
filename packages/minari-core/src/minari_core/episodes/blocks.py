"""Encode the rows of observations and actions as flat columns, structured like their space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
from gymnasium import spaces

from minari_core.columns import (
    Array,
    Column,
    FixedColumn,
    StructColumn,
    TupleColumn,
    choose_column,
    has_fixed_values,
    make_fixed_column,
)
from minari_core.columns.fixed import as_numeric_array
from minari_core.errors import DataError
from minari_core.messages import advise_array

Encoded: TypeAlias = tuple[Column, list[list[Array]]]
"""A column, and for each of its arrays the pieces that it is joined from."""

_LARGEST_SHORT_NBYTES = 1 << 14
_MOST_JOINED_NBYTES = 1 << 26


class JoinedBlocks(NamedTuple):
    """Short arrays that were joined into one."""

    array: Array
    """All rows."""
    counts: list[int]
    """The number of rows of each."""


def encode_blocks(
    space: spaces.Space[object],
    blocks: Sequence[object],
    counts: Sequence[int],
    where: str,
    joined: JoinedBlocks | None = None,
) -> Encoded:
    """Encode one block of rows an episode, structured like the space.

    Args:
        space: The space of one row.
        blocks: For each episode the rows: an array, a list of values, or a dict or tuple of them.
        counts: The number of rows that each episode must have.
        where: The column's name for error messages.
        joined: What `join_short` makes of the blocks, if that is known.
    """
    if isinstance(space, spaces.Dict):
        dicts = [_transpose_dict(block, space, where, i) for i, block in enumerate(blocks)]
        fields = {
            key: encode_blocks(part, [block[key] for block in dicts], counts, f"{where}[{key!r}]")
            for key, part in space.spaces.items()
        }
        struct = StructColumn({key: column for key, (column, _) in fields.items()})
        return struct, [pieces for _, part in fields.values() for pieces in part]
    if isinstance(space, spaces.Tuple):
        tuples = [_transpose_tuple(block, space, where, i) for i, block in enumerate(blocks)]
        items = [
            encode_blocks(part, [block[index] for block in tuples], counts, f"{where}[{index}]")
            for index, part in enumerate(space.spaces)
        ]
        return TupleColumn(tuple(column for column, _ in items)), [
            pieces for _, part in items for pieces in part
        ]
    if has_fixed_values(space):
        return _encode_fixed(space, blocks, counts, where, joined)
    values: list[object] = []
    for index, block in enumerate(blocks):
        rows = _as_list(block, where, index)
        check_row_count(len(rows), counts[index], where, index)
        values += rows
    column = choose_column(space, values)
    return column, [[array] for array in column.encode(values, where)]


def join_short(blocks: Sequence[object]) -> JoinedBlocks | None:
    """Join blocks if they are short arrays of numbers, of one dtype and one shape of a row.

    One look at each of them is all that their episodes cost then. What is long, or would take
    much memory twice, is better written from where it is.

    Returns:
        The rows of all blocks; None if they are not alike, or not to be joined.
    """
    if set(map(type, blocks)) != {np.ndarray}:
        return None
    arrays = cast("list[Array]", blocks)
    first = arrays[0]
    if first.dtype.kind not in "biufc" or first.ndim == 0:
        return None
    try:
        counts = list(map(len, arrays))
        nbytes = sum(counts) * first[:1].nbytes
        if nbytes > min(len(arrays) * _LARGEST_SHORT_NBYTES, _MOST_JOINED_NBYTES):
            return None
        # numpy refuses what differs in shape, and in dtype where nothing may be cast.
        return JoinedBlocks(np.concatenate(arrays, dtype=first.dtype, casting="no"), counts)
    except (TypeError, ValueError):
        return None


def as_uniform_arrays(
    blocks: Sequence[object], counts: Sequence[int], joined: JoinedBlocks | None = None
) -> list[Array] | None:
    """Return the blocks if they are arrays of one dtype and shape with the right row counts.

    A set of all types and shapes is quicker to make than a check of each block.

    Args:
        blocks: The blocks.
        counts: The number of rows that each must have.
        joined: What `join_short` makes of them, if that is known.

    Returns:
        The blocks, as one array if they are short; None if they differ.
    """
    joined = joined or join_short(blocks)
    if joined is not None:
        return [joined.array] if joined.counts == list(counts) else None
    if set(map(type, blocks)) != {np.ndarray}:
        return None
    arrays = cast("list[Array]", list(blocks))
    if arrays[0].dtype.kind not in "biufc":
        return None
    dimensions = {array.ndim for array in arrays}
    if len({array.dtype for array in arrays}) > 1 or len(dimensions) > 1 or 0 in dimensions:
        return None
    if 1 not in dimensions and len({array.shape[1:] for array in arrays}) > 1:
        return None
    return arrays if list(map(len, arrays)) == list(counts) else None


def check_row_count(found: int, wanted: int, where: str, index: int) -> None:
    """Raise unless an episode has as many rows as it must.

    Raises:
        DataError: It has more or fewer; the message names the episode and the column.
    """
    if found != wanted:
        has_reset = where.startswith(("observations", "infos", "extras"))
        rule = "one a step and one of the reset" if has_reset else "one a step"
        raise DataError(f"episode {index}: {where} has {found} rows, not {wanted} ({rule})")


def _as_list(block: object, where: str, index: int) -> list[object]:
    if isinstance(block, np.ndarray) and block.ndim:
        return block.tolist() if block.dtype.kind in "UO" else list(block)
    if isinstance(block, list | tuple):
        return list(block)
    raise DataError(f"episode {index}: {where} is a {type(block).__name__}, not a list of rows")


def _transpose_dict(
    block: object, space: spaces.Dict, where: str, index: int
) -> Mapping[str, object]:
    if isinstance(block, list) and all(isinstance(row, Mapping) for row in block):
        rows = [row for row in block if isinstance(row, Mapping) and row.keys() == space.keys()]
        if len(rows) == len(block):
            return {key: [row[key] for row in rows] for key in space.spaces}
    if isinstance(block, Mapping) and block.keys() == space.spaces.keys():
        return block
    found = sorted(map(str, block)) if isinstance(block, Mapping) else type(block).__name__
    raise DataError(
        f"episode {index}: {where} is {found}, not a dict of {sorted(space.spaces)} as its space"
    )


def _transpose_tuple(
    block: object, space: spaces.Tuple[Any], where: str, index: int
) -> Sequence[object]:
    size = len(space.spaces)
    if isinstance(block, tuple) and len(block) == size:
        return block
    if isinstance(block, list) and all(isinstance(r, tuple) and len(r) == size for r in block):
        return [[row[item] for row in block] for item in range(size)]
    raise DataError(f"episode {index}: {where} is not a tuple of {size} as its space")


def _encode_fixed(
    space: spaces.Space[object],
    blocks: Sequence[object],
    counts: Sequence[int],
    where: str,
    joined: JoinedBlocks | None,
) -> Encoded:
    arrays = as_uniform_arrays(blocks, counts, joined)
    if arrays is None:
        arrays = _check_arrays(space, blocks, counts, where)
    dtype, shape = arrays[0].dtype, arrays[0].shape[1:]
    return make_fixed_column(dtype, shape), [arrays]


def _check_arrays(
    space: spaces.Space[object], blocks: Sequence[object], counts: Sequence[int], where: str
) -> list[Array]:
    """Return the blocks as arrays of one dtype and shape, or name the first that is not."""
    arrays = [
        block if isinstance(block, np.ndarray) else _stack(space, block, where, index)
        for index, block in enumerate(blocks)
    ]
    dtype, shape = arrays[0].dtype, arrays[0].shape[1:]
    for index, (array, count) in enumerate(zip(arrays, counts, strict=True)):
        if np.ma.is_masked(array):
            raise DataError(f"episode {index}: {where} is a masked array with missing values")
        if array.dtype.kind not in "biufc":
            raise DataError(f"episode {index}: {where} has dtype {array.dtype}, which is no number")
        if array.ndim == 0 or len(array) != count:
            check_row_count(len(array) if array.ndim else 0, count, where, index)
        if array.dtype != dtype or array.shape[1:] != shape:
            raise DataError(
                f"episode {index}: {where} is {array.dtype} of shape {array.shape[1:]} a row, but "
                f"{dtype} of shape {shape} in the episodes before; convert them to one dtype"
            )
    return arrays


def _stack(space: spaces.Space[object], block: object, where: str, index: int) -> Array:
    """Stack a list of rows in one array, if all have one dtype and shape."""
    if not isinstance(block, list | tuple):
        raise DataError(
            f"episode {index}: {where} is a {type(block).__name__}, not an array or list"
            f"{advise_array(block)}"
        )
    column = choose_column(space, block)
    try:
        if isinstance(column, FixedColumn) and len(block) > 0:
            first = as_numeric_array(block[0], where)
            dtypes = {row.dtype for row in block if isinstance(row, np.ndarray | np.generic)}
            if len(dtypes) > 1:
                raise DataError(f"{where} changes dtype between rows: {sorted(map(str, dtypes))}")
            if not dtypes:
                whole = as_numeric_array(block, where)
                if whole.dtype.kind in "fc":
                    # A Python float has 64 bits, whatever its space says.
                    return whole
            column = FixedColumn(column.dtype, first.shape)
        return column.encode(block, where)[0]
    except DataError as error:
        raise DataError(f"episode {index}: {error}") from error
