"""What `EpisodeMetadataCallback` says of an episode, for many episodes at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from minari_core.columns import Array

Rewards = npt.NDArray[np.generic]


def reward_statistics(rewards: Rewards, lengths: npt.NDArray[np.int64]) -> dict[str, Array]:
    """Statistics of the rewards of each episode, to the last bit as of one episode alone.

    Args:
        rewards: The rewards of all episodes, one behind the other, float64 of shape (steps,).
        lengths: The steps of each episode.
    """
    statistics: dict[str, npt.NDArray[np.float64]] = {
        f"rewards_{name}": np.empty(len(lengths)) for name in ("sum", "mean", "std", "max", "min")
    }
    first = np.cumsum(lengths) - lengths
    # numpy sums the rows of a matrix as it sums an array, whereas `reduceat` goes in order.
    for length in np.unique(lengths).tolist():
        chosen = np.flatnonzero(lengths == length)
        matrix = rewards[first[chosen][:, None] + np.arange(length)]
        for name, values in statistics.items():
            values[chosen] = getattr(matrix, name.removeprefix("rewards_"))(axis=1)
    return dict(statistics)
