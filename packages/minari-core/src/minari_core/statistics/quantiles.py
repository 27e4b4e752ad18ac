"""Quantiles of rows that come in blocks: exact, or of a sample that says how far it may be off."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core.statistics.order_statistics import (
    LEVELS,
    AllValues,
    NearValues,
    OrderStatistics,
)

_MOST_ROWS = 1_000_000
_MOST_NBYTES = 1 << 30
# Of more rows, so many are looked at before all others.
_FEW_ROWS, _SEEN_ROWS = 1 << 15, 1 << 13
_SEED = 0
# With a chance of 1 in 1000, the ranks of the quantiles of a sample are further off than said.
_MISSED = 1e-3

_Quantiles = Mapping[float, npt.NDArray[np.float64]]


class RunningQuantiles:
    """Quantiles of each element of rows of numbers; those that are not finite do not count.

    Up to a million rows count, if they take at most 1 GiB; of more, a sample that is the same
    for the same rows, without replacement.
    """

    def __init__(
        self,
        dtype: np.dtype[Any],
        row_shape: tuple[int, ...],
        rows: int,
        peek: Callable[[npt.NDArray[np.int64]], npt.NDArray[Any]] | None = None,
    ) -> None:
        """Expect rows.

        Args:
            dtype: The type of an element, a real number.
            row_shape: The shape of a row.
            rows: How many rows there will be; some may be missing.
            peek: Reads rows by their positions among all, in order, without those that are
                missing. With it, only what lies near the quantiles of some rows is kept.
        """
        self._dtype, self._row_shape, self._rows = dtype, row_shape, rows
        self._size = math.prod(row_shape)
        most = max(1, min(_MOST_ROWS, _MOST_NBYTES // max(1, self._size * dtype.itemsize)))
        self._share = most / max(rows, 1)
        self._generator = np.random.Generator(np.random.PCG64(_SEED))
        # Eight standard deviations of a sample's size are never reached.
        self._room = min(rows, most + 8 * math.isqrt(most))
        self._values: OrderStatistics
        if peek is not None and self._room > _FEW_ROWS and dtype.itemsize > 1:
            places = np.arange(_SEEN_ROWS) + np.random.default_rng(_SEED).random(_SEEN_ROWS)
            seen = peek((places * (rows / _SEEN_ROWS)).astype(np.int64))
            self._values = NearValues(seen.reshape(len(seen), self._size))
        else:
            self._values = AllValues(self._size, self._room, dtype)

    def add(self, rows: npt.NDArray[Any]) -> None:
        """Add rows, of shape (n, *row_shape)."""
        flat = rows.reshape(len(rows), self._size)
        if self._share < 1:
            flat = flat[self._generator.random(len(flat)) < self._share]
            flat = flat[: self._room - self._values.count]
        self._values.add(flat)

    def finish(self, rows: Iterable[npt.NDArray[Any]]) -> tuple[_Quantiles, float]:
        """Return the quantiles by their levels, and by how much their ranks may be off.

        Between two values they are interpolated linearly. The error is a share of the rows, by the
        inequality of Dvoretzky, Kiefer and Wolfowitz with the constant of Massart (1990, "The tight
        constant in the Dvoretzky–Kiefer–Wolfowitz inequality"); 0 of what is exact.

        Args:
            rows: The blocks that were added. They are read again if those rows that were looked at
                before them were so unlike the others that not enough was kept.
        """
        told = self._values.finish()
        if told is None:
            every = RunningQuantiles(self._dtype, self._row_shape, self._rows)
            for block in rows:
                every.add(block)
            return every.finish(())
        pairs, counts = told
        share = np.multiply.outer(counts - 1, LEVELS) % 1
        # Products first: the difference of two finite numbers may not be finite.
        found = pairs[..., 0] * (1 - share) + pairs[..., 1] * share
        error = 0.0
        if self._share < 1 and self._values.count:
            fewest = counts.min(initial=self._values.count, where=counts > 0)
            error = min(1.0, math.sqrt(math.log(2 / _MISSED) / (2 * fewest)))
        shaped = found.T.reshape(len(LEVELS), *self._row_shape)
        return {level: shaped[number, ...] for number, level in enumerate(LEVELS)}, error
