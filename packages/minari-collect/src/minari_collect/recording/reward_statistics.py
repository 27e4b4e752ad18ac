"""The statistics of `EpisodeMetadataCallback`, for many episodes at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core.columns import Array

Rewards = npt.NDArray[Any]

_EXACT_BELOW = 2.0**53


def compute_reward_statistics(rewards: Rewards, lengths: npt.NDArray[np.int64]) -> dict[str, Array]:
    """Compute what `minari_core.episodes.describe_rewards` does, for many episodes at once.

    The keys and the values are the same, to the last bit.

    Args:
        rewards: The rewards of all episodes, concatenated, float64 of shape (steps,).
        lengths: The steps of each episode.
    """
    first = np.cumsum(lengths) - lengths
    largest, smallest = np.maximum.reduceat(rewards, first), np.minimum.reduceat(rewards, first)
    # Infinite rewards are data, as in `EpisodeMetadataCallback`.
    with np.errstate(invalid="ignore", over="ignore"):
        # The sum of one whole number is exact in any order; tasks of survival give nothing else.
        total, deviation = largest * lengths, np.zeros(len(lengths))
        is_exact = (largest == smallest) & (largest == np.rint(largest)) & (largest != 0)
        others = np.flatnonzero(~(is_exact & (np.abs(total) < _EXACT_BELOW)))
        order = others[np.argsort(lengths[others], kind="stable")]
        bounds = np.flatnonzero(np.diff(lengths[order])) + 1
        # numpy adds up the rows of a matrix as it adds up an array; `reduceat` goes in order.
        for chosen in np.split(order, bounds) if len(order) else ():
            length = int(lengths[chosen[0]])
            matrix = rewards[first[chosen][:, None] + np.arange(length)]
            sums = np.add.reduce(matrix, axis=1)
            total[chosen] = sums
            matrix -= (sums / length)[:, None]
            matrix *= matrix
            deviation[chosen] = np.sqrt(np.add.reduce(matrix, axis=1) / length)
        return {
            "rewards_sum": total,
            "rewards_mean": total / lengths,
            "rewards_std": deviation,
            "rewards_max": largest,
            "rewards_min": smallest,
        }
