"""Read ranges of files in a folder, such as a mounted bucket."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from minari_core.errors import (
    DatasetChangedError,
    RemoteAccessError,
    RemoteError,
    RemoteObjectNotFoundError,
)
from minari_core.files import check_plain, may_not_read
from minari_core.ranges.source import ObjectVersion


class FolderSource:
    """The files of a folder as a `minari_core.ranges.source.RangeSource`."""

    range_nbytes = 1 << 20

    def __init__(self, folder: Path) -> None:
        """Read nothing yet.

        Args:
            folder: The data folder of a dataset.
        """
        self._folder = folder.absolute()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._folder)!r})"

    @property
    def url(self) -> str:
        """The address of the folder."""
        return self._folder.as_uri()

    def version(self, name: str) -> ObjectVersion:
        """Return the size of a file, and when it was changed; see `RangeSource.version`."""
        with self._open(name) as file:
            return _describe(file)

    def read_ranges(
        self, name: str, ranges: Sequence[tuple[int, int]], *, version: ObjectVersion
    ) -> Iterator[tuple[int, bytes]]:
        """Read ranges of a file; see `RangeSource.read_ranges`."""
        with self._open(name) as file:
            for index, (start, stop) in enumerate(ranges):
                try:
                    file.seek(start)
                    content = file.read(stop - start)
                except OSError as error:
                    raise RemoteError(f"could not read {self._folder / name}: {error}") from error
                # Whoever writes into the file after this changes what is not yielded any more.
                if _describe(file) != version or len(content) != stop - start:
                    raise DatasetChangedError(
                        f"{self._folder / name} was changed while it was being read; load the "
                        "dataset again"
                    )
                yield index, content

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _open(self, name: str) -> BinaryIO:
        path = self._folder / name
        try:
            check_plain(path)
            return open(path, "rb", buffering=0)
        except FileNotFoundError as error:
            raise RemoteObjectNotFoundError(f"{self._folder} has no file {name!r}") from error
        except OSError as error:
            kind = RemoteAccessError if may_not_read(error) else RemoteError
            raise kind(f"could not read {path}: {error}") from error


def _describe(file: BinaryIO) -> ObjectVersion:
    status = os.fstat(file.fileno())
    return ObjectVersion(status.st_size, f"{status.st_mtime_ns:x}-{status.st_ino:x}")
