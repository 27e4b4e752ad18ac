"""List, pin, remove and evict entries."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from minari_core.cache.entry import (
    CacheEntry,
    check_unused,
    describe_entry,
    make_lock,
    set_pinned,
)
from minari_core.cache.settings import cache_limit, cache_root
from minari_core.errors import DatasetBusyError, DatasetNotFoundError, DatasetWriteError
from minari_core.files import is_out_of_descriptors, make_read_error, make_write_error
from minari_core.locks import FileLock

_BUILDING = ".building"


def list_entries() -> list[CacheEntry]:
    """List the entries of the cache, the one that was used last first.

    Raises:
        DatasetBusyError: As many files are open as may be.
    """
    found = [describe_entry(folder) for folder in _list_folders()]
    return sorted(found, key=lambda entry: entry.used, reverse=True)


def find_entries(ids: Iterable[str]) -> list[CacheEntry]:
    """Find entries by their ids.

    Raises:
        DatasetNotFoundError: One is not there.
    """
    known = {entry.id: entry for entry in list_entries()}
    for each in ids:
        if each not in known:
            raise DatasetNotFoundError(f"the cache in {cache_root()} has no entry {each!r}")
    return [known[each] for each in dict.fromkeys(ids)]


def pin_entry(entry: CacheEntry, *, is_pinned: bool = True) -> None:
    """Pin an entry, so that it is never evicted, or unpin it.

    Raises:
        DatasetWriteError: The file system refused.
    """
    try:
        set_pinned(Path(entry.path), is_pinned=is_pinned)
    except OSError as error:
        raise make_write_error(f"{entry.path} could not be changed", error) from error


def remove_entry(entry: CacheEntry) -> None:
    """Remove an entry that nobody uses.

    Raises:
        DatasetBusyError: A process has it open.
        DatasetWriteError: The file system refused.
    """
    folder = Path(entry.path)
    lock = make_lock(folder)
    try:
        if not lock.acquire():
            raise DatasetBusyError(f"{folder} is in use{lock.describe_holder()}")
        try:
            check_unused(folder)
            discard_entry(folder)
        finally:
            lock.release(remove=not folder.exists())
    except DatasetBusyError:
        raise
    except OSError as error:
        raise make_write_error(f"{folder} could not be removed", error) from error


def discard_entry(folder: Path) -> None:
    """Remove an entry whose lock is held; nobody ever sees half of it.

    Raises:
        OSError: The file system refused.
    """
    with hold_building_folder() as aside, suppress(FileNotFoundError):
        os.rename(folder, aside)


def evict_entries(limit: int) -> int:
    """Remove what was used least recently, until all entries have at most some bytes.

    What is in use or pinned stays.

    Returns:
        The bytes of the entries that are left.
    """
    entries = list_entries()
    total = sum(entry.nbytes for entry in entries)
    for entry in reversed(entries):
        if total <= limit:
            break
        if not (entry.is_pinned or entry.is_in_use):
            with suppress(DatasetBusyError, DatasetWriteError):
                remove_entry(entry)
                total -= entry.nbytes
    return total


def make_room(nbytes: int) -> None:
    """Evict entries, so that a new one has room."""
    evict_entries(max(cache_limit() - nbytes, 0))


@contextmanager
def hold_building_folder() -> Iterator[Path]:
    """Yield the name of a new folder, and remove it afterwards unless it was renamed.

    What processes left there that were killed is removed, too.

    Raises:
        OSError: The cache cannot be written to.
    """
    building = cache_root() / _BUILDING
    building.mkdir(parents=True, exist_ok=True)
    _sweep(building)
    folder = building / uuid.uuid4().hex
    lock = FileLock(folder.with_suffix(".lock"))
    lock.acquire()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release(remove=True)


def _sweep(building: Path) -> None:
    for folder in building.iterdir():
        if folder.suffix:
            continue
        lock = FileLock(folder.with_suffix(".lock"))
        with suppress(OSError):
            if lock.acquire():
                shutil.rmtree(folder, ignore_errors=True)
                lock.release(remove=True)


def _list_folders() -> Iterator[Path]:
    for kind in _list_inside(cache_root()):
        yield from _list_inside(kind)


def _list_inside(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [
                Path(entry.path)
                for entry in entries
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
            ]
    except OSError as error:
        if is_out_of_descriptors(error):
            raise make_read_error(folder, error) from error
        return []
