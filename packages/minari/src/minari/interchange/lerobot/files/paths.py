"""Where the files of a dataset lie, and files that are numbered by their size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as parquet

from minari_core.errors import DataError, DatasetWriteError
from minari_core.files import sync_file, sync_folder

INFO, TASKS, STATISTICS = "meta/info.json", "meta/tasks.parquet", "meta/stats.json"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
EPISODES = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEOS = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
FILES_PER_CHUNK = 1000
_SYNCED_AT_ONCE = 8
DATA_MEGABYTES, VIDEO_MEGABYTES = 100, 200
VIDEO_QUALITY = 18
"""The constant rate factor of H.264, at which videos lose little; 0 is without loss."""

_FIELD = re.compile(r"\{(\w+)(?::0(\d)d)?\}")


def fill_template(template: str, values: Mapping[str, int | str], where: str) -> str:
    """Fill in a path of ``info.json``, in which nothing but plain fields is understood.

    Raises:
        DataError: There is another field.
    """

    def fill(match: re.Match[str]) -> str:
        value = values.get(match[1])
        if value is None:
            raise DataError(f"{where}: path {template!r} has the field {match[1]!r}")
        return str(value) if match[2] is None else f"{value:0{match[2]}d}"

    return _FIELD.sub(fill, template)


class NumberedFiles:
    """Paths that count on when a file is full."""

    def __init__(self, root: Path, template: str, megabytes: int, **values: str) -> None:
        """Begin with the first file.

        Args:
            root: The folder of the dataset.
            template: The path within.
            megabytes: The size from which on the next file is begun.
            **values: Other fields of the template.
        """
        self._root = root
        self._template = template
        self._values = values
        self._most_nbytes = megabytes << 20
        self.number = 0

    @property
    def place(self) -> tuple[int, int]:
        """The numbers of the chunk, and of the file in it."""
        return divmod(self.number, FILES_PER_CHUNK)

    @property
    def path(self) -> Path:
        """The path of the file; its folder is there."""
        chunk, file = self.place
        path = self._root / self._template.format(
            chunk_index=chunk, file_index=file, **self._values
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def is_full(self, more: int = 0) -> bool:
        """Return whether the file would be too large with so many bytes more."""
        path = self.path
        size = path.stat().st_size if path.is_file() else 0
        return size > 0 and size + more > self._most_nbytes


class ChunkedParquet:
    """Parquet files of one schema; a new one is begun when one is full."""

    def __init__(self, root: Path, template: str) -> None:
        """Begin with the first file.

        Args:
            root: The folder of the dataset.
            template: The path within.
        """
        self._files = NumberedFiles(root, template, DATA_MEGABYTES)
        self._writer: parquet.ParquetWriter | None = None

    @property
    def place(self) -> tuple[int, int]:
        """The numbers of the chunk, and of the file in it, that is written next."""
        return self._files.place

    def __enter__(self) -> ChunkedParquet:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Complete the last file."""
        self._close()

    def go_on(self, more: int = 0) -> None:
        """Begin the next file if this one would be too large with so many bytes more."""
        if self._files.is_full(more):
            self._close()
            self._files.number += 1

    def write(self, table: pa.Table) -> None:
        """Write rows, as one row group.

        Raises:
            DatasetWriteError: The file system refused.
        """
        path = self._files.path
        try:
            if self._writer is None:
                self._writer = open_writer(path, table.schema)
            self._writer.write_table(table, row_group_size=max(len(table), 1))
        except (pa.ArrowException, OSError) as error:
            raise DatasetWriteError(f"{path} could not be written: {error}") from error

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None


def sync_tree(root: Path) -> None:
    """Flush all files and folders of a folder to the disk, many at a time.

    Raises:
        OSError: The file system refused.
    """
    from concurrent.futures import ThreadPoolExecutor  # only who writes

    def sync(path: Path) -> None:
        (sync_folder if path.is_dir() else sync_file)(path)

    with ThreadPoolExecutor(_SYNCED_AT_ONCE) as threads:
        list(threads.map(sync, [root, *root.rglob("*")]))


def open_writer(path: Path, schema: pa.Schema) -> parquet.ParquetWriter:
    """Open a Parquet file; only what repeats itself is encoded by a dictionary."""
    repeating = [
        field.name
        for field in schema
        if pa.types.is_integer(field.type) or pa.types.is_string(field.type)
    ]
    return parquet.ParquetWriter(path, schema, compression="snappy", use_dictionary=repeating)
