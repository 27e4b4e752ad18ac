"""Segments: blocks of objects that processes share on disk, and that a kill does not harm."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minari_core.locks import Holder
from minari_core.ranges.blocks import BLOCK_NBYTES, BlockLayout, join_blocks
from minari_core.ranges.segments import Segment, SegmentFile, open_segment, remove_segment
from minari_core.ranges.source import ObjectVersion
from tests.core.helpers.streams import write_numbered

VERSION = ObjectVersion(3 * BLOCK_NBYTES + 5, "one")
CONTENT = np.random.default_rng(0).bytes(VERSION.size)


def block_of(number: int) -> bytes:
    return CONTENT[number * BLOCK_NBYTES :][:BLOCK_NBYTES]


def open_new(path: Path) -> SegmentFile:
    segment = open_segment(path, VERSION)
    assert segment is not None
    return segment


def test_blocks_that_one_stores_are_at_hand_for_all(tmp_path: Path) -> None:
    one, other = open_new(tmp_path / "a.blocks"), open_new(tmp_path / "a.blocks")
    numbers = np.arange(4)
    assert not other.find(numbers).any()

    one.store(3, block_of(3))
    one.store(1, block_of(1))

    assert other.find(numbers).tolist() == [False, True, False, True]
    assert bytes(other.memory[BLOCK_NBYTES : 2 * BLOCK_NBYTES]) == block_of(1)
    assert bytes(other.memory[3 * BLOCK_NBYTES :]) == block_of(3)
    again = open_segment(tmp_path / "a.blocks", None)
    assert again is not None
    assert again.version == VERSION
    assert sorted(os.listdir(tmp_path)) == sorted(["a.blocks", again.data_path.name])


def test_a_segment_of_another_version_is_made_anew_and_who_has_the_old_one_reads_on(
    tmp_path: Path,
) -> None:
    old = open_new(tmp_path / "a.blocks")
    old.store(0, block_of(0))

    new = open_segment(tmp_path / "a.blocks", ObjectVersion(VERSION.size, "two"))

    assert new is not None
    assert not new.find(np.arange(4)).any()
    assert bytes(old.memory[:BLOCK_NBYTES]) == block_of(0)
    assert len(os.listdir(tmp_path)) == 2


def test_a_damaged_segment_is_made_anew(tmp_path: Path) -> None:
    for damage in (b"", b"{", b"\0" * 5000, b'{"version": 1, "size": -1}'):
        segment = open_new(tmp_path / "a.blocks")
        segment.store(0, block_of(0))
        segment.path.write_bytes(damage)
        assert not open_new(tmp_path / "a.blocks").find(np.arange(4)).any()
        remove_segment(tmp_path / "a.blocks")


def test_blocks_of_an_earlier_run_of_the_machine_are_compared_with_their_checksums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = open_new(tmp_path / "a.blocks")
    for number in range(4):
        segment.store(number, block_of(number))
    with open(segment.data_path, "r+b") as file:
        file.seek(2 * BLOCK_NBYTES + 9)
        file.write(b"\0\0\0\0\0")  # what did not reach the disk before the power was cut
    monkeypatch.setattr(Holder, "is_from_before", lambda self: True)

    later = open_new(tmp_path / "a.blocks")

    assert later.find(np.arange(4)).tolist() == [True, True, False, True]
    later.store(2, block_of(2))
    assert later.find(np.arange(4)).all()


def test_a_segment_holds_in_memory_what_the_cache_has_no_room_for(tmp_path: Path) -> None:
    file = open_new(tmp_path / "a.blocks")
    file.store(1, block_of(1))
    for segment in (Segment(VERSION), Segment(VERSION, file)):
        segment.hold(3, block_of(3))
        found = segment.find(np.arange(4))
        assert found.tolist() == [False, file is segment._file, False, True]
        assert bytes(segment.contents[3 * BLOCK_NBYTES :]) == block_of(3)
        assert segment.contents.readonly
    assert bytes(segment.contents[BLOCK_NBYTES : 2 * BLOCK_NBYTES]) == block_of(1)
    other = open_new(tmp_path / "a.blocks")
    assert other.find(np.arange(4)).tolist() == [False, True, False, False]
    assert not any(other.memory[3 * BLOCK_NBYTES :])
    file.store(0, block_of(0))
    assert bytes(segment.contents[:BLOCK_NBYTES]) == block_of(0)


def test_blocks_are_numbered_through_objects_and_joined_to_ranges() -> None:
    layout = BlockLayout([BLOCK_NBYTES + 1, 5, 2 * BLOCK_NBYTES])

    assert layout.firsts.tolist() == [0, 2, 3, 5]
    assert layout.find(2, [(0, 1), (BLOCK_NBYTES, BLOCK_NBYTES + 1), (9, 9)]).tolist() == [3, 4]
    assert layout.find(0, [(0, BLOCK_NBYTES + 1)]).tolist() == [0, 1]
    split = [(number, inside.tolist()) for number, inside in layout.split(np.array([1, 3, 4]))]
    assert split == [(0, [1]), (2, [0, 1])]
    assert layout.find_span(0, 1) == (BLOCK_NBYTES, BLOCK_NBYTES + 1)
    assert join_blocks(np.array([1, 2, 3, 5]), 2) == [(1, 3), (3, 4), (5, 6)]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-1, 4)), max_size=6), st.data())
def test_blocks_of_many_runs_of_bytes_are_those_of_each(
    runs: list[tuple[int, int]], data: st.DataObject
) -> None:
    layout = BlockLayout([3, 14 * BLOCK_NBYTES])
    near = st.integers(-1, 1)
    spans: list[tuple[int, int]] = []
    for block, count in runs:
        start = max(block * BLOCK_NBYTES + data.draw(near), 0)
        spans.append((start, max(start + count * BLOCK_NBYTES + data.draw(near), 0)))

    wanted = [
        1 + block
        for start, stop in spans
        if stop > start
        for block in range(start // BLOCK_NBYTES, (stop - 1) // BLOCK_NBYTES + 1)
    ]
    assert layout.find(1, spans).tolist() == wanted
    assert layout.find(1, np.array(spans, dtype=np.int64).reshape(-1, 2)).tolist() == wanted


def test_neighbouring_blocks_are_stored_at_once_and_with_checksums_that_are_known(
    tmp_path: Path,
) -> None:
    version = ObjectVersion(3 * BLOCK_NBYTES + 5, "1")
    file = open_segment(tmp_path / "shard.blocks", version)
    assert file is not None
    tail = b"x" * 5
    contents = [block_of(1), block_of(2), tail]
    file.store(1, b"".join(contents), [zlib.crc32(each) for each in contents])
    assert file.find(np.arange(4)).tolist() == [False, True, True, True]
    again = open_segment(tmp_path / "shard.blocks", None)
    assert again is not None
    assert bytes(again.memory[BLOCK_NBYTES:]) == b"".join(contents)

    held = Segment(version)
    held.hold(1, b"".join(contents))
    assert held.find_held(np.arange(4)).tolist() == [False, True, True, True]


_READER = """
import sys
from pathlib import Path
import numpy as np
from minari_core import open_stream
from minari_core.ranges.folder import FolderSource
wanted = np.load(sys.argv[2])
print("ready", flush=True)
while True:
    stream = open_stream(FolderSource(Path(sys.argv[1])), cache_nbytes=int(sys.argv[3]))
    for _ in range(3):
        batch = stream.sample_transitions(64)
        rows = batch.observations[:, 0].astype(int)
        assert (batch.observations == wanted[rows]).all(), "wrong bytes"
"""


@pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")
def test_readers_that_are_killed_leave_no_wrong_byte_to_those_who_share_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_CACHE_PATH", str(tmp_path / "cache"))
    wanted = write_numbered(tmp_path / "data")
    np.save(tmp_path / "wanted.npy", wanted)
    random = np.random.default_rng(0)
    for limit in ("1000000000", "1500000"):  # with evictions all the time, too
        command = [sys.executable, "-c", _READER, str(tmp_path / "data")]
        command += [str(tmp_path / "wanted.npy"), limit]
        readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        for reader in readers:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "ready\n"
        for _ in range(2):
            time.sleep(random.uniform(0.1, 0.4))
            readers[0].send_signal(signal.SIGKILL)
            readers[0].communicate()
            readers[0] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert readers[1].poll() is None, "the one that lives found wrong bytes"
        for reader in readers:
            reader.kill()
            reader.communicate()
