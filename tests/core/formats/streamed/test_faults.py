"""What goes wrong in a stream is an error that names the object, or the same data as ever."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from minari_core import MinariDataset, open_stream
from minari_core.errors import (
    DatasetChangedError,
    DatasetDamagedError,
    DatasetWriteError,
    FormatError,
    RemoteError,
    RemoteObjectNotFoundError,
)
from minari_core.ranges.segments import SegmentFile
from minari_core.testing import MemorySource
from tests.core.helpers.streams import read_source, write_dataset, write_numbered


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_CACHE_PATH", str(tmp_path / "cache"))


def shard_of(source: MemorySource, dataset: MinariDataset) -> str:
    list(dataset)
    return next(name for name, _, _ in source.requests if name.endswith(".h5"))


def test_a_remote_that_fails_says_so_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    local = write_dataset(tmp_path / "data")
    source = read_source(tmp_path / "data")
    stream = open_stream(source)

    def fail(name: str, start: int, stop: int) -> None:
        raise RemoteError(f"{name} is out of reach")

    source.before_range = fail
    with pytest.raises(RemoteError, match="out of reach"):
        stream[0]
    with pytest.raises(RemoteError, match="out of reach"):
        stream.sample_transitions(8)
    source.before_range = None

    np.testing.assert_array_equal(stream[0].observations, local[0].observations)


def test_a_shard_that_was_written_anew_with_the_same_bytes_is_read_on(tmp_path: Path) -> None:
    local = write_dataset(tmp_path / "data", lengths=(4000,))
    source = read_source(tmp_path / "data")
    stream = open_stream(source)
    names = [path.name for path in (tmp_path / "data").glob("*.h5")]
    first = stream.sample_transitions(1)
    for name in names:
        source.replace(name, (tmp_path / "data" / name).read_bytes())

    np.testing.assert_array_equal(stream[1].observations, local[1].observations)
    np.testing.assert_array_equal(stream[2].rewards, local[2].rewards)
    assert len(first) == 1


def test_another_dataset_in_its_place_is_an_error(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data")
    other = tmp_path / "other"
    write_dataset(other, lengths=(3, 3))
    source = read_source(tmp_path / "data")
    stream = open_stream(source)
    names = [path.name for path in (tmp_path / "data").glob("*.h5")]

    source.replace("metadata.json", (other / "metadata.json").read_bytes())
    for name in names:
        source.replace(name, None)

    with pytest.raises(DatasetChangedError, match="another dataset"):
        stream[0]
    with pytest.raises(DatasetChangedError, match="another dataset"):
        stream.newer_episodes()


def test_episodes_that_others_add_are_counted_and_not_mixed_in(tmp_path: Path) -> None:
    local = write_dataset(tmp_path / "data")
    source = read_source(tmp_path / "data")
    stream = open_stream(source)
    assert stream.newer_episodes() == 0

    local.storage.update_episodes([local[0]])
    for path in (tmp_path / "data").iterdir():
        if path.is_file():
            source.replace(path.name, path.read_bytes())

    assert stream.newer_episodes() == 1
    assert len(list(stream)) == stream.total_episodes == 12
    assert len(open_stream(source)) == 13


def test_a_stream_is_read_only_and_says_so(tmp_path: Path) -> None:
    local = write_dataset(tmp_path / "data")
    stream = open_stream(read_source(tmp_path / "data"))
    changes: list[Callable[[], object]] = [
        stream.compact,
        lambda: stream.set_splits({"train": [0]}),
        lambda: stream.storage.update_metadata({"author": "nobody"}),
        lambda: stream.storage.update_episodes([local[0]]),
        lambda: stream.storage.update_episode_metadata([{"a": 1}], [0]),
    ]
    for change in changes:
        with pytest.raises(DatasetWriteError, match="download the dataset to change it"):
            change()


def test_a_public_format_names_what_can_be_done(tmp_path: Path) -> None:
    source = MemorySource({"metadata.json": b'{"dataset_id": "x-v0", "data_format": "hdf5"}'})

    with pytest.raises(FormatError, match="download=True to download it, or convert"):
        open_stream(source)
    with pytest.raises(RemoteObjectNotFoundError, match=r"metadata\.json"):
        open_stream(MemorySource({}))


def test_a_shard_of_another_size_than_its_manifest_says_is_an_error(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data")
    source = read_source(tmp_path / "data")
    stream = open_stream(source)
    for path in (tmp_path / "data").glob("*.h5"):
        source.replace(path.name, path.read_bytes()[:-8])

    with pytest.raises(DatasetChangedError, match="bytes, not the"):
        stream[0]


def test_a_shard_of_zeros_is_an_error_that_names_it(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data")
    source = read_source(tmp_path / "data")
    stream = open_stream(source)
    for path in (tmp_path / "data").glob("*.h5"):
        source.replace(path.name, bytes(path.stat().st_size))

    with pytest.raises(DatasetDamagedError, match=r"shard-.*h5: it does not begin as an HDF5 file"):
        stream[0]


def test_a_bit_that_flips_on_its_way_is_fetched_again(tmp_path: Path) -> None:
    wanted = write_numbered(tmp_path / "data")
    source = read_source(tmp_path / "data")
    flipped: list[str] = []

    def flip_once(name: str, start: int, stop: int) -> None:
        if name.endswith(".h5") and start == 0:
            # The bit is another one for the first range of each shard, and right again after it.
            source.flip_bit(name, 5000)
            flipped.append(name)

    source.before_range = flip_once
    stream = open_stream(source)
    for _ in range(3):
        np.testing.assert_array_equal(
            np.concatenate([episode.observations for episode in stream]), wanted
        )
    assert len(flipped) >= 2 * 3, "nothing was fetched again"


def test_a_bit_that_is_flipped_for_good_is_an_error_that_names_the_bytes(tmp_path: Path) -> None:
    write_numbered(tmp_path / "data")
    source = read_source(tmp_path / "data")
    for path in (tmp_path / "data").glob("*.h5"):
        source.flip_bit(path.name, 5000)
    stream = open_stream(source)

    with pytest.raises(DatasetDamagedError, match=r"shard-.*bytes 0 to 262144 arrived 3 times"):
        stream[0]


def test_a_cache_that_is_too_small_or_cannot_be_written_still_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = write_numbered(tmp_path / "data")
    source = read_source(tmp_path / "data")
    small = open_stream(source, cache_nbytes=600_000)
    for _ in range(4):
        batch = small.sample_transitions(64)
        np.testing.assert_array_equal(
            batch.observations, wanted[batch.observations[:, 0].astype(int)]
        )
    cached = sum(path.stat().st_blocks * 512 for path in (tmp_path / "cache").rglob("*.data"))
    assert cached <= 1_500_000

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(SegmentFile, "store", refuse)
    full = open_stream(source, cache_nbytes=10**9)
    for _ in range(2):
        batch = full.sample_transitions(64)
        np.testing.assert_array_equal(
            batch.observations, wanted[batch.observations[:, 0].astype(int)]
        )
    monkeypatch.setenv("MINARI_CACHE_PATH", os.devnull)
    nowhere = open_stream(source)
    np.testing.assert_array_equal(nowhere[0].observations[:, 0], wanted[:20_000, 0])
