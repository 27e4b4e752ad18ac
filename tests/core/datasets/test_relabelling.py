"""What the metadata says about rewards is true of the rewards that are stored."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import minari
import minari_core.episodes
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


def record(callback: Any, rewards: list[float], data_format: str = "columnar") -> Any:
    """Record an episode of given rewards."""

    class Paying(gymnasium.Env[Any, Any]):
        observation_space: Any = gymnasium.spaces.Discrete(9)
        action_space: Any = gymnasium.spaces.Discrete(2)

        def reset(self, **_: Any) -> Any:
            self.rest = list(rewards)
            return 0, {}

        def step(self, action: Any) -> Any:
            return 1, self.rest.pop(0), not self.rest, False, {}

    env = minari.DataCollector(
        Paying(), episode_metadata_callback=callback, data_format=data_format
    )
    env.reset()
    for _ in rewards:
        env.step(0)
    return env.create_dataset("a-v0")


def store(episode: Any, like: Any, name: str = "b-v0", **options: Any) -> Any:
    made = minari.create_dataset_from_buffers(
        name,
        [episode],
        observation_space=like.observation_space,
        action_space=like.action_space,
        **options,
    )
    return made[0].metadata


class Discounted(minari.EpisodeMetadataCallback):
    """Means another sum by the name, and leaves the others as they are."""

    def __call__(self, episode: Any) -> dict[str, Any]:
        powers = 0.5 ** np.arange(episode["total_steps"])
        discounted = float((np.asarray(episode["rewards"]) * powers).sum())
        return {**super().__call__(episode), "rewards_sum": discounted}


class OfAnother(minari.EpisodeMetadataCallback):
    """Describes other rewards than those that are recorded, by all the names of the default."""

    def __call__(self, episode: Any) -> dict[str, Any]:
        return super().__call__({"rewards": 10 * np.asarray(episode["rewards"])})


@pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")
@pytest.mark.parametrize("callback", [Discounted, OfAnother])
@pytest.mark.parametrize("data_format", ["columnar", "hdf5", "arrow", "parquet"])
def test_keys_that_somebody_else_wrote_stay_whether_rewards_changed_or_not(
    data_format: str, callback: Any
) -> None:
    dataset = record(callback, [1.0, 2.0, 4.0], data_format)
    old = dict(dataset[0].metadata)
    own = {key: old[key] for key in (old if callback is OfAnother else ["rewards_sum"])}
    assert store(dataset[0], dataset) == old
    relabelled = dataclasses.replace(dataset[0], rewards=-dataset[0].rewards)
    described = minari_core.episodes.describe_rewards(relabelled.rewards)
    assert store(relabelled, dataset, "c-v0", data_format=data_format) == described | own
    dataset.update_dataset_from_buffer(iter([relabelled]))
    assert dataset[1].metadata == described | own


@pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")
def test_rewards_may_be_changed_in_place_however_they_were_read() -> None:
    dataset = record(Discounted, [1.0, 2.0, 4.0])
    own = {"rewards_sum": dataset[0].metadata["rewards_sum"]}
    (drawn,) = dataset.sample_episodes(1)
    (iterated,) = dataset.iterate_episodes()
    (picked,) = dataset.filter_episodes(lambda _: True)
    for number, read in enumerate((drawn, iterated, picked)):
        read.rewards[:] *= -1
        described = minari_core.episodes.describe_rewards(read.rewards)
        assert store(read, dataset, f"d-v{number}") == described | own


@pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")
@pytest.mark.parametrize(
    "rewards", [[0.0, 0.0], [-1.0, 1.0], [3.0], [1e100, -1e100, 5.0], [0.1] * 7]
)
def test_without_the_dataset_the_keys_are_the_defaults_if_they_fit_one_another(
    rewards: list[float],
) -> None:
    dataset = record(minari.EpisodeMetadataCallback, rewards)
    old = pickle.loads(pickle.dumps(dataset[0]))
    assert type(old.metadata) is type(copy.deepcopy(dataset[0]).metadata) is dict
    relabelled = dataclasses.replace(old, rewards=old.rewards - 7)
    described = minari_core.episodes.describe_rewards(relabelled.rewards)
    assert store(relabelled, dataset) == described
    for changes in ({"rewards_sum": 1e301}, {"rewards_max": -1e301}, {"rewards_std": 1e301}):
        metadata = {**old.metadata, **changes}
        given = dataclasses.replace(relabelled, metadata=metadata)
        assert store(given, dataset, f"b-v{len(minari.list_local_datasets())}") == metadata


def test_keys_of_other_meaning_stay_and_none_is_added() -> None:
    metadata = {"rewards_sum": 9, "rewards_max": "many", "rewards": [5]}
    buffer = EpisodeBuffer(
        observations=np.zeros((3, 4), np.float32),
        actions=np.zeros(2, np.int64),
        rewards=[1.0, 2.0],
        terminations=[False, True],
        truncations=[False, False],
        metadata=metadata,
    )
    with pytest.warns(minari.MinariWarning):
        dataset = minari.create_dataset_from_buffers("a-v0", [buffer], env="CartPole-v1")
    assert dataset[0].metadata == metadata
