"""Recording the values of one space, step by step, into memory.

A recorder copies a value the moment it is given, because environments reuse their arrays. For
the spaces that nearly all data comes from, that is one assignment into a preallocated array; a
value that would be changed by it is refused.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from minari_collect.space_check import array_problem, value_problem
from minari_core.columns import (
    FIXED_SPACES,
    Array,
    Column,
    FixedColumn,
    StructColumn,
    TupleColumn,
    column_for_values,
    fixed_column,
)
from minari_core.columns.dynamic import freeze
from minari_core.columns.fixed import as_numeric_array
from minari_core.errors import DataError

Keep: TypeAlias = npt.NDArray[np.bool_] | None
"""Which rows of a range are wanted; all if None."""

Write: TypeAlias = Callable[[int, Any], None]

_INTEGERS: frozenset[type] = frozenset([int, bool, *(np.dtype(code).type for code in "bBhHiIlLqQ")])
_LARGEST_EXACT_INTEGER = 2**53
_NBYTES_OF_VALUE = 256
# What a memoryview stores without changing it, by the dtype of the array below it.
_EXACT_TYPES: dict[str, frozenset[type]] = {
    "f8": frozenset({float, np.float64, np.float32, np.float16}),
    "f4": frozenset({np.float32, np.float16}),
    "b1": frozenset({bool, np.bool_}),
    **{f"{kind}{size}": _INTEGERS for kind in "iu" for size in (1, 2, 4, 8)},
}


class ColumnRecorder(ABC):
    """Values of one space in consecutive rows."""

    write: Write
    """Copies a value into a row below the capacity; an attribute, because it is so hot."""

    @abstractmethod
    def grow(self, capacity: int) -> None:
        """Make room for more rows, keeping those that are there."""

    @abstractmethod
    def take(self, start: int, stop: int, keep: Keep = None) -> tuple[Column, list[Array]]:
        """The column of some rows, and its arrays; they may be views of this recorder's."""

    @abstractmethod
    def show(self, start: int, stop: int) -> object:
        """Some rows as an episode shows them, as a copy."""

    @abstractmethod
    def move(self, start: int, stop: int) -> None:
        """Move some rows to the front."""

    @abstractmethod
    def copy_row(self, source: int, target: int) -> None:
        """Copy one row to another."""

    @abstractmethod
    def problem(self, start: int, stop: int, keep: Keep) -> str | None:
        """What in some rows is outside the space, or None."""

    @property
    @abstractmethod
    def row_nbytes(self) -> int:
        """About how much memory a row takes; 0 before the first value."""


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


