"""Columns of many environments at once: time-major buffers, one assignment per leaf and step.

A cell is the value of one environment in one row; its number is ``row * num_envs + env``. When a
buffer is written, the cells of whole episodes are gathered into the order in which they are
stored. The last observation of an episode may lie beside the buffer (a *final* value), because
environments that reset themselves within a step, or that are reset one by one, put the first
observation of the next episode where it would be.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from minari_collect.space_check import array_problem
from minari_collect.value_recorder import ValueRecorder
from minari_core.columns import (
    FIXED_SPACES,
    Array,
    Column,
    FixedColumn,
    StructColumn,
    TupleColumn,
    fixed_column,
)
from minari_core.columns.fixed import as_numeric_array
from minari_core.errors import DataError

Indices = npt.NDArray[np.int64]

# numpy calls the cast of 64-bit integers to float64 safe, which it is not.
_EXACT_IN_FLOAT64 = frozenset(np.dtype(code) for code in "?bBhHiIef")


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of some rows, in the order in which they are stored."""

    cells: Indices
    """The number of each row's cell, shape (rows,)."""
    places: Indices
    """Which of the rows are final values."""
    finals: Indices
    """Which final value each of them is."""


class VectorColumn(ABC):
    """The values that all environments have of one space."""

    @abstractmethod
    def write(self, row: int, batch: Any) -> None:
        """Copy the values of all environments into a row below the capacity.

        Raises:
            DataError: A value does not fit the column.
        """

    @abstractmethod
    def write_one(self, row: int, env: int, value: Any) -> None:
        """Copy the value of one environment into a row below the capacity.

        Raises:
            DataError: The value does not fit the column.
        """

    def write_each(self, row: int, values: Sequence[Any]) -> None:
        """Copy single values of all environments; None leaves a cell without meaning.

        Raises:
            DataError: A value does not fit the column.
        """
        for env, value in enumerate(values):
            if value is not None:
                self.write_one(row, env, value)

    @abstractmethod
    def add_final(self, value: Any) -> None:
        """Keep a copy of a final value.

        Raises:
            DataError: The value does not fit the column.
        """

    @abstractmethod
    def add_final_cell(self, row: int, env: int) -> None:
        """Keep a copy of a cell as a final value."""

    @abstractmethod
    def keep_finals(self, numbers: Sequence[int]) -> None:
        """Drop all final values but some."""

    @abstractmethod
    def grow(self, capacity: int) -> None:
        """Make room for more rows, keeping those that are there."""

    @abstractmethod
    def move(self, start: int, stop: int) -> None:
        """Move some rows to the front."""

    @abstractmethod
    def take(self, wanted: Cells) -> tuple[Column, list[Array]]:
        """The column of some cells, and its arrays."""

    @abstractmethod
    def show(self, wanted: Cells) -> object:
        """Some cells as an episode shows them, as a copy."""

    @abstractmethod
    def problem(self, wanted: Cells) -> str | None:
        """What in some cells is outside the space, or None."""

    @property
    @abstractmethod
    def row_nbytes(self) -> int:
        """About how much memory the values of all environments take; 0 before the first."""


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


