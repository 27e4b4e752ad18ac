"""The buffer for each kind of space; one of a Dict or Tuple space has a child for each leaf."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces

from minari_collect.buffers.base import Buffer, ColumnGroup, RowMask
from minari_collect.buffers.fixed import FixedBuffer
from minari_collect.buffers.nesting import Nesting
from minari_collect.buffers.variable import VariableBuffer
from minari_core.columns import has_fixed_values


def make_buffer(space: spaces.Space[Any], name: str, capacity: int) -> Buffer:
    """Make the buffer for a space.

    Args:
        space: The space of the values.
        name: What to call the column in messages.
        capacity: How many rows there is room for.
    """
    if has_fixed_values(space):
        return FixedBuffer(space, name, capacity)
    if isinstance(space, spaces.Dict | spaces.Tuple):
        return NestedBuffer(Nesting(space, name), capacity)
    return VariableBuffer(space, name, capacity)


class NestedBuffer(Buffer):
    """Values of a Dict or Tuple space, each inner space in a buffer of its own."""

    def __init__(self, nesting: Nesting, capacity: int) -> None:
        """Prepare a buffer for each inner space."""
        self._nesting = nesting
        self._children = [
            make_buffer(inner, name, capacity) for inner, name in nesting.inner.values()
        ]
        self._items = list(zip(nesting.inner, self._children, strict=True))
        self.write = self._write_dict if nesting.is_dict else self._write_tuple

    def _write_dict(self, row: int, value: Any) -> None:
        try:
            if len(value) != len(self._items):
                raise KeyError
            for key, child in self._items:
                child.write(row, value[key])
        except (KeyError, TypeError, IndexError) as error:
            raise self._nesting.structure_error(value) from error

    def _write_tuple(self, row: int, value: Any) -> None:
        if not isinstance(value, tuple | list) or len(value) != len(self._children):
            raise self._nesting.structure_error(value)
        for child, item in zip(self._children, value, strict=True):
            child.write(row, item)

    def grow(self, capacity: int) -> None:
        for child in self._children:
            child.grow(capacity)

    def take(self, start: int, stop: int, keep: RowMask = None) -> ColumnGroup:
        taken = [child.take(start, stop, keep) for child in self._children]
        column = self._nesting.nest_columns(column for column, _ in taken)
        return column, [array for _, arrays in taken for array in arrays]

    def read(self, start: int, stop: int) -> object:
        return self._nesting.nest_values(child.read(start, stop) for child in self._children)

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
