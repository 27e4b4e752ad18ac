"""The columns of many environments by their space, nested ones included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gymnasium import spaces

from minari_collect.vector_buffers.column import Cells, VectorColumn
from minari_collect.vector_buffers.fixed import VectorFixed
from minari_collect.vector_buffers.values import VectorValues
from minari_core.columns import FIXED_SPACES, Array, Column, StructColumn, TupleColumn
from minari_core.errors import DataError


def vector_column_for(
    space: spaces.Space[Any], name: str, num_envs: int, capacity: int
) -> VectorColumn:
    """The column for a space of a single environment.

    Args:
        space: The space of one value.
        name: What to call the column in messages.
        num_envs: How many environments there are.
        capacity: How many rows there is room for.
    """
    if isinstance(space, FIXED_SPACES):
        return VectorFixed(space, name, num_envs, capacity)
    if isinstance(space, spaces.Dict):
        return VectorDict(space, name, num_envs, capacity)
    if isinstance(space, spaces.Tuple):
        return VectorTuple(space, name, num_envs, capacity)
    return VectorValues(space, name, num_envs, capacity)


class VectorDict(VectorColumn):
    """Values of a Dict space, each key on its own."""

    def __init__(self, space: spaces.Dict, name: str, num_envs: int, capacity: int) -> None:
        """Prepare a column for each key."""
        self._name = name
        self._parts = {
            key: vector_column_for(part, f"{name}[{key!r}]", num_envs, capacity)
            for key, part in space.spaces.items()
        }

    def write(self, row: int, batch: Any) -> None:
        for part, value in self._pairs(batch):
            part.write(row, value)

    def write_one(self, row: int, env: int, value: Any) -> None:
        for part, item in self._pairs(value):
            part.write_one(row, env, item)

    def add_final(self, value: Any) -> None:
        for part, item in self._pairs(value):
            part.add_final(item)

    def _pairs(self, value: Any) -> list[tuple[VectorColumn, Any]]:
        if not isinstance(value, Mapping) or value.keys() != self._parts.keys():
            found = sorted(map(str, value)) if isinstance(value, Mapping) else repr(value)
            raise DataError(
                f"{self._name}: {found} is not a dict of {sorted(self._parts)}, as its space says"
            )
        return [(part, value[key]) for key, part in self._parts.items()]

    def add_final_cell(self, row: int, env: int) -> None:
        for part in self._parts.values():
            part.add_final_cell(row, env)

    def keep_finals(self, numbers: Sequence[int]) -> None:
        for part in self._parts.values():
            part.keep_finals(numbers)

    def grow(self, capacity: int) -> None:
        for part in self._parts.values():
            part.grow(capacity)

    def move(self, start: int, stop: int) -> None:
        for part in self._parts.values():
            part.move(start, stop)

    def take(self, wanted: Cells) -> tuple[Column, list[Array]]:
        taken = {key: part.take(wanted) for key, part in self._parts.items()}
        column = StructColumn({key: column for key, (column, _) in taken.items()})
        return column, [array for _, arrays in taken.values() for array in arrays]

    def show(self, wanted: Cells) -> object:
        return {key: part.show(wanted) for key, part in self._parts.items()}

    def problem(self, wanted: Cells) -> str | None:
        problems = (part.problem(wanted) for part in self._parts.values())
        return next((problem for problem in problems if problem is not None), None)

    @property
    def row_nbytes(self) -> int:
        return sum(part.row_nbytes for part in self._parts.values())


class VectorTuple(VectorColumn):
    """Values of a Tuple space, each place on its own."""

    def __init__(self, space: spaces.Tuple[Any], name: str, num_envs: int, capacity: int) -> None:
        """Prepare a column for each place."""
        self._name = name
        self._parts = [
            vector_column_for(part, f"{name}[{place}]", num_envs, capacity)
            for place, part in enumerate(space.spaces)
        ]

    def write(self, row: int, batch: Any) -> None:
        for part, value in self._pairs(batch):
            part.write(row, value)

    def write_one(self, row: int, env: int, value: Any) -> None:
        for part, item in self._pairs(value):
            part.write_one(row, env, item)

    def add_final(self, value: Any) -> None:
        for part, item in self._pairs(value):
            part.add_final(item)

    def _pairs(self, value: Any) -> list[tuple[VectorColumn, Any]]:
        if not isinstance(value, tuple | list) or len(value) != len(self._parts):
            raise DataError(
                f"{self._name}: {value!r} is not a tuple of {len(self._parts)}, as its space says"
            )
        return list(zip(self._parts, value, strict=True))

    def add_final_cell(self, row: int, env: int) -> None:
        for part in self._parts:
            part.add_final_cell(row, env)

    def keep_finals(self, numbers: Sequence[int]) -> None:
        for part in self._parts:
            part.keep_finals(numbers)

    def grow(self, capacity: int) -> None:
        for part in self._parts:
            part.grow(capacity)

    def move(self, start: int, stop: int) -> None:
        for part in self._parts:
            part.move(start, stop)

    def take(self, wanted: Cells) -> tuple[Column, list[Array]]:
        taken = [part.take(wanted) for part in self._parts]
        column = TupleColumn(tuple(column for column, _ in taken))
        return column, [array for _, arrays in taken for array in arrays]

    def show(self, wanted: Cells) -> object:
        return tuple(part.show(wanted) for part in self._parts)

    def problem(self, wanted: Cells) -> str | None:
        problems = (part.problem(wanted) for part in self._parts)
        return next((problem for problem in problems if problem is not None), None)

    @property
    def row_nbytes(self) -> int:
        return sum(part.row_nbytes for part in self._parts)
