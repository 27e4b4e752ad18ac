"""Values of spaces, and infos, as Arrow arrays like those of the public Minari.

Every column has T+1 rows; a column of T values is padded by a row without meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa
from gymnasium import spaces

from minari_core.columns.for_space import FIXED_SPACES
from minari_core.errors import DataError, DatasetDamagedError
from minari_core.formats.public.jpeg import decode_jpegs, encode_jpegs
from minari_core.formats.public.limits import Budget
from minari_core.formats.public.spaces import is_image_space

_SHAPE = b"shape"


def encode_value(
    space: spaces.Space[Any], value: Any, padding: int, where: str, *, jpeg: bool
) -> Any:
    """Encode the rows of a space as one array.

    Args:
        space: The space.
        value: The rows, as `EpisodeData` shows them.
        padding: The number of rows to add.
        where: The column's name for an error message.
        jpeg: Whether images are stored as JPEG.

    Raises:
        DataError: Arrow has no type for the numbers.
    """
    if isinstance(space, spaces.Dict):
        arrays = [
            encode_value(subspace, value[key], padding, f"{where}[{key!r}]", jpeg=jpeg)
            for key, subspace in space.spaces.items()
        ]
        return pa.StructArray.from_arrays(arrays, names=list(space.spaces))
    if isinstance(space, spaces.Tuple):
        arrays = [
            encode_value(subspace, value[index], padding, f"{where}[{index}]", jpeg=jpeg)
            for index, subspace in enumerate(space.spaces)
        ]
        return pa.StructArray.from_arrays(arrays, names=[str(i) for i in range(len(arrays))])
    if isinstance(space, spaces.Text):
        return pa.array(list(value) + [None] * padding, type=pa.string())
    if jpeg and is_image_space(space):
        frames = encode_jpegs(value, where)
        # The public Minari decodes the added row as well, before it leaves it out.
        return pa.array(frames + frames[-1:] * padding, type=pa.binary())
    padded = np.pad(value, [(0, padding), *((0, 0) for _ in value.shape[1:])])
    if isinstance(space, spaces.Discrete):
        return pa.array(padded, type=_type(padded.dtype, where))
    return _lists(padded, where)


def decode_value(
    space: spaces.Space[Any], array: Any, rows: int, where: str, budget: Budget
) -> Any:
    """Decode the first rows of an array as `EpisodeData` shows them.

    Args:
        space: The space.
        array: The array.
        rows: The number of rows.
        where: The column's name for an error message.
        budget: What images that are decoded may take in memory.

    Raises:
        DatasetDamagedError: The array does not fit the space.
    """
    if isinstance(space, spaces.Dict | spaces.Tuple):
        if not pa.types.is_struct(array.type):
            raise DatasetDamagedError(f"{where} is of type {array.type}, not a struct")
        if isinstance(space, spaces.Dict):
            return {
                key: decode_value(
                    subspace, _field(array, key, where), rows, f"{where}[{key!r}]", budget
                )
                for key, subspace in space.spaces.items()
            }
        return tuple(
            decode_value(
                subspace, _field(array, str(index), where), rows, f"{where}[{index}]", budget
            )
            for index, subspace in enumerate(space.spaces)
        )
    if len(array) < rows:
        raise DatasetDamagedError(f"{where} has {len(array)} rows, not {rows}")
    array = array[:rows]
    if isinstance(space, spaces.Text):
        texts = _texts(array) if _is_text(array.type) else [None]
        if None in texts:
            raise DatasetDamagedError(f"{where} is of type {array.type}, not text in each row")
        return texts
    if pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type):
        return decode_jpegs(array.to_pylist(), space.shape, where, budget)
    shape = tuple(space.shape or ())
    if not isinstance(space, FIXED_SPACES):
        array = _fix_lists(array, prod(shape))
    return _numbers(array, shape, where)


def encode_infos(infos: Mapping[str, Any], where: str) -> Any:
    """Encode infos of T+1 rows as one struct; None if there are none."""
    arrays: list[Any] = []
    fields: list[Any] = []
    for key, value in infos.items():
        name = f"{where}[{key!r}]"
        shape: str | None = None
        if isinstance(value, Mapping):
            array = encode_infos(value, name)
            if array is None:
                continue
        elif isinstance(value, np.ndarray) and value.ndim > 1:
            array = _lists(value, name)
            if value.ndim > 2:
                # Releases before 0.5.2 read no text as a shape, and need none for vectors.
                shape = ",".join(str(size) for size in value.shape[1:])
        elif isinstance(value, np.ndarray):
            array = pa.array(value, type=_type(value.dtype, name))
        else:
            array = pa.array(value, type=pa.string())
        arrays.append(array)
        metadata = None if shape is None else {_SHAPE: shape.encode()}
        fields.append(pa.field(key, array.type, metadata=metadata))
    return pa.StructArray.from_arrays(arrays, fields=fields) if arrays else None


def decode_infos(array: Any, where: str) -> dict[str, Any]:
    """Decode infos as `EpisodeData` shows them.

    Raises:
        DatasetDamagedError: They are of a type that the public Minari does not write.
    """
    if not pa.types.is_struct(array.type):
        raise DatasetDamagedError(f"{where} is of type {array.type}, not a struct")
    infos: dict[str, Any] = {}
    for index in range(array.type.num_fields):
        field, values = array.type.field(index), array.field(index)
        name = f"{where}[{field.name!r}]"
        if pa.types.is_struct(field.type):
            infos[field.name] = decode_infos(values, name)
        elif pa.types.is_fixed_size_list(field.type):
            size = field.type.list_size
            text = (field.metadata or {}).get(_SHAPE)
            shape = (size,) if text is None else _parse_shape(text, size, name)
            infos[field.name] = _numbers(values, shape, name)
        elif _is_text(field.type):
            infos[field.name] = _texts(values)
        elif pa.types.is_list(field.type) or pa.types.is_large_list(field.type):
            infos[field.name] = _split_lists(values, name)
        else:
            infos[field.name] = _numbers(values, (), name)
    return infos


def _parse_shape(text: bytes, size: int, where: str) -> tuple[int, ...]:
    """Parse the shape of a row: numbers in text, or one a byte as releases before 0.5.2 do it."""
    sizes = text.split(b",") if text else []
    if all(digits.isdigit() for digits in sizes):
        shape = tuple(map(int, sizes))
        if prod(shape) == size:
            return shape
    if prod(text) != size:
        raise DatasetDamagedError(
            f"{where} has rows of {size} numbers, and {text!r} as their shape"
        )
    return tuple(text)


def decode_numbers(array: Any, where: str) -> np.ndarray[Any, Any]:
    """Decode a column of numbers, one a row."""
    return _numbers(array, (), where)


def count_row_nbytes(kind: Any) -> int:
    """Return how much memory a row of a type takes, without what is of variable length."""
    if pa.types.is_struct(kind):
        return sum(count_row_nbytes(field.type) for field in kind)
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size) * count_row_nbytes(kind.value_type)
    try:
        return int(-(-kind.bit_width // 8))
    except ValueError:
        return 0


def list_texts(schema: Any) -> list[str]:
    """List the paths of the columns of texts in the schema of a Parquet file."""
    leaves = map(schema.column, range(len(schema)))
    return [leaf.path for leaf in leaves if leaf.logical_type.type == "STRING"]


def _lists(values: np.ndarray[Any, Any], where: str) -> Any:
    flat = np.ascontiguousarray(values).reshape(len(values), -1)
    kind = pa.list_(_type(values.dtype, where), flat.shape[1])
    return pa.FixedSizeListArray.from_arrays(pa.array(flat.reshape(-1)), type=kind)


def _type(dtype: np.dtype[Any], where: str) -> Any:
    if dtype.kind not in "biuf" or not dtype.isnative or dtype.itemsize > 8:
        raise DataError(
            f"{where}: Arrow has no numbers of dtype {dtype}; convert them, or "
            "store them as 'hdf5' or 'columnar'"
        )
    return pa.from_numpy_dtype(dtype)


def _numbers(array: Any, shape: tuple[int, ...], where: str) -> np.ndarray[Any, Any]:
    rows = len(array)
    if array.null_count:
        raise DatasetDamagedError(f"{where} has rows without a value")
    is_list = pa.types.is_fixed_size_list(array.type)
    element = array.type.value_type if is_list else array.type
    flat = array.flatten() if is_list else array
    if not _holds_numbers(element) or len(flat) != rows * prod(shape):
        raise DatasetDamagedError(
            f"{where} is of type {array.type} with {rows} rows, not numbers of shape {shape} a row"
        )
    if flat.null_count:
        raise DatasetDamagedError(f"{where} has elements without a value")
    values: np.ndarray[Any, Any] = flat.to_numpy(zero_copy_only=False)
    return np.array(values.reshape(rows, *shape))


def _holds_numbers(kind: Any) -> bool:
    """Return whether a type is one of numbers; converting some others crashes the process."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    )


