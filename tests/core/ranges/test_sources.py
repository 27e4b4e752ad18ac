"""Sources of byte ranges that core has: a folder, and the memory that tests use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from minari_core.errors import DatasetChangedError, RemoteError
from minari_core.ranges.folder import FolderSource
from minari_core.ranges.source import RangeSource
from minari_core.testing import MemorySource, RangeSourceConformance


class TestFolderSource(RangeSourceConformance):
    def new_source(self, tmp_path: Path, objects: Mapping[str, bytes]) -> RangeSource:
        for name, content in objects.items():
            (tmp_path / name).write_bytes(content)
        return FolderSource(tmp_path)

    def replace(self, source: RangeSource, tmp_path: Path, name: str, content: bytes) -> None:
        (tmp_path / "new").write_bytes(content)
        os.replace(tmp_path / "new", tmp_path / name)


class TestMemorySource(RangeSourceConformance):
    def new_source(self, tmp_path: Path, objects: Mapping[str, bytes]) -> RangeSource:
        return MemorySource(objects)

    def replace(self, source: RangeSource, tmp_path: Path, name: str, content: bytes) -> None:
        assert isinstance(source, MemorySource)
        source.replace(name, content)


def test_a_file_that_changes_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"before" * 100)
    source = FolderSource(tmp_path)
    arriving = source.read_ranges("a", [(0, 6), (6, 12)], version=source.version("a"))

    assert next(arriving) == (0, b"before")
    path.write_bytes(b"behind" * 101)

    with pytest.raises(DatasetChangedError, match="a was changed"):
        next(arriving)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_in_a_folder_is_an_error_and_not_a_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")

    with pytest.raises(RemoteError, match="no plain file"):
        FolderSource(tmp_path).version("a")


def test_a_bit_that_flips_on_its_way_leaves_the_version_as_it_is() -> None:
    source = MemorySource({"a": b"\0\0"})
    version = source.version("a")
    source.flip_bit("a", 1)

    assert source.version("a") == version
    assert list(source.read_ranges("a", [(0, 2)], version=version)) == [(0, b"\0\1")]
    assert source.requests == [("a", 0, 2)]


def test_a_file_that_cannot_be_opened_is_an_error_that_is_no_absence(tmp_path: Path) -> None:
    source = FolderSource(tmp_path)
    assert source.url == tmp_path.as_uri()
    assert repr(source) == f"FolderSource({str(tmp_path)!r})"
    with pytest.raises(RemoteError, match=f"could not read {tmp_path}") as caught:
        source.version("a" * 300)
    assert type(caught.value) is RemoteError
