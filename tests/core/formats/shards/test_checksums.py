"""CRC-32 of the blocks of a shard, in its trailer."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minari_core.errors import DatasetDamagedError
from minari_core.formats.shards.checksums import combine_crc32, compute_block_checksums
from minari_core.formats.shards.trailer import (
    encode_trailer,
    read_block_checksums,
    read_episode_starts,
)
from minari_core.ranges.blocks import BLOCK_NBYTES
from tests.core.helpers.streams import write_dataset


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_checksums_are_combined_as_if_all_bytes_were_summed_up(first: bytes, second: bytes) -> None:
    whole = zlib.crc32(first + second)

    assert combine_crc32(zlib.crc32(first), zlib.crc32(second), len(second)) == whole


@pytest.mark.parametrize("nbytes", [0, 1, BLOCK_NBYTES, BLOCK_NBYTES + 1, 3 * BLOCK_NBYTES - 7])
def test_a_file_is_summed_up_by_blocks_and_as_a_whole(nbytes: int, tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(nbytes)
    (tmp_path / "file").write_bytes(content)
    with io.FileIO(tmp_path / "file") as file:
        sums, total = compute_block_checksums(file)

    assert total == zlib.crc32(content)
    assert sums.nbytes == nbytes
    starts = range(0, nbytes, BLOCK_NBYTES)
    blocks = [content[start : start + BLOCK_NBYTES] for start in starts]
    assert sums.crcs.tolist() == [zlib.crc32(block) for block in blocks]
    whole = content + encode_trailer(nbytes, np.array([3, 4]), sums)
    read = read_block_checksums(memoryview(whole), "it")
    assert read is not None
    assert (read.nbytes, read.crcs.tolist()) == (nbytes, sums.crcs.tolist())
    assert read_episode_starts(memoryview(whole), 2, "it") is not None
    assert read.find_damaged(memoryview(whole)) == []
    if nbytes:
        damaged = bytearray(whole)
        damaged[nbytes - 1] ^= 1
        assert read.find_damaged(memoryview(damaged)) == [(nbytes - 1) // BLOCK_NBYTES]


def test_a_damaged_table_of_checksums_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with io.FileIO(tmp_path / "file") as file:
        sums, _ = compute_block_checksums(file)
    whole = bytearray(b"content" + encode_trailer(7, None, sums))
    assert read_episode_starts(memoryview(whole), 0, "it") is None
    whole[64] ^= 1  # where the table begins

    with pytest.raises(DatasetDamagedError, match="it: its trailer is damaged"):
        read_block_checksums(memoryview(whole), "it")


def test_every_shard_that_is_written_has_the_checksums_of_its_blocks(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data")

    for path in (tmp_path / "data").glob("*.h5"):
        content = memoryview(path.read_bytes())
        sums = read_block_checksums(content, path.name)
        assert sums is not None
        assert sums.find_damaged(content) == []
        assert 0 < sums.nbytes < len(content)
