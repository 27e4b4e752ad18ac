"""Columns of values whose length varies by row: text, bytes, JSON, and arrays of any shape.

All of them lie as one flat array of values, and ``rows + 1`` offsets into it.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt

from minari_core.columns.base import (
    Array,
    ArraySpec,
    Column,
    ColumnProblem,
    ColumnReader,
    NamedArray,
    Reader,
    StoredArray,
    as_plain_array,
)
from minari_core.columns.fixed import MOST_DIMENSIONS, as_numeric_array, read_count, read_dtype
from minari_core.columns.problems import (
    find_count_problems,
    find_offset_problems,
    name_rows,
    read_error,
    take_plain,
)
from minari_core.errors import DataError, DatasetDamagedError
from minari_core.json_values import JsonObject, from_json_text, to_json_text
from minari_core.messages import format_value

OFFSET_DTYPE = np.dtype("<i8")
_BYTE = np.dtype("u1")
_BLOCK_ROWS = 256


def compute_offsets(lengths: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Compute the ``rows + 1`` offsets of concatenated values."""
    offsets = np.zeros(len(lengths) + 1, dtype=OFFSET_DTYPE)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def bind_offsets(array: StoredArray, rows: int, elements: int | None = None) -> Array:
    """Return the offsets of a column, if they fit its rows and its elements.

    Raises:
        DatasetDamagedError: They do not.
    """
    offsets = as_plain_array(array, rows + 1)
    if not isinstance(array, np.ndarray):
        last = int(offsets[-1]) if elements is None else elements
        return cast("Array", _CheckedOffsets(offsets, last))
    if offsets[0] != 0 or (elements is not None and offsets[-1] != elements):
        raise DatasetDamagedError(
            f"offsets run from {offsets[0]} to {offsets[-1]}, not from 0 to {elements}"
        )
    if np.any(np.less(offsets[1:], offsets[:-1])):
        raise DatasetDamagedError("offsets fall from one row to the next")
    return offsets


class _CheckedOffsets:
    """Offsets that are fetched when they are read, and checked then."""

    def __init__(self, offsets: Array, elements: int) -> None:
        self._offsets = offsets
        self._elements = elements

    def __getitem__(self, key: int | slice) -> Any:
        read = self._offsets[key]
        if isinstance(key, slice) and len(read):
            first, last = int(read[0]), int(read[-1])
            begins = range(len(self._offsets))[key].start == 0
            if (first if begins else min(first, 0)) or last > self._elements:
                raise DatasetDamagedError(
                    f"offsets run from {first} to {last}, not from 0 to {self._elements}"
                )
            if np.any(np.less(read[1:], read[:-1])):
                raise DatasetDamagedError("offsets fall from one row to the next")
        return read


class _BlobColumn(Column):
    """Rows that are byte strings under some encoding."""

    @abstractmethod
    def dump(self, value: object, where: str) -> bytes:
        """Encode one value as bytes."""

    @abstractmethod
    def load(self, blob: bytes) -> object:
        """Decode the bytes that `dump` made of a value."""

    def to_json(self) -> JsonObject:
        return {"kind": self.kind}

    @classmethod
    def from_json(cls, fields: Mapping[str, object], where: str, read: ColumnReader) -> Column:
        return cls()

    def arrays(self, path: str) -> Iterator[ArraySpec]:
        yield ArraySpec(f"{path}/values", _BYTE, ())
        yield ArraySpec(f"{path}/offsets", OFFSET_DTYPE, (), offsets=True)

    def encode(self, values: Sequence[object], where: str) -> list[Array]:
        # None stands for a missing value, which a mask beside this column marks.
        blobs = [b"" if value is None else self.dump(value, where) for value in values]
        return [
            np.frombuffer(b"".join(blobs), dtype=_BYTE),
            compute_offsets([len(blob) for blob in blobs]),
        ]

    def bind(self, arrays: Iterator[StoredArray], rows: int, *, copy: bool) -> Reader:
        values = as_plain_array(next(arrays))
        offsets = bind_offsets(next(arrays), rows, len(values))
        load = self.load

        def read(start: int, stop: int) -> object:
            bounds = offsets[start : stop + 1].tolist()
            first = bounds[0]
            blob = values[first : bounds[-1]].tobytes()
            try:
                return [load(blob[begin - first : end - first]) for begin, end in pairwise(bounds)]
            except ValueError as error:
                raise DatasetDamagedError(
                    f"rows {start} to {stop} hold no {self.kind}: {error}"
                ) from error

        return read

    def problems(
        self, arrays: Iterator[NamedArray], rows: int | None, *, located: bool
    ) -> Iterator[ColumnProblem]:
        values_spec, values = take_plain(arrays)
        spec, offsets = take_plain(arrays)
        if offsets is None or values is None:
            return
        problems = list(
            find_offset_problems(spec.path, offsets, rows, len(values), located=located)
        )
        yield from problems
        if problems:
            return
        count = len(offsets) - 1
        read = self.bind(iter([values, offsets]), count, copy=False)
        # Single rows are read only where a block of them is damaged.
        wrong = [
            row
            for start in range(0, count, _BLOCK_ROWS)
            if read_error(read, start, min(start + _BLOCK_ROWS, count))
            for row in range(start, min(start + _BLOCK_ROWS, count))
            if read_error(read, row, row + 1)
        ]
        yield from name_rows(
            values_spec.path,
            wrong,
            lambda row: read_error(read, row, row + 1),
            "{} rows are damaged in all",
            located=located,
        )


