"""Open an entry, which is made if it is not there; several processes make it once."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from minari_core.cache.entries import discard_entry, evict_entries, hold_building_folder, make_room
from minari_core.cache.entry import (
    CONTENTS,
    is_complete,
    locate_entry,
    make_lock,
    mark_used,
    measure_folder,
    write_description,
)
from minari_core.cache.settings import SIZE_VARIABLE, cache_limit
from minari_core.errors import (
    CacheError,
    DatasetBusyError,
    DatasetDamagedError,
    MinariError,
)
from minari_core.files import make_write_error

Opened = TypeVar("Opened")

# Whoever is killed gives its lock up at once.
_PATIENCE_SECONDS = 3600.0


def open_entry(
    kind: str,
    name: str,
    what: str,
    make: Callable[[Path], object],
    open_contents: Callable[[Path], Opened],
    *,
    expected_nbytes: int = 0,
) -> tuple[Opened, float | None]:
    """Open an entry of the cache; it is not evicted while what was opened lives.

    Args:
        kind: What it is for; the folder of all entries of that kind.
        name: Its name among them, which changes whenever the contents must.
        what: What it is made of, for people.
        make: Fills the empty folder of its contents.
        open_contents: Opens the folder of its contents, of which it keeps whatever it needs.
        expected_nbytes: About how many bytes it will have.

    Returns:
        What was opened, and how many seconds it took to make; None if it was there.

    Raises:
        CacheError: The cache cannot be written to, or is too small.
        DatasetWriteError: The file system refused; nothing is left behind.
        DatasetBusyError: Another process has been making it for very long.
    """
    folder = locate_entry(kind, name)
    lock = make_lock(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        is_locked = lock.acquire(_PATIENCE_SECONDS)
    except OSError as error:
        found = _open_existing(folder, open_contents)
        if found is None:
            raise CacheError(f"{folder} cannot be written: {error}") from error
        return found, None
    if not is_locked:
        raise DatasetBusyError(
            f"{folder} has been made by another process{lock.describe_holder()} for "
            f"{_PATIENCE_SECONDS:.0f} seconds; try again when it is done"
        )
    try:
        found = _open_existing(folder, open_contents)
        if found is not None:
            return found, None
        start = time.perf_counter()
        try:
            _make(folder, what, make, expected_nbytes)
        except OSError as error:
            if isinstance(error, MinariError):
                raise
            raise make_write_error(
                f"{folder} could not be written", error, "nothing was left behind"
            ) from error
        opened = _open_marked(folder, open_contents)
        seconds = time.perf_counter() - start
    finally:
        lock.release(remove=not folder.exists())
    evict_entries(cache_limit())
    return opened, seconds


def _open_existing(folder: Path, open_contents: Callable[[Path], Opened]) -> Opened | None:
    if not is_complete(folder):
        return None
    try:
        return _open_marked(folder, open_contents)
    except (DatasetDamagedError, FileNotFoundError):
        return None


def _open_marked(folder: Path, open_contents: Callable[[Path], Opened]) -> Opened:
    mark = mark_used(folder)
    try:
        opened = open_contents(folder / CONTENTS)
    except BaseException:
        if mark is not None:
            mark.release(remove=True)
        raise
    if mark is not None:
        weakref.finalize(opened, mark.release, remove=True)
    return opened


def _make(folder: Path, what: str, make: Callable[[Path], object], expected_nbytes: int) -> None:
    limit = cache_limit()
    _check_size(expected_nbytes, limit, what)
    if folder.exists():
        discard_entry(folder)
    make_room(expected_nbytes)
    with hold_building_folder() as staged:
        (staged / CONTENTS).mkdir(parents=True)
        make(staged / CONTENTS)
        _check_size(measure_folder(staged), limit, what)
        write_description(staged, what)
        os.rename(staged, folder)


def _check_size(nbytes: int, limit: int, what: str) -> None:
    if nbytes > limit:
        raise CacheError(
            f"{what} takes about {nbytes} bytes in the cache, which may have {limit}; set "
            f"{SIZE_VARIABLE} to more"
        )
