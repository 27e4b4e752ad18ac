"""The interface of the buffers: values of one space in consecutive rows.

A buffer copies a value the moment it is given, because environments reuse their arrays. A value
that its column would change is refused at once, so that what has been recorded can always be
written.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from minari_core.columns import Array, Column, FixedColumn

RowMask: TypeAlias = npt.NDArray[np.bool_] | None
"""Which rows of a range are wanted; all if None."""

ColumnGroup: TypeAlias = tuple[Column, list[Array]]
"""A column and its arrays, one a leaf."""

WriteRow: TypeAlias = Callable[[int, Any], None]


class Buffer(ABC):
    """Values of one space in consecutive rows."""

    write: WriteRow
    """Copies a value into a row below the capacity; an attribute, because it is so hot."""

    @abstractmethod
    def grow(self, capacity: int) -> None:
        """Make room for more rows, keeping those that are there."""

    @abstractmethod
    def take(self, start: int, stop: int, keep: RowMask = None) -> ColumnGroup:
        """Encode some rows as a column and its arrays, which may be views of the buffer's."""

    @abstractmethod
    def read(self, start: int, stop: int) -> object:
        """Copy some rows, in the form that an episode has them."""

    @abstractmethod
    def move(self, start: int, stop: int) -> None:
        """Move some rows to the front."""

    @abstractmethod
    def copy_row(self, source: int, target: int) -> None:
        """Copy one row to another."""

    @abstractmethod
    def find_problem(self, start: int, stop: int, keep: RowMask) -> str | None:
        """Describe the first value in some rows that is outside the space, or return None."""

    @property
    @abstractmethod
    def row_nbytes(self) -> int:
        """Approximate size of a row in bytes; 0 before the first value."""


def encode_flags(flags: Array) -> ColumnGroup:
    """Encode terminations or truncations.

    Args:
        flags: Bool of shape (steps,).
    """
    return FixedColumn(np.dtype(bool)), [flags]
