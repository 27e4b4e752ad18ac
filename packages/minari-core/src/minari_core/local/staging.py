"""The staging area: what a process works on, and what one that was killed has left there.

Who works on ``.staging/<name>`` holds the lock of ``.lock`` in it, or of ``.staging/<name>.lock``.
Others who work in it hold locks of their own there, whose names end in ``.lock``, too.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from minari_core.errors import DatasetBusyError, MinariError
from minari_core.files import (
    LOCK_FILES,
    LOCK_NAME,
    is_out_of_descriptors,
    make_folder,
    make_write_error,
)
from minari_core.local.folders import remove_folder
from minari_core.local.locations import staging_root
from minari_core.locks import FileLock, Holder, is_free, locate_held, read_holders

LOCK_SUFFIX = ".lock"
"""How the name of the lock of a staged folder ends."""

_ABANDONED_SECONDS = 24 * 3600.0
"""What has not changed for so long belongs to nobody where no lock can tell."""


@contextmanager
def hold_staging_folder(prefix: str) -> Iterator[Path]:
    """Yield the name of a new staged folder, and remove it afterwards unless it was renamed.

    Args:
        prefix: How its name begins, which says what it is for.

    Raises:
        DatasetWriteError: As many files are open as may be; nothing was made.
    """
    folder = staging_root() / f"{prefix}{uuid.uuid4().hex}"
    lock = FileLock(folder.with_suffix(LOCK_SUFFIX))
    spare = ExitStack()
    try:
        make_folder(folder.parent)
        lock.acquire()
        # Removing the folder takes a descriptor, also if all others are taken by then.
        spare.enter_context(os.scandir(folder.parent))
    except OSError as error:
        # Where it cannot be locked otherwise, as on a full disk, its age protects it.
        if is_out_of_descriptors(error):
            lock.release(remove=True)
            raise make_write_error(f"{folder} could not be made", error) from error
    try:
        yield folder
    finally:
        spare.close()
        with suppress(OSError):
            remove_folder(folder)
        # What could not be removed is seen at once to have nobody.
        lock.release(remove=not folder.exists())


@contextmanager
def hold_left(folder: Path, *, has_lock: bool = False) -> Iterator[None]:
    """Hold a staged folder that a process has left; if it is removed meanwhile, so is its lock.

    Args:
        folder: The folder.
        has_lock: Whoever works in this one has the lock in it, so that nobody does without it.

    Raises:
        DatasetBusyError: A process has it that is alive, or may be.
        DatasetWriteError: It cannot be locked.
    """
    locks = _find_locks(folder, has_lock)
    with hold_abandoned(folder, locks, find_last_change(folder)):
        yield
        if not folder.exists():
            with suppress(OSError):
                folder.with_suffix(LOCK_SUFFIX).unlink()


@contextmanager
def look_left(folder: Path, *, has_lock: bool = False) -> Iterator[None]:
    """Look at a staged folder that a process has left, as `look_abandoned` does.

    Args:
        folder: The folder.
        has_lock: As `hold_left` takes it.

    Raises:
        DatasetBusyError: A process has it that is alive, or may be.
    """
    with look_abandoned(folder, _find_locks(folder, has_lock), find_last_change(folder)):
        yield


@contextmanager
def hold_abandoned(what: Path, locks: Sequence[Path], changed: float) -> Iterator[None]:
    """Hold the locks of something, if nobody has them who is alive, or may be.

    Args:
        what: What they are of.
        locks: The lock files.
        changed: When it changed last, in seconds since the epoch.

    Raises:
        DatasetBusyError: A process has it that is alive, or may be.
        DatasetWriteError: It cannot be locked.
    """
    abandoned_by = _find_abandoners(what, locks, changed)
    with ExitStack() as stack:
        for path in locks:
            lock = FileLock(path)
            try:
                is_locked = lock.acquire(abandoned_by=abandoned_by)
            except OSError as error:
                raise make_write_error(f"{what} cannot be locked", error) from error
            if not is_locked:
                raise _build_busy_error(what, path)
            stack.callback(lock.release)
        yield


@contextmanager
def look_abandoned(what: Path, locks: Sequence[Path], changed: float) -> Iterator[None]:
    """Look at something that nobody has who is alive, or may be, before and after the block.

    Nothing is made, changed or removed, so that it does not matter who looks.

    Args:
        what: What it is.
        locks: The lock files; they need not exist.
        changed: When it changed last, in seconds since the epoch.

    Raises:
        DatasetBusyError: A process has it that is alive, or may be.
        DatasetWriteError: The file system tells nothing of its locks.
    """
    _check_free(what, locks, changed)
    yield
    _check_free(what, locks, changed)


def _check_free(what: Path, locks: Sequence[Path], changed: float) -> None:
    abandoned_by = _find_abandoners(what, locks, changed)
    for path in locks:
        try:
            if not is_free(path, abandoned_by):
                raise _build_busy_error(what, path)
        except OSError as error:
            if isinstance(error, MinariError):
                raise
            raise make_write_error(f"{what} cannot be looked at", error) from error


def _find_abandoners(what: Path, locks: Sequence[Path], changed: float) -> list[Holder]:
    """Find who had something that has not changed for long, and is taken to be gone.

    Raises:
        DatasetBusyError: It has changed lately, and nobody can tell here whether a process has it.
    """
    hours = f"{_ABANDONED_SECONDS / 3600:.0f} hours"
    if not locks and time.time() - changed < _ABANDONED_SECONDS:
        raise DatasetBusyError(
            f"{what} has no lock that could tell whether a process is at work in it, and has "
            f"changed in the last {hours}"
        )
    abandoners: list[Holder] = []
    for path in locks:
        for holder, signed in read_holders(path):
            # Whoever signed it just now has not changed anything yet.
            latest = max(changed, signed)
            if holder.is_unclear() and time.time() - latest < _ABANDONED_SECONDS:
                raise DatasetBusyError(
                    f"{what} was made by process {holder.process} on {holder.host}, which may be "
                    f"alive while {what.name} has changed in the last {hours}; if it is gone, "
                    f"delete {path} and its like, and try again"
                )
            if holder.is_unclear() or holder.is_gone():
                abandoners.append(holder)
    return abandoners


def _build_busy_error(what: Path, lock: Path) -> DatasetBusyError:
    return DatasetBusyError(
        f"{what} is in use by another process{FileLock(lock).describe_holder()}"
    )


def _find_locks(folder: Path, has_lock: bool) -> list[Path]:
    inner, outer = folder / LOCK_NAME, folder.with_suffix(LOCK_SUFFIX)
    locks = [path for path in (inner, outer) if _exists(path)] or ([inner] if has_lock else [])
    with suppress(OSError):
        names = sorted(os.listdir(folder))
        locks += [folder / n for n in names if n.endswith(LOCK_SUFFIX) and n not in LOCK_FILES]
    return locks


def find_last_change(path: Path) -> float:
    """Find when a file, or a folder or anything in it, changed last; locks do not count.

    Returns:
        Seconds since the epoch; now, if it changes just now.
    """
    # A change deep inside does not change the time of the folder.
    inside = [] if path.is_symlink() or not path.is_dir() else list(path.rglob("*"))
    counted = [each for each in inside if each.name not in LOCK_FILES]
    try:
        return max(each.lstat().st_mtime for each in (path, *counted))
    except OSError:
        return time.time()


def _exists(lock: Path) -> bool:
    return lock.exists() or locate_held(lock).exists()
