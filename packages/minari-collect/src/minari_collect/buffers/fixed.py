"""Buffers of numbers of one dtype and shape: a step is one assignment into one array."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from minari_collect.buffers.base import Buffer, ColumnGroup, RowMask, WriteRow
from minari_collect.buffers.space_check import find_array_problem
from minari_collect.buffers.widening import DtypeWidener
from minari_core.columns import (
    Array,
    FixedColumn,
    as_numeric_array,
    cast_exactly,
    make_fixed_column,
)
from minari_core.errors import DataError

_INTEGERS: frozenset[type] = frozenset([int, bool, *(np.dtype(code).type for code in "bBhHiIlLqQ")])
_LARGEST_EXACT_INTEGER = 2**53
# What a memoryview stores without changing it, by the dtype of the array below it.
_EXACT_TYPES: dict[str, frozenset[type]] = {
    "f8": frozenset({float, np.float64, np.float32, np.float16}),
    "f4": frozenset({np.float32, np.float16}),
    "b1": frozenset({bool, np.bool_}),
    **{f"{kind}{size}": _INTEGERS for kind in "iu" for size in (1, 2, 4, 8)},
}


class FixedBuffer(Buffer):
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
        self._widener = DtypeWidener(space, name)
        self.write = self._write_first

    @property
    def row_nbytes(self) -> int:
        """The size of a row, or 0 before the first value."""
        return 0 if self._rows is None else self._rows[:1].nbytes

    def grow(self, capacity: int) -> None:
        self._capacity = capacity
        if self._rows is not None:
            # What was never written must not keep the buffer from being widened.
            rows = np.zeros((capacity, *self._rows.shape[1:]), dtype=self._rows.dtype)
            rows[: len(self._rows)] = self._rows
            self._use(rows)

    def take(self, start: int, stop: int, keep: RowMask = None) -> ColumnGroup:
        rows = self._all_rows[start:stop]
        if keep is not None:
            rows = rows[keep]
        self._widener.note_written(rows)
        return make_fixed_column(rows.dtype, rows.shape[1:]), [rows]

    def read(self, start: int, stop: int) -> object:
        return self._all_rows[start:stop].copy()

    def move(self, start: int, stop: int) -> None:
        # numpy buffers overlapping assignments itself.
        self._all_rows[: stop - start] = self._all_rows[start:stop]

    def copy_row(self, source: int, target: int) -> None:
        self._all_rows[target] = self._all_rows[source]

    def find_problem(self, start: int, stop: int, keep: RowMask) -> str | None:
        rows = self._all_rows[start:stop]
        problem = find_array_problem(self._space, rows if keep is None else rows[keep])
        return None if problem is None else f"{self._name}: {problem}"

    @property
    def _all_rows(self) -> Array:
        if self._rows is None:
            dtype = self._dtype or np.dtype(self._space.dtype)
            return np.empty((0, *(self._space.shape or ())), dtype=dtype)
        return self._rows

    def _write_first(self, row: int, value: Any) -> None:
        dtype, shape = self._dtype_and_shape(value)
        self._use(np.zeros((self._capacity, *shape), dtype=dtype))
        self.write(row, value)

    def _dtype_and_shape(self, value: Any) -> tuple[np.dtype[np.generic], tuple[int, ...]]:
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
            exact_types = _EXACT_TYPES[code]
            if self._dtype is not None:
                # A reward of True is 1, as Python has it.
                exact_types |= {bool, np.bool_}
            self.write = self._scalar_writer(rows, exact_types)
        else:
            self.write = self._array_writer(rows)

    def _scalar_writer(self, rows: Array, exact_types: frozenset[type]) -> WriteRow:
        view: Any = rows.data
        holds_floats = rows.dtype == np.float64

        def write(row: int, value: Any) -> None:
            if value.__class__ in exact_types:
                try:
                    view[row] = value
                except ValueError:
                    self._write_converted(row, value)
            elif (
                holds_floats
                and value.__class__ is int
                and -_LARGEST_EXACT_INTEGER <= value <= _LARGEST_EXACT_INTEGER
            ):
                view[row] = value
            else:
                self._write_converted(row, value)

        return write

    def _write_converted(self, row: int, value: Any) -> None:
        """Write a single number of another type than the column's."""
        rows = self._all_rows
        array = as_numeric_array(value, self._name)
        cast = cast_exactly(array, rows.dtype) if array.shape == () else None
        if cast is None and (self._dtype is not None or array.shape != ()):
            cast = FixedColumn(rows.dtype).convert(array, self._name)
        if cast is None:
            self._widen(self._widener.find_dtype(rows, array))
            cast = array
        self._all_rows[row] = cast

    def _widen(self, dtype: np.dtype[np.generic]) -> None:
        if dtype != self._all_rows.dtype:
            self._use(self._all_rows.astype(dtype))

    def _array_writer(self, rows: Array) -> WriteRow:
        dtype, shape = rows.dtype, rows.shape[1:]
        ndarray = np.ndarray
        name = self._name
        column = None if self._dtype is None else FixedColumn(dtype, shape)

        def write(row: int, value: Any) -> None:
            if value.__class__ is ndarray and value.dtype is dtype and value.shape == shape:
                rows[row] = value
                return
            array = as_numeric_array(value, name)
            if column is not None and array.dtype.kind in "iuf":
                array = column.convert(array, name)
            if array.shape != shape or (column is not None and array.dtype != dtype):
                raise DataError(
                    f"{name}: {array.dtype} of shape {array.shape} after {dtype} of shape {shape}; "
                    "one column has one dtype and shape, so let the environment, the policy or a "
                    "step_data_callback convert it"
                )
            if array.dtype != dtype:
                self._widen(self._widener.find_dtype(rows, array))
            self._all_rows[row] = array

        return write
