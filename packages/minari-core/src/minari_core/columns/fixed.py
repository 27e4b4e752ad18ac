"""The column of values of one dtype and shape, which holds nearly all data."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from minari_core.columns.base import (
    Array,
    ArraySpec,
    Column,
    ColumnProblem,
    ColumnReader,
    NamedArray,
    Reader,
    StoredArray,
    check_rows,
)
from minari_core.columns.exact import cast_exactly, is_faithful
from minari_core.columns.problems import (
    find_count_problems,
    find_flag_problems,
    name_rows,
    read_error,
)
from minari_core.columns.widening import cast_wider, find_wider_dtype, split_cast
from minari_core.errors import DataError, FormatError
from minari_core.json_values import JsonObject
from minari_core.messages import advise_array, format_value

CHUNK_TABLE_DTYPE = np.dtype("<u8")
ROWS_PER_CHUNK = 8
_SMALLEST_IMAGE = 4096
MOST_DIMENSIONS = 31
NUMERIC_KINDS = "biufc"
_NUMERIC_DTYPE = re.compile(r"[<>|=]?([biufc][0-9]{1,2}|\?)")
_LARGEST_ROW_NBYTES = 1 << 40


@dataclass(frozen=True, slots=True)
class FixedColumn(Column):
    """Rows of one dtype and shape, contiguous, or compressed where they are images."""

    dtype: np.dtype[np.generic]
    """The type of an element, byte order included."""
    shape: tuple[int, ...] = ()
    """The shape of one row; ``()`` for scalars."""
    compressed: bool = False
    """True if the rows are compressed with zstd, in chunks of `ROWS_PER_CHUNK` rows."""

    kind: ClassVar[str] = "fixed"

    def to_json(self) -> JsonObject:
        fields: JsonObject = {
            "kind": self.kind,
            "dtype": self.dtype.str,
            "shape": list(self.shape),
        }
        if self.compressed:
            fields["rows_per_chunk"] = ROWS_PER_CHUNK
        return fields

    @classmethod
    def from_json(cls, fields: Mapping[str, object], where: str, read: ColumnReader) -> FixedColumn:
        sizes = fields["shape"]
        if not isinstance(sizes, list):
            raise TypeError("shape is not a list")
        rows_per_chunk = fields.get("rows_per_chunk")
        if rows_per_chunk not in (None, ROWS_PER_CHUNK):
            raise FormatError(
                f"column {where!r} has chunks of {rows_per_chunk!r} rows; this version reads "
                f"chunks of {ROWS_PER_CHUNK}"
            )
        dtype, shape = read_dtype(fields["dtype"]), tuple(read_count(size) for size in sizes)
        # What a file says must not choose how much memory one row takes.
        largest = dtype.itemsize * math.prod(max(size, 1) for size in shape)
        if len(shape) > MOST_DIMENSIONS or largest > _LARGEST_ROW_NBYTES:
            raise ValueError(f"no row has shape {str(sizes)[:80]}")
        return cls(dtype, shape, compressed=rows_per_chunk is not None)

    def arrays(self, path: str) -> Iterator[ArraySpec]:
        if self.compressed:
            yield ArraySpec(f"{path}/frames", self.dtype, self.shape, ROWS_PER_CHUNK)
            yield ArraySpec(f"{path}/chunks", CHUNK_TABLE_DTYPE, (2,), derived=True)
        else:
            yield ArraySpec(path, self.dtype, self.shape)

    def encode(self, values: Sequence[object], where: str) -> list[Array]:
        rows = np.empty((len(values), *self.shape), dtype=self.dtype)
        for index, value in enumerate(values):
            rows[index] = self.convert(value, where)
        return [rows]

    def convert(self, value: object, where: str) -> Array:
        """Convert a value to an array of this column's dtype and shape, without changing it.

        Raises:
            DataError: The shape differs, or the dtype cannot hold the value.
        """
        array = as_numeric_array(value, where)
        if array.shape != self.shape:
            raise DataError(f"{where}: a value of shape {array.shape} in a column of {self.shape}")
        if array.dtype == self.dtype:
            return array
        cast = cast_exactly(array, self.dtype)
        if cast is None:
            raise DataError(
                f"{where}: {array.dtype} value {format_value(value)} cannot be stored as "
                f"{self.dtype} without changing it"
            )
        return cast

    def bind(self, arrays: Iterator[StoredArray], rows: int, *, copy: bool) -> Reader:
        array = check_rows(next(arrays), rows)
        if not isinstance(array, np.ndarray):
            return array.read
        if copy:
            return lambda start, stop: array[start:stop].copy()
        return lambda start, stop: array[start:stop]

    def problems(
        self, arrays: Iterator[NamedArray], rows: int | None, *, located: bool
    ) -> Iterator[ColumnProblem]:
        spec, array = next(arrays)
        if array is None:
            return
        yield from find_count_problems(spec, len(array), rows)
        if isinstance(array, np.ndarray):
            if self.dtype.kind == "b":
                yield from find_flag_problems(spec, array)
            return

        def chunk_error(row: int) -> str:
            stop = min(row + ROWS_PER_CHUNK, len(array))
            return read_error(array.read, row, stop).removeprefix("it: ")

        wrong = [row for row in range(0, len(array), ROWS_PER_CHUNK) if chunk_error(row)]
        total = "{} chunks are damaged in all"
        yield from name_rows(spec.path, wrong, chunk_error, total, located=located)

    def make_missing(self, count: int) -> object:
        if 0 in self.shape:
            # A row without elements has no element that could be masked.
            return [None] * count
        return np.ma.MaskedArray(
            np.zeros((count, *self.shape), dtype=self.dtype),
            mask=np.ones((count, *self.shape), dtype=bool),
        )

    def find_wider(self, other: Column) -> Column | None:
        if not isinstance(other, FixedColumn) or self.shape != other.shape:
            return None
        dtype = find_wider_dtype(self.dtype, other.dtype)
        if dtype is None:
            return None
        return self if dtype == self.dtype else make_fixed_column(dtype, self.shape)

    def list_widened(self, wider: Column, where: str) -> Iterator[str]:
        if isinstance(wider, FixedColumn) and wider.dtype != self.dtype:
            yield f"{where} from {self.dtype} to {wider.dtype}"

    def widen_pieces(
        self, wider: Column, pieces: Iterator[Sequence[Array]], where: str
    ) -> Iterator[Sequence[Array]]:
        taken = next(pieces)
        if isinstance(wider, FixedColumn) and wider.dtype != self.dtype:
            taken = split_cast(taken, wider.dtype, where)
        yield taken

    def cast_value(self, value: object, where: str) -> object:
        return cast_wider(value, self.dtype, where) if isinstance(value, np.ndarray) else value


def make_fixed_column(dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> FixedColumn:
    """Make the column for rows of this dtype and shape: images are compressed, the rest is not.

    Raises:
        DataError: A row has more dimensions than HDF5 can store.
    """
    if len(shape) > MOST_DIMENSIONS:
        raise DataError(
            f"rows of {len(shape)} dimensions cannot be stored; at most {MOST_DIMENSIONS}"
        )
    image = (
        dtype == np.uint8
        and len(shape) >= 2
        and int(np.prod(shape, dtype=np.int64)) >= _SMALLEST_IMAGE
    )
    return FixedColumn(dtype, shape, compressed=image)


def read_dtype(text: object) -> np.dtype[np.generic]:
    """Read the dtype of an element from JSON.

    Raises:
        TypeError, ValueError: It is not the name of a numeric one.
    """
    if not isinstance(text, str):
        raise TypeError(f"dtype {text!r} is not text")
    # numpy understands many more texts, and warns of some of them.
    if not _NUMERIC_DTYPE.fullmatch(text):
        raise ValueError(f"dtype {text!r} is not numeric")
    return np.dtype(text)


def read_count(value: object) -> int:
    """Read a size from JSON.

    Raises:
        ValueError: It is not a whole number that is 0 or more.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r} is not a count")
    return value


