"""Rows, entries and whole episodes of a stream are those of the same dataset on the disk."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from minari_core import EpisodeBuffer, MinariDataset, open_stream
from minari_core.environments.space_json import space_to_json
from minari_core.errors import (
    DatasetDamagedError,
    DatasetWriteError,
    EpisodeIndexError,
    FormatError,
)
from minari_core.formats.columnar.dataset_folder import ColumnarStorage
from minari_core.formats.streamed.arrays import StreamedArray
from minari_core.formats.streamed.shard import StreamedShard
from minari_core.formats.streamed.storage import StreamStorage, _find_runs
from minari_core.testing import MemorySource
from minari_core.testing.expectations import expect_same
from tests.core.helpers.many_shards import keep_shards_apart
from tests.core.helpers.streams import read_source

GROUPS = ("observations", "actions", "rewards", "terminations", "truncations", "infos", "extras")
SPACE = spaces.Dict(a=spaces.Box(-9, 9, (2,), np.float32), t=spaces.Text(9))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_CACHE_PATH", str(tmp_path / "cache"))


def episode(number: int, steps: int, *, is_known: bool) -> EpisodeBuffer:
    rows = steps + is_known
    return EpisodeBuffer(
        observations={
            "a": np.arange(2 * rows, dtype=np.float32).reshape(rows, 2) + number,
            "t": [f"{number} {row}" for row in range(rows)],
        },
        actions=np.arange(steps) + number,
        rewards=np.arange(steps, dtype=float),
        terminations=np.arange(steps) == steps - 1,
        truncations=np.zeros(steps, bool),
        infos={"x": np.arange(steps + 1) * number},
        seed=number,
        metadata={"n": number} if is_known else {"final_observation_known": False},
        extras={"e": np.arange(steps + 1.0)},
    )


@pytest.fixture(params=[True, False], ids=["known", "partly known"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[MinariDataset, MinariDataset]:
    """A dataset of two shards on the disk and as a stream; some final observations are unknown."""
    folder = tmp_path / "data"
    folder.mkdir()
    metadata: dict[str, Any] = {"dataset_id": "x-v0"}
    metadata["observation_space"] = space_to_json(SPACE)
    metadata["action_space"] = space_to_json(spaces.Discrete(99))
    storage = ColumnarStorage.create(folder, metadata)
    with keep_shards_apart():
        for shard in range(2):
            storage.append_episodes(
                episode(10 * shard + number, number + 1, is_known=request.param or number % 2 == 0)
                for number in range(4)
            )
    storage.save()
    return MinariDataset(folder), open_stream(read_source(folder))


def storage_of(stream: MinariDataset) -> StreamStorage:
    storage = stream._find_columns()
    assert isinstance(storage, StreamStorage)
    return storage


def test_any_rows_of_any_column_are_read(both: tuple[MinariDataset, MinariDataset]) -> None:
    local, stream = both
    for number in range(8):
        whole = local[number]
        assert whole.final_observation_known == stream[number].final_observation_known
        for group in GROUPS:
            for start, stop in ((0, 99), (1, 3), (3, 4), (4, 5), (5, 9), (0, 0)):
                found = stream.storage.read_rows(number, group, start, stop)
                expect_same(found, local.storage.read_rows(number, group, start, stop), group)
        rows = stream.storage.read_rows(number, "observations", 0, 99)
        expect_same(rows, whole.observations, "observations")
    with pytest.raises(EpisodeIndexError):
        stream.storage.read_rows(8, "rewards", 0, 1)


@pytest.mark.parametrize("indices", [[0], [7, 0], [*range(8)], [3, 4, 2, 2, 5], []])
def test_episodes_and_their_entries_come_in_any_order(
    both: tuple[MinariDataset, MinariDataset], indices: list[int]
) -> None:
    local, stream = both
    wanted = list(local.storage.read_episodes(indices))
    for given_indices in (indices, iter(indices), np.array(indices, dtype=np.int64)):
        found = list(stream.storage.read_episodes(given_indices))
        assert [each.id for each in found] == indices
        for one, other in zip(found, wanted, strict=True):
            for group in (*GROUPS, "seed", "metadata", "options"):
                expect_same(getattr(one, group), getattr(other, group), group)
    entries = list(stream.storage.read_episode_metadata(indices))
    assert entries == list(local.storage.read_episode_metadata(indices))


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 4))
def test_indices_that_count_up_are_read_together(indices: list[int], most: int) -> None:
    runs = list(_find_runs(indices, most))
    assert [index for run in runs for index in run] == indices
    assert all(0 < len(run) <= most for run in runs)
    for run, following in pairwise(runs):
        assert len(run) == most or following.start != run.stop


def test_what_others_add_is_counted_and_then_loaded(
    both: tuple[MinariDataset, MinariDataset], tmp_path: Path
) -> None:
    local, _ = both
    source = read_source(tmp_path / "data")
    stream = open_stream(source)
    storage = storage_of(stream)
    assert (storage.newer_episodes(), storage.refresh()) == (0, False)
    before = storage.fingerprint()
    local.storage.append_episodes([episode(50, 3, is_known=True)])
    for path in (tmp_path / "data").iterdir():
        source.replace(path.name, path.read_bytes())
    assert storage.newer_episodes() == 1
    assert storage.refresh()
    assert not storage.refresh()
    assert storage.total_episodes == 9
    assert storage.fingerprint() != before
    (added,) = storage.read_episodes([8])
    assert added.actions.tolist() == [50, 51, 52]


def test_a_stream_changes_nothing(both: tuple[MinariDataset, MinariDataset]) -> None:
    _, stream = both
    storage = storage_of(stream)
    assert storage.data_path is None
    assert storage.fetches_rows
    for change in (
        lambda: storage.append_episodes([]),
        lambda: storage.append_storage(storage),
        lambda: storage.update_metadata({"author": "x"}),
        lambda: storage.update_episode_metadata([{"x": 1}], [0]),
        storage.compact,
    ):
        with pytest.raises(DatasetWriteError, match="is streamed, which only reads; download"):
            change()
    storage.save()


def test_an_array_of_a_stream_is_read_as_one_of_numpy(
    both: tuple[MinariDataset, MinariDataset],
) -> None:
    local, stream = both
    shard = storage_of(stream).shard(1)
    array = shard.array("observations/a")
    assert isinstance(array, StreamedArray)
    wanted = np.concatenate([each.observations["a"] for each in local[4:]])
    if local[5].final_observation_known:
        assert len(array) == len(wanted)
        assert np.array_equal(np.asarray(array), wanted)
        for key in (0, -1, 3, slice(2, 5), slice(None), slice(5, 2), slice(-3, None)):
            assert np.array_equal(array[key], wanted[key])
        rows = np.array([3, 0, 3, len(wanted) - 1])
        assert np.array_equal(array.take(rows), wanted[rows])
        assert array.read(1, 4).flags.writeable
        assert not array[1:4].flags.writeable
        pieces = np.concatenate([np.asarray(piece) for piece in array.blocks()])
        assert np.array_equal(pieces, wanted)
        assert np.asarray(array, dtype=np.float64).dtype == np.float64
        for wrong in (len(wanted), -len(wanted) - 1):
            with pytest.raises(IndexError):
                array[wrong]
    with pytest.raises(IndexError, match="rows in steps of 2 are not read"):
        array[::2]


def test_what_is_fetched_ahead_is_at_hand_when_it_is_read(tmp_path: Path) -> None:
    folder, rows = tmp_path / "long", 40_001
    folder.mkdir()
    metadata: dict[str, Any] = {"dataset_id": "x-v0"}
    metadata["observation_space"] = space_to_json(spaces.Box(-9, 9, (4,), np.float64))
    metadata["action_space"] = space_to_json(spaces.Discrete(99))
    storage = ColumnarStorage.create(folder, metadata)
    flags = np.zeros(rows - 1, bool)
    storage.append_episodes(
        [
            EpisodeBuffer(
                observations=np.zeros((rows, 4)),
                actions=np.zeros(rows - 1, np.int64),
                rewards=np.zeros(rows - 1),
                terminations=flags,
                truncations=flags,
                infos={"t": ["some words"] * rows, "n": np.arange(rows)},
            )
        ]
    )
    storage.save()
    for group, first, stop in (
        ("infos", 0, 9),
        ("infos", 30_000, 30_100),
        ("observations", rows - 5, rows),
        ("actions", 39_000, 40_000),
    ):
        source = read_source(folder)
        shard = storage_of(open_stream(source, cache_nbytes=0)).shard(0)
        assert isinstance(shard, StreamedShard)
        span = (first, stop)
        shard.fetch([group], *((span, (0, 0)) if group != "actions" else ((0, 0), span)))
        asked = list(source.requests)
        shard.read(group, first, stop, copy=True)
        assert source.requests == asked
        read = sum(end - begin for name, begin, end in asked if name.endswith(".h5"))
        assert 0 < read < (folder / shard.name.rpartition("/")[2]).stat().st_size / 2


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [
        (b"", DatasetDamagedError, r"metadata\.json has 0 bytes"),
        (b'{"data_format": "arrow"}', FormatError, "is of the format 'arrow', which has no index"),
        (b"{}", FormatError, "is of the format 'hdf5'"),
        (b"{", DatasetDamagedError, "is not JSON"),
    ],
)
def test_what_is_no_columnar_dataset_is_not_streamed(
    text: bytes, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        open_stream(MemorySource({"metadata.json": text}))
