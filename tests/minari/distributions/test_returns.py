"""Returns of the episodes of a dataset, however it is stored."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import minari
from minari.distributions.returns import compute_statistics
from tests.core.helpers.many_shards import create_many_shards

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
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)
        seen.clear()


def make_episode(rewards: list[list[float]]) -> minari.EpisodeBuffer:
    steps = len(rewards)
    return minari.EpisodeBuffer(
        observations=np.zeros((steps + 1, 2)),
        actions=np.zeros(steps, np.int64),
        rewards=rewards,
        terminations=np.arange(steps) == steps - 1,
        truncations=np.zeros(steps, bool),
    )


@pytest.mark.parametrize("steps", [1, 2, 3, 100])
def test_vectors_of_rewards_are_summed_one_by_one_in_whatever_blocks(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minari.distributions.returns._STEPS_AT_ONCE", steps)
    rewards = np.arange(18.0).reshape(9, 2).tolist()
    dataset = create_many_shards(
        "many/vectors-v0",
        [[make_episode(rewards[:3]), make_episode(rewards[3:4])], [make_episode(rewards[4:])]],
    )
    seen: list[tuple[int, int]] = []

    statistics = compute_statistics(dataset, lambda *counts: seen.append(counts))

    assert statistics.returns is not None
    assert statistics.returns.tolist() == [[6, 9], [6, 7], [60, 65]]
    ends = {*range(steps, 4, steps), 4, *range(4 + steps, 9, steps), 9}
    assert seen == [(end, 9) for end in sorted(ends)]


@pytest.mark.parametrize("data_format", ["columnar", "hdf5"])
def test_no_episode_has_no_return(data_format: str) -> None:
    dataset = minari.create_dataset_from_buffers(
        "none-v0",
        [],
        observation_space=spaces.Box(-1, 1, (2,)),
        action_space=spaces.Discrete(2),
        data_format=data_format,
    )

    statistics = compute_statistics(dataset, lambda done, total: None)

    assert statistics.returns is not None
    assert (statistics.returns.tolist(), statistics.lengths.tolist()) == ([], [])


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


@pytest.mark.parametrize("is_recorded", [True, False])
def test_sums_that_were_recorded_of_all_episodes_are_believed(is_recorded: bool) -> None:
    buffers = [make_episode([1.0, 2.5]), make_episode([4.0])]  # type: ignore[list-item]  # plain
    for buffer, total in zip(buffers, (30.0, 40.0), strict=True):
        buffer.metadata = {"rewards_sum": total, "rewards_mean": total / len(buffer)}
        for key in ("rewards_std", "rewards_min", "rewards_max"):
            buffer.metadata[key] = 0.0
    if not is_recorded:
        buffers[1].metadata = {}
    dataset = minari.create_dataset_from_buffers(
        "public-v0",
        buffers,
        observation_space=spaces.Box(-1, 1, (2,)),
        action_space=spaces.Discrete(2),
        data_format="hdf5",
    )
    seen: list[tuple[int, int]] = []

    statistics = compute_statistics(dataset, lambda *counts: seen.append(counts))

    assert statistics.returns is not None
    assert statistics.returns.tolist() == ([30, 40] if is_recorded else [3.5, 4])
    assert seen == ([(3, 3)] if is_recorded else [(2, 3), (3, 3)])