class VectorFixed(VectorColumn):
    """Values of one dtype and shape, in one array; the first batch decides which."""

    def __init__(
        self,
        space: spaces.Space[Any],
        name: str,
        num_envs: int,
        capacity: int,
        dtype: np.dtype[np.generic] | None = None,
    ) -> None:
        """Prepare for values of a Box, Discrete, MultiDiscrete or MultiBinary space.

        Args:
            space: The space of one value.
            name: What to call the column in messages.
            num_envs: How many environments there are.
            capacity: How many rows there is room for.
            dtype: The dtype of the column, whatever the first value's.
        """
        self._space = space
        self._name = name
        self._envs = num_envs
        self._capacity = capacity
        self._dtype = dtype
        self._rows: npt.NDArray[Any] | None = None
        # The dtype and shape of a batch, and another dtype that is known to change nothing.
        self._batch: tuple[np.dtype[Any] | None, tuple[int, ...], np.dtype[Any] | None]
        self._batch = (None, (), None)
        self._finals: list[Array] = []
        # What was gathered last: it is asked for to be written, and to be checked.
        self._gathered: tuple[Cells, Array] | None = None

    def write(self, row: int, batch: Any) -> None:
        dtype, shape, castable = self._batch
        if (
            batch.__class__ is np.ndarray
            and batch.shape == shape
            and (batch.dtype is dtype or batch.dtype is castable)
        ):
            self._rows[row] = batch  # type: ignore[index]  # the dtype is known once there are rows
            return
        array = as_numeric_array(batch, self._name)
        if array.ndim == 0 or len(array) != self._envs:
            raise DataError(
                f"{self._name}: shape {array.shape} is not of one value for each of the "
                f"{self._envs} environments"
            )
        rows = self._rows_for(array.dtype, array.shape[1:])
        rows[row] = self._checked(array, rows)

    def write_one(self, row: int, env: int, value: Any) -> None:
        array = as_numeric_array(value, self._name)
        rows = self._rows_for(array.dtype, array.shape)
        rows[row, env] = self._checked(array[None], rows)[0]

    def add_final(self, value: Any) -> None:
        array = as_numeric_array(value, self._name)
        checked = self._checked(array[None], self._rows_for(array.dtype, array.shape))
        self._finals.append(np.array(checked[0], dtype=checked.dtype))

    def add_final_cell(self, row: int, env: int) -> None:
        self._finals.append(np.array(self._filled[row, env]))

    def keep_finals(self, numbers: Sequence[int]) -> None:
        self._finals = [self._finals[number] for number in numbers]

    def grow(self, capacity: int) -> None:
        self._capacity = capacity
        if self._rows is not None:
            rows = np.empty((capacity, *self._rows.shape[1:]), dtype=self._rows.dtype)
            rows[: len(self._rows)] = self._rows
            self._rows = rows

    def move(self, start: int, stop: int) -> None:
        self._gathered = None
        # numpy buffers overlapping assignments itself.
        if self._rows is not None:
            self._rows[: stop - start] = self._rows[start:stop]

    def take(self, wanted: Cells) -> tuple[Column, list[Array]]:
        gathered = self.gathered(wanted)
        return fixed_column(gathered.dtype, gathered.shape[1:]), [gathered]

    def show(self, wanted: Cells) -> object:
        return self.gathered(wanted).copy()

    def gathered(self, wanted: Cells) -> Array:
        """Some cells as an array with one row each."""
        if self._gathered is not None and self._gathered[0] is wanted:
            return self._gathered[1]
        rows = self._filled
        gathered = rows.reshape(-1, *rows.shape[2:]).take(wanted.cells, axis=0, mode="clip")
        if len(wanted.places):
            gathered[wanted.places] = np.stack([self._finals[n] for n in wanted.finals.tolist()])
        self._gathered = (wanted, gathered)
        return gathered

    def problem(self, wanted: Cells) -> str | None:
        found = array_problem(self._space, self.gathered(wanted))
        return None if found is None else f"{self._name}: {found}"

    @property
    def row_nbytes(self) -> int:
        return 0 if self._rows is None else self._rows[:1].nbytes

    @property
    def _filled(self) -> npt.NDArray[Any]:
        if self._rows is None:
            dtype = self._dtype or np.dtype(self._space.dtype)
            return np.empty((1, self._envs, *(self._space.shape or ())), dtype=dtype)
        return self._rows

    def _rows_for(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
        if self._rows is None:
            space_dtype = np.dtype(self._space.dtype)
            if self._dtype is not None:
                dtype = self._dtype
            elif shape == () and dtype.kind in "iub" and space_dtype.kind in "iu":
                # A Discrete value may come as any kind of integer, and means the same.
                dtype = space_dtype
            self._rows = np.empty((self._capacity, self._envs, *shape), dtype=dtype)
            self._batch = (self._rows.dtype, (self._envs, *shape), None)
        return self._rows

    def _checked(self, values: Array, rows: npt.NDArray[Any]) -> Array:
        """Values with a leading axis, as the column keeps them, if that changes nothing."""
        dtype, shape = rows.dtype, rows.shape[2:]
        if values.shape[1:] == shape:
            if values.dtype == dtype:
                return values
            if self._dtype is not None and values.dtype in _EXACT_IN_FLOAT64:
                self._batch = (*self._batch[:2], values.dtype)
                return values.astype(dtype)
            if shape == () or (self._dtype is not None and values.dtype.kind in "iuf"):
                return FixedColumn(dtype, values.shape).exact(values, self._name)
        raise DataError(
            f"{self._name}: {values.dtype} of shape {values.shape[1:]} after {dtype} of shape "
            f"{shape}; one column has one dtype and shape, so let the environment, the policy or a "
            "step_data_callback convert it"
        )


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


class VectorValues(VectorColumn):
    """Values of spaces whose size changes; a batch of them is a sequence of single values."""

    def __init__(self, space: spaces.Space[Any], name: str, num_envs: int, capacity: int) -> None:
        """Prepare for values of any space."""
        self._name = name
        self._envs = num_envs
        self._cells = ValueRecorder(space, name, num_envs * capacity)
        self._scratch = num_envs * capacity
        self._cells.grow(self._scratch + 1)
        self._finals: list[object] = []

    def write(self, row: int, batch: Any) -> None:
        if isinstance(batch, str) or not isinstance(batch, Sequence | np.ndarray):
            raise DataError(f"{self._name}: {batch!r} is not one value for each environment")
        if len(batch) != self._envs:
            raise DataError(f"{self._name}: {len(batch)} values for {self._envs} environments")
        for env, value in enumerate(batch):
            self._cells.write(row * self._envs + env, value)

    def write_one(self, row: int, env: int, value: Any) -> None:
        self._cells.write(row * self._envs + env, value)

    def add_final(self, value: Any) -> None:
        # The recorder copies it, and refuses what its column could not hold.
        self._cells.write(self._scratch, value)
        self._finals += self._cells.values(self._scratch, self._scratch + 1)

    def add_final_cell(self, row: int, env: int) -> None:
        cell = row * self._envs + env
        self._finals += self._cells.values(cell, cell + 1)

    def keep_finals(self, numbers: Sequence[int]) -> None:
        self._finals = [self._finals[number] for number in numbers]

    def grow(self, capacity: int) -> None:
        self._scratch = self._envs * capacity
        self._cells.grow(self._scratch + 1)

    def move(self, start: int, stop: int) -> None:
        self._cells.move(start * self._envs, stop * self._envs)

    def take(self, wanted: Cells) -> tuple[Column, list[Array]]:
        return self._cells.encoded(self._gathered(wanted))

    def show(self, wanted: Cells) -> object:
        return self._gathered(wanted)

    def _gathered(self, wanted: Cells) -> list[object]:
        cells = self._cells.values(0, self._scratch)
        last = len(cells) - 1
        gathered = [cells[min(cell, last)] for cell in wanted.cells.tolist()]
        for place, number in zip(wanted.places.tolist(), wanted.finals.tolist(), strict=True):
            gathered[place] = self._finals[number]
        return gathered

    def problem(self, wanted: Cells) -> str | None:
        return self._cells.problem_of(self._gathered(wanted))

    @property
    def row_nbytes(self) -> int:
        return self._envs * self._cells.row_nbytes
