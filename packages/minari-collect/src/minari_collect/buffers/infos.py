"""Buffers of infos: dicts whose keys and types may change from step to step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from minari_collect.buffers.base import ColumnGroup
from minari_core.columns import (
    Array,
    Column,
    MaskedColumn,
    StructColumn,
    Unstorable,
    encode_dynamic,
    freeze,
)
from minari_core.json_values import NOT_PLAIN, is_plain_key

_IMMUTABLE = frozenset({float, int, bool, np.float64, np.float32, np.int64, np.bool_})
_NBYTES_OF_NUMBER = 32


def list_column_names(name: str, column: Column) -> Iterator[str]:
    """List the names of a column and of the columns in it, as messages have them."""
    yield name
    inner = column.value if isinstance(column, MaskedColumn) else column
    if isinstance(inner, StructColumn):
        for key, field in inner.fields.items():
            yield from list_column_names(f"{name}[{key!r}]", field)


class InfoEncoder:
    """Encode the values of each key, and keep track of the keys that were never stored."""

    def __init__(self) -> None:
        """Start without a key."""
        self.dropped: dict[str, str] = {}
        """The keys of which something could not be kept, with the reason."""
        self._stored: set[str] = set()
        self._always_none: set[str] = set()

    def encode(self, name: str, values: list[object]) -> ColumnGroup | None:
        """Encode the values of a key; return None if there is none that can be stored."""
        try:
            encoded = encode_dynamic(values, name, self.dropped, always_none=self._always_none)
        except Exception as error:
            self.dropped.setdefault(name, f"{type(error).__name__}: {error}")
            return None
        if encoded is not None:
            self.note_stored(name, encoded[0])
        return encoded

    def note_stored(self, name: str, column: Column) -> None:
        """Note that a key has been stored as a column."""
        self._stored.update(list_column_names(name, column))

    def list_always_none(self) -> list[str]:
        """List the keys that were None wherever they were given, so that nothing was stored."""
        return sorted(self._always_none - self._stored - self.dropped.keys())


class InfoBuffer:
    """The values of each key in consecutive rows, None where a row does not have the key."""

    def __init__(self, name: str) -> None:
        """Start without a key.

        Args:
            name: What to call the column in messages.
        """
        self.encoder = InfoEncoder()
        """Encodes the values, and knows what could not be stored."""
        self.nbytes = 0
        """About how much memory the values take that are not single numbers."""
        self._name = name
        self._values: dict[str, list[object]] = {}

    def write(self, row: int, info: Mapping[str, Any]) -> None:
        """Copy a dict into a row; never raise, whatever the values are."""
        all_values = self._values
        for key, value in self._items(info):
            values = all_values.get(key)
            if values is None:
                values = self._add_key(key)
                if values is None:
                    continue
            try:
                # The type itself: an object may say anything of its class.
                if type(value) not in _IMMUTABLE:
                    value = freeze(value)
                    self.nbytes += _estimate_nbytes(value)
            except Exception:  # an object may raise anything when it is looked at
                value = Unstorable(value)
            missing = row - len(values)
            if missing == 0:
                values.append(value)
            elif missing > 0:
                values.extend([None] * missing)
                values.append(value)
            else:
                values[row] = value

    def _items(self, info: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
        if type(info) is dict:
            return info.items()
        try:
            return list(info.items())
        except Exception as error:
            self.encoder.dropped.setdefault(
                self._name, f"{type(info).__name__} is no dict ({error!r})"
            )
            return ()

    def _add_key(self, key: object) -> list[object] | None:
        if not is_plain_key(key):
            self.encoder.dropped.setdefault(f"{self._name}[{key!r}]", NOT_PLAIN)
            return None
        return self._values.setdefault(key, [])

    def take(self, start: int, stop: int) -> ColumnGroup:
        """Encode some rows as a column and its arrays."""
        fields: dict[str, Column] = {}
        arrays: list[Array] = []
        for key, values in self._values.items():
            rows = values[start:stop]
            rows += [None] * (stop - start - len(rows))
            encoded = self.encoder.encode(f"{self._name}[{key!r}]", rows)
            if encoded is not None:
                fields[key] = encoded[0]
                arrays += encoded[1]
        return StructColumn(fields), arrays

    def read(self, start: int, stop: int) -> dict[str, object]:
        """List some rows of each key."""
        listed: dict[str, object] = {}
        for key, values in self._values.items():
            rows = values[start:stop]
            listed[key] = rows + [None] * (stop - start - len(rows))
        return listed

    def truncate(self, stop: int) -> None:
        """Drop the rows from one on."""
        for values in self._values.values():
            del values[stop:]

    def move(self, start: int, stop: int) -> None:
        """Move some rows to the front and drop all others."""
        self.nbytes = 0
        moved = {key: values[start:stop] for key, values in self._values.items()}
        self._values = {key: values for key, values in moved.items() if values}

    def copy_row(self, source: int, target: int) -> None:
        """Copy one row to another, after all that are written."""
        row = {
            key: values[source]
            for key, values in self._values.items()
            if source < len(values) and values[source] is not None
        }
        self.write(target, row)


def list_recorded_rows(column: object, count: int) -> list[object]:
    """List the rows of a column that was read, as `InfoBuffer.read` does.

    Unlike `minari_core.columns.joining.split_rows`, what is missing is None in nested dicts too,
    and so is a dict without a key.

    Args:
        column: An array, a list, or a dict of them.
        count: How many rows it has.
    """
    if isinstance(column, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(column).reshape(count, -1)
        return [None if mask[row].any() else value for row, value in enumerate(column.data)]
    if isinstance(column, Mapping):
        values = {key: list_recorded_rows(child, count) for key, child in column.items()}
        rows = [{key: values[key][row] for key in values} for row in range(count)]
        known = [{key: value for key, value in row.items() if value is not None} for row in rows]
        return [row or None for row in known]
    return list(column) if isinstance(column, list | np.ndarray) else [None] * count


def _estimate_nbytes(value: object) -> int:
    """Estimate how much memory a frozen value takes."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, dict):
        return sum(map(_estimate_nbytes, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(_estimate_nbytes, value))
    return len(value) if isinstance(value, str | bytes) else _NBYTES_OF_NUMBER
