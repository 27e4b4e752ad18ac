"""TorchRL's own reader of Minari datasets, unmodified."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from torchrl.data.datasets.minari_data import MinariExperienceReplay

import minari
from tests.interop.reaching_environment import Reaching

pytestmark = pytest.mark.filterwarnings("ignore")


def collect(
    dataset_id: str, env: gymnasium.Env[Any, Any], data_format: str, episodes: int = 4
) -> minari.MinariDataset:
    collector = minari.DataCollector(env, record_infos=True, data_format=data_format)
    collector.action_space.seed(3)
    for seed in range(episodes):
        collector.reset(seed=seed)
        over = False
        while not over:
            _, _, terminated, truncated, _ = collector.step(collector.action_space.sample())
            over = terminated or truncated
    return collector.create_dataset(dataset_id)


def replayed(dataset_id: str, folder: Path) -> Any:
    return MinariExperienceReplay(
        dataset_id, batch_size=8, root=folder / "torchrl", load_from_local_minari=True
    )


def expect_same(found: Any, wanted: Any) -> None:
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            expect_same(found[key], value)
    else:
        array = found.numpy()
        assert array.dtype == wanted.dtype
        assert array.tobytes() == wanted.tobytes()


def rows(value: Any, chosen: slice) -> Any:
    if isinstance(value, dict):
        return {key: rows(part, chosen) for key, part in value.items()}
    return value[chosen]


@pytest.mark.parametrize(
    "env",
    [
        pytest.param(lambda: gymnasium.make("CartPole-v1"), id="discrete actions, no infos"),
        pytest.param(lambda: gymnasium.make("Pendulum-v1", max_episode_steps=9), id="truncated"),
        pytest.param(Reaching, id="dict observations, nested infos"),
    ],
)
def test_every_value_of_an_hdf5_dataset_is_replayed(env: Any, tmp_path: Path) -> None:
    dataset = collect("reach/random-v0", env(), "hdf5")

    replay = replayed("reach/random-v0", tmp_path)

    assert len(replay) == dataset.total_steps
    found = replay[:]
    start = 0
    for number, episode in enumerate(dataset):
        part = found[start : start + len(episode)]
        start += len(episode)
        assert part["episode"].tolist() == [number] * len(episode)
        for name, values in (("observation", episode.observations), ("info", episode.infos)):
            if name == "observation" or values:
                expect_same(part[name], rows(values, slice(None, -1)))
                expect_same(part["next", name], rows(values, slice(1, None)))
        expect_same(part["action"], episode.actions)
        expect_same(part["next", "reward"], episode.rewards[:, None])
        expect_same(part["next", "terminated"], episode.terminations[:, None])
        expect_same(part["next", "truncated"], episode.truncations[:, None])
        done = episode.terminations | episode.truncations
        expect_same(part["next", "done"], done[:, None])
    assert np.isfinite(replay.sample()["next", "reward"].numpy()).all()


def test_a_columnar_dataset_is_an_error_that_says_how_to_convert_it(tmp_path: Path) -> None:
    dataset = collect("reach/random-v0", gymnasium.make("CartPole-v1"), "columnar")

    with pytest.raises(ValueError, match="minari convert ID NEW_ID --data-format hdf5"):
        replayed("reach/random-v0", tmp_path)

    minari.convert_dataset(dataset, "reach/converted-v0", data_format="hdf5")
    assert len(replayed("reach/converted-v0", tmp_path)) == dataset.total_steps
