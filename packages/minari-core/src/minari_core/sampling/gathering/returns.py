"""Returns-to-go: discounted sums of the rewards from a step to the end of its episode."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core.errors import SamplingError
from minari_core.sampling.gathering.gatherers import Gatherer
from minari_core.sampling.gathering.selection import Rows, Selection

# No more rewards than these are read for a step; the sum of those that follow is kept in memory.
_SPACING = 32
_RUNS_AT_ONCE = 1 << 11
_SCALED_RANGE = 1000


class ReturnsToGo:
    """Discounted sums of the rewards from steps to the ends of their episodes.

    The rewards are read once at the beginning. What is kept takes a quarter of a byte for each
    step, whatever the lengths of episodes. Thread-safe.
    """

    def __init__(
        self, gatherer: Gatherer, first_steps: Rows, lengths: Rows, discount: float
    ) -> None:
        """Sum the rewards from every 32nd step of each episode to its end.

        Args:
            gatherer: The rewards.
            first_steps: The first step of each episode, counted through the storage.
            lengths: The steps of each episode.
            discount: The factor of each reward beside the one before it.
        """
        self._gatherer = gatherer
        self._first_steps = first_steps
        self._lengths = lengths
        self._discount = discount
        self._counts = -(-lengths // _SPACING)
        self._first_marks = np.cumsum(self._counts) - self._counts
        owners = np.repeat(np.arange(len(self._counts)), self._counts)
        numbers = np.arange(len(owners)) - self._first_marks[owners]
        begins = first_steps[owners] + numbers * _SPACING
        ends = np.minimum(begins + _SPACING, (first_steps + lengths)[owners])
        blocks = [slice(at, at + _RUNS_AT_ONCE) for at in range(0, len(begins), _RUNS_AT_ONCE)]
        sums = [self._sum_runs(begins[block], ends[block]) for block in blocks]
        self._marks = np.concatenate(sums) if sums else np.zeros(0)
        if discount:
            self._run_backwards()

    def _run_backwards(self) -> None:
        """Add to the sum of each run that of those which follow, in all episodes at once."""
        order = np.argsort(-self._counts, kind="stable")
        behind = (self._first_marks + self._counts)[order]
        factor = self._discount**_SPACING
        backs = np.arange(2, int(self._counts.max(initial=0)) + 1)
        longer = np.searchsorted(-self._counts[order], -backs, side="right")
        for back, count in zip(backs.tolist(), longer.tolist(), strict=True):
            at = behind[:count] - back
            self._marks[at] += factor * self._marks[at + 1]

    def read(self, indices: Rows, steps: Rows) -> npt.NDArray[np.float64]:
        """Return the sums from some steps on; 0 from behind the last step of an episode.

        Args:
            indices: The index in the view of each episode, shape (B,).
            steps: Steps of these, counted through the storage, shape (B,).
        """
        first = self._first_steps.take(indices)
        ends = first + self._lengths.take(indices)
        numbers = (steps - first) // _SPACING + 1
        stops = np.minimum(first + numbers * _SPACING, ends)
        sums = self._sum_runs(steps, stops)
        going_on = np.flatnonzero(numbers < self._counts.take(indices))
        if self._discount and len(going_on):
            marks = self._marks[(self._first_marks.take(indices) + numbers)[going_on]]
            factors = self._discount ** (stops - steps)[going_on]
            sums[going_on] += marks * factors.reshape(-1, *(1,) * (marks.ndim - 1))
        return sums

    def read_episodes(self) -> npt.NDArray[np.float64]:
        """Return the sum of each episode, shape (episodes, …)."""
        returns: npt.NDArray[np.float64] = self._marks[self._first_marks]
        return returns

    def _sum_runs(self, begins: Rows, ends: Rows) -> npt.NDArray[np.float64]:
        """Sum the discounted rewards of short runs of steps; some may be empty."""
        offsets = np.arange(int((ends - begins).max(initial=0)))
        wanted = begins[:, None] + offsets
        rewards: npt.NDArray[Any] = self._gatherer.take(
            Selection(np.minimum(wanted, ends[:, None] - 1))
        )
        # A reward that is not finite would be NaN after the end of its episode, too.
        rewards[wanted >= ends[:, None]] = 0
        sums: npt.NDArray[np.float64] = np.einsum("bn...,n->b...", rewards, self._discount**offsets)
        return sums


def find_reward_scale(gatherer: Gatherer, first_steps: Rows, lengths: Rows) -> float:
    """Return the factor of rewards that makes the range of the returns of episodes 1000.

    So rewards are scaled in the locomotion tasks of Kostrikov et al. (2022, "Offline reinforcement
    learning with implicit Q-learning", appendix B).

    Args:
        gatherer: The rewards.
        first_steps: The first step of each episode, counted through the storage.
        lengths: The steps of each episode.

    Raises:
        SamplingError: Rewards are vectors, or the range of returns is 0 or not finite.
    """
    returns = ReturnsToGo(gatherer, first_steps, lengths, 1.0).read_episodes()
    if not len(returns):
        return 1.0
    if returns.ndim > 1:
        raise SamplingError(
            f"reward_scale is 'return_range', but rewards have the shape {returns.shape[1:]}; "
            "give a number"
        )
    lowest, highest = float(returns.min()), float(returns.max())
    if not 0 < highest - lowest < np.inf:
        raise SamplingError(
            f"reward_scale is 'return_range', but the returns of these episodes run from {lowest} "
            f"to {highest}; give a number"
        )
    return _SCALED_RANGE / (highest - lowest)
