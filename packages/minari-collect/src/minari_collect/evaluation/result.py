"""What an evaluation found."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minari_core import MinariDataset


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The episodes that a policy was evaluated on, in the order of their seeds.

    A standard error is that of the mean over the episodes, ``s / sqrt(n)``, where ``s`` is the
    standard deviation of the sample, divided by ``n - 1`` (Altman & Bland, 2005, "Standard
    deviations and standard errors", https://doi.org/10.1136/bmj.331.7521.903); NaN for one
    episode. It says how well the episodes determine the score of this one policy, and nothing of
    how the scores of policies differ that were trained with other seeds.
    """

    returns: npt.NDArray[np.float64]
    """The undiscounted return of each episode, shape (episodes,)."""
    lengths: npt.NDArray[np.int64]
    """The number of steps of each, shape (episodes,)."""
    seeds: npt.NDArray[np.int64]
    """The seed that the environment was reset with for each, shape (episodes,)."""
    normalized_scores: npt.NDArray[np.float64] | None
    """The return of each on the scale of the dataset's reference scores, shape (episodes,); None
    where there are none. See `minari_core.get_normalized_score`."""
    dataset: MinariDataset | None
    """The episodes, in the same order, if they were to be kept."""

    @property
    def mean_return(self) -> float:
        """The mean of the returns."""
        return float(self.returns.mean())

    @property
    def return_standard_error(self) -> float:
        """The standard error of the mean return."""
        return _estimate_standard_error(self.returns)

    @property
    def normalized_score(self) -> float | None:
        """The mean of the normalized scores; None where there are none."""
        scores = self.normalized_scores
        return None if scores is None else float(scores.mean())

    @property
    def normalized_score_standard_error(self) -> float | None:
        """The standard error of the normalized score; None where there is none."""
        scores = self.normalized_scores
        return None if scores is None else _estimate_standard_error(scores)


def _estimate_standard_error(values: npt.NDArray[np.float64]) -> float:
    if len(values) < 2:
        return math.nan
    return float(values.std(ddof=1)) / math.sqrt(len(values))
