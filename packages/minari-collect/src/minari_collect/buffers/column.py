"""What every recorder of a column promises.

A recorder copies a value the moment it is given, because environments reuse their arrays. A value
that a column would change is refused at once, so that what has been recorded can always be
written.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from minari_core.columns import Array, Column

Keep: TypeAlias = npt.NDArray[np.bool_] | None
"""Which rows of a range are wanted; all if None."""

Write: TypeAlias = Callable[[int, Any], None]


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
