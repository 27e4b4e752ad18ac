"""The staging area: what a process works on, and what one that was killed has left there.

Who works on ``.staging/<name>`` holds the lock of ``.lock`` in it, or of ``.staging/<name>.lock``.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from minari_core.errors import DatasetBusyError, DatasetWriteError
from minari_core.files import LOCK_FILES, LOCK_NAME, make_folder
from minari_core.local.folders import remove_folder
from minari_core.local.locations import staging_root
from minari_core.locks import HELD_SUFFIX, FileLock, read_holder

LOCK_SUFFIX = ".lock"
"""How the name of the lock of a staged folder ends."""

_ABANDONED_SECONDS = 24 * 3600.0
"""What has not changed for so long belongs to nobody where no lock can tell."""


@contextmanager
def hold_staging_folder(prefix: str) -> Iterator[Path]:
    """Yield the name of a new staged folder, and remove it afterwards unless it was renamed.

    Args:
        prefix: How its name begins, which says what it is for.
    """
    folder = staging_root() / f"{prefix}{uuid.uuid4().hex}"
    lock = FileLock(folder.with_suffix(LOCK_SUFFIX))
    # Where it cannot be locked, as on a full disk, its age protects it.
    with suppress(OSError):
        make_folder(folder.parent)
        lock.acquire()
    try:
        yield folder
    finally:
        with suppress(OSError):
            remove_folder(folder)
        lock.release(remove=True)


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
    outer = folder.with_suffix(LOCK_SUFFIX)
    locks = [path for path in (folder / LOCK_NAME, outer) if _exists(path)]
    if has_lock and not locks:
        locks = [folder / LOCK_NAME]
    with hold_abandoned(folder, locks, find_last_change(folder)):
        yield
        if not folder.exists():
            with suppress(OSError):
                outer.unlink()


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
    if time.time() - changed < _ABANDONED_SECONDS:
        if not locks:
            raise DatasetBusyError(
                f"{what} has no lock that could tell whether a process is at work in it, and has "
                f"changed in the last {_ABANDONED_SECONDS / 3600:.0f} hours"
            )
        for path in locks:
            holder = read_holder(path)
            if holder is not None and not (holder.is_from_here() or holder.is_gone()):
                raise DatasetBusyError(
                    f"{what} was made by process {holder.process} on {holder.host}, which may be "
                    f"alive while {what.name} has changed in the last "
                    f"{_ABANDONED_SECONDS / 3600:.0f} hours; if it is gone, delete {path} and its "
                    "like, and try again"
                )
    with ExitStack() as stack:
        for path in locks:
            lock = FileLock(path)
            try:
                is_locked = lock.acquire()
            except OSError as error:
                raise DatasetWriteError(f"{what} cannot be locked: {error}") from error
            if not is_locked:
                raise DatasetBusyError(
                    f"{what} is in use by another process{lock.describe_holder()}"
                )
            stack.callback(lock.release)
        yield


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
    return lock.exists() or lock.with_name(f"{lock.name}{HELD_SUFFIX}").exists()
