"""The buffer of many environments for each kind of space.

Those of Dict and Tuple spaces have a child for each leaf.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from gymnasium import spaces

from minari_collect.buffers.base import ColumnGroup
from minari_collect.vector_buffers.base import Cells, VectorBuffer
from minari_collect.vector_buffers.fixed import VectorFixedBuffer
from minari_collect.vector_buffers.variable import VectorVariableBuffer
from minari_core.columns import FIXED_SPACES, Column, StructColumn, TupleColumn
from minari_core.errors import DataError


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
    if isinstance(space, FIXED_SPACES):
        return VectorFixedBuffer(space, name, num_envs, capacity)
    if isinstance(space, spaces.Dict):
        return VectorDictBuffer(space, name, num_envs, capacity)
    if isinstance(space, spaces.Tuple):
        return VectorTupleBuffer(space, name, num_envs, capacity)
    return VectorVariableBuffer(space, name, num_envs, capacity)


class VectorNestedBuffer(VectorBuffer):
    """Values of a space that consists of others, each of them in a buffer of its own."""

    def __init__(self, name: str, children: Sequence[VectorBuffer]) -> None:
        """Fan out to the buffers of the inner spaces."""
        self._name = name
        self._children = children

    @abstractmethod
    def _split(self, value: Any) -> Sequence[Any]:
        """Split a value, or a batch of them, into one for each child.

        Raises:
            DataError: It has another structure than the space.
        """

    @abstractmethod
    def _nest_columns(self, columns: list[Column]) -> Column:
        """Make one column of those of the children."""

    @abstractmethod
    def _nest_values(self, values: list[object]) -> object:
        """Make one value of those of the children."""

    def write(self, row: int, batch: Any) -> None:
        for child, item in zip(self._children, self._split(batch), strict=True):
            child.write(row, item)

    def write_one(self, row: int, env: int, value: Any) -> None:
        for child, item in zip(self._children, self._split(value), strict=True):
            child.write_one(row, env, item)

    def add_final(self, value: Any) -> None:
        for child, item in zip(self._children, self._split(value), strict=True):
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
        column = self._nest_columns([column for column, _ in taken])
        return column, [array for _, arrays in taken for array in arrays]

    def read(self, wanted: Cells) -> object:
        return self._nest_values([child.read(wanted) for child in self._children])

    def find_problem(self, wanted: Cells) -> str | None:
        problems = (child.find_problem(wanted) for child in self._children)
        return next((problem for problem in problems if problem is not None), None)

    @property
    def row_nbytes(self) -> int:
        return sum(child.row_nbytes for child in self._children)


class VectorDictBuffer(VectorNestedBuffer):
    """Values of a Dict space, each key on its own."""

    def __init__(self, space: spaces.Dict, name: str, num_envs: int, capacity: int) -> None:
        """Prepare a buffer for each key."""
        self._keys = dict(space.spaces).keys()
        children = [
            make_vector_buffer(inner, f"{name}[{key!r}]", num_envs, capacity)
            for key, inner in space.spaces.items()
        ]
        super().__init__(name, children)

    def _split(self, value: Any) -> Sequence[Any]:
        if not isinstance(value, Mapping) or value.keys() != self._keys:
            found = sorted(map(str, value)) if isinstance(value, Mapping) else repr(value)
            raise DataError(
                f"{self._name}: {found} is not a dict of {sorted(self._keys)}, as its space says"
            )
        return [value[key] for key in self._keys]

    def _nest_columns(self, columns: list[Column]) -> Column:
        return StructColumn(dict(zip(self._keys, columns, strict=True)))

    def _nest_values(self, values: list[object]) -> object:
        return dict(zip(self._keys, values, strict=True))


class VectorTupleBuffer(VectorNestedBuffer):
    """Values of a Tuple space, each element on its own."""

    def __init__(self, space: spaces.Tuple[Any], name: str, num_envs: int, capacity: int) -> None:
        """Prepare a buffer for each element."""
        children = [
            make_vector_buffer(inner, f"{name}[{index}]", num_envs, capacity)
            for index, inner in enumerate(space.spaces)
        ]
        super().__init__(name, children)

    def _split(self, value: Any) -> Sequence[Any]:
        if not isinstance(value, tuple | list) or len(value) != len(self._children):
            raise DataError(
                f"{self._name}: {value!r} is not a tuple of {len(self._children)}, as its space "
                "says"
            )
        return value

    def _nest_columns(self, columns: list[Column]) -> Column:
        return TupleColumn(tuple(columns))

    def _nest_values(self, values: list[object]) -> object:
        return tuple(values)
