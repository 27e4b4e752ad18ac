"""Unite the columns of shards in which keys come and go, so that their rows fit into one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from minari_core.columns.base import Array, Column, StoredArray
from minari_core.columns.fixed import FixedColumn
from minari_core.columns.nested import MASK_DTYPE, MaskedColumn, StructColumn, TupleColumn


def find_union(one: Column, other: Column) -> Column | None:
    """Find the column that holds the rows of two columns, each as it is read beside the other.

    A key that one of two dicts lacks is missing in all of its rows.

    Returns:
        The column; None if there is none, as for two dtypes.
    """
    if one == other:
        return one
    if isinstance(one, StructColumn) and isinstance(other, StructColumn):
        fields: dict[str, Column] = {}
        for key in {**one.fields, **other.fields}:
            pair = [part.fields[key] for part in (one, other) if key in part.fields]
            united = find_union(*pair) if len(pair) == 2 else _make_optional(pair[0])
            if united is None:
                return None
            fields[key] = united
        return StructColumn(fields)
    values = [part.value if isinstance(part, MaskedColumn) else part for part in (one, other)]
    return MaskedColumn(values[0]) if values[0] == values[1] else None


def fit_arrays(
    column: Column, united: Column, arrays: Sequence[StoredArray], rows: int
) -> list[StoredArray]:
    """Return the arrays of a column as those of a column that `find_union` found of it.

    Args:
        column: The column.
        united: The column that holds its rows, too.
        arrays: The arrays of the column that are not derived, in their order.
        rows: How many rows the column has.
    """
    return list(arrays) if column == united else list(_fit(column, united, iter(arrays), rows))


def _fit(
    column: Column | None, united: Column, arrays: Iterator[StoredArray], rows: int
) -> Iterator[StoredArray]:
    if isinstance(united, StructColumn):
        fields = column.fields if isinstance(column, StructColumn) else {}
        by_key = {key: list(islice(arrays, _count(part))) for key, part in fields.items()}
        for key, part in united.fields.items():
            yield from _fit(fields.get(key), part, iter(by_key.get(key, ())), rows)
    elif column is None and isinstance(united, MaskedColumn):
        yield from _make_missing(united, rows)
    else:
        if column != united:
            yield np.ones(rows, MASK_DTYPE)
        yield from arrays


def _make_optional(column: Column) -> Column | None:
    """Return the column in which rows may be missing that are read as those of no column."""
    if isinstance(column, StructColumn):
        fields = {key: _make_optional(part) for key, part in column.fields.items()}
        found = {key: part for key, part in fields.items() if part is not None}
        return StructColumn(found) if len(found) == len(fields) else None
    value = column.value if isinstance(column, MaskedColumn) else column
    if isinstance(value, StructColumn | TupleColumn):
        return None
    # A row without elements has none that could be masked.
    if isinstance(value, FixedColumn) and 0 in value.shape:
        return None
    return MaskedColumn(value)


def _make_missing(column: MaskedColumn, rows: int) -> list[Array]:
    if isinstance(column.value, FixedColumn):
        filler = np.zeros((rows, *column.value.shape), column.value.dtype)
        return [np.zeros(rows, MASK_DTYPE), filler]
    return column.encode([None] * rows, "missing values")


def _count(column: Column) -> int:
    """Count the arrays of a column that are not derived."""
    return sum(not spec.derived for spec in column.arrays(""))