class FixedRecorder(ColumnRecorder):
    """Values of one dtype and shape, in one array; the first value decides which."""

    def __init__(
        self,
        space: spaces.Space[Any],
        name: str,
        capacity: int,
        dtype: np.dtype[np.generic] | None = None,
    ) -> None:
        """Prepare for values of a Box, Discrete, MultiDiscrete or MultiBinary space.

        Args:
            space: The space.
            name: What to call the column in messages.
            capacity: How many rows there is room for.
            dtype: The dtype of the column, whatever the first value's.
        """
        self._space = space
        self._name = name
        self._capacity = capacity
        self._dtype = dtype
        self._rows: Array | None = None
        self.write = self._write_first

    @property
    def row_nbytes(self) -> int:
        """The size of a row, or 0 before the first value."""
        return 0 if self._rows is None else self._rows[:1].nbytes

    def grow(self, capacity: int) -> None:
        self._capacity = capacity
        if self._rows is not None:
            rows = np.empty((capacity, *self._rows.shape[1:]), dtype=self._rows.dtype)
            rows[: len(self._rows)] = self._rows
            self._use(rows)

    def take(self, start: int, stop: int, keep: Keep = None) -> tuple[Column, list[Array]]:
        rows = self._filled[start:stop]
        if keep is not None:
            rows = rows[keep]
        return fixed_column(rows.dtype, rows.shape[1:]), [rows]

    def show(self, start: int, stop: int) -> object:
        return self._filled[start:stop].copy()

    def move(self, start: int, stop: int) -> None:
        # numpy buffers overlapping assignments itself.
        self._filled[: stop - start] = self._filled[start:stop]

    def copy_row(self, source: int, target: int) -> None:
        self._filled[target] = self._filled[source]

    def problem(self, start: int, stop: int, keep: Keep) -> str | None:
        rows = self._filled[start:stop]
        found = array_problem(self._space, rows if keep is None else rows[keep])
        return None if found is None else f"{self._name}: {found}"

    @property
    def _filled(self) -> Array:
        if self._rows is None:
            dtype = self._dtype or np.dtype(self._space.dtype)
            return np.empty((0, *(self._space.shape or ())), dtype=dtype)
        return self._rows

    def _write_first(self, row: int, value: Any) -> None:
        dtype, shape = self._layout_of(value)
        self._use(np.empty((self._capacity, *shape), dtype=dtype))
        self.write(row, value)

    def _layout_of(self, value: Any) -> tuple[np.dtype[np.generic], tuple[int, ...]]:
        array = as_numeric_array(value, self._name)
        if self._dtype is not None:
            return self._dtype, array.shape
        space_dtype = np.dtype(self._space.dtype)
        # A Discrete value may come as any kind of integer, and means the same.
        if array.shape == () and array.dtype.kind in "iub" and space_dtype.kind in "iu":
            return space_dtype, ()
        return array.dtype, array.shape

    def _use(self, rows: Array) -> None:
        self._rows = rows
        code = f"{rows.dtype.kind}{rows.dtype.itemsize}"
        if rows.ndim == 1 and code in _EXACT_TYPES and rows.dtype.isnative:
            self.write = self._scalar_writer(rows, _EXACT_TYPES[code])
        else:
            self.write = self._array_writer(rows)

    def _scalar_writer(self, rows: Array, exact_types: frozenset[type]) -> Write:
        view: Any = rows.data
        column = FixedColumn(rows.dtype)
        name = self._name
        holds_floats = rows.dtype == np.float64

        def write(row: int, value: Any) -> None:
            if value.__class__ in exact_types:
                try:
                    view[row] = value
                except ValueError as error:
                    raise DataError(f"{name}: {value!r} does not fit {rows.dtype}") from error
            elif (
                holds_floats
                and value.__class__ is int
                and -_LARGEST_EXACT_INTEGER <= value <= _LARGEST_EXACT_INTEGER
            ):
                view[row] = value
            else:
                rows[row] = column.exact(value, name)

        return write

    def _array_writer(self, rows: Array) -> Write:
        dtype, shape = rows.dtype, rows.shape[1:]
        ndarray = np.ndarray
        name = self._name

        def write(row: int, value: Any) -> None:
            if value.__class__ is ndarray and value.dtype is dtype and value.shape == shape:
                rows[row] = value
                return
            array = as_numeric_array(value, name)
            if array.dtype != dtype or array.shape != shape:
                raise DataError(
                    f"{name}: {array.dtype} of shape {array.shape} after {dtype} of shape {shape}; "
                    "one column has one dtype and shape, so let the environment, the policy or a "
                    "step_data_callback convert it"
                )
            rows[row] = array

        return write


class ValueRecorder(ColumnRecorder):
    """Values of Text, Sequence, Graph and OneOf spaces, kept as they are until they are taken."""

    def __init__(self, space: spaces.Space[Any], name: str, capacity: int) -> None:
        """Prepare for values of any space."""
        self._space = space
        self._name = name
        self._values: list[object] = [None] * capacity
        self.write = self._write

    def _write(self, row: int, value: Any) -> None:
        self._values[row] = _frozen(value)

    def grow(self, capacity: int) -> None:
        self._values += [None] * (capacity - len(self._values))

    def take(self, start: int, stop: int, keep: Keep = None) -> tuple[Column, list[Array]]:
        values = self._taken(start, stop, keep)
        column = column_for_values(self._space, values)
        return column, column.encode(values, self._name)

    def _taken(self, start: int, stop: int, keep: Keep) -> list[object]:
        values = self._values[start:stop]
        if keep is None:
            return values
        return [value for value, wanted in zip(values, keep, strict=True) if wanted]

    @property
    def row_nbytes(self) -> int:
        return _NBYTES_OF_VALUE

    def show(self, start: int, stop: int) -> object:
        return self._values[start:stop]

    def move(self, start: int, stop: int) -> None:
        self._values[: stop - start] = self._values[start:stop]

    def copy_row(self, source: int, target: int) -> None:
        self._values[target] = self._values[source]

    def problem(self, start: int, stop: int, keep: Keep) -> str | None:
        for value in self._taken(start, stop, keep):
            found = value_problem(self._space, value)
            if found is not None:
                return f"{self._name}: {found}"
        return None


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


def _frozen(value: Any) -> object:
    """A copy of a value of a space, with the named tuples of Graph spaces kept."""
    if isinstance(value, spaces.GraphInstance):
        parts: list[Any] = [freeze(part) for part in value]
        return spaces.GraphInstance(*parts)
    if isinstance(value, tuple):
        return tuple([_frozen(item) for item in value])
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return freeze(value)
