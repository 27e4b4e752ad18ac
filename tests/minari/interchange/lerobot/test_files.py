"""The files of a LeRobot dataset: their names, and where the next one begins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from minari import DatasetWriteError
from minari.interchange.lerobot.files.paths import (
    DATA,
    DATA_MEGABYTES,
    VIDEO_MEGABYTES,
    VIDEOS,
    ChunkedParquet,
    NumberedFiles,
)


def test_a_chunk_has_a_thousand_files_as_in_lerobot(tmp_path: Path) -> None:
    files = NumberedFiles(tmp_path, VIDEOS, VIDEO_MEGABYTES, video_key="eye")
    named = {}
    for files.number in (0, 1, 999, 1000, 2001):
        named[files.number] = files.path.relative_to(tmp_path / "videos/eye").as_posix()

    assert named == {
        0: "chunk-000/file-000.mp4",
        1: "chunk-000/file-001.mp4",
        999: "chunk-000/file-999.mp4",
        1000: "chunk-001/file-000.mp4",
        2001: "chunk-002/file-001.mp4",
    }
    assert files.path.parent.is_dir()


def test_a_file_is_full_at_the_sizes_of_lerobot_and_never_before_it_has_anything(
    tmp_path: Path,
) -> None:
    assert (DATA_MEGABYTES, VIDEO_MEGABYTES) == (100, 200)
    files = NumberedFiles(tmp_path, DATA, megabytes=1)
    assert not files.is_full(2 << 20)
    with files.path.open("wb") as file:
        file.truncate((1 << 20) - 5)

    assert not files.is_full()
    assert not files.is_full(5)
    assert files.is_full(6)


def test_a_file_is_whole_when_it_is_left(tmp_path: Path) -> None:
    table = pa.table({"index": [1, 2]})
    with ChunkedParquet(tmp_path, DATA) as files:
        files.write(table)
        files.write(table)
        files.go_on()
        assert files.place == (0, 0)

    (path,) = tmp_path.rglob("*.parquet")
    assert parquet.read_table(path)["index"].to_pylist() == [1, 2, 1, 2]
    assert parquet.ParquetFile(path).num_row_groups == 2


def test_videos_lie_one_after_another_and_what_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("av")
    from minari.interchange.lerobot.writing.video import VideoFiles

    frames = np.zeros((2, 16, 16, 3), np.uint8)
    path = tmp_path / "videos/eye/chunk-000/file-000.mp4"
    path.mkdir(parents=True)
    sentence = r"file-000\.mp4 could not be written: "
    with (
        pytest.raises(DatasetWriteError, match=sentence),
        VideoFiles(tmp_path, "eye", 10) as files,
    ):
        files.add(frames, is_new=True)
    path.rmdir()
    with VideoFiles(tmp_path, "eye", 10) as files:
        places = [files.add(frames, is_new=is_new) for is_new in (True, True, False)]
        # What is full is left when the next episode begins.
        monkeypatch.setattr(files._files, "is_full", lambda: True)
        places += [files.add(frames[:1], is_new=is_new) for is_new in (False, True)]
    assert [(each.chunk, each.file, each.start, each.end) for each in places] == [
        (0, 0, 0.0, 0.2),
        (0, 0, 0.2, 0.4),
        (0, 0, 0.4, 0.6),
        (0, 0, 0.6, 0.7),
        (0, 1, 0.0, 0.1),
    ]
    (tmp_path / "file").touch()
    with (
        VideoFiles(tmp_path / "file", "eye", 10) as files,
        pytest.raises(DatasetWriteError, match="could not be written: "),
    ):
        files.add(frames, is_new=True)


def test_a_table_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data/chunk-000/file-000.parquet"
    path.mkdir(parents=True)
    with (
        ChunkedParquet(tmp_path, DATA) as files,
        pytest.raises(DatasetWriteError, match=r"file-000\.parquet could not be written: "),
    ):
        files.write(pa.table({"index": [1]}))
