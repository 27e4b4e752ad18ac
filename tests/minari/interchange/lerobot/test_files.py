"""The files of a LeRobot dataset: their names, and where the next one begins."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

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
