"""Datasets of many shards, made at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

from minari_core import MinariDataset, create_dataset_from_buffers, load_dataset
from minari_core.datasets.dataset import get_raw_storage
from minari_core.episodes import Episode
from minari_core.episodes.stream import encode_shards
from minari_core.formats.columnar.shard_folder import ShardFolder
from minari_core.testing.examples import MOVE, POSITION, simple_episode


def create_many_shards(dataset_id: str, shards: Iterable[Iterable[Episode]]) -> MinariDataset:
    """Create a dataset with a shard for each group of simple episodes."""
    first, *others = shards
    made = create_dataset_from_buffers(
        dataset_id,
        [*first],
        observation_space=POSITION,
        action_space=MOVE,
        algorithm_name="none",
        author="a",
        author_email="a@b.c",
        code_permalink="none",
    )
    storage = get_raw_storage(made)
    assert isinstance(storage, ShardFolder)
    with keep_shards_apart():
        storage.add(data for group in others for data in encode_shards([*group], POSITION, MOVE))
    assert len(storage.snapshot.shards) > len(others)
    return load_dataset(dataset_id)


@contextmanager
def keep_shards_apart() -> Iterator[None]:
    """Add to datasets without joining their small shards, as earlier releases did."""
    with patch("minari_core.formats.columnar.transaction.choose_joins", return_value=[]):
        yield


def create_of_single_episodes(dataset_id: str, shards: int, steps: int = 3) -> MinariDataset:
    """Create a dataset with one episode a shard, whose observations say its number."""
    return create_many_shards(
        dataset_id, ([simple_episode(number, steps)] for number in range(shards))
    )
