"""Tables of a bundle are bounded by whole episodes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
from gymnasium import spaces

import minari
from minari_hub.bundle.tables import Tables, write_tables
from tests.hub.bundle.examples import make_dataset, write_example


def test_the_tables_are_those_of_the_dataset(tmp_path: Path) -> None:
    dataset = make_dataset()

    assert write_tables(dataset, tmp_path) == Tables(3, 3)

    assert parquet.read_table(tmp_path / "steps.parquet").equals(dataset.to_arrow())
    episodes = parquet.read_table(tmp_path / "episodes.parquet")
    assert episodes.equals(dataset.to_arrow("episodes"))


@pytest.mark.parametrize("most_nbytes", [0, 60_000, 150_000])
def test_a_bound_leaves_the_first_whole_episodes(tmp_path: Path, most_nbytes: int) -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(10, 40, 30)
    dataset = minari.create_dataset_from_buffers(
        "noise-v0",
        [
            minari.EpisodeBuffer(
                observations=random.normal(size=(steps + 1, 64)),
                actions=np.zeros(steps, np.int64),
                rewards=np.ones(steps),
                terminations=np.zeros(steps, bool),
                truncations=np.arange(steps) == steps - 1,
            )
            for steps in lengths
        ],
        observation_space=spaces.Box(-np.inf, np.inf, (64,), np.float64),
        action_space=spaces.Discrete(2),
    )

    tables = write_tables(dataset, tmp_path, most_nbytes)

    count = tables.episodes_of_steps
    assert tables.total_episodes == 30
    assert (count == 1) if most_nbytes == 0 else (1 < count < 30)
    path = tmp_path / "steps.parquet"
    assert most_nbytes == 0 or path.stat().st_size <= most_nbytes
    ids = parquet.read_table(path)["episode_id"].to_numpy()
    assert np.bincount(ids).tolist() == lengths[:count].tolist()


def test_croissant_says_of_a_bound_table_which_episodes_it_has(tmp_path: Path) -> None:
    tables = write_example(tmp_path, most_nbytes=30_000)

    assert tables is not None
    assert tables.episodes_of_steps < 3
    steps = json.loads((tmp_path / "croissant.json").read_text(encoding="utf-8"))["recordSet"][0]
    assert f"of the first {tables.episodes_of_steps} of 3 episodes" in steps["description"]
