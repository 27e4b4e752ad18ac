"""Heaps of text that HDF5 would walk through for ever are damage."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from gymnasium import spaces

from minari_core import DatasetDamagedError, EpisodeBuffer, create_dataset_from_buffers
from minari_core.local.locations import dataset_folder
from minari_core.local.verifying import verify_dataset

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


def empty_heaps(path: Path) -> int:
    """Make the first part of each heap free, and of no size; return their number."""
    content = bytearray(path.read_bytes())
    start, count = content.find(b"GCOL"), 0
    while start >= 0:
        content[start + 16 : start + 32] = bytes(16)
        start, count = content.find(b"GCOL", start + 1), count + 1
    path.write_bytes(content)
    return count


@pytest.mark.parametrize("place", ["rows", "attributes"])
def test_a_heap_without_end_is_damage(place: str, datasets_root: Path) -> None:
    episode = EpisodeBuffer(
        observations=["left", "right"] if place == "rows" else np.zeros(2, np.int64),
        actions=np.zeros(1, np.int64),
        rewards=[0.0],
        terminations=[True],
        truncations=[False],
    )
    dataset = create_dataset_from_buffers(
        "tests/heap-v0",
        [episode],
        observation_space=spaces.Text(8) if place == "rows" else spaces.Discrete(2),
        action_space=spaces.Discrete(2),
        data_format="hdf5",
    )
    path = dataset_folder("tests/heap-v0") / "data" / "main_data.hdf5"
    if place == "attributes":
        with h5py.File(path, "a") as file:
            file["episode_0"].attrs["note"] = "some words"

    assert empty_heaps(path)

    with pytest.raises(DatasetDamagedError, match="has a free part of no size"):
        list(dataset)
    assert "free part of no size" in str(verify_dataset("tests/heap-v0").problems)


def test_a_text_that_begins_as_a_heap_does_is_no_damage(datasets_root: Path) -> None:
    dataset = create_dataset_from_buffers(
        "tests/text-v0",
        [
            EpisodeBuffer(
                observations=["left", "right"],
                actions=np.zeros(1, np.int64),
                rewards=[0.0],
                terminations=[True],
                truncations=[False],
            )
        ],
        observation_space=spaces.Text(8),
        action_space=spaces.Discrete(2),
        data_format="hdf5",
    )
    path = dataset_folder("tests/text-v0") / "data" / "main_data.hdf5"
    with h5py.File(path, "a") as file:
        file["episode_0"].attrs["note"] = "some words"
        file["episode_0"].create_dataset("notes", data=np.array([b"GCOL and more"], "S64"))

    assert b"GCOL and more" in path.read_bytes()
    assert list(next(iter(dataset)).observations) == ["left", "right"]
