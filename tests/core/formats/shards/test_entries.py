"""What a manifest says of a shard, what its file must be, and how its bytes are written."""

from __future__ import annotations

import os
import re
import zlib
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core.columns import AXES, FixedColumn, Schema
from minari_core.episodes.shard_data import ShardData
from minari_core.episodes.stream import encode_shards
from minari_core.errors import DataError, DatasetDamagedError
from minari_core.formats.shards import writer
from minari_core.formats.shards.entry import NO_OFFSET, ShardEntries, ShardEntry, read_entry
from minari_core.formats.shards.file_check import check_shard, compute_checksum, read_shard
from minari_core.formats.shards.reader import OpenShards, open_shard
from minari_core.formats.shards.trailer import encode_trailer, read_episode_starts
from minari_core.formats.shards.writer import write_shard
from minari_core.testing import simple_episode
from minari_core.testing.examples import MOVE, POSITION

ENTRY = ShardEntry("shard-1.h5", 100, 7, 0, 5, 4, 1, ((64, 5), (NO_OFFSET, 4)))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ""),
        ({"file": "a" * 128}, ""),
        ({"file": "a" * 129}, "leaves the dataset's folder"),
        ({"file": "../a"}, "leaves the dataset's folder"),
        ({"file": ".a"}, "leaves the dataset's folder"),
        ({"file": 5}, "shard file name 5 leaves the dataset's folder"),
        ({"schema": 1}, "shard shard-1.h5 has no schema 1"),
        ({"schema": -1}, "-1 is not a count"),
        ({"arrays": "ab"}, "has no schema 0"),
        ({"arrays": [[64, 5]]}, "shard shard-1.h5 has 1 arrays, not 2"),
        ({"arrays": [[64, 5], [-2, 4]]}, "-2 is not a count"),
        ({"arrays": [[64, 5], [0, -1]]}, "-1 is not a count"),
        ({"bytes": True}, "True is not a count"),
        ({"crc32": 1.0}, "1.0 is not a count"),
        ({"rows": 2**63}, "is not a count"),
        ({"rows": 2**63 - 1}, ""),
        ({"steps": None}, "None is not a count"),
    ],
)
def test_an_entry_is_read_or_says_what_makes_no_sense(changes: dict[str, Any], told: str) -> None:
    listed = {**ENTRY.to_json(), **changes}
    if told:
        with pytest.raises(ValueError, match=re.escape(told)):
            read_entry(listed, [2])
        return
    read = read_entry(listed, [2])
    assert read.to_json() == listed
    if not changes:
        assert read == ENTRY


def schema() -> Schema:
    return Schema(dict.fromkeys(AXES, FixedColumn(np.dtype("i8"))))


def list_entries(*changed: dict[str, Any], check_rows: bool = True) -> ShardEntries:
    counts = {"rows": 5, "steps": 4, "episodes": 1}
    arrays = [[64, counts[axis]] for axis in AXES.values()]
    listed = [{**ENTRY.to_json(), "arrays": arrays, **changes} for changes in changed]
    return ShardEntries(listed, [schema()], "metadata.json", check_rows=check_rows)


def test_entries_are_read_one_by_one_and_their_counts_at_once() -> None:
    entries = list_entries({}, {"file": "b.h5", "rows": 5})
    assert entries.counts == [(5, 4, 1)] * 2
    assert len(entries) == 2
    assert [entry.file for entry in entries] == ["shard-1.h5", "b.h5"]
    assert entries[1:] == (entries[1],)
    assert entries == list_entries({}, {"file": "b.h5"})
    assert entries == tuple(entries)
    assert entries != list_entries({})
    assert list_entries().counts == []
    for axis in ("rows", "steps", "episodes"):
        for wrong in (-1, 2**63, True, 1.0):
            with pytest.raises(ValueError, match="is not a count"):
                list_entries({}, {axis: wrong})
        other = list_entries({axis: 9})
        with pytest.raises(
            DatasetDamagedError, match=rf"metadata\.json is damaged: .* have 9 {axis}"
        ):
            other[0]
        assert list_entries({axis: 9}, check_rows=False)[0].file == "shard-1.h5"


def write(folder: Path, count: int = 3, **options: Any) -> tuple[ShardEntry, ShardData]:
    episodes = [simple_episode(number, number + 1) for number in range(count)]
    (data,) = encode_shards(episodes, POSITION, MOVE)
    return write_shard(folder, data, 0, **options), data