@dataclass(frozen=True, slots=True)
class TextColumn(_BlobColumn):
    """Strings, as UTF-8; lone surrogates are kept."""

    kind: ClassVar[str] = "text"

    def dump(self, value: object, where: str) -> bytes:
        if not isinstance(value, str):
            raise DataError(f"{where}: {type(value).__name__} {format_value(value)} is not text")
        return value.encode("utf-8", "surrogatepass")

    def load(self, blob: bytes) -> object:
        return blob.decode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class BytesColumn(_BlobColumn):
    """Byte strings."""

    kind: ClassVar[str] = "bytes"

    def dump(self, value: object, where: str) -> bytes:
        if not isinstance(value, bytes):
            raise DataError(f"{where}: {type(value).__name__} {format_value(value)} is not bytes")
        return value

    def load(self, blob: bytes) -> object:
        return blob


@dataclass(frozen=True, slots=True)
class JsonColumn(_BlobColumn):
    """Lists, dicts and whatever else JSON can say, as UTF-8 text."""

    kind: ClassVar[str] = "json"

    def dump(self, value: object, where: str) -> bytes:
        return to_json_text(value, where).encode("ascii")

    def load(self, blob: bytes) -> object:
        # An empty text is a row that its mask marks as missing.
        return from_json_text(blob.decode("utf-8")) if blob else None


@dataclass(frozen=True, slots=True)
class RaggedColumn(Column):
    """Arrays of one dtype and number of dimensions, whose shapes change from row to row."""

    dtype: np.dtype[np.generic]
    """The type of an element."""
    dimensions: int
    """The number of dimensions of each value, at least 1."""

    kind: ClassVar[str] = "ragged"

    def to_json(self) -> JsonObject:
        return {"kind": self.kind, "dtype": self.dtype.str, "dimensions": self.dimensions}

    @classmethod
    def from_json(
        cls, fields: Mapping[str, object], where: str, read: ColumnReader
    ) -> RaggedColumn:
        dimensions = read_count(fields["dimensions"])
        if not 1 <= dimensions <= MOST_DIMENSIONS:
            raise ValueError(f"{dimensions} dimensions")
        return cls(read_dtype(fields["dtype"]), dimensions)

    def arrays(self, path: str) -> Iterator[ArraySpec]:
        yield ArraySpec(f"{path}/values", self.dtype, ())
        yield ArraySpec(f"{path}/offsets", OFFSET_DTYPE, (), offsets=True)
        yield ArraySpec(f"{path}/shapes", OFFSET_DTYPE, (self.dimensions,))

    def encode(self, values: Sequence[object], where: str) -> list[Array]:
        nothing = np.zeros((0,) * self.dimensions, dtype=self.dtype)
        arrays = [nothing if value is None else self._convert(value, where) for value in values]
        shapes = np.array([array.shape for array in arrays], dtype=OFFSET_DTYPE)
        return [
            # numpy would give arrays of the other byte order its own.
            np.concatenate(
                [nothing.ravel(), *(array.ravel() for array in arrays)], dtype=self.dtype
            ),
            compute_offsets([array.size for array in arrays]),
            shapes.reshape(len(arrays), self.dimensions),
        ]

    def _convert(self, value: object, where: str) -> Array:
        array = as_numeric_array(value, where)
        if array.ndim != self.dimensions or (array.dtype != self.dtype and array.size):
            raise DataError(
                f"{where}: {array.dtype} array of shape {array.shape} in a column of "
                f"{self.dtype} arrays with {self.dimensions} dimensions"
            )
        return array.astype(self.dtype, copy=False)

    def bind(self, arrays: Iterator[StoredArray], rows: int, *, copy: bool) -> Reader:
        values = as_plain_array(next(arrays))
        offsets = bind_offsets(next(arrays), rows, len(values))
        shapes = as_plain_array(next(arrays), rows)

        def read(start: int, stop: int) -> object:
            bounds = offsets[start : stop + 1].tolist()
            read_rows: list[object] = []
            for index, begin in enumerate(bounds[:-1]):
                flat = values[begin : bounds[index + 1]]
                shape = shapes[start + index].tolist()
                # A negative size would be one that numpy works out by itself.
                if math.prod(shape) != len(flat) or min(shape) < 0:
                    raise DatasetDamagedError(
                        f"row {start + index} has {len(flat)} elements, but shape {tuple(shape)}"
                    )
                row = flat.reshape(shape)
                read_rows.append(row.copy() if copy else row)
            return read_rows

        return read

    def problems(
        self, arrays: Iterator[NamedArray], rows: int | None, *, located: bool
    ) -> Iterator[ColumnProblem]:
        _, values = take_plain(arrays)
        spec, offsets = take_plain(arrays)
        shapes_spec, shapes = take_plain(arrays)
        if shapes is not None:
            yield from find_count_problems(shapes_spec, len(shapes), rows)
        if offsets is None:
            return
        elements = None if values is None else len(values)
        problems = list(find_offset_problems(spec.path, offsets, rows, elements, located=located))
        yield from problems
        if problems or shapes is None or len(shapes) != len(offsets) - 1:
            return
        # Products of sizes out of a damaged file overflow integers; these are exact up to 2**53.
        sizes = np.prod(shapes.astype(np.float64), axis=1)
        lengths = np.subtract(offsets[1:], offsets[:-1])
        wrong = np.flatnonzero((np.min(shapes, axis=1, initial=0) < 0) | (sizes != lengths))
        yield from name_rows(
            shapes_spec.path,
            wrong.tolist(),
            lambda row: (
                f"shape {tuple(shapes[row].tolist())} of row {row} does not fit its "
                f"{lengths[row]} elements"
            ),
            "{} shapes do not fit in all",
            located=located,
        )
