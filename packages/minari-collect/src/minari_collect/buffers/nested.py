"""The recorder for each space, and the recorders of Dict and Tuple spaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gymnasium import spaces

from minari_collect.buffers.column import ColumnRecorder, Keep
from minari_collect.buffers.fixed import FixedRecorder
from minari_collect.buffers.values import ValueRecorder
from minari_core.columns import FIXED_SPACES, Array, Column, StructColumn, TupleColumn
from minari_core.errors import DataError


def recorder_for(space: spaces.Space[Any], name: str, capacity: int) -> ColumnRecorder:
    """The recorder for a space.

    Args:
        space: The space of the values.
        name: What to call the column in messages.
        capacity: How many rows there is room for.
    """
    if isinstance(space, FIXED_SPACES):
        return FixedRecorder(space, name, capacity)
    if isinstance(space, spaces.Dict):
        return DictRecorder(space, name, capacity)
    if isinstance(space, spaces.Tuple):
        return TupleRecorder(space, name, capacity)
    return ValueRecorder(space, name, capacity)


class DictRecorder(ColumnRecorder):
    """Values of a Dict space, each key on its own."""

    def __init__(self, space: spaces.Dict, name: str, capacity: int) -> None:
        """Prepare a recorder for each key."""
        self._name = name
        self._parts = {
            key: recorder_for(part, f"{name}[{key!r}]", capacity)
            for key, part in space.spaces.items()
        }
        self._items = list(self._parts.items())
        self.write = self._write

    def _write(self, row: int, value: Any) -> None:
        try:
            if len(value) != len(self._items):
                raise KeyError
            for key, part in self._items:
                part.write(row, value[key])
        except (KeyError, TypeError, IndexError) as error:
            found = sorted(map(str, value)) if isinstance(value, Mapping) else repr(value)
            raise DataError(
                f"{self._name}: {found} is not a dict of {sorted(self._parts)}, as its space says"
            ) from error

    def grow(self, capacity: int) -> None:
        for part in self._parts.values():
            part.grow(capacity)

    def take(self, start: int, stop: int, keep: Keep = None) -> tuple[Column, list[Array]]:
        taken = {key: part.take(start, stop, keep) for key, part in self._items}
        column = StructColumn({key: column for key, (column, _) in taken.items()})
        return column, [array for _, arrays in taken.values() for array in arrays]

    def show(self, start: int, stop: int) -> object:
        return {key: part.show(start, stop) for key, part in self._items}

    def move(self, start: int, stop: int) -> None:
        for part in self._parts.values():
            part.move(start, stop)

    def copy_row(self, source: int, target: int) -> None:
        for part in self._parts.values():
            part.copy_row(source, target)

    def problem(self, start: int, stop: int, keep: Keep) -> str | None:
        problems = (part.problem(start, stop, keep) for part in self._parts.values())
        return next((problem for problem in problems if problem is not None), None)

    @property
    def row_nbytes(self) -> int:
        return sum(part.row_nbytes for part in self._parts.values())


class TupleRecorder(ColumnRecorder):
    """Values of a Tuple space, each place on its own."""

    def __init__(self, space: spaces.Tuple[Any], name: str, capacity: int) -> None:
        """Prepare a recorder for each place."""
        self._name = name
        self._parts = [
            recorder_for(part, f"{name}[{place}]", capacity)
            for place, part in enumerate(space.spaces)
        ]
        self.write = self._write

    def _write(self, row: int, value: Any) -> None:
        if not isinstance(value, tuple | list) or len(value) != len(self._parts):
            raise DataError(
                f"{self._name}: {value!r} is not a tuple of {len(self._parts)}, as its space says"
            )
        for part, item in zip(self._parts, value, strict=True):
            part.write(row, item)

    def grow(self, capacity: int) -> None:
        for part in self._parts:
            part.grow(capacity)

    def take(self, start: int, stop: int, keep: Keep = None) -> tuple[Column, list[Array]]:
        taken = [part.take(start, stop, keep) for part in self._parts]
        column = TupleColumn(tuple(column for column, _ in taken))
        return column, [array for _, arrays in taken for array in arrays]

    def show(self, start: int, stop: int) -> object:
        return tuple(part.show(start, stop) for part in self._parts)

    def move(self, start: int, stop: int) -> None:
        for part in self._parts:
            part.move(start, stop)

    def copy_row(self, source: int, target: int) -> None:
        for part in self._parts:
            part.copy_row(source, target)

    def problem(self, start: int, stop: int, keep: Keep) -> str | None:
        problems = (part.problem(start, stop, keep) for part in self._parts)
        return next((problem for problem in problems if problem is not None), None)

    @property
    def row_nbytes(self) -> int:
        return sum(part.row_nbytes for part in self._parts)
