"""AgileRL's own reader of Minari datasets, unmodified, with this project as its Minari."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import numpy as np
import pytest
from agilerl.components.replay_buffer import ReplayBuffer
from agilerl.utils.minari_utils import (
    MinariDatasetNotFoundError,
    load_minari_dataset,
    minari_to_agile_buffer,
    minari_to_agile_dataset,
)

import minari
from tests.interop.helpers.collected import collect

pytestmark = pytest.mark.filterwarnings("ignore")

FORMATS = ("columnar", "hdf5", "arrow", "parquet")
ENVIRONMENTS = pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: gymnasium.make("CartPole-v1"), id="discrete"),
        pytest.param(lambda: gymnasium.make("Pendulum-v1", max_episode_steps=9), id="continuous"),
    ],
)


def transitions(dataset: minari.MinariDataset) -> dict[str, Any]:
    """The transitions of all episodes, under AgileRL's names."""
    episodes = list(dataset)
    columns = {
        "obs": [episode.observations[:-1] for episode in episodes],
        "next_obs": [episode.observations[1:] for episode in episodes],
        "action": [episode.actions for episode in episodes],
        "reward": [episode.rewards for episode in episodes],
        "done": [episode.terminations for episode in episodes],
    }
    return {name: np.concatenate(values) for name, values in columns.items()}


@ENVIRONMENTS
@pytest.mark.parametrize("data_format", FORMATS)
def test_a_dataset_fills_a_replay_buffer(
    make: Callable[[], gymnasium.Env[Any, Any]], data_format: str
) -> None:
    dataset = collect("cart/random-v0", make(), data_format)

    memory = minari_to_agile_buffer("cart/random-v0", ReplayBuffer(max_size=dataset.total_steps))

    assert len(memory) == dataset.total_steps
    for name, wanted in transitions(dataset).items():
        found = memory.storage[name].numpy().reshape(wanted.shape)
        assert np.array_equal(found, wanted.astype(found.dtype)), name
    assert len(memory.sample(8)["obs"]) == 8


@ENVIRONMENTS
@pytest.mark.parametrize("data_format", FORMATS)
def test_a_dataset_becomes_a_file_beside_the_datasets(
    make: Callable[[], gymnasium.Env[Any, Any]], data_format: str
) -> None:
    dataset = collect("cart-random-v0", make(), data_format)

    with h5py.File(minari_to_agile_dataset("cart-random-v0")) as file:
        columns = {name: file[name][()] for name in file}

    names = ("observations", "next_observations", "actions", "rewards", "terminals")
    for name, wanted in zip(names, transitions(dataset).values(), strict=True):
        assert np.array_equal(columns[name], wanted), name
    assert list(minari.list_local_datasets()) == ["cart-random-v0"]


def test_a_remote_dataset_is_found_and_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "remote").mkdir()
    monkeypatch.setenv("MINARI_REMOTE", (tmp_path / "remote").as_uri())
    wanted = collect("cart-random-v0", gymnasium.make("CartPole-v1"), "columnar")
    minari.upload_dataset("cart-random-v0")
    minari.delete_dataset("cart-random-v0")

    with pytest.raises(FileNotFoundError, match="assign remote=True"):
        load_minari_dataset("cart-random-v0")
    with pytest.raises(MinariDatasetNotFoundError, match="valid remote Minari Dataset ID"):
        load_minari_dataset("cart-other-v0", remote=True)
    found = load_minari_dataset("cart-random-v0", remote=True)

    assert found.total_steps == wanted.total_steps
