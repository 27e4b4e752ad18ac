"""The buffer for each kind of space; those of Dict and Tuple spaces have a child for each leaf."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from gymnasium import spaces

from minari_collect.buffers.base import Buffer, ColumnGroup, RowMask
from minari_collect.buffers.fixed import FixedBuffer
from minari_collect.buffers.variable import VariableBuffer
from minari_core.columns import FIXED_SPACES, Column, StructColumn, TupleColumn
from minari_core.errors import DataError


def make_buffer(space: spaces.Space[Any], name: str, capacity: int) -> Buffer:
    """Make the buffer for a space.

    Args:
        space: The space of the values.
        name: What to call the column in messages.
        capacity: How many rows there is room for.
    """
    if isinstance(space, FIXED_SPACES):
        return FixedBuffer(space, name, capacity)
    if isinstance(space, spaces.Dict):
        return DictBuffer(space, name, capacity)
    if isinstance(space, spaces.Tuple):
        return TupleBuffer(space, name, capacity)
    return VariableBuffer(space, name, capacity)


class NestedBuffer(Buffer):
    """Values of a space that consists of others, each of them in a buffer of its own."""

    def __init__(self, name: str, children: Sequence[Buffer]) -> None:
        """Fan out to the buffers of the inner spaces."""
        self._name = name
        self._children = children
        self.write = self._write

    @abstractmethod
    def _write(self, row: int, value: Any) -> None:
        """Copy a value into a row of each child."""

    @abstractmethod
    def _nest_columns(self, columns: list[Column]) -> Column:
        """Make one column of those of the children."""

    @abstractmethod
    def _nest_values(self, values: list[object]) -> object:
        """Make one value of those of the children."""

    def grow(self, capacity: int) -> None:
        for child in self._children:
            child.grow(capacity)

    def take(self, start: int, stop: int, keep: RowMask = None) -> ColumnGroup:
        taken = [child.take(start, stop, keep) for child in self._children]
        column = self._nest_columns([column for column, _ in taken])
        return column, [array for _, arrays in taken for array in arrays]

    def read(self, start: int, stop: int) -> object:
        return self._nest_values([child.read(start, stop) for child in self._children])

    def move(self, start: int, stop: int) -> None:
        for child in self._children:
            child.move(start, stop)

    def copy_row(self, source: int, target: int) -> None:
        for child in self._children:
            child.copy_row(source, target)

    def find_problem(self, start: int, stop: int, keep: RowMask) -> str | None:
        problems = (child.find_problem(start, stop, keep) for child in self._children)
        return next((problem for problem in problems if problem is not None), None)

    @property
    def row_nbytes(self) -> int:
        return sum(child.row_nbytes for child in self._children)


class DictBuffer(NestedBuffer):
    """Values of a Dict space, each key on its own."""

    def __init__(self, space: spaces.Dict, name: str, capacity: int) -> None:
        """Prepare a buffer for each key."""
        self._items = [
            (key, make_buffer(inner, f"{name}[{key!r}]", capacity))
            for key, inner in space.spaces.items()
        ]
        super().__init__(name, [child for _, child in self._items])

    def _write(self, row: int, value: Any) -> None:
        try:
            if len(value) != len(self._items):
                raise KeyError
            for key, child in self._items:
                child.write(row, value[key])
        except (KeyError, TypeError, IndexError) as error:
            found = sorted(map(str, value)) if isinstance(value, Mapping) else repr(value)
            keys = sorted(key for key, _ in self._items)
            raise DataError(
                f"{self._name}: {found} is not a dict of {keys}, as its space says"
            ) from error

    def _nest_columns(self, columns: list[Column]) -> Column:
        return StructColumn(dict(zip([key for key, _ in self._items], columns, strict=True)))

    def _nest_values(self, values: list[object]) -> object:
        return dict(zip([key for key, _ in self._items], values, strict=True))


class TupleBuffer(NestedBuffer):
    """Values of a Tuple space, each element on its own."""

    def __init__(self, space: spaces.Tuple[Any], name: str, capacity: int) -> None:
        """Prepare a buffer for each element."""
        children = [
            make_buffer(inner, f"{name}[{index}]", capacity)
            for index, inner in enumerate(space.spaces)
        ]
        super().__init__(name, children)

    def _write(self, row: int, value: Any) -> None:
        if not isinstance(value, tuple | list) or len(value) != len(self._children):
            raise DataError(
                f"{self._name}: {value!r} is not a tuple of {len(self._children)}, as its space "
                "says"
            )
        for child, item in zip(self._children, value, strict=True):
            child.write(row, item)

    def _nest_columns(self, columns: list[Column]) -> Column:
        return TupleColumn(tuple(columns))

    def _nest_values(self, values: list[object]) -> object:
        return tuple(values)