def _fix_lists(array: Any, size: int) -> Any:
    """Return lists of one size as such; the public Minari does not for classes of others."""
    if not pa.types.is_list(array.type) or array.null_count or size < 1:
        return array
    if not (array.value_lengths().to_numpy(zero_copy_only=False) == size).all():
        return array
    return pa.FixedSizeListArray.from_arrays(array.flatten(), size)


def _split_lists(array: Any, where: str) -> list[np.ndarray[Any, Any] | None]:
    """Return one array a row, with the elements as they are stored; None for rows without one."""
    kind, flat = array.type.value_type, array.flatten()
    if flat.null_count:
        raise DatasetDamagedError(f"{where} has elements without a value")
    elements = np.array(_texts(flat), dtype=object) if _is_text(kind) else _numbers(flat, (), where)
    rows: list[np.ndarray[Any, Any] | None] = []
    offset = 0
    for length in array.value_lengths().to_pylist():
        if length is None:
            rows.append(None)
            continue
        row = elements[offset : offset + length].copy()
        rows.append(row.astype(np.str_) if _is_text(kind) else row)
        offset += length
    return rows


def _is_text(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _texts(array: Any) -> list[str | None]:
    """Return texts, of which those that are equal are one object if the array holds them once."""
    if not pa.types.is_dictionary(array.type):
        texts: list[str | None] = array.to_pylist()
        return texts
    known = array.dictionary.to_pylist()
    return [None if index is None else known[index] for index in array.indices.to_pylist()]


def _field(array: Any, name: str, where: str) -> Any:
    if array.type.get_field_index(name) < 0:
        raise DatasetDamagedError(f"{where} has no {name!r}")
    return array.field(name)
