"""Local files that report how much of them was sent."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from threading import Event

from minari_hub.transfer.partial_file import TransferStoppedError


class UploadFile(io.FileIO):
    """A local file that is being sent; bytes that are sent again are not reported again."""

    def __init__(self, path: Path, report: Callable[[int], None], stop: Event) -> None:
        """Open the file.

        Args:
            path: The file.
            report: Called with numbers of bytes that were read for the first time.
            stop: When set, reading raises `TransferStoppedError`.
        """
        super().__init__(path, "rb")
        self._report = report
        self._stop = stop
        self._reported = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read the next bytes."""
        if self._stop.is_set():
            raise TransferStoppedError("the transfer was stopped")
        data = super().read(-1 if size is None else size)
        position = self.tell()
        if position > self._reported:
            self._report(position - self._reported)
            self._reported = position
        return data or b""
