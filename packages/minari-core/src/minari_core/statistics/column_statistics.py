"""The statistics of one column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, eq=False)
class ColumnStatistics:
    """Statistics over the rows of a column of numbers, for each element of a row.

    Of observations, infos and extras all T+1 rows of an episode count; of observations only T
    where its final observation is not known. NaN and infinities are
    counted, and left out of everything else; where an element has no finite value, its statistics
    are NaN.
    """

    mean: npt.NDArray[np.float64]
    """The mean, in the shape of a row."""
    std: npt.NDArray[np.float64]
    """The standard deviation of the population (divided by the number of rows)."""
    min: npt.NDArray[np.float64]
    """The smallest value."""
    max: npt.NDArray[np.float64]
    """The largest value."""
    count: int
    """The number of rows; missing ones do not count."""
    nonfinite: npt.NDArray[np.int64]
    """The number of them that are NaN or infinite, in the shape of a row."""
    quantiles: Mapping[float, npt.NDArray[np.float64]] = field(default_factory=dict)
    """The quantiles 0.01, 0.1, 0.5, 0.9 and 0.99 by these numbers, each in the shape of a row;
    between two values interpolated linearly, as `numpy.quantile` does."""
    rank_error: float = 0.0
    """By how much the rank of a quantile may be off, as a share of the rows; with a probability of
    0.999 it is less. 0 of exact quantiles, those of up to 10⁶ rows that take at most 1 GiB. Those
    of more rows are of a sample."""
