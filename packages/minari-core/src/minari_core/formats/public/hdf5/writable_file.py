"""An HDF5 file that can be written to a full disk.

HDF5 cannot forget what it failed to write: it tries again while it closes the file, and crashes the
process. So it writes through an object that keeps in memory what the disk refuses, and the refusal
is raised when HDF5 is done.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py

from minari_core.errors import MinariError
from minari_core.files import make_write_error


class WritableFile:
    """An HDF5 file that one append writes.

    A task is done by a thread of its own, because Python runs the handlers of signals in the main
    thread alone: an exception of theirs, as after Ctrl-C, would be one more failure for HDF5.
    """

    def __init__(self, path: Path, *, is_new: bool) -> None:
        """Create a file, or open one.

        Raises:
            DatasetWriteError: The file system refused, or HDF5 cannot open the file.
        """
        self._path = path
        try:
            self._disk = _Disk(path, is_new=is_new)
        except OSError as error:
            raise make_write_error(f"{path} cannot be opened", error) from error
        self._thread = ThreadPoolExecutor(1)
        self._file: h5py.File | None = None
        self._is_closed = False
        mode = "w" if is_new else "r+"
        try:
            self._wait(lambda: self._open(mode))
        except BaseException:
            self.close()
            raise

    def run(self, task: Callable[[h5py.File], object]) -> None:
        """Do something with the file.

        Raises:
            DatasetWriteError: The disk or HDF5 refused.
        """
        self._wait(lambda: task(self._file))
        self._raise_refusal()

    def close(self) -> None:
        """Close the file, once; it is of no use if that raises.

        Raises:
            DatasetWriteError: The disk or HDF5 refused.
        """
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self._wait(self._close)
        finally:
            self._thread.shutdown()
            self._disk.close()
        self._raise_refusal()

    def _open(self, mode: str) -> None:
        self._file = h5py.File(self._disk, mode, track_order=True)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _wait(self, task: Callable[[], object]) -> None:
        try:
            self._thread.submit(task).result()
        except MinariError:
            raise
        except Exception as error:
            self._raise_refusal()
            raise make_write_error(f"{self._path} cannot be written", error) from error

    def _raise_refusal(self) -> None:
        refusal = self._disk.refusal
        if refusal is not None:
            raise make_write_error(f"{self._path} cannot be written", refusal) from refusal


class _Disk:
    """A file whose writes succeed, as far as HDF5 is concerned."""

    def __init__(self, path: Path, *, is_new: bool) -> None:
        self._file = open(path, "x+b" if is_new else "r+b", buffering=0)  # noqa: SIM115
        self._size = os.fstat(self._file.fileno()).st_size
        self._position = 0
        self._kept: list[tuple[int, bytes]] = []
        self.refusal: OSError | None = None
        """The first error of the disk."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + (self._size if whence == os.SEEK_END else 0)
        return self._position

    def write(self, data: memoryview) -> int:
        start, self._position = self._position, self._position + len(data)
        self._size = max(self._size, self._position)
        if self.refusal is None:
            try:
                self._write(start, data)
            except OSError as error:
                self.refusal = error
        if self.refusal is not None:
            self._kept.append((start, bytes(data)))
        return len(data)

    def _write(self, start: int, data: memoryview) -> None:
        self._file.seek(start)
        while len(data):
            data = data[self._file.write(data) :]

    def tell(self) -> int:
        return self._position

    def read(self, size: int) -> bytes:
        """Read; by this method h5py tells a file, though it calls `readinto`."""
        buffer = bytearray(size)
        self.readinto(memoryview(buffer))
        return bytes(buffer)

    def readinto(self, buffer: memoryview) -> int:
        start = self._position
        self._file.seek(start)
        found = 0
        while found < len(buffer) and (count := self._file.readinto(buffer[found:])):
            found += count
        buffer[found:] = bytes(len(buffer) - found)
        for offset, data in self._kept:
            first, stop = max(offset, start), min(offset + len(data), start + len(buffer))
            if first < stop:
                buffer[first - start : stop - start] = data[first - offset : stop - offset]
        self._position += len(buffer)
        return len(buffer)

    def truncate(self, size: int) -> int:
        self._size = size
        if self.refusal is None:
            try:
                self._file.truncate(size)
            except OSError as error:
                self.refusal = error
        return size

    def flush(self) -> None:
        """Do nothing: nothing is buffered, and who commits flushes to the disk."""

    def close(self) -> None:
        self._file.close()
