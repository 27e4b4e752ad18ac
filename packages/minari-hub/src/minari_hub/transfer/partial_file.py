"""Partial files: filled from a remote, and resumed where they were cut off."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import BinaryIO

from minari_core.errors import MinariError, RemoteError
from minari_hub.transfer.checksums import Hasher, read_blocks, start_hasher
from minari_hub.transfer.objects import RemoteObject

_BUFFER = 1 << 17


class TransferStoppedError(MinariError, RuntimeError):
    """The transfer was interrupted."""


class PartialFile:
    """The beginning of an object's content in a local file.

    What is written goes to the end of the file, so that whatever a killed process leaves is
    right up to its size. One thread at a time uses it.
    """

    def __init__(
        self,
        path: Path,
        source: RemoteObject,
        report: Callable[[int], None] = lambda nbytes: None,
        stop: Event | None = None,
    ) -> None:
        """Resume the file, if there is one.

        Args:
            path: The file; its folder exists.
            source: The object whose content it gets.
            report: Called with the number of bytes that each write adds.
            stop: When set, writing raises `TransferStoppedError`.
        """
        self.path = path
        self.source = source
        self._report = report
        self._stop = stop or Event()
        self._file: BinaryIO | None = None
        self._hasher: Hasher | None = None
        self._pending: list[bytes] = []
        self._pending_nbytes = 0
        try:
            self._written = path.stat().st_size
        except FileNotFoundError:
            path.touch()
            self._written = 0
        if self._written > source.size:
            self.restart()

    def __enter__(self) -> PartialFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def position(self) -> int:
        """The number of bytes that it has, which is where to resume."""
        return self._written + self._pending_nbytes

    @property
    def is_complete(self) -> bool:
        """Whether it is as large as the object."""
        return self.position == self.source.size

    def write(self, data: bytes) -> int:
        """Append the next bytes.

        Raises:
            RemoteError: They are more than the object has.
            TransferStoppedError: The transfer was interrupted.
            OSError: The file system refuses them.
        """
        if self._stop.is_set():
            raise TransferStoppedError("the transfer was stopped")
        if self.position + len(data) > self.source.size:
            raise RemoteError(
                f"the remote sends more for {self.source.name!r} than the {self.source.size} "
                "bytes that it lists"
            )
        self._pending.append(data)
        self._pending_nbytes += len(data)
        if self._pending_nbytes >= _BUFFER or self.is_complete:
            self._flush()
        if self.is_complete:
            self._sync()
        self._report(len(data))
        return len(data)

    def fill(self, read: Callable[[], bytes], url: str) -> None:
        """Append blocks until the file is complete.

        Args:
            read: Reads the next block; ``b""`` at the end.
            url: The remote, for an error message.

        Raises:
            RemoteError: The blocks end before the object's size, or `write` raises.
        """
        while not self.is_complete:
            block = read()
            if not block:
                raise RemoteError(f"{self.source.name!r} of {url} ends before its size")
            self.write(block)

    def matches(self) -> bool:
        """Return whether the complete file has the object's checksum, where that is known."""
        self._flush()
        checksum = self.source.checksum
        if checksum is None:
            return True
        return self._get_hasher().hexdigest() == checksum.digest

    def restart(self) -> None:
        """Discard what it has."""
        lost = self.position
        self._pending, self._pending_nbytes = [], 0
        self.close()
        self._report(-lost)
        os.truncate(self.path, 0)
        self._written, self._hasher = 0, None

    def close(self) -> None:
        """Write what is still in memory, and close the file."""
        try:
            self._flush()
        finally:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _flush(self) -> None:
        if not self._pending:
            return
        data = b"".join(self._pending)
        if self.source.checksum is not None:
            self._get_hasher().update(data)
        if self._file is None:
            self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115
        self._pending, self._pending_nbytes = [], 0
        view = memoryview(data)
        while view:
            count = self._file.write(view)
            self._written += count
            view = view[count:]

    def _sync(self) -> None:
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None

    def _get_hasher(self) -> Hasher:
        """Return the running checksum of the bytes that are in the file."""
        if self._hasher is None and self.source.checksum is not None:
            hasher = start_hasher(self.source.checksum.algorithm, self.source.size)
            if self._written:
                for block in read_blocks(self.path):
                    hasher.update(block)
            self._hasher = hasher
        if self._hasher is None:
            raise ValueError(f"{self.source.name} has no checksum")
        return self._hasher
