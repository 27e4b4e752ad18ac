"""Returns of the episodes of a dataset, however it is stored."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import minari
from minari.distributions.returns import compute_statistics

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari_core.MinariWarning")


def test_returns_add_up_across_shards_and_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    env = minari.DataCollectorV0(gym.make("CartPole-v1"), max_buffer_steps=10)
    for seed in range(10):
        env.reset(seed=seed)
        over = False
        while not over:
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            over = terminated or truncated
    dataset = minari.create_dataset_from_collector_env("cart/blocks-v0", env)
    env.close()
    expected = [float(episode.rewards.sum()) for episode in dataset]
    seen: list[tuple[int, int]] = []
    for steps in (1, 7, 1000):
        monkeypatch.setattr("minari.distributions.returns._STEPS_AT_ONCE", steps)

        statistics = compute_statistics(dataset, lambda *counts: seen.append(counts))

        assert statistics.returns is not None
        assert statistics.returns.tolist() == expected
        assert statistics.lengths.tolist() == expected
        assert seen[-1] == (dataset.total_steps, dataset.total_steps)


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"rewards_sum": 3.5, "rewards_mean": 1.75},
        # Another sum, by somebody else's callback.
        {"rewards_sum": 2.25, "rewards_mean": 1.75},
        {"rewards_sum": 2.25},
    ],
)
def test_returns_of_a_public_format_are_told_to_the_end(metadata: dict[str, float] | None) -> None:
    buffer = minari.EpisodeBuffer(
        observations=np.zeros((3, 2), np.float32),
        actions=[0, 1],
        rewards=[1.0, 2.5],
        terminations=[False, True],
        truncations=[False, False],
        metadata=metadata,
    )
    dataset = minari.create_dataset_from_buffers(
        "public-v0",
        [buffer],
        observation_space=spaces.Box(-1, 1, (2,)),
        action_space=spaces.Discrete(2),
        data_format="hdf5",
    )
    seen: list[tuple[int, int]] = []

    statistics = compute_statistics(dataset, lambda *counts: seen.append(counts))

    assert statistics.returns is not None
    assert statistics.returns.tolist() == [3.5]
    assert seen[-1] == (2, 2)