def as_numeric_array(value: object, where: str, *, mixed: bool = False) -> Array:
    """Convert a value to a numpy array of numbers or booleans, its dtype untouched.

    Args:
        value: An array, a number, or nested lists of numbers.
        where: The value's name for an error message.
        mixed: Accept a list of numbers that no common dtype holds, because the caller checks
            them against what it allows.

    Raises:
        DataError: The value is not numeric, is ragged or masked, is a tensor of another library, or
            has numbers that no common dtype holds.
    """
    advice = advise_array(value)
    if advice:
        raise DataError(f"{where}: {format_value(value)} is no array of numpy{advice}")
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise DataError(f"{where}: a masked array has rows without a value, which only infos may")
    try:
        array: Array = np.asarray(value)
    except Exception as error:  # another library's object raises whatever it likes
        raise DataError(
            f"{where}: {format_value(value)} is not an array of one shape ({error})"
        ) from error
    if array.dtype.kind not in NUMERIC_KINDS:
        raise DataError(
            f"{where}: {type(value).__name__} {format_value(value)} is not numeric (dtype "
            f"{array.dtype})"
        )
    if not mixed and isinstance(value, list | tuple) and not is_faithful(value, array.dtype):
        raise DataError(
            f"{where}: {format_value(value)} mixes numbers that no dtype holds together; numpy "
            f"would change them to {array.dtype}"
        )
    return array
