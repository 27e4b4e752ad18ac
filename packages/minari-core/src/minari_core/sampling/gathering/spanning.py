"""Gather rows out of many arrays in one call of numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core.columns import Array

# numpy counts the bytes of an array in 63 bits, and addresses have 47.
_LARGEST_ROW_NBYTES = 1 << 14


class SpannedArrays:
    """Arrays of rows of one dtype and shape that lie anywhere in memory.

    Asking each of a thousand mapped shards for its one or two rows of a batch takes a thousand
    calls. Here one array of single rows begins at every byte from the lowest array to the highest,
    so that a row of any of them is an element of it, and one call gathers from all. Nothing ever
    looks at an element that is not a row: what lies between the arrays may not even be mapped.
    """

    __slots__ = ("_bases", "_dtype", "_kept", "_nbytes", "_rows", "_shape")

    def __init__(self, arrays: Sequence[Array], firsts: npt.NDArray[np.int64]) -> None:
        """Span arrays for which `can_span` is true.

        Args:
            arrays: The arrays; they are kept alive, and must never move.
            firsts: The index of the first row of each.
        """
        self._kept = list(arrays)
        self._dtype = arrays[0].dtype
        self._shape = arrays[0].shape[1:]
        self._nbytes = _row_nbytes(arrays[0])
        addresses = np.array([array.ctypes.data for array in arrays], dtype=np.int64)
        filled = [index for index, array in enumerate(arrays) if len(array)]
        ends = addresses + np.array([array.nbytes for array in arrays])
        lowest = int(addresses[filled].min())
        nbytes = int(ends[filled].max()) - lowest
        # Where row 0 would lie if all rows lay as those of the array do.
        self._bases = addresses - lowest - firsts[: len(arrays)] * self._nbytes
        self._rows = _elements(lowest, nbytes, self._nbytes)

    def take(self, rows: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64]) -> Array:
        """Gather rows.

        Args:
            rows: Counted through all arrays, of any shape.
            numbers: The array of each row; its shape may broadcast to that of the rows.

        Returns:
            A fresh array of shape (*rows.shape, *row).
        """
        offsets = rows * self._nbytes
        offsets += self._bases.take(numbers)
        taken: Array = self._rows[offsets.reshape(-1)].view(self._dtype)
        return taken.reshape(*rows.shape, *self._shape)

    def take_both(
        self,
        rows: npt.NDArray[np.int64],
        others: npt.NDArray[np.int64],
        numbers: npt.NDArray[np.int64],
    ) -> tuple[Array, Array]:
        """Gather rows and others of the same arrays in one go, which is faster than twice.

        Args:
            rows: As for `take`.
            others: Of the same shape, each in the array of the row at its place.
            numbers: As for `take`.

        Returns:
            The two halves of a fresh array.
        """
        offsets = np.empty((2, *rows.shape), dtype=np.int64)
        bases = self._bases.take(numbers)
        for half, wanted in zip(offsets, (rows, others), strict=True):
            np.multiply(wanted, self._nbytes, out=half)
            half += bases
        taken: Array = self._rows[offsets.reshape(-1)].view(self._dtype)
        one, other = taken.reshape(*offsets.shape, *self._shape)
        return one, other


def can_span(arrays: Sequence[Array]) -> bool:
    """Return whether `SpannedArrays` takes these: alike, contiguous, their rows not large."""
    first = arrays[0]
    return 0 < _row_nbytes(first) <= _LARGEST_ROW_NBYTES and all(
        array.dtype == first.dtype
        and array.shape[1:] == first.shape[1:]
        and array.flags.c_contiguous
        for array in arrays
    )


def _row_nbytes(array: Array) -> int:
    return int(np.prod(array.shape[1:], dtype=np.int64)) * array.dtype.itemsize


def _elements(address: int, nbytes: int, size: int) -> Array:
    """Return an array with an element at each byte where a whole one fits in."""
    elements: Array = np.asarray(_Memory(address, max(nbytes - size + 1, 0), size))
    return elements


class _Memory:
    """A stretch of memory that numpy sees as an array with an element at each byte."""

    def __init__(self, address: int, elements: int, nbytes: int) -> None:
        self.__array_interface__: dict[str, Any] = {
            "data": (address, True),
            "typestr": f"|V{nbytes}",
            "shape": (elements,),
            "strides": (1,),
            "version": 3,
        }
