"""Episodes of a stream, one at a time: what they need is read, and not the lengths of all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from minari_core import MinariDataset, create_dataset_from_arrays, open_stream
from minari_core.errors import DatasetDamagedError
from minari_core.formats.columnar.dataset_folder import ColumnarStorage
from minari_core.formats.shards.entry import LENGTHS
from minari_core.formats.streamed.arrays import StreamedArray
from minari_core.formats.streamed.episode_runs import find_runs
from minari_core.formats.streamed.shard import StreamedShard
from minari_core.formats.streamed.storage import StreamStorage
from minari_core.ranges.blocks import BLOCK_NBYTES
from minari_core.testing import MemorySource
from minari_core.testing.expectations import expect_same
from tests.core.helpers.streams import read_source, write_dataset

EPISODES = 80_000


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_CACHE_PATH", str(tmp_path / "cache"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))


def create_many(count: int = EPISODES) -> MinariDataset:
    """A dataset of many episodes of one to three steps."""
    lengths = np.arange(count) % 3 + 1
    steps = np.arange(lengths.sum())
    rows = (steps + np.repeat(np.arange(count), lengths)).astype(np.float32)[:, None]
    return create_dataset_from_arrays(
        "many/short-v0",
        observations=rows,
        next_observations=rows + 1,
        actions=np.zeros((len(steps), 1), np.float32),
        rewards=steps.astype(np.float64),
        terminals=np.isin(steps, np.cumsum(lengths) - 1),
        author="nobody",
        author_email="nobody@example.org",
        algorithm_name="none",
        code_permalink="https://example.org",
    )


def storage_of(stream: MinariDataset) -> StreamStorage:
    storage = stream._find_columns()
    assert isinstance(storage, StreamStorage)
    return storage


def list_blocks_of_lengths(source: MemorySource, stream: MinariDataset) -> set[int]:
    """List which blocks of the lengths of episodes were asked for; all are in one shard."""
    lengths = storage_of(stream).shard(0).array(LENGTHS)
    assert isinstance(lengths, StreamedArray)
    first, stop = (byte // BLOCK_NBYTES for byte in lengths.find_span(0, len(lengths)))
    return {
        block
        for name, start, end in source.requests
        if name.endswith(".h5")
        for block in range(start // BLOCK_NBYTES, -(-end // BLOCK_NBYTES))
        if first <= block <= stop
    }


def test_single_episodes_and_what_is_said_of_them_read_few_of_the_lengths() -> None:
    local = create_many()
    source = read_source(Path(str(local.storage.data_path)))
    stream = open_stream(source)
    for number in (10_000, 10_002, 0, 63, 64, EPISODES - 1):
        found, wanted = stream[number], local[number]
        assert np.array_equal(found.observations, wanted.observations)
        assert np.array_equal(found.rewards, wanted.rewards)
        rows = stream.storage.read_rows(number, "observations", 1, 2)
        assert np.array_equal(rows, wanted.observations[1:2])
        if 10_000 <= number < EPISODES - 1:
            # The last one is read for the index.
            assert len(list_blocks_of_lengths(source, stream)) == 2
    entries = list(stream[50_001:50_004].iterate_episode_metadata())
    assert [entry.total_steps for entry in entries] == [1, 2, 3]
    some = [5, 64_001, 64_002, 64_003, 70_000]
    for found, wanted in zip(stream[some], local[some], strict=True):
        assert np.array_equal(found.observations, wanted.observations)
    assert storage_of(stream)._index is None


def test_episodes_in_pieces_or_of_shards_without_an_index_are_read_as_ever(
    tmp_path: Path,
) -> None:
    local = write_dataset(tmp_path / "data")
    local.storage.update_episode_metadata([{"more": 1}], [2])
    changed = MinariDataset(ColumnarStorage.open(tmp_path / "data"))
    stream = open_stream(read_source(tmp_path / "data"))
    assert find_runs(storage_of(stream), 0, 1) is None
    for number in (2, 11, 0):
        expect_same(stream[number].observations, changed[number].observations, "observations")
        assert stream[number].metadata == changed[number].metadata
    assert stream[2].metadata["more"] == 1
    assert list(stream.iterate_episode_metadata()) == list(changed.iterate_episode_metadata())


def test_lengths_that_do_not_fit_the_index_are_an_error(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data")
    stream = open_stream(read_source(tmp_path / "data"))
    shard = storage_of(stream).shard(0)
    assert isinstance(shard, StreamedShard)
    starts = shard.find_starts(1, 3)
    assert starts is not None
    assert starts.tolist() == [1, 6, 8]
    lengths = shard.array(LENGTHS)
    assert isinstance(lengths, StreamedArray)
    lengths.offset += 8
    with pytest.raises(DatasetDamagedError, match="do not have the lengths that its trailer says"):
        stream[0]
