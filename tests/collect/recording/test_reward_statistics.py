"""The rewards of many episodes are described as those of one."""

from __future__ import annotations

import numpy as np
import pytest

from minari_collect.recording.reward_statistics import compute_reward_statistics
from minari_core.episodes import describe_rewards


@pytest.mark.parametrize(
    "episodes",
    [
        [[1.0] * 7, [1.0], [0.0] * 3],
        [[0.1, 0.2, 0.3], [0.1] * 3, [-1e300, 1e300], [np.inf, 1.0], [np.nan, 2.0]],
        [np.random.default_rng(k).normal(size=k + 1).tolist() for k in range(40)],
    ],
    ids=["whole numbers", "what does not add up", "random"],
)
def test_a_vector_environment_has_the_statistics_of_a_single_one_to_the_last_bit(
    episodes: list[list[float]],
) -> None:
    lengths = np.array([len(rewards) for rewards in episodes])
    together = compute_reward_statistics(np.concatenate(episodes), lengths)
    for index, rewards in enumerate(episodes):
        alone = describe_rewards(np.array(rewards))
        assert list(together) == list(alone)
        np.testing.assert_array_equal([together[key][index] for key in alone], list(alone.values()))
