"""Arrow tables of columns: vectors are fixed-size lists, images PNG files, what is missing null."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core.errors import DataError, MissingDependencyError
from minari_core.images import is_image
from minari_core.json_values import to_json_text
from minari_core.storage.base import Storage
from minari_core.storage.copied_metadata import metadata_for_copy
from minari_core.tables.gathering import Columns, Leaf
from minari_core.tables.images import encode_images
from minari_core.tables.rows import Rows, iterate_columns

try:
    import pyarrow as pa
except ImportError as error:
    raise MissingDependencyError(
        "tables need pyarrow; pip install 'minari-core[tables]'"
    ) from error

TABLE_KEY = b"minari"
"""The key of a schema's metadata under which the dataset is described, as JSON."""

JSON_FIELD = b"minari.json"
"""The key of a field's metadata that marks JSON text."""

ONE_CHANNEL_FIELD = b"minari.one_channel"
"""The key of a field's metadata that marks images with an axis for their one channel."""

_NEVER_MISSING = ("observation", "action", "reward", "return")
_JSON_COLUMNS = ("options", "metadata")


def iterate_tables(
    storage: Storage,
    indices: Sequence[int],
    rows: Rows,
    *,
    next_observations: bool = False,
    as_json: bool = False,
) -> Iterator[pa.Table]:
    """Make Arrow tables of one schema, each of some dozens of megabytes, at least one.

    Args:
        storage: The storage.
        indices: The indices of the episodes, in order.
        rows: What a row is.
        next_observations: Also give steps the observations that they led to.
        as_json: Write what is no column of numbers, text or images as JSON text.

    Raises:
        DataError: A column cannot be one of a table; the message names it.
        MissingDependencyError: Pillow, which encodes images, is not installed.
    """
    said = {
        "rows": rows,
        "next_observations": next_observations,
        **metadata_for_copy(storage, indices),
    }
    metadata = {TABLE_KEY: json.dumps(said).encode()}
    chunks = iterate_columns(storage, indices, rows, next_observations=next_observations)
    return unite_tables(make_table(columns, metadata, as_json=as_json) for columns in chunks)


def make_table(
    columns: Columns, metadata: Mapping[bytes, bytes], *, as_json: bool = False
) -> pa.Table:
    """Make an Arrow table.

    Args:
        columns: The columns, N rows each.
        metadata: What the table's schema carries.
        as_json: Write what is no column of numbers, text or images as JSON text.

    Returns:
        A table of N rows. Vectors are fixed-size lists, matrices lists of lists, images structs
        of ``bytes`` (a PNG file) and ``path`` (null), with metadata that tells the library
        ``datasets`` of Hugging Face so.

    Raises:
        DataError: A column is none of these; the message names it.
        MissingDependencyError: Pillow, which encodes images, is not installed.
    """
    arrays = {name: _make_array(leaf, name, as_json=as_json) for name, leaf in columns.items()}
    images = [name for name, leaf in columns.items() if is_image(leaf)]
    said = dict(metadata)
    if images:
        features = {name: {"_type": "Image"} for name in images}
        said[b"huggingface"] = json.dumps({"info": {"features": features}}).encode()
    fields = [
        pa.field(name, array.type, metadata=_mark_field(columns[name], array))
        for name, array in arrays.items()
    ]
    return pa.Table.from_arrays(list(arrays.values()), schema=pa.schema(fields, metadata=said))


