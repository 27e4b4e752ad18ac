"""Columns of tables of Arrow, pandas and polars: what `gather_steps` would have gathered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minari_core.errors import DataError
from minari_core.json_values import from_json_text
from minari_core.messages import format_value
from minari_core.tables.arrow import JSON_FIELD, ONE_CHANNEL_FIELD
from minari_core.tables.gathering import Columns, Leaf
from minari_core.tables.images import decode_images


def read_table(table: Any) -> Columns:
    """Return the columns of a table.

    Args:
        table: A `pyarrow.Table` or record batch, or a data frame of pandas or polars.

    Returns:
        Arrays of N rows, masked where a row is missing, and lists of values without a fixed shape.

    Raises:
        DataError: It is no table, or a column holds what is no column of a dataset; the message
            names the column and its type.
    """
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    elif hasattr(table, "to_arrow"):  # polars
        table = table.to_arrow()
    if isinstance(table, pa.Table):
        return {
            field.name: _read_array(table[index].combine_chunks(), field, field.name)
            for index, field in enumerate(table.schema)
        }
    if hasattr(table, "items") and hasattr(table, "iloc"):
        return {str(name): _read_series(series) for name, series in table.items()}
    raise DataError(
        f"{format_value(table)} is no table; give a pyarrow.Table, a data frame of pandas or "
        "polars, or the path of a Parquet file"
    )


def _read_array(array: Any, field: pa.Field, name: str) -> Leaf:
    if isinstance(array, pa.ChunkedArray):  # older releases combine none into one
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if pa.types.is_null(kind):
        return [None] * len(array)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or _is_string_view(kind):
        is_json = bool(field.metadata) and JSON_FIELD in field.metadata
        return _read_texts(array, is_json=is_json)
    if pa.types.is_struct(kind) and {"bytes", "path"} == {part.name for part in kind}:
        has_axis = bool(field.metadata) and ONE_CHANNEL_FIELD in field.metadata
        return _read_images(array, name, has_axis=has_axis)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return [_read_value(value, name) for value in array]
    return _read_numbers(array, name)


def _read_texts(array: Any, *, is_json: bool) -> list[object]:
    """Read texts; those that are alike are one, for a small file may have many rows of one."""
    if _is_string_view(array.type):
        array = array.cast(pa.string())
    encoded = array.dictionary_encode()
    texts: list[str] = encoded.dictionary.to_pylist()
    values: list[object] = [from_json_text(text) if is_json else text for text in texts]
    places = encoded.indices.fill_null(len(values)).to_pylist()
    values.append(None)
    return [values[place] for place in places]


def _is_string_view(kind: pa.DataType) -> bool:
    return str(kind) == "string_view"


def _read_numbers(array: Any, name: str) -> npt.NDArray[Any]:
    """Read numbers, or fixed-size lists of them."""
    sizes: list[int] = []
    total = len(array)
    missing = np.asarray(array.is_null()) if array.null_count else None
    if missing is not None:
        array = array.drop_null()
    rows = len(array)
    while pa.types.is_fixed_size_list(array.type):
        sizes.append(array.type.list_size)
        array = array.flatten()
        if array.null_count:
            raise DataError(f"column {name!r} has a vector of which an element is missing")
    if not _is_number(array.type):
        raise DataError(f"column {name!r} is {array.type}, which is no column of a dataset")
    values = array.to_numpy(zero_copy_only=False).reshape(rows, *sizes)
    if missing is None:
        return np.asarray(values)
    filled = np.zeros((total, *sizes), dtype=values.dtype)
    filled[~missing] = values
    mask = np.broadcast_to(missing.reshape(total, *(1 for _ in sizes)), filled.shape)
    return np.ma.MaskedArray(filled, mask.copy())


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    )


def _read_images(array: Any, name: str, *, has_axis: bool) -> Leaf:
    files = array.field("bytes")
    missing = np.asarray(array.is_null()) | np.asarray(files.is_null())
    if missing.all():
        return [None] * len(missing)
    images = decode_images([file.as_py() for file in files.filter(pa.array(~missing))], name)
    if has_axis and images.ndim == 3:
        images = images[..., np.newaxis]
    if not missing.any():
        return images
    filled = np.zeros((len(array), *images.shape[1:]), dtype=images.dtype)
    filled[~missing] = images
    mask = np.zeros(filled.shape, dtype=bool)
    mask[missing] = True
    return np.ma.MaskedArray(filled, mask)


def _read_value(value: Any, name: str) -> object:
    if not value.is_valid:
        return None
    return _read_numbers(value.values, name)


def _read_series(series: Any) -> Leaf:
    """Read a column of pandas."""
    dtype = series.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "biufc":
        return np.asarray(series.to_numpy())
    if hasattr(dtype, "numpy_dtype") and dtype.numpy_dtype.kind in "biuf":
        missing = np.asarray(series.isna())
        if hasattr(series.array, "_mask"):
            # A NaN that is a value is not missing.
            missing = np.asarray(series.array._mask)
        values = series.to_numpy(dtype=dtype.numpy_dtype, na_value=dtype.numpy_dtype.type(0))
        return np.ma.MaskedArray(values, missing) if missing.any() else np.asarray(values)
    values = list(series)
    return list(_name_missing(values))


def _name_missing(values: list[object]) -> Iterator[object]:
    for value in values:
        is_missing = value is None or (isinstance(value, float) and np.isnan(value))
        yield None if is_missing or type(value).__name__ == "NAType" else value
