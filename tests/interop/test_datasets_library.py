"""Hugging Face's `datasets` reads ours in a generator, which it fingerprints by pickling it."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from datasets import Dataset
from datasets.fingerprint import Hasher
from datasets.utils._dill import dumps

import minari
from tests.interop.helpers.collected import collect

pytestmark = pytest.mark.filterwarnings("ignore")
FORMATS = pytest.mark.parametrize("data_format", ["columnar", "hdf5", "arrow", "parquet"])


def _cartpole() -> gymnasium.Env[Any, Any]:
    return gymnasium.make("CartPole-v1", max_episode_steps=20)


@FORMATS
def test_a_table_is_made_of_a_generator_that_reads_a_dataset(
    data_format: str, tmp_path: Path
) -> None:
    dataset = collect("cartpole/random-v0", _cartpole(), data_format)

    def steps() -> Iterator[dict[str, Any]]:
        for episode in dataset:
            for step in range(len(episode)):
                yield {
                    "episode": episode.id,
                    "observation": episode.observations[step],
                    "reward": episode.rewards[step],
                }

    table = Dataset.from_generator(steps, cache_dir=str(tmp_path / "cache"))

    assert len(table) == dataset.total_steps
    wanted = np.concatenate([episode.observations[:-1] for episode in dataset])
    assert np.array_equal(np.array(table.with_format("numpy")["observation"]), wanted)


@FORMATS
def test_no_code_is_in_the_pickle_that_is_fingerprinted(data_format: str) -> None:
    dataset = collect("cartpole/random-v0", _cartpole(), data_format)
    for pickled in (dumps(dataset), dumps(dataset[:2])):
        assert b"_create_function" not in pickled, "the library follows its globals, maybe for ever"
        assert len(pickle.loads(pickled)) in (2, 6)


@FORMATS
def test_equal_datasets_and_views_have_one_fingerprint(data_format: str) -> None:
    dataset = collect("cartpole/random-v0", _cartpole(), data_format)
    again = minari.load_dataset("cartpole/random-v0")

    assert Hasher.hash(dataset) == Hasher.hash(again)
    assert Hasher.hash(dataset[:2]) == Hasher.hash(again[:2])
    assert Hasher.hash(dataset[:2]) != Hasher.hash(dataset[:1])
    seeded = minari.load_dataset("cartpole/random-v0")
    seeded.set_seed(3)
    assert Hasher.hash(lambda: seeded) != Hasher.hash(lambda: dataset)
