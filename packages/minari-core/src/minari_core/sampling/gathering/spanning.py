"""Gather rows out of many arrays in one call of numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core.columns import Array, FixedColumn
from minari_core.sampling.gathering.segments import Segments

# numpy counts the bytes of an array in 63 bits, and addresses have 48.
_LARGEST_ROW_NBYTES = 1 << 14
_ADDRESSES = 1 << 48
# No array begins at 0, which stands for none.
_ORIGIN = 1 << 12
_UNKNOWN = np.iinfo(np.int64).min


class SpannedArrays:
    """Arrays of rows of one dtype and shape that lie anywhere in memory.

    Asking each of a thousand mapped shards for its one or two rows of a batch takes a thousand
    calls. Here one array of single rows begins at every byte of the address space, so that a row
    of any shard is an element of it, and one call gathers from all. Nothing ever looks at an
    element that is not a row: what lies between the arrays may not even be mapped.
    """

    __slots__ = ("_count", "_nbytes", "_row", "_rows", "_segments", "_table")

    def __init__(self, segments: Segments[Array], column: FixedColumn) -> None:
        """Span the arrays of a column for which `can_span` is true.

        Args:
            segments: The array of each shard, which are contiguous and must never move.
            column: Their dtype and shape.
        """
        self._segments = segments
        # A view as rows takes less than one as elements and their shape.
        self._row = np.dtype((column.dtype, column.shape))
        # numpy multiplies by a number of its own sooner than by one of Python.
        self._nbytes = np.array(self._row.itemsize)
        self._rows: Array = np.asarray(_AddressSpace(self._row.itemsize))
        self._count = len(segments.filled)
        self._table = _Table(segments.era, len(segments))

    def take(self, rows: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64]) -> Array:
        """Gather rows.

        Args:
            rows: Counted through all arrays, of any shape.
            numbers: The array of each row; its shape may broadcast to that of the rows.

        Returns:
            A fresh array of shape (*rows.shape, *row).
        """
        table, bases = self._locate(numbers)
        taken = self._gather(rows, bases)
        del table  # until here, nothing may be unmapped
        return taken

    def take_both(
        self,
        rows: npt.NDArray[np.int64],
        others: npt.NDArray[np.int64],
        numbers: npt.NDArray[np.int64],
    ) -> tuple[Array, Array]:
        """Gather rows and others of the same arrays, which are looked up once.

        Args:
            rows: As for `take`.
            others: Of the same shape, each in the array of the row at its place.
            numbers: As for `take`.

        Returns:
            Two fresh arrays.
        """
        table, bases = self._locate(numbers)
        both = self._gather(rows, bases), self._gather(others, bases)
        del table  # as above
        return both

    def _gather(self, rows: npt.NDArray[np.int64], bases: npt.NDArray[np.int64]) -> Array:
        offsets = np.multiply(rows, self._nbytes, order="C")
        offsets += bases
        taken: Array = self._rows[offsets].view(self._row)
        return taken

    def _locate(self, numbers: npt.NDArray[np.int64]) -> tuple[_Table, npt.NDArray[np.int64]]:
        """Return where row 0 would lie if all rows lay as those of each of some arrays do.

        Returns:
            What keeps these arrays where they are, and their bases, of the shape of ``numbers``.
        """
        table, segments = self._table, self._segments
        if table.era != segments.era:
            table = self._table = _Table(segments.era, len(segments))
        # Before the bases are looked at, which another thread may be completing.
        is_complete = table.is_complete
        bases = table.bases.take(numbers)
        if is_complete or not (missing := bases == _UNKNOWN).any():
            return table, bases
        for number in np.unique(numbers[missing]).tolist():
            # Of two threads that find the same array, both take that of the first.
            array = table.kept.setdefault(number, segments[number])
            address = array.__array_interface__["data"][0]
            table.bases[number] = address - _ORIGIN - segments.firsts[number] * self._nbytes
        table.is_complete = int(np.count_nonzero(table.bases != _UNKNOWN)) == self._count
        return table, table.bases.take(numbers)


class _Table:
    """The arrays that were found since the storage last forgot its shards.

    Whoever gathers holds it, so that nothing is unmapped meanwhile, whatever other threads do.
    """

    __slots__ = ("bases", "era", "is_complete", "kept")

    def __init__(self, era: int, count: int) -> None:
        self.era = era
        self.kept: dict[int, Array] = {}
        self.bases = np.full(count, _UNKNOWN)
        self.is_complete = False


def can_span(column: FixedColumn) -> bool:
    """Return whether `SpannedArrays` takes the arrays of a column: their rows are not large."""
    return not column.compressed and 0 < _row_nbytes(column) <= _LARGEST_ROW_NBYTES


def _row_nbytes(column: FixedColumn) -> int:
    return int(np.prod(column.shape, dtype=np.int64)) * column.dtype.itemsize


class _AddressSpace:
    """All memory, which numpy sees as an array with an element at each byte."""

    def __init__(self, nbytes: int) -> None:
        self.__array_interface__: dict[str, Any] = {
            "data": (_ORIGIN, True),
            "typestr": f"|V{nbytes}",
            "shape": (_ADDRESSES - _ORIGIN - nbytes,),
            "strides": (1,),
            "version": 3,
        }