def test_a_shard_is_what_its_entry_says(tmp_path: Path) -> None:
    written: list[tuple[Path, int]] = []
    entry, data = write(
        tmp_path, on_written=lambda path: written.append((path, path.stat().st_size))
    )
    path = tmp_path / entry.file
    content = path.read_bytes()
    assert (entry.nbytes, entry.crc32) == (len(content), zlib.crc32(content))
    assert written == [(path, len(content))]
    assert (entry.rows, entry.steps, entry.episodes) == (9, 6, 3)
    assert all(offset % 64 == 0 for offset, _ in entry.arrays)
    check_shard(tmp_path, entry, "the dataset")
    reader, mapped = (
        read_shard(tmp_path, entry, data.schema),
        open_shard(tmp_path, entry, data.schema),
    )
    pairs: Any = zip(
        reader.list_arrays("observations"), mapped.list_arrays("observations"), strict=True
    )
    for one, other in pairs:
        assert np.array_equal(one, other)
    assert reader.counts == mapped.counts == (9, 6, 3)
    with path.open("rb") as file:
        file.seek(5)
        assert compute_checksum(file) == (len(content), zlib.crc32(content))
    for changed, told in [
        (replace(entry, file="gone.h5"), "the dataset lacks gone.h5, though its manifest names it"),
        (
            replace(entry, nbytes=entry.nbytes + 1),
            f"has {entry.nbytes} bytes, and its manifest says {entry.nbytes + 1}",
        ),
        (replace(entry, crc32=5), f"its CRC-32 is {entry.crc32:08x}, not 00000005"),
    ]:
        with pytest.raises(DatasetDamagedError) as raised:
            check_shard(tmp_path, changed, "the dataset")
        assert told in str(raised.value)
        if changed.file == entry.file:
            with pytest.raises(DatasetDamagedError, match="is not what its manifest says"):
                read_shard(tmp_path, changed, data.schema)
    with pytest.raises(DatasetDamagedError, match="is damaged or was cut short"):
        open_shard(tmp_path, replace(entry, nbytes=entry.nbytes - 1), data.schema)
    with pytest.raises(FileNotFoundError):
        open_shard(tmp_path, replace(entry, file="gone.h5"), data.schema)
    unsummed, _ = write(tmp_path, has_checksum=False)
    assert unsummed.crc32 == 0


def test_a_reader_gives_columns_by_their_paths_and_names_itself_in_errors(tmp_path: Path) -> None:
    entry, data = write(tmp_path)
    reader = open_shard(tmp_path, entry, data.schema)
    assert reader.array("rewards") is not None
    assert reader.array("reward") is None
    assert [len(array) for array in reader.list_arrays("episodes/length")] == [3]
    assert len(reader.list_arrays("episodes")) == len(
        [spec for spec in data.schema.arrays if spec.path.startswith("episodes/")]
    )
    assert reader.list_arrays("episode") == []
    index = reader.read_episode_starts()
    assert index is not None
    assert index.starts.tolist() == [0, 6]
    other = reader.rearrange(data.schema, reader._arrays[::-1])
    with pytest.raises(DatasetDamagedError, match=f"{reader.name}: observations: "):
        other.readers(copy=False)
    assert other.has_whole_episodes
    cut = replace(entry, steps=5)
    assert open_shard(tmp_path, cut, data.schema).read_episode_starts() is None


def test_open_shards_are_forgotten_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minari_core.formats.shards.reader.MOST_MAPPED", 2)
    opened: list[int] = []

    def open_one(number: int) -> Any:
        opened.append(number)
        return f"reader {number} {len(opened)}"

    known: Any = {7: "known"}
    shards: Any = OpenShards(open_one, known)
    assert shards[7] == "known"
    assert (shards[1], shards[1]) == ("reader 1 1", "reader 1 1")
    assert (opened, shards.era) == ([1], 0)
    assert shards[2] == "reader 2 2"
    assert (list(shards.list_open()), shards.era) == ([2], 1)
    assert shards[7] == "reader 7 3"


class Slow:
    """A file that takes a few bytes at a time, as one on a pipe or a full disk may."""

    def __init__(self, most: int) -> None:
        self.content, self._most = bytearray(), most

    def fileno(self) -> int:
        return -1

    def write(self, block: memoryview) -> int:
        self.content += block[: self._most]
        return min(len(block), self._most)

    def writev(self, _: int, blocks: list[memoryview]) -> int:
        assert len(blocks) > 1, "not every system has this call"
        whole = b"".join(blocks)[: self._most]
        self.content += whole
        return len(whole)


@given(st.lists(st.binary(max_size=9), max_size=6), st.integers(1, 30))
def test_all_blocks_are_written_however_few_bytes_a_call_takes(
    blocks: list[bytes], most: int
) -> None:
    file: Any = Slow(most)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "writev", file.writev, raising=False)
        writer._write_all(file, [memoryview(block) for block in blocks])
    assert bytes(file.content) == b"".join(blocks)


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=6),
    st.sampled_from([0, 1, 100, 10**6]),
    st.sampled_from([1, 2, 512]),
    st.sampled_from([1, 64, 10**6]),
    st.booleans(),
)
@settings(max_examples=80)
def test_pieces_are_written_one_after_the_other_in_whatever_batches(
    lengths: list[int], smallest: int, at_a_call: int, batch: int, is_strided: bool
) -> None:
    pieces: list[Any] = []
    for number, length in enumerate(lengths):
        rows = (np.arange(length * 6) + number).astype(">i2").reshape(length, 6)
        pieces.append(rows[:, ::2] if is_strided else rows[:, :3].copy())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "_SMALLEST_PIECE", smallest)
        patch.setattr(writer, "_PIECES_A_CALL", at_a_call)
        patch.setattr(writer, "_BATCH_NBYTES", batch)
        blocks = list(writer._batch_pieces(pieces, np.dtype(">i2")))
    assert b"".join(part for block in blocks for part in block) == b"".join(
        piece.tobytes() for piece in pieces
    )
    assert all(len(block) <= at_a_call for block in blocks)


