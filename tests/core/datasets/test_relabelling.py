"""What the metadata says about rewards is true of the rewards that are stored."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import minari
from minari_core import EpisodeBuffer


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))


class WithName(minari.EpisodeMetadataCallback):
    def __call__(self, episode):  # type: ignore[no-untyped-def]  # as users write it
        return {**super().__call__(episode), "name": "mine", "rewards_median": 7.0}


@pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")
def test_relabelled_episodes_are_described_anew() -> None:
    env = minari.DataCollectorV0(gymnasium.make("CartPole-v1"), episode_metadata_callback=WithName)
    for seed in range(2):
        env.reset(seed=seed)
        over = False
        while not over:
            *_, terminated, truncated, _ = env.step(env.action_space.sample())
            over = terminated or truncated
    dataset = minari.create_dataset_from_collector_env("a-v0", env)
    env.close()
    old = dataset[0]
    relabelled = dataclasses.replace(old, rewards=-np.arange(1.0, len(old) + 1))
    new = minari.create_dataset_from_buffers("b-v0", [relabelled, dataset[1]], env="CartPole-v1")
    new.update_dataset_from_buffer(iter([relabelled]))
    for index in (0, 2):
        rewards = new[index].rewards
        assert new[index].metadata == {
            "rewards_sum": rewards.sum(),
            "rewards_mean": rewards.mean(),
            "rewards_std": rewards.std(),
            "rewards_max": -1.0,
            "rewards_min": -float(len(old)),
            "name": "mine",
            "rewards_median": 7.0,
        }
    assert new[1].metadata == dataset[1].metadata
    picked = new.filter_episodes(metadata=lambda each: each["rewards_sum"] < 0)
    assert picked.episode_indices.tolist() == [0, 2]
    assert relabelled.metadata == old.metadata, "the caller's own episode was changed"


def test_keys_of_other_meaning_stay_and_none_is_added() -> None:
    buffer = EpisodeBuffer(
        observations=np.zeros((3, 4), np.float32),
        actions=np.zeros(2, np.int64),
        rewards=[1.0, 2.0],
        terminations=[False, True],
        truncations=[False, False],
        metadata={"rewards_sum": 9, "rewards_max": "many", "rewards": [5]},
    )
    with pytest.warns(minari.MinariWarning):
        dataset = minari.create_dataset_from_buffers("a-v0", [buffer], env="CartPole-v1")
    assert dataset[0].metadata == {"rewards_sum": 3.0, "rewards_max": "many", "rewards": [5]}
