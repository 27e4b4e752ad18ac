"""The interface of a column, and of the flat arrays that it is made of.

A column says how the values of one space, or of one info key, lie in flat arrays with one
entry a row. It is the only thing that turns values into arrays (`encode`), arrays back into
values (`bind`), and knows what damaged arrays look like (`problems`); shards, storages and
samplers move the flat arrays and never look inside.

The arrays of a column come in one fixed order, depth first. `arrays`, `encode`, `bind` and
`problems` all follow it (all but the first without the derived ones), so a shard needs no names
to hand a column its arrays.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

from minari_core.errors import DatasetDamagedError
from minari_core.json_values import JsonObject

Array: TypeAlias = npt.NDArray[np.generic]

Reader: TypeAlias = Callable[[int, int], Any]
"""Reads rows ``start`` to ``stop`` of one shard, as the value an episode shows.

Its type is Any, because only the column that made it knows.
"""


@runtime_checkable
class CompressedArray(Protocol):
    """An array whose rows are decoded when they are read."""

    def __len__(self) -> int:
        """The number of rows."""
        ...

    def read(self, start: int, stop: int) -> Array:
        """Rows ``start`` to ``stop`` as a fresh array."""
        ...

    def take(self, rows: npt.NDArray[np.int64]) -> Array:
        """Single rows as a fresh array."""
        ...

    def blocks(self) -> list[Array]:
        """All rows as pieces that decode themselves only when numpy reads them."""
        ...


@runtime_checkable
class SlicedArray(CompressedArray, Protocol):
    """An array whose rows are fetched when they are read: by a number or a slice, as of numpy."""

    def __getitem__(self, key: int | slice, /) -> Any:
        """A row, or rows that follow each other, as a read-only view."""
        ...

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """All rows."""
        ...


StoredArray: TypeAlias = Array | CompressedArray


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """One flat array of a shard: an HDF5 dataset."""

    path: str
    """Its HDF5 path, the names on it joined by ``/``."""
    dtype: np.dtype[np.generic]
    """The type of an element."""
    row_shape: tuple[int, ...]
    """The shape of one row."""
    rows_per_chunk: int = 0
    """Rows in a compressed chunk, or 0 for a contiguous array."""
    derived: bool = False
    """True for the table of chunks, which a shard's writer makes and columns never see."""
    offsets: bool = False
    """True for offsets into the array that follows, of which there are ``rows + 1``."""


NamedArray: TypeAlias = tuple[ArraySpec, StoredArray | None]
"""An array of a schema, and its contents; None where the file does not have them."""


@dataclass(frozen=True, slots=True)
class ColumnProblem:
    """Something that is wrong with an array of a shard."""

    path: str
    """The HDF5 path of the array."""
    message: str
    """A description of the problem."""
    row: int | None = None
    """The row of the column group that it concerns, where there is one."""


ColumnReader: TypeAlias = "Callable[[object, str], Column]"
"""Reads a column from its JSON; the text is the column's name for an error message."""


