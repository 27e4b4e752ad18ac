"""Wider columns: those that hold the values of two columns of the same structure exactly.

Numbers of two dtypes are held by numpy's common dtype. 64-bit integers are the exception: not all
of them are floats, so their values decide, when they are cast (`minari_core.columns.exact`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import numpy as np

from minari_core.columns.base import Array, Column
from minari_core.columns.exact import cast_exactly
from minari_core.columns.fixed import FixedColumn, make_fixed_column
from minari_core.columns.nested import StructColumn, TupleColumn
from minari_core.errors import DataError

_NBYTES_AT_ONCE = 8 << 20


def find_wider_dtype(
    one: np.dtype[np.generic], other: np.dtype[np.generic]
) -> np.dtype[np.generic] | None:
    """Find the dtype that can hold numbers of two dtypes; return None if there is none.

    True and 1 are different values, so no dtype holds both.
    """
    if one == other:
        return one
    if "b" in (one.kind, other.kind):
        return None
    return np.result_type(one, other)


def holds_all(dtype: np.dtype[np.generic], wider: np.dtype[np.generic]) -> bool:
    """Return whether a dtype holds every number of another one exactly."""
    # numpy calls the cast of 64-bit integers to floats safe.
    return np.can_cast(dtype, wider) and (
        dtype.kind not in "iu" or wider.kind not in "fc" or dtype.itemsize < 8
    )


def find_wider_column(one: Column, other: Column) -> Column | None:
    """Find the column that can hold the values of two; return None if there is none.

    Columns of values that change their size are as good as each other, if they are of one kind.
    """
    if isinstance(one, StructColumn) and isinstance(other, StructColumn):
        if one.fields.keys() != other.fields.keys():
            return None
        fields = {
            key: find_wider_column(item, other.fields[key]) for key, item in one.fields.items()
        }
        known = {key: field for key, field in fields.items() if field is not None}
        return StructColumn(known) if len(known) == len(fields) else None
    if isinstance(one, TupleColumn) and isinstance(other, TupleColumn):
        if len(one.items) != len(other.items):
            return None
        pairs = zip(one.items, other.items, strict=True)
        items = [item for item in (find_wider_column(*pair) for pair in pairs) if item is not None]
        return TupleColumn(tuple(items)) if len(items) == len(one.items) else None
    if isinstance(one, FixedColumn) and isinstance(other, FixedColumn):
        dtype = find_wider_dtype(one.dtype, other.dtype)
        if dtype is None or one.shape != other.shape:
            return None
        return one if dtype == one.dtype else make_fixed_column(dtype, one.shape)
    return one if one.kind == other.kind else None


def list_widened(column: Column, wider: Column, where: str) -> Iterator[str]:
    """Describe each leaf of which another column has a wider dtype."""
    if isinstance(column, StructColumn) and isinstance(wider, StructColumn):
        for key, field in column.fields.items():
            yield from list_widened(field, wider.fields[key], f"{where}[{key!r}]")
    elif isinstance(column, TupleColumn) and isinstance(wider, TupleColumn):
        for index, item in enumerate(column.items):
            yield from list_widened(item, wider.items[index], f"{where}[{index}]")
    elif isinstance(column, FixedColumn) and isinstance(wider, FixedColumn):
        if column.dtype == wider.dtype:
            return
        yield f"{where} from {column.dtype} to {wider.dtype}"


def widen_value(value: object, wider: Column, where: str) -> object:
    """Cast the rows that a column read to the dtypes of a wider one.

    Raises:
        DataError: That would change a number.
    """
    if isinstance(wider, StructColumn) and isinstance(value, Mapping):
        return {
            key: widen_value(item, wider.fields[key], f"{where}[{key!r}]")
            for key, item in value.items()
        }
    if isinstance(wider, TupleColumn) and isinstance(value, tuple):
        pairs = enumerate(zip(value, wider.items, strict=True))
        return tuple([widen_value(item, column, f"{where}[{i}]") for i, (item, column) in pairs])
    if isinstance(wider, FixedColumn) and isinstance(value, np.ndarray):
        return _cast(value, wider.dtype, where)
    return value


def widen_pieces(
    column: Column, wider: Column, pieces: Iterator[Sequence[Array]], where: str
) -> Iterator[Sequence[Array]]:
    """Take the pieces of a column's arrays off an iterator, and yield those of a wider one.

    They are cast when they are written, a few megabytes at a time.

    Raises:
        DataError: When they are read: casting would change a number.
    """
    if isinstance(column, StructColumn) and isinstance(wider, StructColumn):
        for key, field in column.fields.items():
            yield from widen_pieces(field, wider.fields[key], pieces, f"{where}[{key!r}]")
    elif isinstance(column, TupleColumn) and isinstance(wider, TupleColumn):
        for index, item in enumerate(column.items):
            yield from widen_pieces(item, wider.items[index], pieces, f"{where}[{index}]")
    elif isinstance(column, FixedColumn) and isinstance(wider, FixedColumn):
        taken = next(pieces)
        if column.dtype == wider.dtype:
            yield taken
            return
        cast_pieces = [part for piece in taken for part in _split_cast(piece, wider.dtype, where)]
        # What numpy calls array-like, which the pieces of a shard need not be more than.
        yield cast("list[Array]", cast_pieces)
    else:
        for spec in column.arrays(where):
            if not spec.derived:
                yield next(pieces)


def _cast(array: Array, dtype: np.dtype[np.generic], where: str) -> Array:
    wider = cast_exactly(array, dtype)
    if wider is None:
        raise DataError(
            f"{where} has {array.dtype} numbers that {dtype} does not hold exactly, so its column "
            "cannot be widened; convert them, or create a dataset of its own"
        )
    return wider


class _CastRows:
    """Rows that are cast whenever numpy reads them, so that only some are in memory."""

    def __init__(
        self, piece: Array, start: int, stop: int, dtype: np.dtype[np.generic], where: str
    ) -> None:
        self._piece = piece
        self._start = start
        self._stop = stop
        self._where = where
        self.dtype = dtype
        self.shape = (stop - start, *piece.shape[1:])
        self.nbytes = int(np.prod(self.shape, dtype=np.int64)) * dtype.itemsize

    def __len__(self) -> int:
        return self._stop - self._start

    def __array__(self, dtype: object = None, copy: bool | None = None) -> Array:
        return _cast(np.asarray(self._piece)[self._start : self._stop], self.dtype, self._where)


def _split_cast(piece: Array, dtype: np.dtype[np.generic], where: str) -> Iterator[_CastRows]:
    rows = len(piece)
    # A compressed piece is decoded as a whole.
    at_once = rows
    if isinstance(piece, np.ndarray):
        at_once = max(_NBYTES_AT_ONCE * max(rows, 1) // max(piece.nbytes, 1), 1)
    for start in range(0, rows, max(at_once, 1)):
        yield _CastRows(piece, start, min(start + at_once, rows), dtype, where)
