"""A mapped file is not an open file, and its bytes stay for as long as anything views them."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from minari_core.storage.file_map import map_file

DESCRIPTORS = Path("/proc/self/fd")
MAPS = Path("/proc/self/maps")


def map_bytes(path: Path, content: bytes) -> memoryview:
    path.write_bytes(content)
    with open(path, "rb") as file:
        return map_file(file)


def test_the_bytes_of_a_file_are_mapped_to_be_read(tmp_path: Path) -> None:
    mapped = map_bytes(tmp_path / "file", b"abc" * 5000)
    assert mapped.readonly
    assert bytes(mapped) == b"abc" * 5000


@pytest.mark.skipif(not DESCRIPTORS.exists(), reason="only Linux lists a process's open files")
def test_no_file_stays_open(tmp_path: Path) -> None:
    before = len(os.listdir(DESCRIPTORS))
    mapped = [map_bytes(tmp_path / str(number), b"x") for number in range(20)]
    assert len(os.listdir(DESCRIPTORS)) == before
    assert {bytes(each) for each in mapped} == {b"x"}


@pytest.mark.skipif(not MAPS.exists(), reason="only Linux lists the maps of a process")
def test_a_file_stays_mapped_until_its_last_view_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    view = np.frombuffer(map_bytes(path, bytes(range(100))), np.uint8)[10:20].reshape(2, 5)
    gc.collect()
    assert str(path) in MAPS.read_text()
    assert view.tolist() == [[10, 11, 12, 13, 14], [15, 16, 17, 18, 19]]
    del view
    gc.collect()
    assert str(path) not in MAPS.read_text()


def test_an_empty_file_cannot_be_mapped(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="empty"):
        map_bytes(tmp_path / "empty", b"")


@pytest.mark.skipif(sys.platform == "win32", reason="the numbers of files are of POSIX")
def test_what_the_system_refuses_says_why(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    with open(read_end, "rb") as file, open(write_end, "wb"), pytest.raises((OSError, ValueError)):
        map_file(file)
