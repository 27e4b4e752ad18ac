"""Quantiles of rows that come in blocks: exact, or of a sample that says how far it may be off."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

LEVELS = (0.01, 0.1, 0.5, 0.9, 0.99)
"""Which quantiles are computed."""

_MOST_ROWS = 1_000_000
_MOST_NBYTES = 1 << 30
_SEED = 0
# With a chance of 1 in 1000, the ranks of the quantiles of a sample are further off than said.
_MISSED = 1e-3

_Array = npt.NDArray[np.float64]
_Quantiles = Mapping[float, _Array]


class RunningQuantiles:
    """Quantiles of each element of rows of numbers; those that are not finite do not count.

    Up to a million rows are kept, if they take at most 1 GiB; of more, a sample that is the same
    for the same rows, without replacement.
    """

    def __init__(self, dtype: np.dtype[Any], row_shape: tuple[int, ...], rows: int) -> None:
        """Expect rows.

        Args:
            dtype: The type of an element, a real number.
            row_shape: The shape of a row.
            rows: How many rows there will be; some may be missing.
        """
        self._row_shape = row_shape
        self._size = math.prod(row_shape)
        most = max(1, min(_MOST_ROWS, _MOST_NBYTES // max(1, self._size * dtype.itemsize)))
        self._share = most / max(rows, 1)
        self._generator = np.random.Generator(np.random.PCG64(_SEED))
        # Eight standard deviations of a sample's size are never reached.
        room = min(rows, most + 8 * math.isqrt(most))
        # One array for all: each element's values lie side by side, and are ordered where they lie.
        self._kept = np.empty((self._size, room), dtype)
        self._count = 0

    def add(self, rows: npt.NDArray[Any]) -> None:
        """Add rows, of shape (n, *row_shape)."""
        flat = rows.reshape(len(rows), self._size)
        if self._share < 1:
            flat = flat[self._generator.random(len(flat)) < self._share]
            flat = flat[: self._kept.shape[1] - self._count]
        end = self._count + len(flat)
        self._kept[:, self._count : end] = flat.T
        self._count = end

    def finish(self) -> tuple[_Quantiles, float]:
        """Return the quantiles by their levels, and by how much their ranks may be off.

        Between two values they are interpolated linearly. The error is a share of the rows, by the
        inequality of Dvoretzky, Kiefer and Wolfowitz with the constant of Massart (1990, "The tight
        constant in the Dvoretzky–Kiefer–Wolfowitz inequality"); 0 of what is exact.
        """
        found = np.full((self._size, len(LEVELS)), np.nan)
        values = self._kept[:, : self._count]
        fewest = self._count
        if self._count:
            floors = _order(values)
            # What is not finite stands at the ends now.
            ends = values[:, : floors[0] + 1].min(axis=1), values[:, floors[-1] :].max(axis=1)
            if np.isfinite(ends).all():
                found[:] = _interpolate(values, floors)
            else:
                for element, row in enumerate(values):
                    finite = row[np.isfinite(row)]
                    if len(finite):
                        fewest = min(fewest, len(finite))
                        found[element] = _interpolate(finite[None], _order(finite[None]))[0]
        error = 0.0
        if self._share < 1 and self._count:
            error = min(1.0, math.sqrt(math.log(2 / _MISSED) / (2 * fewest)))
        shaped = found.T.reshape(len(LEVELS), *self._row_shape)
        return {level: shaped[number, ...] for number, level in enumerate(LEVELS)}, error


def _order(values: npt.NDArray[Any]) -> list[int]:
    """Order each row as far as its quantiles ask for, and return the ranks below these."""
    floors = [int(rank) for rank in np.multiply(LEVELS, values.shape[1] - 1)]
    if values.itemsize == 1:
        values.sort(axis=1, kind="stable")  # a radix sort, which is the fastest
    else:
        _place(values, 0, sorted(set(floors)))
    return floors


def _interpolate(values: npt.NDArray[Any], floors: list[int]) -> _Array:
    """Return the quantiles of each row of ordered numbers."""
    last = values.shape[1] - 1
    share = np.multiply(LEVELS, last) % 1
    low = values[:, floors].astype(np.float64)
    # What follows a value is the smallest of those up to the next that is in its place.
    placed = [min((rank for rank in floors if rank > floor), default=last) for floor in floors]
    behind = [
        values[:, min(floor + 1, last) : end + 1].min(axis=1)
        for floor, end in zip(floors, placed, strict=True)
    ]
    high = np.stack(behind, axis=1).astype(np.float64)
    # Products first: the difference of two finite numbers may not be finite.
    quantiles: _Array = low * (1 - share) + high * share
    return quantiles


def _place(values: npt.NDArray[Any], start: int, ranks: list[int]) -> None:
    """Put the values of some ranks where they belong, smaller ones before and larger ones behind.

    Halving takes about half the time of a sort; to name all ranks in one call takes three sorts.

    Args:
        values: Rows of values, those of the ranks from `start` on.
        start: The rank of the first.
        ranks: The ranks, in order.
    """
    if ranks:
        middle = len(ranks) // 2
        at = ranks[middle] - start
        values.partition(at, axis=1)
        _place(values[:, :at], start, ranks[:middle])
        _place(values[:, at + 1 :], start + at + 1, ranks[middle + 1 :])
