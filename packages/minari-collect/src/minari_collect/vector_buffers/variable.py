"""Buffers of many environments whose values change their size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from minari_collect.buffers.base import ColumnGroup
from minari_collect.buffers.variable import VariableBuffer
from minari_collect.vector_buffers.base import Cells, VectorBuffer
from minari_core.errors import DataError


class VectorVariableBuffer(VectorBuffer):
    """Values of spaces whose size changes; a batch of them is a sequence of single values."""

    def __init__(self, space: spaces.Space[Any], name: str, num_envs: int, capacity: int) -> None:
        """Prepare for values of any space."""
        self._name = name
        self._envs = num_envs
        self._cells = VariableBuffer(space, name, num_envs * capacity)
        self._scratch = num_envs * capacity
        self._cells.grow(self._scratch + 1)

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
        # The buffer copies it, and refuses what its column could not hold.
        self._cells.write(self._scratch, value)
        self._cells.beside += self._cells.values(self._scratch, self._scratch + 1)

    def add_final_cell(self, row: int, env: int) -> None:
        cell = row * self._envs + env
        self._cells.beside += self._cells.values(cell, cell + 1)

    def keep_finals(self, numbers: Sequence[int]) -> None:
        self._cells.beside = [self._cells.beside[number] for number in numbers]

    def grow(self, capacity: int) -> None:
        self._scratch = self._envs * capacity
        self._cells.grow(self._scratch + 1)

    def move(self, start: int, stop: int) -> None:
        self._cells.move(start * self._envs, stop * self._envs)

    def take(self, wanted: Cells) -> ColumnGroup:
        return self._cells.encode(self._gather(wanted))

    def read(self, wanted: Cells) -> object:
        return self._gather(wanted)

    def _gather(self, wanted: Cells) -> list[object]:
        cells = self._cells.values(0, self._scratch)
        last = len(cells) - 1
        gathered = [cells[min(cell, last)] for cell in wanted.cells.tolist()]
        for position, number in zip(wanted.positions.tolist(), wanted.finals.tolist(), strict=True):
            gathered[position] = self._cells.beside[number]
        return gathered

    def find_problem(self, wanted: Cells) -> str | None:
        return self._cells.find_problem_in(self._gather(wanted))

    @property
    def row_nbytes(self) -> int:
        return self._envs * self._cells.row_nbytes
