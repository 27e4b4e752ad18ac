"""The lock of a dataset's folder: one process adds at a time, and it ends with that process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from minari_core.errors import DatasetBusyError, DatasetNotFoundError, DatasetWriteError

LOCK_NAME = ".lock"
_TIMEOUT_SECONDS = 60.0


@contextmanager
def dataset_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of the folder that a dataset's data lies in.

    Args:
        folder: The folder. A lock does not bring back one that was deleted.

    Raises:
        DatasetNotFoundError: The folder is not there.
        DatasetBusyError: Another process has held the lock for long.
        DatasetWriteError: The file system refused.
    """
    from filelock import FileLock, Timeout  # only who writes needs it

    if not folder.is_dir():
        raise DatasetNotFoundError(f"{folder} is gone: its dataset was deleted, or moved")
    try:
        lock = FileLock(folder / LOCK_NAME, timeout=_TIMEOUT_SECONDS)
        lock.acquire()
    except Timeout as error:
        raise DatasetBusyError(
            f"{folder} has been locked by another process for {_TIMEOUT_SECONDS:.0f} seconds; try "
            "again when it is done"
        ) from error
    except OSError as error:
        raise DatasetWriteError(f"{folder} cannot be locked: {error}") from error
    try:
        yield
    finally:
        lock.release()
        _remove_if_alone(folder)


def _remove_if_alone(folder: Path) -> None:
    """Remove the lock and its folder where the dataset was deleted between a look and the lock."""
    with suppress(OSError):
        if os.listdir(folder) == [LOCK_NAME]:
            (folder / LOCK_NAME).unlink()
            folder.rmdir()
            folder.parent.rmdir()