def test_pieces_of_another_dtype_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="pieces of float32 for an array of float64"):
        list(writer._batch_pieces([np.zeros(1, "f4")], np.dtype("f8")))
    _, data = write(tmp_path)
    wrong = replace(
        data, pieces=[[np.asarray(p).astype("f4") for p in some] for some in data.pieces]
    )
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DataError, match="pieces of float32"):
        write_shard(tmp_path, wrong, 0)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("changes", "has_index"),
    [
        ({}, True),
        ({"has_whole_episodes": False}, False),
        ({"steps": 5}, False),
        ({"episodes": 2}, False),
    ],
)
def test_only_a_shard_of_whole_episodes_has_an_index_of_them(
    changes: dict[str, Any], has_index: bool, tmp_path: Path
) -> None:
    _, data = write(tmp_path)
    entry = write_shard(tmp_path, replace(data, **changes), 0)
    content = memoryview((tmp_path / entry.file).read_bytes())
    assert (read_episode_starts(content, 3, "it") is not None) == has_index


def test_a_large_file_is_flushed_while_it_is_summed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    entry, _ = write(tmp_path)
    with h5py.File(tmp_path / entry.file) as file:
        file.close()
    for most, calls in ((1, 2), (10**9, 1)):
        monkeypatch.setattr(writer, "_FLUSHED_EARLY", most)
        sizes.clear()
        other, _ = write(tmp_path, on_written=lambda path: sizes.append(path.stat().st_size))
        assert len(sizes) == calls
        assert sizes[-1] == other.nbytes
        assert sizes[0] < other.nbytes or calls == 1


def head(version: int, end: int) -> bytes:
    content = bytearray(b"\x89HDF\r\n\x1a\n" + bytes([version]) + bytes(39))
    place = 40 if version < 2 else 28
    content[place : place + 8] = end.to_bytes(8, "little")
    return bytes(content)


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_a_file_that_goes_on_behind_its_end_has_lost_its_trailer(version: int) -> None:
    lengths = np.array([1, 2])
    whole = head(version, 48) + encode_trailer(48, lengths)
    assert read_episode_starts(memoryview(whole), 2, "it") is not None
    damaged = memoryview(whole[:-1] + b"x")
    with pytest.raises(DatasetDamagedError, match=f"behind byte 48.* are {len(whole) - 48} bytes"):
        read_episode_starts(damaged, 2, "it")
    for end in (48, 49):
        assert read_episode_starts(memoryview(head(version, end)), 2, "it") is None
    with pytest.raises(DatasetDamagedError, match=r"behind byte 47.* are 1 bytes"):
        read_episode_starts(memoryview(head(version, 47)), 2, "it")
    for other in (head(version, 0)[:47], b"x" + head(version, 0)[1:]):
        with pytest.raises(DatasetDamagedError, match="does not begin as an HDF5 file does"):
            read_episode_starts(memoryview(other), 2, "it")


def test_a_file_is_summed_up_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 2000)
    with FileIO(path) as file:
        file.seek(100)
        assert compute_checksum(file) == (512_000, zlib.crc32(path.read_bytes()))


def test_an_image_column_lies_in_chunks_that_hdf5_knows(tmp_path: Path) -> None:
    space = spaces.Box(0, 255, (64, 64), np.uint8)
    episode = simple_episode(0, 16)
    episode.observations = np.arange(17 * 4096, dtype=np.uint8).reshape(17, 64, 64)
    (data,) = encode_shards([episode], space, MOVE)
    entry = write_shard(tmp_path, data, 0)
    assert entry.arrays[0] == (NO_OFFSET, 17)
    assert entry.arrays[1][1] == 3
    with h5py.File(tmp_path / entry.file) as file:
        assert file["observations/frames"].chunks == (8, 64, 64)
        table = file["observations/chunks"][()]
        known = [file["observations/frames"].id.get_chunk_info(n) for n in range(3)]
        assert table.tolist() == [[chunk.byte_offset, chunk.size] for chunk in known]
    found = open_shard(tmp_path, entry, data.schema).read("observations", 7, 17, copy=True)
    assert np.array_equal(found, episode.observations[7:17])
