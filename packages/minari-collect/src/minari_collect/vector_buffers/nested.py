"""The buffer of many environments for each kind of space; see `minari_collect.buffers.nested`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gymnasium import spaces

from minari_collect.buffers.base import ColumnGroup
from minari_collect.buffers.nesting import Nesting
from minari_collect.vector_buffers.base import Cells, VectorBuffer
from minari_collect.vector_buffers.fixed import VectorFixedBuffer
from minari_collect.vector_buffers.variable import VectorVariableBuffer
from minari_core.columns import has_fixed_values


def make_vector_buffer(
    space: spaces.Space[Any], name: str, num_envs: int, capacity: int
) -> VectorBuffer:
    """Make the buffer for a space of a single environment.

    Args:
        space: The space of one value.
        name: What to call the column in messages.
        num_envs: How many environments there are.
        capacity: How many rows there is room for.
    """
    if has_fixed_values(space):
        return VectorFixedBuffer(space, name, num_envs, capacity)
    if isinstance(space, spaces.Dict | spaces.Tuple):
        return VectorNestedBuffer(Nesting(space, name), num_envs, capacity)
    return VectorVariableBuffer(space, name, num_envs, capacity)


class VectorNestedBuffer(VectorBuffer):
    """Values of a Dict or Tuple space, each inner space in a buffer of its own."""

    def __init__(self, nesting: Nesting, num_envs: int, capacity: int) -> None:
        """Prepare a buffer for each inner space."""
        self._nesting = nesting
        self._children = [
            make_vector_buffer(inner, name, num_envs, capacity)
            for inner, name in nesting.inner.values()
        ]

    def write(self, row: int, batch: Any) -> None:
        for child, item in zip(self._children, self._nesting.split(batch), strict=True):
            child.write(row, item)

    def write_one(self, row: int, env: int, value: Any) -> None:
        for child, item in zip(self._children, self._nesting.split(value), strict=True):
            child.write_one(row, env, item)

    def add_final(self, value: Any) -> None:
        for child, item in zip(self._children, self._nesting.split(value), strict=True):
            child.add_final(item)

    def add_final_cell(self, row: int, env: int) -> None:
        for child in self._children:
            child.add_final_cell(row, env)

    def keep_finals(self, numbers: Sequence[int]) -> None:
        for child in self._children:
            child.keep_finals(numbers)

    def grow(self, capacity: int) -> None:
        for child in self._children:
            child.grow(capacity)

    def move(self, start: int, stop: int) -> None:
        for child in self._children:
            child.move(start, stop)

    def take(self, wanted: Cells) -> ColumnGroup:
        taken = [child.take(wanted) for child in self._children]
        column = self._nesting.nest_columns(column for column, _ in taken)
        return column, [array for _, arrays in taken for array in arrays]

    def read(self, wanted: Cells) -> object:
        return self._nesting.nest_values(child.read(wanted) for child in self._children)

    def find_problem(self, wanted: Cells) -> str | None:
        problems = (child.find_problem(wanted) for child in self._children)
        return next((problem for problem in problems if problem is not None), None)

    @property
    def row_nbytes(self) -> int:
        return sum(child.row_nbytes for child in self._children)
