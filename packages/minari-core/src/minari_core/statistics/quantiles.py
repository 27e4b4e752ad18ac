"""Quantiles of rows that come in blocks: exact, or of a sample that says how far it may be off."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

LEVELS = (0.01, 0.1, 0.5, 0.9, 0.99)
"""Which quantiles are computed."""

_MOST_ROWS = 1_000_000
_MOST_NBYTES = 1 << 30
_SEED = 0
# With a chance of 1 in 1000, the ranks of the quantiles of a sample are further off than said.
_MISSED = 1e-3
_ELEMENTS_AT_ONCE = 1 << 20

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
        most = min(_MOST_ROWS, _MOST_NBYTES // max(1, self._size * dtype.itemsize))
        self._share = max(most, 1) / max(rows, 1)
        self._generator = np.random.Generator(np.random.PCG64(_SEED))
        self._kept: list[npt.NDArray[Any]] = []
        # Of one byte, a radix sort is the fastest.
        self._kind: Literal["stable"] | None = "stable" if dtype.itemsize == 1 else None

    def add(self, rows: npt.NDArray[Any]) -> None:
        """Add rows, of shape (n, *row_shape)."""
        flat = rows.reshape(len(rows), self._size)
        if self._share < 1:
            flat = flat[self._generator.random(len(flat)) < self._share]
        # A copy in any case: the block may be a part of something large.
        self._kept.append(np.array(flat.T, order="C"))

    def finish(self) -> tuple[_Quantiles, float]:
        """Return the quantiles by their levels, and by how much their ranks may be off.

        Between two values they are interpolated linearly. The error is a share of the rows, by the
        inequality of Dvoretzky, Kiefer and Wolfowitz with the constant of Massart (1990, "The tight
        constant in the Dvoretzky–Kiefer–Wolfowitz inequality"); 0 of what is exact.
        """
        found = np.full((len(LEVELS), self._size), np.nan)
        rows = sum(block.shape[1] for block in self._kept)
        at_once = max(1, _ELEMENTS_AT_ONCE // max(rows, 1))
        fewest = rows
        for start in range(0, self._size if rows else 0, at_once):
            group = [block[start : start + at_once] for block in self._kept]
            values = np.concatenate(group, axis=1)
            values.sort(axis=1, kind=self._kind)
            # What is not finite stands at the ends now.
            if np.isfinite(values[:, 0]).all() and np.isfinite(values[:, -1]).all():
                found[:, start : start + at_once] = _interpolate(values).T
                continue
            for element, row in enumerate(values, start):
                finite = row[np.isfinite(row)]
                if len(finite):
                    fewest = min(fewest, len(finite))
                    found[:, element] = _interpolate(finite)
        error = 0.0
        if self._share < 1 and rows:
            error = min(1.0, math.sqrt(math.log(2 / _MISSED) / (2 * fewest)))
        shaped = found.reshape(len(LEVELS), *self._row_shape)
        return {level: shaped[number, ...] for number, level in enumerate(LEVELS)}, error


def _interpolate(values: npt.NDArray[Any]) -> _Array:
    """Return the quantiles of sorted numbers, along the last axis."""
    ranks = np.multiply(LEVELS, values.shape[-1] - 1)
    share = ranks % 1
    low = values[..., np.floor(ranks).astype(np.int64)].astype(np.float64)
    high = values[..., np.ceil(ranks).astype(np.int64)].astype(np.float64)
    # Products first: the difference of two finite numbers may not be finite.
    quantiles: _Array = low * (1 - share) + high * share
    return quantiles
