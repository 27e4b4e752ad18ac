"""The two files of a segment: what is believed of them, how they are measured and removed."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minari_core.ranges import segments
from minari_core.ranges.blocks import BLOCK_NBYTES
from minari_core.ranges.segments import (
    Segment,
    SegmentFile,
    measure_segments,
    open_segment,
    remove_segment,
)
from minari_core.ranges.source import ObjectVersion

VERSION = ObjectVersion(BLOCK_NBYTES + 5, "one")
FIRST = np.random.default_rng(0).bytes(BLOCK_NBYTES)
# A block may have the checksum that stands for one that is not there.
WITHOUT_CRC = bytes.fromhex("9d0ad96d")
_HEADER_NBYTES = 4096


def open_new(path: Path, version: ObjectVersion = VERSION) -> SegmentFile:
    segment = open_segment(path, version)
    assert segment is not None
    return segment


def change_header(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = path.read_bytes()
    header = json.loads(content[:_HEADER_NBYTES])
    change(header)
    path.write_bytes(json.dumps(header).encode().ljust(_HEADER_NBYTES) + content[_HEADER_NBYTES:])


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.update(version=2),
        lambda header: header.update(size=str(VERSION.size)),
        lambda header: header.update(size=True),
        lambda header: header.update(size=VERSION.size - 1),
        lambda header: header.update(size=2 * BLOCK_NBYTES + 1),
        lambda header: header.update(tag=5),
        lambda header: header.update(data="../outside.data"),
        lambda header: header.update(data="other.blocks"),
        lambda header: header.update(maker=["a"]),
        lambda header: header.pop("maker"),
        lambda header: header.pop("size"),
        lambda header: header.pop("tag"),
        lambda header: header.pop("data"),
    ],
)
def test_a_header_that_is_no_segments_is_not_believed_and_nothing_outside_is_touched(
    change: Callable[[dict[str, Any]], object], tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    outside = tmp_path / "outside.data"
    outside.write_bytes(bytes(VERSION.size))
    (folder / "other.blocks").touch()
    path = folder / "a.blocks"
    open_new(path).store(0, FIRST)
    change_header(path, change)

    assert open_segment(path, None) is None
    assert not path.exists() or json.loads(path.read_bytes()[:_HEADER_NBYTES])["version"] == 2
    assert not open_new(path).find(np.arange(2)).any()
    assert outside.read_bytes() == bytes(VERSION.size)
    assert (folder / "other.blocks").exists()


def test_files_of_other_sizes_than_the_header_says_are_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "a.blocks"
    for which, more in (("data", 1), ("data", -1), ("table", 4), ("table", -4)):
        segment = open_new(path)
        segment.store(0, FIRST)
        changed = segment.data_path if which == "data" else path
        os.truncate(changed, changed.stat().st_size + more)
        assert open_segment(path, None) is None
        assert not path.exists()
    segment = open_new(path)
    segment.data_path.unlink()
    assert open_segment(path, None) is None
    assert list(tmp_path.iterdir()) == []


def test_a_segment_whose_maker_nobody_knows_is_compared_with_its_checksums(tmp_path: Path) -> None:
    path = tmp_path / "a.blocks"
    open_new(path).store(0, FIRST)
    open_new(path).store(1, b"after")
    change_header(path, lambda header: header.update(maker=None))
    segment = open_new(path)
    assert segment.find_all()
    with open(segment.data_path, "r+b") as file:
        file.write(b"x")
    # What was found intact once is not compared again.
    assert segment.find(np.array([1, 0])).tolist() == [True, True]
    assert open_new(path).find(np.array([1, 0])).tolist() == [True, False]


def test_a_block_whose_checksum_is_0_is_at_hand_when_it_is_stored(tmp_path: Path) -> None:
    assert zlib.crc32(WITHOUT_CRC) == 0
    path = tmp_path / "a.blocks"
    segment = open_new(path, ObjectVersion(4))
    assert not segment.find_all()
    segment.store(0, WITHOUT_CRC)
    assert segment.find_all()
    assert bytes(segment.memory) == WITHOUT_CRC
    change_header(path, lambda header: header.update(maker=None))
    assert open_new(path, ObjectVersion(4)).find_all()


def test_what_has_no_segment_is_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.blocks"
    assert open_segment(path, None) is None
    assert open_segment(path, ObjectVersion(0, "one")) is None
    assert open_segment(path, ObjectVersion(5, "t" * _HEADER_NBYTES)) is None
    assert list(tmp_path.iterdir()) == []
    longest = ObjectVersion(1, "t" * 3500)
    assert open_new(path, longest).version == longest
    empty = Segment(ObjectVersion(0))
    assert (len(empty.contents), empty.find(np.zeros(0, np.int64)).tolist()) == (0, [])
    alone = Segment(VERSION)
    assert not alone.share(0, FIRST)
    alone.hold(0, FIRST)
    alone.hold(1, b"after")
    assert bytes(alone.contents) == FIRST + b"after"
    assert alone.find_held(np.arange(2)).all()


def test_a_block_that_cannot_be_stored_is_not_shared(tmp_path: Path) -> None:
    file = open_new(tmp_path / "a.blocks")
    segment = Segment(VERSION, file)
    assert segment.share(1, b"after")
    file.data_path.unlink()
    assert not segment.share(0, FIRST)
    assert segment.find(np.arange(2)).tolist() == [False, True]
    assert not segment.find_held(np.arange(2)).any()


@pytest.mark.skipif(os.name != "posix", reason="measures what sparse files take")
def test_segments_are_measured_by_the_room_that_they_take(tmp_path: Path) -> None:
    assert measure_segments(tmp_path / "none") == {}
    one, two = open_new(tmp_path / "a.b.blocks"), open_new(tmp_path / "c.blocks")
    (tmp_path / "other").write_bytes(FIRST)
    os.utime(one.path, (5.0, 5.0))
    os.utime(two.path, (6.0, 6.0))
    measured = measure_segments(tmp_path)
    assert measured == {one.path: (0, 5.0), two.path: (0, 6.0)}
    two.store(0, FIRST)
    os.utime(two.path, (7.0, 7.0))
    taken = 512 * two.data_path.stat().st_blocks
    assert taken >= BLOCK_NBYTES
    assert measure_segments(tmp_path) == {one.path: (0, 5.0), two.path: (taken, 7.0)}
    # What a version before this one left behind counts, too.
    (tmp_path / "c.0123.data").write_bytes(FIRST)
    assert measure_segments(tmp_path)[two.path][0] == taken + BLOCK_NBYTES


def test_opening_a_segment_is_its_last_use_and_removing_it_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.blocks"
    segment = open_new(path)
    os.utime(path, (5.0, 5.0))
    assert open_segment(path, None) is not None
    assert path.stat().st_mtime > 5.0
    remove_segment(path)
    remove_segment(path)
    assert list(tmp_path.iterdir()) == []
    assert len(segment.memory) == VERSION.size


def test_who_makes_a_segment_after_another_leaves_that_one_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.blocks"
    open_new(path).store(0, FIRST)
    segments._make(path, VERSION)  # as if both had seen that there was none
    assert open_new(path).find(np.arange(2)).tolist() == [True, False]
    assert len(os.listdir(tmp_path)) == 2
