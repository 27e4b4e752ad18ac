"""Buffers of values whose size changes: those of Text, Sequence, Graph and OneOf spaces."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces

from minari_collect.buffers.base import Buffer, ColumnGroup, RowMask
from minari_collect.buffers.space_check import find_value_problem
from minari_core.columns import Array, Column, choose_column, freeze
from minari_core.errors import DataError

_NBYTES_OF_VALUE = 256


class VariableBuffer(Buffer):
    """Values kept as they are until they are taken; each is known by then to fit its column."""

    def __init__(self, space: spaces.Space[Any], name: str, capacity: int) -> None:
        """Prepare for values of any space."""
        self._space = space
        self._name = name
        self._values: list[object] = [None] * capacity
        self.beside: list[object] = []
        """Values that are kept beside the rows, and that the column must hold as well."""
        self._column: Column | None = None
        self._written = self._written_nbytes = 0
        self.write = self._write_text if isinstance(space, spaces.Text) else self._write

    def _write_text(self, row: int, value: Any) -> None:
        if not isinstance(value, str):
            raise DataError(f"{self._name}: {type(value).__name__} {value!r} is not text")
        self._values[row] = str(value)
        self._written += 1
        self._written_nbytes += len(value)

    def _write(self, row: int, value: Any) -> None:
        frozen = _freeze_value(value)
        # Whatever does not fit is refused now: when it is taken, all of a buffer would be stuck.
        arrays = None if self._column is None else _try_encoding(self._column, [frozen], self._name)
        if arrays is None:
            self._widen(row, frozen)
        else:
            self._written_nbytes += sum(array.nbytes for array in arrays)
        self._values[row] = frozen
        self._written += 1

    def _widen(self, row: int, value: object) -> None:
        """Choose the column anew, for what is in memory and one more value."""
        values = [known for known in self._values[:row] if known is not None]
        values += [*self.beside, value]
        try:
            column = choose_column(self._space, values)
            column.encode(values, self._name)
        except DataError:
            raise
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise DataError(f"{self._name}: {value!r} is not in {self._space}: {error}") from error
        self._column = column

    def grow(self, capacity: int) -> None:
        self._values += [None] * (capacity - len(self._values))

    def take(self, start: int, stop: int, keep: RowMask = None) -> ColumnGroup:
        return self.encode(self._select(start, stop, keep))

    def encode(self, values: list[object]) -> ColumnGroup:
        """Encode values that were recorded here as a column and its arrays."""
        column = self._column or choose_column(self._space, values)
        return column, column.encode(values, self._name)

    def values(self, start: int, stop: int) -> list[object]:
        """Return the values of some rows."""
        return self._values[start:stop]

    def _select(self, start: int, stop: int, keep: RowMask) -> list[object]:
        values = self._values[start:stop]
        if keep is None:
            return values
        return [value for value, wanted in zip(values, keep, strict=True) if wanted]

    @property
    def row_nbytes(self) -> int:
        return _NBYTES_OF_VALUE + self._written_nbytes // max(self._written, 1)

    def read(self, start: int, stop: int) -> object:
        return self._values[start:stop]

    def move(self, start: int, stop: int) -> None:
        self._values[: stop - start] = self._values[start:stop]

    def copy_row(self, source: int, target: int) -> None:
        self._values[target] = self._values[source]

    def find_problem(self, start: int, stop: int, keep: RowMask) -> str | None:
        return self.find_problem_in(self._select(start, stop, keep))

    def find_problem_in(self, values: list[object]) -> str | None:
        """Describe the first value that is outside the space, or return None."""
        for value in values:
            problem = find_value_problem(self._space, value)
            if problem is not None:
                return f"{self._name}: {problem}"
        return None


def _try_encoding(column: Column, values: list[object], name: str) -> list[Array] | None:
    """Encode some values, or return None if the column cannot hold them."""
    try:
        return column.encode(values, name)
    except (AttributeError, LookupError, TypeError, ValueError):
        return None


def _freeze_value(value: Any) -> object:
    """Copy a value of a space, named tuples of Graph spaces included."""
    if isinstance(value, spaces.GraphInstance):
        arrays: list[Any] = [freeze(array) for array in value]
        return spaces.GraphInstance(*arrays)
    if isinstance(value, tuple):
        return tuple([_freeze_value(item) for item in value])
    if isinstance(value, list):
        return [_freeze_value(item) for item in value]
    if isinstance(value, dict):
        return {key: _freeze_value(item) for key, item in value.items()}
    return freeze(value)
