"""A shard of whole episodes ends with a small index of them, which no reader needs."""

from __future__ import annotations

import json
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core import DatasetDamagedError, load_dataset, verify_dataset
from minari_core.datasets.dataset import get_raw_storage
from minari_core.formats.columnar.shard_folder import ShardFolder
from minari_core.formats.shards.trailer import (
    encode_trailer,
    read_block_checksums,
    read_episode_starts,
)
from minari_core.testing import simple_episode
from tests.core.helpers.many_shards import create_many_shards


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 2**40), max_size=300).map(lambda n: np.array(n, dtype=np.int64)),
    st.binary(max_size=70),
)
def test_what_is_written_is_the_first_step_of_every_so_many(
    lengths: np.ndarray[tuple[int], np.dtype[np.int64]], before: bytes
) -> None:
    contents = memoryview(before + encode_trailer(len(before), lengths))
    index = read_episode_starts(contents, len(lengths), "it")
    assert index is not None
    assert index.fits(lengths)
    total = 0
    starts = []
    for number, length in enumerate(lengths.tolist()):
        if number % index.every == 0:
            starts.append(total)
        total += length
    assert index.starts.tolist() == [*starts, total]
    assert not index.fits(np.append(lengths, 1))


def test_a_file_for_other_episodes_has_no_index() -> None:
    trailer = encode_trailer(0, np.arange(1, 100))
    assert read_episode_starts(memoryview(trailer), 3, "it") is None


def test_a_file_without_a_trailer_that_is_no_hdf5_is_damage_with_its_name() -> None:
    trailer = encode_trailer(0, np.arange(1, 100))
    for content in (trailer[:-1], b"short", b"", bytes(1000)):
        with pytest.raises(DatasetDamagedError, match="shard 2: it does not begin as an HDF5"):
            read_block_checksums(memoryview(content), "shard 2")


def test_what_later_versions_add_is_passed_over() -> None:
    description = json.dumps({"blocks": {"offset": 0}}).encode()
    end = struct.pack("<II8s", len(description), zlib.crc32(description), b"\x89MINARI\n")
    assert read_episode_starts(memoryview(description + end), 1, "it") is None


@given(st.data())
def test_a_byte_that_changed_gives_an_error_or_no_index(data: st.DataObject) -> None:
    lengths = np.arange(1, 200)
    trailer = bytearray(encode_trailer(0, lengths))
    position = data.draw(st.integers(0, len(trailer) - 1))
    trailer[position] ^= data.draw(st.integers(1, 255))
    index = None
    with suppress(DatasetDamagedError):
        index = read_episode_starts(memoryview(trailer), len(lengths), "shard")
    assert index is None


def test_damage_names_the_shard() -> None:
    trailer = bytearray(encode_trailer(0, np.arange(1, 200)))
    trailer[3] ^= 1
    with pytest.raises(DatasetDamagedError, match="a shard: its trailer is damaged"):
        read_episode_starts(memoryview(trailer), 199, "a shard")


def list_shards(folder: ShardFolder) -> list[bool]:
    return [folder.shard(n).has_whole_episodes for n in range(len(folder.snapshot.shards))]


def test_shards_that_are_written_and_joined_have_one() -> None:
    groups = [[simple_episode(3 * shard + n, n + 1) for n in range(3)] for shard in range(3)]
    dataset = create_many_shards("tests/many-v0", groups)
    storage = get_raw_storage(dataset)
    assert isinstance(storage, ShardFolder)
    assert all(list_shards(storage))
    dataset.compact()
    storage = get_raw_storage(load_dataset("tests/many-v0"))
    assert isinstance(storage, ShardFolder)
    assert list_shards(storage) == [True]
    assert verify_dataset("tests/many-v0").problems == ()
    with h5py.File(Path(str(storage.data_path)) / storage.snapshot.shards[0].file) as file:
        assert file["episodes/length"][:].tolist() == [1, 2, 3] * 3


