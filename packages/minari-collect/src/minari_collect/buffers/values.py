"""Recording the values of spaces whose size changes: Text, Sequence, Graph and OneOf."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces

from minari_collect.buffers.column import ColumnRecorder, Keep
from minari_collect.buffers.space_check import value_problem
from minari_core.columns import Array, Column, column_for_values
from minari_core.columns.untyped import freeze
from minari_core.errors import DataError

_NBYTES_OF_VALUE = 256


class ValueRecorder(ColumnRecorder):
    """Values kept as they are until they are taken; each is known by then to fit its column."""

    def __init__(self, space: spaces.Space[Any], name: str, capacity: int) -> None:
        """Prepare for values of any space."""
        self._space = space
        self._name = name
        self._values: list[object] = [None] * capacity
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
        frozen = _frozen(value)
        # Whatever does not fit is refused now: when it is taken, all of a buffer would be stuck.
        arrays = None if self._column is None else _encoded(self._column, [frozen], self._name)
        if arrays is None:
            self._widen(row, frozen)
        else:
            self._written_nbytes += sum(array.nbytes for array in arrays)
        self._values[row] = frozen
        self._written += 1

    def _widen(self, row: int, value: object) -> None:
        """Choose the column anew, for what is in memory and one more value."""
        values = [known for known in self._values[:row] if known is not None]
        values.append(value)
        try:
            column = column_for_values(self._space, values)
            column.encode(values, self._name)
        except DataError:
            raise
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise DataError(f"{self._name}: {value!r} is not in {self._space}: {error}") from error
        self._column = column

    def grow(self, capacity: int) -> None:
        self._values += [None] * (capacity - len(self._values))

    def take(self, start: int, stop: int, keep: Keep = None) -> tuple[Column, list[Array]]:
        return self.encoded(self._taken(start, stop, keep))

    def encoded(self, values: list[object]) -> tuple[Column, list[Array]]:
        """The column of values that were recorded here, and its arrays."""
        column = self._column or column_for_values(self._space, values)
        return column, column.encode(values, self._name)

    def values(self, start: int, stop: int) -> list[object]:
        """The values of some rows."""
        return self._values[start:stop]

    def _taken(self, start: int, stop: int, keep: Keep) -> list[object]:
        values = self._values[start:stop]
        if keep is None:
            return values
        return [value for value, wanted in zip(values, keep, strict=True) if wanted]

    @property
    def row_nbytes(self) -> int:
        return _NBYTES_OF_VALUE + self._written_nbytes // max(self._written, 1)

    def show(self, start: int, stop: int) -> object:
        return self._values[start:stop]

    def move(self, start: int, stop: int) -> None:
        self._values[: stop - start] = self._values[start:stop]

    def copy_row(self, source: int, target: int) -> None:
        self._values[target] = self._values[source]

    def problem(self, start: int, stop: int, keep: Keep) -> str | None:
        return self.problem_of(self._taken(start, stop, keep))

    def problem_of(self, values: list[object]) -> str | None:
        """What in some values is outside the space, or None."""
        for value in values:
            found = value_problem(self._space, value)
            if found is not None:
                return f"{self._name}: {found}"
        return None


def _encoded(column: Column, values: list[object], name: str) -> list[Array] | None:
    """The arrays of some values, or None if the column cannot hold them."""
    try:
        return column.encode(values, name)
    except (AttributeError, LookupError, TypeError, ValueError):
        return None


def _frozen(value: Any) -> object:
    """A copy of a value of a space, with the named tuples of Graph spaces kept."""
    if isinstance(value, spaces.GraphInstance):
        parts: list[Any] = [freeze(part) for part in value]
        return spaces.GraphInstance(*parts)
    if isinstance(value, tuple):
        return tuple([_frozen(item) for item in value])
    if isinstance(value, list):
        return [_frozen(item) for item in value]
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return freeze(value)
