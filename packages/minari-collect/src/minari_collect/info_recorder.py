"""Recording infos: dicts whose keys and types may change from step to step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minari_core.columns import Array, Column, StructColumn
from minari_core.columns.dynamic import encode_dynamic, freeze

_IMMUTABLE = frozenset({float, int, bool, str, bytes, np.float64, np.float32, np.int64, np.bool_})


class InfoRecorder:
    """The values of each key in consecutive rows, None where a row does not have the key."""

    def __init__(self, name: str) -> None:
        """Start without a key.

        Args:
            name: What to call the column in messages.
        """
        self.dropped: dict[str, str] = {}
        """The keys of which something could not be kept, with the reason."""
        self.nbytes = 0
        """About how much memory the arrays among the values take."""
        self._name = name
        self._columns: dict[str, list[object]] = {}

    def write(self, row: int, info: Mapping[str, Any]) -> None:
        """Copy a dict into a row; it never raises, whatever the values are."""
        columns = self._columns
        for key, value in info.items():
            values = columns.get(key)
            if values is None:
                values = self._new_column(key)
                if values is None:
                    continue
            if value.__class__ not in _IMMUTABLE:
                value = freeze(value)
                self.nbytes += getattr(value, "nbytes", 0)
            missing = row - len(values)
            if missing == 0:
                values.append(value)
            elif missing > 0:
                values.extend([None] * missing)
                values.append(value)
            else:
                values[row] = value

    def _new_column(self, key: object) -> list[object] | None:
        if not isinstance(key, str):
            self.dropped.setdefault(f"{self._name}[{key!r}]", "its key is not text")
            return None
        return self._columns.setdefault(key, [])

    def take(self, start: int, stop: int) -> tuple[Column, list[Array]]:
        """The column of some rows, and its arrays."""
        fields: dict[str, Column] = {}
        arrays: list[Array] = []
        for key, values in self._columns.items():
            rows = values[start:stop]
            rows += [None] * (stop - start - len(rows))
            encoded = encode_dynamic(rows, f"{self._name}[{key!r}]", self.dropped)
            if encoded is not None:
                fields[key] = encoded[0]
                arrays += encoded[1]
        return StructColumn(fields), arrays

    def show(self, start: int, stop: int) -> dict[str, object]:
        """Some rows of each key, as lists."""
        shown: dict[str, object] = {}
        for key, values in self._columns.items():
            rows = values[start:stop]
            shown[key] = rows + [None] * (stop - start - len(rows))
        return shown

    def truncate(self, stop: int) -> None:
        """Drop the rows from one on."""
        for values in self._columns.values():
            del values[stop:]

    def move(self, start: int, stop: int) -> None:
        """Move some rows to the front and drop all others."""
        self.nbytes = 0
        moved = {key: values[start:stop] for key, values in self._columns.items()}
        self._columns = {key: values for key, values in moved.items() if values}

    def copy_row(self, source: int, target: int) -> None:
        """Copy one row to another behind all that are written."""
        row = {
            key: values[source]
            for key, values in self._columns.items()
            if source < len(values) and values[source] is not None
        }
        self.write(target, row)