def unite_tables(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Give tables the types of the first one in which each column has a value.

    A column whose values are all missing has no type of its own.

    Raises:
        DataError: A column has values of different types.
    """
    schema: pa.Schema | None = None
    waiting: list[pa.Table] = []
    for table in tables:
        schema = table.schema if schema is None else _unite_schemas(schema, table.schema)
        waiting.append(table)
        if not any(pa.types.is_null(field.type) for field in schema):
            yield from (_fill(one, schema) for one in waiting)
            waiting = []
    if schema is not None:
        yield from (_fill(one, schema) for one in waiting)


def concatenate_tables(tables: Iterable[pa.Table]) -> pa.Table:
    """Concatenate tables of one schema."""
    return pa.concat_tables(tables)


def _unite_schemas(schema: pa.Schema, other: pa.Schema) -> pa.Schema:
    try:
        united = pa.unify_schemas([schema, other])
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(
            f"a column has values of different types: {error}; give as_json=True to write such "
            "columns as JSON text"
        ) from error
    marked = []
    for field in united:
        some = [each.field(field.name) for each in (schema, other) if field.name in each.names]
        # Where all values are missing, nothing is marked.
        marks = [each.metadata for each in some if not pa.types.is_null(each.type)]
        if any(each != marks[0] for each in marks):
            raise DataError(
                f"column {field.name!r} is text in some episodes and something else, as JSON text, "
                "in others; no table can hold both apart"
            )
        marked.append(field.with_metadata(marks[0]) if marks and marks[0] else field)
    return pa.schema(marked, metadata=united.metadata)


def _fill(table: pa.Table, schema: pa.Schema) -> pa.Table:
    if table.schema.equals(schema):
        return table
    filled = [
        pa.nulls(len(table), field.type)
        if field.name not in table.column_names or pa.types.is_null(table[field.name].type)
        else table[field.name]
        for field in schema
    ]
    return pa.Table.from_arrays(filled, schema=schema)


def _make_array(leaf: Leaf, name: str, *, as_json: bool) -> pa.Array:
    if isinstance(leaf, list):
        return _make_array_of_values(leaf, name, as_json=as_json)
    missing = _find_missing_rows(leaf)
    if is_image(leaf):
        return _make_array_of_images(leaf, missing)
    values = np.ascontiguousarray(np.ma.getdata(leaf))
    try:
        kind = pa.from_numpy_dtype(values.dtype)
    except (pa.ArrowNotImplementedError, TypeError) as error:
        if as_json:
            return _write_json(leaf, missing, name)
        raise DataError(_refuse(name, f"values of dtype {values.dtype}")) from error
    if values.ndim == 1:
        return pa.array(values, type=kind, mask=missing)
    if 0 in values.shape[1:]:
        # Parquet has no list of the fixed size 0.
        absent = np.zeros(len(values), dtype=bool) if missing is None else missing
        return pa.array([None if is_absent else [] for is_absent in absent], pa.list_(kind))
    array = pa.array(values.reshape(-1), type=kind)
    for size in reversed(values.shape[2:]):
        array = pa.FixedSizeListArray.from_arrays(array, size)
    if name.partition(".")[0] in _NEVER_MISSING:
        return pa.FixedSizeListArray.from_arrays(array, values.shape[1])
    return _make_lists(array, values.shape[1], missing)


def _make_lists(array: pa.Array, size: int, missing: npt.NDArray[np.bool_] | None) -> pa.ListArray:
    """Make lists of one size, of which some are missing.

    Up to 20, pyarrow cannot read fixed-size lists of which some are null out of a Parquet file.
    """
    count = len(array) // size
    absent = np.zeros(count, dtype=bool) if missing is None else missing
    present = pa.array(np.repeat(~absent, size))
    offsets = np.concatenate([[0], np.cumsum(np.where(absent, 0, size))])
    return pa.ListArray.from_arrays(
        pa.array(offsets, type=pa.int32()), array.filter(present), mask=pa.array(absent)
    )


def _mark_field(leaf: Leaf, array: pa.Array) -> dict[bytes, bytes] | None:
    """Mark text that was written of what is none, and images with an axis that files have not."""
    if is_image(leaf):
        return {ONE_CHANNEL_FIELD: b"1"} if leaf.shape[3:] == (1,) else None
    given = (value for value in leaf if value is not None and value is not np.ma.masked)
    is_text = not pa.types.is_string(array.type) or all(isinstance(value, str) for value in given)
    return None if is_text else {JSON_FIELD: b"1"}


def _find_missing_rows(leaf: npt.NDArray[Any]) -> npt.NDArray[np.bool_] | None:
    mask = np.ma.getmask(leaf)
    if mask is np.ma.nomask or not np.any(mask):
        return None
    return np.asarray(np.ma.getmaskarray(leaf).reshape(len(leaf), -1).all(axis=1))


def _make_array_of_values(leaf: list[object], name: str, *, as_json: bool) -> pa.Array:
    if name == "seed":
        return pa.array(leaf, type=pa.uint64())
    given = [value for value in leaf if value is not None]
    if name in _JSON_COLUMNS or all(isinstance(value, str) for value in given):
        try:
            is_text = bool(given) or name in _JSON_COLUMNS
            return pa.array(leaf, type=pa.string() if is_text else pa.null())
        except UnicodeEncodeError as error:
            raise DataError(f"column {name!r} has text that is no Unicode: {error}") from error
    kinds = {(v.dtype, v.ndim) if isinstance(v, np.ndarray) else None for v in given}
    kind = kinds.pop() if len(kinds) == 1 else None
    if kind is not None and kind[1] == 1 and kind[0].kind in "biuf":
        return pa.array(leaf, type=pa.list_(pa.from_numpy_dtype(kind[0])))
    if as_json:
        return _write_json(leaf, None, name)
    found = sorted({type(value).__name__ for value in given})
    raise DataError(_refuse(name, f"values of the types {', '.join(found)}"))


def _make_array_of_images(
    leaf: npt.NDArray[np.uint8], missing: npt.NDArray[np.bool_] | None
) -> pa.Array:
    files = encode_images(np.ma.getdata(leaf))
    return pa.StructArray.from_arrays(
        [pa.array(files, type=pa.binary()), pa.nulls(len(files), pa.string())],
        names=["bytes", "path"],
        mask=None if missing is None else pa.array(missing),
    )


def _refuse(name: str, what: str) -> str:
    return (
        f"column {name!r} has {what}, which are no column of a table; give as_json=True to write "
        "them as JSON text"
    )


def _write_json(leaf: Leaf, missing: npt.NDArray[np.bool_] | None, name: str) -> pa.Array:
    texts = [
        None
        if value is None or (missing is not None and missing[row])
        else to_json_text(value, f"row {row} of column {name!r}")
        for row, value in enumerate(leaf)
    ]
    return pa.array(texts, type=pa.string())
