"""The interface of the buffers of many environments: time-major, one assignment a leaf and step.

A cell is the value of one environment in one row; its number is ``row * num_envs + env``. When a
buffer is written, the cells of whole episodes are gathered into the order in which they are
stored. The last observation of an episode may lie beside the buffer (a *final* value), because
environments that reset themselves within a step, or that are reset one by one, put the first
observation of the next episode where it would be.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from minari_collect.buffers.base import ColumnGroup

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of some rows, in the order in which they are stored."""

    cells: Indices
    """The number of each row's cell, shape (rows,)."""
    positions: Indices
    """The rows that are final values, as indices into ``cells``."""
    finals: Indices
    """The number of the final value of each of them."""


class VectorBuffer(ABC):
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
        """Copy single values of all environments; None leaves a cell undefined.

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
    def take(self, wanted: Cells) -> ColumnGroup:
        """Encode some cells as a column and its arrays."""

    @abstractmethod
    def read(self, wanted: Cells) -> object:
        """Copy some cells, in the form that an episode has them."""

    @abstractmethod
    def find_problem(self, wanted: Cells) -> str | None:
        """Describe the first cell that is outside the space, or return None."""

    @property
    @abstractmethod
    def row_nbytes(self) -> int:
        """Approximate size of the values of all environments in bytes; 0 before the first."""
