"""Columns made of columns: dicts, tuples, and columns with missing values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    as_plain_array,
    escape_key,
)
from minari_core.columns.fixed import FixedColumn
from minari_core.columns.joining import split_rows
from minari_core.errors import DataError
from minari_core.json_values import JsonObject
from minari_core.messages import format_value

MASK_DTYPE = np.dtype("?")
_FLAGS = FixedColumn(MASK_DTYPE)


@dataclass(frozen=True, slots=True, eq=False)
class StructColumn(Column):
    """A dict with the same keys in every row; each key is a column of its own.

    Two are equal if they have the same columns in the same order, because the flat arrays of a
    shard lie in that order.
    """

    fields: Mapping[str, Column]
    """The columns, in the order in which a value shows its keys."""

    kind: ClassVar[str] = "struct"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StructColumn):
            return NotImplemented
        return list(self.fields.items()) == list(other.fields.items())

    def __hash__(self) -> int:
        return hash(tuple(self.fields.items()))

    def to_json(self) -> JsonObject:
        return {
            "kind": self.kind,
            "fields": {key: column.to_json() for key, column in self.fields.items()},
        }

    @classmethod
    def from_json(
        cls, fields: Mapping[str, object], where: str, read: ColumnReader
    ) -> StructColumn:
        columns = fields["fields"]
        if not isinstance(columns, dict):
            raise TypeError("fields is not an object")
        return cls({key: read(column, f"{where}/{key}") for key, column in columns.items()})

    def arrays(self, path: str) -> Iterator[ArraySpec]:
        for key, column in self.fields.items():
            yield from column.arrays(f"{path}/{escape_key(key)}")

    def encode(self, values: Sequence[object], where: str) -> list[Array]:
        for value in values:
            if not isinstance(value, Mapping) or value.keys() != self.fields.keys():
                raise DataError(
                    f"{where}: {format_value(value)} is not a dict of {list(self.fields)}"
                )
        encoded: list[Array] = []
        for key, column in self.fields.items():
            inner = [value[key] for value in values if isinstance(value, Mapping)]
            encoded += column.encode(inner, f"{where}[{key!r}]")
        return encoded

    def bind(self, arrays: Iterator[StoredArray], rows: int, *, copy: bool) -> Reader:
        readers = [
            (key, column.bind(arrays, rows, copy=copy)) for key, column in self.fields.items()
        ]
        if not readers:
            return lambda start, stop: {}
        return lambda start, stop: {key: read(start, stop) for key, read in readers}

    def problems(
        self, arrays: Iterator[NamedArray], rows: int | None, *, located: bool
    ) -> Iterator[ColumnProblem]:
        for column in self.fields.values():
            yield from column.problems(arrays, rows, located=located)

    def make_missing(self, count: int) -> object:
        return {key: column.make_missing(count) for key, column in self.fields.items()}

    def find_wider(self, other: Column) -> Column | None:
        if not isinstance(other, StructColumn) or self.fields.keys() != other.fields.keys():
            return None
        fields: dict[str, Column] = {}
        for key, column in self.fields.items():
            wider = column.find_wider(other.fields[key])
            if wider is None:
                return None
            fields[key] = wider
        return StructColumn(fields)

    def list_widened(self, wider: Column, where: str) -> Iterator[str]:
        for key, column, inner in self._pair(wider):
            yield from column.list_widened(inner, f"{where}[{key!r}]")

    def widen_pieces(
        self, wider: Column, pieces: Iterator[Sequence[Array]], where: str
    ) -> Iterator[Sequence[Array]]:
        for key, column, inner in self._pair(wider):
            yield from column.widen_pieces(inner, pieces, f"{where}[{key!r}]")

    def cast_value(self, value: object, where: str) -> object:
        if not isinstance(value, Mapping):
            return value
        return {
            key: self.fields[key].cast_value(inner, f"{where}[{key!r}]")
            for key, inner in value.items()
        }

    def _pair(self, wider: Column) -> Iterator[tuple[str, Column, Column]]:
        fields = wider.fields if isinstance(wider, StructColumn) else self.fields
        for key, column in self.fields.items():
            yield key, column, fields[key]


def merge_columns(columns: Iterable[Column]) -> StructColumn:
    """Merge the keys of several struct columns; the first column of each key is kept."""
    fields: dict[str, Column] = {}
    for column in columns:
        if isinstance(column, StructColumn):
            for key, part in column.fields.items():
                known = fields.get(key)
                if known is None:
                    fields[key] = part
                elif isinstance(known, StructColumn) and isinstance(part, StructColumn):
                    fields[key] = merge_columns([known, part])
    return StructColumn(fields)


def fill_missing_keys(
    values: Mapping[str, object], union: StructColumn, count: int
) -> dict[str, object]:
    """Add the keys that a dict of columns lacks, without values; keys come in the union's order.

    Args:
        values: Rows by key, such as the infos of an episode.
        union: The columns of all keys.
        count: The number of rows.
    """
    filled: dict[str, object] = {}
    for key, column in union.fields.items():
        value = values.get(key)
        if key not in values:
            filled[key] = column.make_missing(count)
        elif isinstance(column, StructColumn) and isinstance(value, Mapping):
            filled[key] = fill_missing_keys(value, column, count)
        else:
            filled[key] = value
    return filled | {key: value for key, value in values.items() if key not in filled}


@dataclass(frozen=True, slots=True)
class TupleColumn(Column):
    """A tuple; each item is a column of its own."""

    items: tuple[Column, ...]
    """The columns, one for each item."""

    kind: ClassVar[str] = "tuple"

    def to_json(self) -> JsonObject:
        return {"kind": self.kind, "items": [column.to_json() for column in self.items]}

    @classmethod
    def from_json(cls, fields: Mapping[str, object], where: str, read: ColumnReader) -> TupleColumn:
        return cls(read_columns(fields["items"], where, read))

    def arrays(self, path: str) -> Iterator[ArraySpec]:
        for index, column in enumerate(self.items):
            yield from column.arrays(f"{path}/_index_{index}")

    def encode(self, values: Sequence[object], where: str) -> list[Array]:
        for value in values:
            if not isinstance(value, tuple | list) or len(value) != len(self.items):
                raise DataError(
                    f"{where}: {format_value(value)} is not a tuple of {len(self.items)}"
                )
        encoded: list[Array] = []
        for index, column in enumerate(self.items):
            inner = [value[index] for value in values if isinstance(value, tuple | list)]
            encoded += column.encode(inner, f"{where}[{index}]")
        return encoded

    def bind(self, arrays: Iterator[StoredArray], rows: int, *, copy: bool) -> Reader:
        readers = [column.bind(arrays, rows, copy=copy) for column in self.items]
        return lambda start, stop: tuple([read(start, stop) for read in readers])

    def problems(
        self, arrays: Iterator[NamedArray], rows: int | None, *, located: bool
    ) -> Iterator[ColumnProblem]:
        for column in self.items:
            yield from column.problems(arrays, rows, located=located)

    def make_missing(self, count: int) -> object:
        return tuple(column.make_missing(count) for column in self.items)

    def find_wider(self, other: Column) -> Column | None:
        if not isinstance(other, TupleColumn) or len(self.items) != len(other.items):
            return None
        pairs = zip(self.items, other.items, strict=True)
        items = [wider for one, two in pairs if (wider := one.find_wider(two)) is not None]
        return TupleColumn(tuple(items)) if len(items) == len(self.items) else None

    def list_widened(self, wider: Column, where: str) -> Iterator[str]:
        for index, (column, inner) in enumerate(self._pair(wider)):
            yield from column.list_widened(inner, f"{where}[{index}]")

    def widen_pieces(
        self, wider: Column, pieces: Iterator[Sequence[Array]], where: str
    ) -> Iterator[Sequence[Array]]:
        for index, (column, inner) in enumerate(self._pair(wider)):
            yield from column.widen_pieces(inner, pieces, f"{where}[{index}]")

    def cast_value(self, value: object, where: str) -> object:
        if not isinstance(value, tuple):
            return value
        pairs = zip(self.items, value, strict=True)
        return tuple(
            [
                column.cast_value(inner, f"{where}[{index}]")
                for index, (column, inner) in enumerate(pairs)
            ]
        )

    def _pair(self, wider: Column) -> Iterator[tuple[Column, Column]]:
        items = wider.items if isinstance(wider, TupleColumn) else self.items
        return zip(self.items, items, strict=True)


def read_columns(items: object, where: str, read: ColumnReader) -> tuple[Column, ...]:
    """Read a list of columns from JSON.

    Raises:
        TypeError: It is not a list.
    """
    if not isinstance(items, list):
        raise TypeError("not a list of columns")
    return tuple(read(item, f"{where}[{index}]") for index, item in enumerate(items))


@dataclass(frozen=True, slots=True)
class MaskedColumn(Column):
    """A column in which some rows have no value; one flag a row tells which have one."""

    value: Column
    """The column of the values; what lies in its rows without a value has no meaning."""

    kind: ClassVar[str] = "masked"

    def to_json(self) -> JsonObject:
        return {"kind": self.kind, "value": self.value.to_json()}

    @classmethod
    def from_json(
        cls, fields: Mapping[str, object], where: str, read: ColumnReader
    ) -> MaskedColumn:
        return cls(read(fields["value"], where))

    def arrays(self, path: str) -> Iterator[ArraySpec]:
        yield ArraySpec(f"{path}/present", MASK_DTYPE, ())
        yield from self.value.arrays(f"{path}/value")

    def encode(self, values: Sequence[object], where: str) -> list[Array]:
        present = np.array([value is not None for value in values], dtype=MASK_DTYPE)
        if isinstance(self.value, FixedColumn):
            filler = np.zeros(self.value.shape, self.value.dtype)
            values = [filler if value is None else value for value in values]
        return [present, *self.value.encode(values, where)]

    def bind(self, arrays: Iterator[StoredArray], rows: int, *, copy: bool) -> Reader:
        present = as_plain_array(next(arrays), rows)
        read_value = self.value.bind(arrays, rows, copy=copy)

        def read(start: int, stop: int) -> object:
            value = read_value(start, stop)
            given = present[start:stop]
            if given.all():
                return value
            if isinstance(value, np.ndarray):
                absent = ~given.astype(bool)
                mask = np.broadcast_to(
                    absent.reshape(-1, *(1 for _ in value.shape[1:])), value.shape
                )
                return np.ma.MaskedArray(value, mask=mask.copy())
            rows = split_rows(value, stop - start)
            return [
                row if is_given else None
                for row, is_given in zip(rows, given.tolist(), strict=True)
            ]

        return read

    def problems(
        self, arrays: Iterator[NamedArray], rows: int | None, *, located: bool
    ) -> Iterator[ColumnProblem]:
        yield from _FLAGS.problems(arrays, rows, located=located)
        yield from self.value.problems(arrays, rows, located=located)

    def make_missing(self, count: int) -> object:
        return self.value.make_missing(count)