class Column(ABC):
    """A layout of values in flat arrays. Columns are immutable and compare by content."""

    kind: ClassVar[str]
    """The word that names this column in a manifest."""

    @abstractmethod
    def to_json(self) -> JsonObject:
        """Return the column as the manifest keeps it, with its `kind`."""

    @classmethod
    @abstractmethod
    def from_json(cls, fields: Mapping[str, object], where: str, read: ColumnReader) -> Column:
        """Read what `to_json` wrote; the text of a file is not trusted.

        Args:
            fields: The JSON object.
            where: The column's name for an error message.
            read: Reads a column inside this one from its JSON, under a name of its own.

        Raises:
            KeyError, TypeError, ValueError: The object is malformed.
        """

    @abstractmethod
    def arrays(self, path: str) -> Iterator[ArraySpec]:
        """List the flat arrays of the column, in their fixed order.

        Args:
            path: Where the column lies in the shard.
        """

    @abstractmethod
    def encode(self, values: Sequence[object], where: str) -> list[Array]:
        """Encode one value a row as flat arrays.

        Args:
            values: The values of consecutive rows.
            where: The column's name for an error message.

        Returns:
            One array for each of `arrays` that is not derived, in that order.

        Raises:
            DataError: A value cannot be stored without changing it.
        """

    @abstractmethod
    def bind(self, arrays: Iterator[StoredArray], rows: int, *, copy: bool) -> Reader:
        """Take this column's arrays off the iterator, and return a reader of their rows.

        Args:
            arrays: The arrays of one shard without the derived ones, positioned at this column.
            rows: How many rows the column has in that shard.
            copy: Return fresh arrays that the caller may change, instead of views.

        Raises:
            DatasetDamagedError: An array is shorter or longer than the rows need.
        """

    @abstractmethod
    def problems(
        self, arrays: Iterator[NamedArray], rows: int | None, *, located: bool
    ) -> Iterator[ColumnProblem]:
        """Find everything that is wrong with the arrays, which `bind` checks only in part.

        Args:
            arrays: As `bind` takes them, and likewise taken off, whatever is wrong with them.
                Those that are None are passed over: who did not find them has said so.
            rows: How many rows the column has, or None if what should say so is damaged.
            located: Whether its rows are those of the column group, and not elements inside them.
        """

    def make_missing(self, count: int) -> object:
        """Return the value of ``count`` rows of a shard that does not have this column."""
        return [None] * count

    def find_wider(self, other: Column) -> Column | None:
        """Find the column that holds the values of this and another one; None if there is none.

        By default, columns of one kind are as good as each other: their values change in size.
        """
        return self if self.kind == other.kind else None

    def list_widened(self, wider: Column, where: str) -> Iterator[str]:
        """Describe each leaf of which a column that `find_wider` found has a wider dtype."""
        return iter(())

    def widen_pieces(
        self, wider: Column, pieces: Iterator[Sequence[Array]], where: str
    ) -> Iterator[Sequence[Array]]:
        """Take the pieces of this column's arrays off an iterator, and yield those of a wider one.

        They are cast when they are written, a few megabytes at a time.

        Raises:
            DataError: When they are read: casting would change a number.
        """
        for spec in self.arrays(where):
            if not spec.derived:
                yield next(pieces)

    def cast_value(self, value: object, where: str) -> object:
        """Cast the rows that a narrower column read to the dtypes of this one.

        Raises:
            DataError: That would change a number.
        """
        return value


def check_rows(array: StoredArray, rows: int) -> StoredArray:
    """Return the array if it has as many rows as belong there.

    Raises:
        DatasetDamagedError: It has another number of rows.
    """
    if len(array) != rows:
        raise DatasetDamagedError(f"an array has {len(array)} rows where {rows} belong")
    return array


def as_plain_array(array: StoredArray, rows: int | None = None) -> Array:
    """Return the array if it is not compressed: masks, offsets and values never are.

    Raises:
        DatasetDamagedError: It is compressed, or has another number of rows.
    """
    if not isinstance(array, np.ndarray | SlicedArray):
        raise DatasetDamagedError("an array of masks, offsets or values is compressed")
    if rows is not None:
        check_rows(array, rows)
    # By slices and numbers, one is read as the other is.
    return cast("Array", array)


def read_whole(array: StoredArray | None) -> Array | None:
    """Read all rows of an array that is not compressed; None if it is, or there is none."""
    return np.asarray(array) if isinstance(array, np.ndarray | SlicedArray) else None


def escape_key(key: str) -> str:
    """Escape any text as one name of an HDF5 path.

    ``/``, ``%``, NUL and lone surrogates become ``%XX`` for each byte of their UTF-8 form; the
    names ``.`` and the empty string, which HDF5 cannot hold, become ``%2E`` and ``%``.

    Example:
        >>> escape_key("left/arm"), escape_key("ö"), escape_key("")
        ('left%2Farm', 'ö', '%')
    """
    if key == "":
        return "%"
    if key == ".":
        return "%2E"
    return "".join(
        "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
        if character in "/%\0" or "\ud800" <= character <= "\udfff"
        else character
        for character in key
    )
