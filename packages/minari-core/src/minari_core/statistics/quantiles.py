"""Quantiles of rows that come in blocks: exact, or of a sample that says how far it may be off."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
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
_BYTE_VALUES = 256
_BYTES_AT_ONCE = 1 << 10

_Array = npt.NDArray[np.float64]
_Quantiles = Mapping[float, _Array]


class RunningQuantiles:
    """Quantiles of each element of rows of numbers; those that are not finite do not count.

    Values of one byte are counted. Of others, up to a million rows are kept, if they take at most
    1 GiB; of more, a sample that is the same for the same rows, without replacement.
    """

    def __init__(self, dtype: np.dtype[Any], row_shape: tuple[int, ...], rows: int) -> None:
        """Expect rows.

        Args:
            dtype: The type of an element, a real number.
            row_shape: The shape of a row.
            rows: How many rows there will be; some may be missing.
        """
        self._row_shape = row_shape
        size = math.prod(row_shape)
        self.counts_bytes = dtype.itemsize == 1 and size * _BYTE_VALUES * 8 <= _MOST_NBYTES
        """Whether values are counted; blocks of many rows are faster then."""
        self._lowest = -128 if dtype.kind == "i" else 0
        self._counts = np.zeros((size if self.counts_bytes else 0, _BYTE_VALUES), np.int64)
        most = min(_MOST_ROWS, _MOST_NBYTES // max(1, size * dtype.itemsize))
        self._share = max(most, 1) / max(rows, 1)
        self._generator = np.random.Generator(np.random.PCG64(_SEED))
        self._kept: list[npt.NDArray[Any]] = []

    def add(self, rows: npt.NDArray[Any]) -> None:
        """Add rows, of shape (n, *row_shape)."""
        flat = rows.reshape(len(rows), math.prod(self._row_shape))
        if self.counts_bytes:
            self._count(flat.view(np.uint8))
            return
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
        size = math.prod(self._row_shape)
        found = np.full((len(LEVELS), size), np.nan)
        fewest = 0
        for element in range(size):
            count, take = self._order(element)
            if not count:
                continue
            fewest = min(fewest or count, count)
            ranks = np.multiply(LEVELS, count - 1)
            share = ranks % 1
            low, high = take(np.floor(ranks).astype(int)), take(np.ceil(ranks).astype(int))
            # Products first: the difference of two finite numbers may not be finite.
            found[:, element] = low * (1 - share) + high * share
        error = 0.0
        if self._share < 1 and not self.counts_bytes and fewest:
            error = min(1.0, math.sqrt(math.log(2 / _MISSED) / (2 * fewest)))
        shaped = found.reshape(len(LEVELS), *self._row_shape)
        return dict(zip(LEVELS, shaped, strict=True)), error

    def _order(self, element: int) -> tuple[int, Callable[[npt.NDArray[np.int64]], _Array]]:
        """Return how many finite values an element has, and what gives them by their ranks."""
        if self.counts_bytes:
            ends = np.cumsum(self._counts[element])
            return (
                int(ends[-1]),
                lambda ranks: (
                    np.searchsorted(ends, ranks, side="right").astype(np.float64) + self._lowest
                ),
            )
        values = np.concatenate([block[element] for block in self._kept])
        values.sort()
        # What is not finite stands at the ends now.
        if len(values) and not np.isfinite(values[[0, -1]]).all():
            values = values[np.isfinite(values)]
        return len(values), lambda ranks: values[ranks].astype(np.float64)

    def _count(self, flat: npt.NDArray[np.uint8]) -> None:
        # As bytes, negative numbers are above the others.
        lowest = np.uint8(self._lowest % _BYTE_VALUES)
        for start in range(0, flat.shape[1], _BYTES_AT_ONCE):
            values = (flat[:, start : start + _BYTES_AT_ONCE] - lowest).astype(np.intp)
            width = values.shape[1]
            values += np.arange(width) * _BYTE_VALUES
            counts = np.bincount(values.ravel(), minlength=width * _BYTE_VALUES)
            self._counts[start : start + width] += counts.reshape(width, _BYTE_VALUES)
