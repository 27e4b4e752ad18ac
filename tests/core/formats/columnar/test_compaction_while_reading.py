"""Somebody joins the shards of a dataset that others are reading."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

import minari_core
from minari_core import DatasetChangedError, EpisodeBuffer, MinariDataset
from tests.core.helpers.many_shards import keep_shards_apart

SPACE = spaces.Box(-1, 1, (2,), np.float64)


def episode(number: int) -> EpisodeBuffer:
    steps = number + 1
    return EpisodeBuffer(
        observations=np.full((steps + 1, 2), number / 100),
        actions=np.zeros(steps, dtype=np.int64),
        rewards=np.full(steps, float(number)),
        terminations=[False] * number + [True],
        truncations=[False] * steps,
        metadata={"number": number},
    )


@pytest.fixture
def dataset() -> MinariDataset:
    """A dataset of twelve shards with one episode each."""
    created = minari_core.create_dataset_from_buffers(
        "shards-v0",
        [episode(0)],
        observation_space=SPACE,
        action_space=spaces.Discrete(2),
        author="a",
    )
    with keep_shards_apart():
        for number in range(1, 12):
            created.update_dataset_from_buffer([episode(number)])
    loaded = minari_core.load_dataset("shards-v0")
    assert len(list(Path(str(loaded.spec.data_path)).glob("shard-*.h5"))) == 12
    return loaded


def numbers(dataset: MinariDataset) -> list[float]:
    return [float(data.rewards[0]) for data in dataset]


def test_a_reader_in_the_middle_goes_on_with_the_joined_shards(dataset: MinariDataset) -> None:
    episodes = iter(dataset)
    found = [float(next(episodes).rewards[0]) for _ in range(4)]
    minari_core.load_dataset("shards-v0").compact()
    assert found + [float(data.rewards[0]) for data in episodes] == list(range(12))


def test_a_reader_that_has_read_nothing_yet_goes_on_too(dataset: MinariDataset) -> None:
    minari_core.load_dataset("shards-v0").compact()
    assert numbers(dataset) == list(range(12))
    assert [m["number"] for m in dataset.iterate_episode_metadata()] == list(range(12))


def test_metadata_that_is_being_read_goes_on_too(dataset: MinariDataset) -> None:
    described = dataset.iterate_episode_metadata()
    first = next(described)["number"]
    minari_core.load_dataset("shards-v0").compact()
    assert [first, *(m["number"] for m in described)] == list(range(12))


def test_a_view_keeps_its_episodes(dataset: MinariDataset) -> None:
    view = dataset[[7, 2, 11]]
    minari_core.load_dataset("shards-v0").compact()
    assert numbers(view) == [7, 2, 11]


def test_a_reader_keeps_its_snapshot_when_more_is_added_before_the_joining(
    dataset: MinariDataset,
) -> None:
    other = minari_core.load_dataset("shards-v0")
    other.update_dataset_from_buffer([episode(12)])
    other.compact()
    assert dataset.newer_episodes() == 1
    assert numbers(dataset) == list(range(12))


def test_another_dataset_under_the_same_id_is_told_apart(dataset: MinariDataset) -> None:
    minari_core.delete_dataset("shards-v0")
    minari_core.create_dataset_from_buffers(
        "shards-v0",
        [episode(number) for number in range(20)],
        observation_space=SPACE,
        action_space=spaces.Discrete(2),
        author="a",
    )
    with pytest.raises(DatasetChangedError, match="load it again"):
        list(dataset)
