"""Rewards summed over several steps, and the discounts of what follows them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core.sampling.gathering.gatherers import Gatherer
from minari_core.sampling.gathering.selection import Selection
from minari_core.sampling.orders.rank_index import Positions


def sum_rewards(
    rewards: Gatherer, first: Positions, last: Positions, discount: float
) -> npt.NDArray[np.float64]:
    """Sum the discounted rewards of the steps from first to last.

    Args:
        rewards: The rewards.
        first: Steps, counted through the storage, shape (B,).
        last: Steps of the same episodes, not before these, shape (B,).
        discount: The discount of one step.
    """
    longest = int((last - first).max(initial=0)) + 1
    window = first[:, None] + np.arange(longest)
    taken = rewards.take(Selection(np.minimum(window, last[:, None])))
    powers = discount ** np.arange(longest)
    factors = np.where(window <= last[:, None], powers, 0.0)
    # A reward that is not finite would be NaN after the end of its episode, too.
    taken[window > last[:, None]] = 0
    summed: npt.NDArray[np.float64] = np.einsum("bn...,bn->b...", taken, factors)
    return summed


def find_discounts(
    terminations: Gatherer, first: Positions, last: Positions, discount: float
) -> npt.NDArray[np.float64]:
    """Return the discounts of the values after the steps from first to last, 0 after a termination.

    Args:
        terminations: Whether each step terminated its episode.
        first: As for `sum_rewards`.
        last: As for `sum_rewards`.
        discount: As for `sum_rewards`.
    """
    terminated: Any = terminations.take(Selection(last))
    return np.where(terminated, 0.0, discount ** (last - first + 1))
