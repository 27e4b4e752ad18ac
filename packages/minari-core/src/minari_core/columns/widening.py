"""Find the dtype that holds the numbers of two exactly, and cast to it.

Numbers of two dtypes are held by numpy's common dtype. 64-bit integers are the exception: not all
of them are floats, so their values decide, when they are cast (`minari_core.columns.exact`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np

from minari_core.columns.base import Array
from minari_core.columns.exact import cast_exactly
from minari_core.errors import DataError

_NBYTES_AT_ONCE = 8 << 20


def find_wider_dtype(
    one: np.dtype[np.generic], other: np.dtype[np.generic]
) -> np.dtype[np.generic] | None:
    """Find the dtype that can hold numbers of two dtypes; return None if there is none.

    True and 1 are different values, so no dtype holds both.
    """
    if one == other:
        return one
    if "b" in (one.kind, other.kind):
        return None
    return np.result_type(one, other)


def holds_all(dtype: np.dtype[np.generic], wider: np.dtype[np.generic]) -> bool:
    """Return whether a dtype holds every number of another one exactly."""
    # numpy calls the cast of 64-bit integers to floats safe.
    return np.can_cast(dtype, wider) and (
        dtype.kind not in "iu" or wider.kind not in "fc" or dtype.itemsize < 8
    )


def cast_wider(array: Array, dtype: np.dtype[np.generic], where: str) -> Array:
    """Cast rows to a wider dtype.

    Raises:
        DataError: That would change a number.
    """
    wider = cast_exactly(array, dtype)
    if wider is None:
        raise DataError(
            f"{where} has {array.dtype} numbers that {dtype} does not hold exactly, so its column "
            "cannot be widened; convert them, or create a dataset of its own"
        )
    return wider


class _CastRows:
    """Rows that are cast whenever numpy reads them, so that only some are in memory."""

    def __init__(
        self, piece: Array, start: int, stop: int, dtype: np.dtype[np.generic], where: str
    ) -> None:
        self._piece = piece
        self._start = start
        self._stop = stop
        self._where = where
        self.dtype = dtype
        self.shape = (stop - start, *piece.shape[1:])
        self.nbytes = int(np.prod(self.shape, dtype=np.int64)) * dtype.itemsize

    def __len__(self) -> int:
        return self._stop - self._start

    def __array__(self, dtype: object = None, copy: bool | None = None) -> Array:
        return cast_wider(
            np.asarray(self._piece)[self._start : self._stop], self.dtype, self._where
        )


def split_cast(pieces: Sequence[Array], dtype: np.dtype[np.generic], where: str) -> Sequence[Array]:
    """Split pieces of an array into smaller ones, which are cast when numpy reads them.

    Raises:
        DataError: When they are read: casting would change a number.
    """
    cast_pieces = [part for piece in pieces for part in _split_piece(piece, dtype, where)]
    # What numpy calls array-like, which the pieces of a shard need not be more than.
    return cast("list[Array]", cast_pieces)


def _split_piece(piece: Array, dtype: np.dtype[np.generic], where: str) -> Iterator[_CastRows]:
    rows = len(piece)
    # A compressed piece is decoded as a whole.
    at_once = rows
    if isinstance(piece, np.ndarray):
        at_once = max(_NBYTES_AT_ONCE * max(rows, 1) // max(piece.nbytes, 1), 1)
    for start in range(0, rows, max(at_once, 1)):
        yield _CastRows(piece, start, min(start + at_once, rows), dtype, where)
