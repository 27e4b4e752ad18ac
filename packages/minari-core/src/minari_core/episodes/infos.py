"""Encode dicts of rows that no space describes: infos and extra columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from minari_core.columns import Array, Column, MaskedColumn, StructColumn, make_fixed_column
from minari_core.columns.untyped import encode_dynamic, freeze
from minari_core.episodes.blocks import Encoded, check_row_count
from minari_core.errors import DataError
from minari_core.json_values import NOT_PLAIN, is_plain_key
from minari_core.messages import advise_array


def encode_infos(
    blocks: Sequence[Mapping[str, object] | None],
    counts: Sequence[int],
    where: str,
    dropped: dict[str, str],
) -> Encoded:
    """Encode dicts of rows.

    An episode without a key has no value in any of its rows, one whose column is a row short none
    in the last, which lies beside the final observation.
    """
    keys = dict.fromkeys(key for block in blocks if block for key in block)
    for key in [key for key in keys if not is_plain_key(key)]:
        dropped.setdefault(f"{where}[{key!r}]", NOT_PLAIN)
        del keys[key]
    fields: dict[str, Column] = {}
    pieces: list[list[Array]] = []
    for key in keys:
        columns = [block.get(key) if block else None for block in blocks]
        name = f"{where}[{key!r}]"
        encoded = _encode_info(columns, counts, name, dropped)
        if encoded is not None:
            fields[key] = encoded[0]
            pieces += encoded[1]
    return StructColumn(fields), pieces


def _encode_info(
    columns: Sequence[object], counts: Sequence[int], name: str, dropped: dict[str, str]
) -> Encoded | None:
    arrays = [
        column
        for column in columns
        if type(column) is np.ndarray and column.ndim > 0 and column.dtype.kind in "biufc"
    ]
    if len(arrays) == len(columns) and len({(a.dtype, a.shape[1:]) for a in arrays}) == 1:
        fixed = make_fixed_column(arrays[0].dtype, arrays[0].shape[1:])
        absent = [
            _count_absent(len(array), count, name, index)
            for index, (array, count) in enumerate(zip(arrays, counts, strict=True))
        ]
        if not any(absent):
            return fixed, [arrays]
        # A mask cannot say that a row without elements is missing.
        if 0 not in fixed.shape:
            return MaskedColumn(fixed), [
                [np.arange(count) < len(a) for a, count in zip(arrays, counts, strict=True)],
                [
                    np.concatenate([array, np.zeros_like(array[:1])]) if short else array
                    for array, short in zip(arrays, absent, strict=True)
                ],
            ]
    values: list[object] = []
    for index, (column, count) in enumerate(zip(columns, counts, strict=True)):
        values += _split_info(column, count, name, index)
    encoded = encode_dynamic(values, name, dropped)
    return None if encoded is None else (encoded[0], [[array] for array in encoded[1]])


def _split_info(column: object, count: int, name: str, index: int) -> Iterable[object]:
    """Return one frozen value a row, None where there is none."""
    if column is None:
        return [None] * count
    if isinstance(column, Mapping):
        leaves = {key: list(_split_info(leaf, count, name, index)) for key, leaf in column.items()}
        rows = [{key: leaf[row] for key, leaf in leaves.items()} for row in range(count)]
        return [{key: value for key, value in row.items() if value is not None} for row in rows]
    if isinstance(column, list | tuple) or (isinstance(column, np.ndarray) and column.ndim):
        absent = _count_absent(len(column), count, name, index)
        return [*(freeze(row) for row in column), *[None] * absent]
    raise DataError(
        f"episode {index}: {name} is one {type(column).__name__}, not an array or list of {count} "
        f"rows{advise_array(column)}"
    )


def _count_absent(found: int, count: int, name: str, index: int) -> int:
    """Count the rows without a value at the end: 1 where there is one row a step, else 0."""
    if found == count - 1:
        return 1
    check_row_count(found, count, name, index)
    return 0
