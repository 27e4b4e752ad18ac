"""The statistics of one column."""

from __future__ import annotations

from dataclasses import dataclass

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