@pytest.mark.parametrize("wrong", [0, 1])
def test_an_index_of_other_lengths_is_told(wrong: int) -> None:
    episodes = [simple_episode(n, n % 5 + 1) for n in range(130)]
    dataset = create_many_shards("tests/one-v0", [episodes])
    folder = Path(str(dataset.spec.data_path))
    path = folder / "metadata.json"
    content = json.loads(path.read_text())
    listing = content["columnar"]
    entry = listing["shards"][0]
    file = folder / entry["file"]
    lengths = np.array([len(episode) for episode in episodes])
    trailer = encode_trailer(entry["bytes"], lengths)
    if wrong:
        lengths[[0, -1]] += [1, -1]
    replaced = file.read_bytes()[: -len(trailer)]
    file.write_bytes(replaced + encode_trailer(len(replaced), lengths))
    contents = file.read_bytes()
    entry.update(bytes=len(contents), crc32=zlib.crc32(contents))
    listing.pop("crc32")
    text = json.dumps(listing, separators=(",", ":")).encode()
    listing["crc32"] = zlib.crc32(text)
    path.write_text(json.dumps(content))
    told = [problem.message for problem in verify_dataset("tests/one-v0").problems]
    assert told == ["the index in its trailer does not fit the lengths of its episodes"] * wrong


def test_the_bytes_of_a_trailer_are_those_of_the_documents() -> None:
    """Padding to 64 bytes, the starts, what is said of them, its size, its checksum, a mark."""
    lengths = np.arange(1, 131)
    table = np.array([0, 2080, 8256, 8515], "<i8").tobytes()
    said = json.dumps(
        {"episode_starts": {"every": 64, "offset": 128, "length": 4, "crc32": zlib.crc32(table)}},
        separators=(",", ":"),
    ).encode()
    end = struct.pack("<II", len(said), zlib.crc32(said)) + b"\x89MINARI\n"
    assert encode_trailer(100, lengths) == bytes(28) + table + said + end
    assert encode_trailer(128, lengths) == table + said + end


def build_trailer(**changed: object) -> memoryview:
    """Two episodes of three and four steps, each with an entry."""
    table = np.array([0, 3, 7], "<i8").tobytes()
    said = {"every": 1, "offset": 0, "length": 3, "crc32": zlib.crc32(table), **changed}
    text = json.dumps({"episode_starts": said}).encode()
    end = struct.pack("<II8s", len(text), zlib.crc32(text), b"\x89MINARI\n")
    return memoryview(table + text + end)


def test_entries_of_every_episode_are_read_also_where_nothing_lies_before_them() -> None:
    index = read_episode_starts(build_trailer(), 2, "it")
    assert index is not None
    assert (index.every, index.starts.tolist()) == (1, [0, 3, 7])
    assert read_episode_starts(build_trailer(), 3, "it") is None
    assert read_episode_starts(build_trailer(every=0), 2, "it") is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"offset": -8}, "bytes from -8 on are outside"),
        ({"offset": 1}, "bytes from 1 on are outside"),
        ({"crc32": 1}, "the checksum of its index is another one"),
        ({"length": None}, "NoneType"),
    ],
)
def test_entries_that_are_elsewhere_or_others_are_damage(
    changed: dict[str, object], message: str
) -> None:
    with pytest.raises(DatasetDamagedError, match=rf"^it: its trailer is damaged: .*{message}"):
        read_episode_starts(build_trailer(**changed), 2, "it")


def test_a_description_that_is_larger_than_its_file_or_another_one_is_damage() -> None:
    contents = bytearray(build_trailer())
    contents[-20] ^= 1
    with pytest.raises(DatasetDamagedError, match="its checksum is another one"):
        read_episode_starts(memoryview(contents), 2, "it")
    end = struct.pack("<II8s", 1, 0, b"\x89MINARI\n")
    with pytest.raises(DatasetDamagedError, match="a description of 1 bytes is more than the file"):
        read_episode_starts(memoryview(end), 0, "it")


def test_a_shard_whose_end_was_lost_is_damage_and_not_one_without_a_trailer() -> None:
    dataset = create_many_shards("tests/end-v0", [[simple_episode(0, 3)]])
    (shard,) = Path(str(dataset.storage.data_path)).glob("shard-*.h5")
    content = shard.read_bytes()
    for end in (content[:-8] + bytes(8), content[:-1], content + b"more"):
        with pytest.raises(DatasetDamagedError, match="shard 0: its trailer is damaged"):
            read_block_checksums(memoryview(end), "shard 0")
    # As earlier releases wrote it.
    size = int.from_bytes(content[40:48] if content[8] < 2 else content[28:36], "little")
    assert read_block_checksums(memoryview(content)[:size], "shard 0") is None
