"""Buffers of many environments whose values have one dtype and shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from minari_collect.buffers.base import ColumnGroup
from minari_collect.buffers.space_check import find_array_problem
from minari_collect.buffers.widening import DtypeWidener
from minari_collect.vector_buffers.base import Cells, VectorBuffer
from minari_core.columns import (
    Array,
    FixedColumn,
    as_numeric_array,
    cast_exactly,
    holds_all,
    make_fixed_column,
)
from minari_core.errors import DataError

# numpy calls the cast of 64-bit integers to float64 safe, which it is not.
_EXACT_IN_FLOAT64 = frozenset(np.dtype(code) for code in "?bBhHiIef")


class VectorFixedBuffer(VectorBuffer):
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
        self._widener = DtypeWidener(space, name)
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
        converted = self._convert(array)
        self._all_rows[row] = converted

    def write_one(self, row: int, env: int, value: Any) -> None:
        array = as_numeric_array(value, self._name)
        converted = self._convert(array[None])
        self._all_rows[row, env] = converted[0]

    def add_final(self, value: Any) -> None:
        array = as_numeric_array(value, self._name)
        if array.dtype == np.bool_ and self._rows is not None and self._rows.dtype.kind in "iu":
            # Of flags in a space of integers, Gymnasium's batches have made integers.
            array = array.astype(self._rows.dtype)
        converted = self._convert(array[None])
        self._finals.append(np.array(converted[0], dtype=converted.dtype))

    def add_final_cell(self, row: int, env: int) -> None:
        self._finals.append(np.array(self._all_rows[row, env]))

    def keep_finals(self, numbers: Sequence[int]) -> None:
        self._finals = [self._finals[number] for number in numbers]

    def grow(self, capacity: int) -> None:
        self._capacity = capacity
        if self._rows is not None:
            # What was never written must not keep the buffer from being widened.
            rows = np.zeros((capacity, *self._rows.shape[1:]), dtype=self._rows.dtype)
            rows[: len(self._rows)] = self._rows
            self._rows = rows

    def move(self, start: int, stop: int) -> None:
        self._gathered = None
        # numpy buffers overlapping assignments itself.
        if self._rows is not None:
            self._rows[: stop - start] = self._rows[start:stop]

    def take(self, wanted: Cells) -> ColumnGroup:
        gathered = self.gather(wanted)
        self._widener.note_written(gathered)
        return make_fixed_column(gathered.dtype, gathered.shape[1:]), [gathered]

    def read(self, wanted: Cells) -> object:
        return self.gather(wanted).copy()

    def gather(self, wanted: Cells) -> Array:
        """Copy some cells into an array with a row for each."""
        if self._gathered is not None and self._gathered[0] is wanted:
            return self._gathered[1]
        rows = self._all_rows
        # Where rows have no elements, numpy cannot tell how many they are.
        cells = rows.reshape(rows.shape[0] * rows.shape[1], *rows.shape[2:])
        gathered = cells.take(wanted.cells, axis=0, mode="clip")
        if len(wanted.positions):
            gathered[wanted.positions] = np.stack([self._finals[n] for n in wanted.finals.tolist()])
        self._gathered = (wanted, gathered)
        return gathered

    def find_problem(self, wanted: Cells) -> str | None:
        problem = find_array_problem(self._space, self.gather(wanted))
        return None if problem is None else f"{self._name}: {problem}"

    @property
    def row_nbytes(self) -> int:
        return 0 if self._rows is None else self._rows[:1].nbytes

    @property
    def _all_rows(self) -> npt.NDArray[Any]:
        if self._rows is None:
            dtype = self._dtype or np.dtype(self._space.dtype)
            return np.empty((1, self._envs, *(self._space.shape or ())), dtype=dtype)
        return self._rows

    def _prepare_rows(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
        if self._rows is None:
            space_dtype = np.dtype(self._space.dtype)
            if self._dtype is not None:
                dtype = self._dtype
            elif shape == () and dtype.kind in "iub" and space_dtype.kind in "iu":
                # A Discrete value may come as any kind of integer, and means the same.
                dtype = space_dtype
            self._rows = np.zeros((self._capacity, self._envs, *shape), dtype=dtype)
            self._batch = (self._rows.dtype, (self._envs, *shape), None)
        return self._rows

    def _convert(self, values: Array) -> Array:
        """Convert values with a leading axis to the dtype of the column, which may get wider."""
        rows = self._prepare_rows(values.dtype, values.shape[1:])
        dtype, shape = rows.dtype, rows.shape[2:]
        if values.shape[1:] != shape:
            raise DataError(
                f"{self._name}: {values.dtype} of shape {values.shape[1:]} after {dtype} of shape "
                f"{shape}; one column has one dtype and shape, so let the environment, the policy "
                "or a step_data_callback convert it"
            )
        if values.dtype == dtype:
            return values
        if self._dtype is not None:
            if values.dtype in _EXACT_IN_FLOAT64:
                self._batch = (*self._batch[:2], values.dtype)
                return values.astype(dtype)
            return FixedColumn(dtype, values.shape).convert(values, self._name)
        cast = cast_exactly(values, dtype) if shape == () else None
        if cast is not None:
            return cast
        dtype = self._widener.find_dtype(rows, values, self._finals)
        self._widen(dtype)
        if holds_all(values.dtype, dtype):
            self._batch = (*self._batch[:2], values.dtype)
        return values.astype(dtype)

    def _widen(self, dtype: np.dtype[Any]) -> None:
        rows = self._all_rows
        if dtype != rows.dtype:
            self._rows = rows.astype(dtype)
            self._finals = [final.astype(dtype) for final in self._finals]
            self._batch = (self._rows.dtype, *self._batch[1:])
            self._gathered = None
