"""What `EpisodeMetadataCallback` says of an episode, for many episodes at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core.columns import Array

Rewards = npt.NDArray[Any]


def reward_statistics(rewards: Rewards, lengths: npt.NDArray[np.int64]) -> dict[str, Array]:
    """Statistics of the rewards of each episode, to the last bit as of one episode alone.

    Args:
        rewards: The rewards of all episodes, one behind the other, float64 of shape (steps,).
        lengths: The steps of each episode.
    """
    first = np.cumsum(lengths) - lengths
    total, deviation = np.empty(len(lengths)), np.empty(len(lengths))
    order = np.argsort(lengths, kind="stable")
    bounds = np.flatnonzero(np.diff(lengths[order], prepend=-1)).tolist()
    # Infinite rewards are data, as in `EpisodeMetadataCallback`.
    with np.errstate(invalid="ignore", over="ignore"):
        # numpy adds up the rows of a matrix as it adds up an array; `reduceat` goes in order.
        for start, stop in zip(bounds, [*bounds[1:], len(order)], strict=True):
            chosen = order[start:stop]
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
            "rewards_max": np.maximum.reduceat(rewards, first),
            "rewards_min": np.minimum.reduceat(rewards, first),
        }
