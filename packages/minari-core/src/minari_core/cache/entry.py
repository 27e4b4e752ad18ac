"""One entry: a folder that is made once, and marked by the processes that use it.

``<root>/<kind>/<name>`` has ``entry.json``, ``contents``, ``users`` with a lock file for each
process that has the contents open, and a file ``pinned`` if it is never to be evicted. The time of
``entry.json`` is that of the last use.
"""

from __future__ import annotations

import json
import os
import stat
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minari_core.cache.settings import cache_root
from minari_core.errors import DatasetBusyError
from minari_core.locks import HELD_SUFFIX, FileLock, Holder, identify_self

CONTENTS = "contents"
_DESCRIPTION, _USERS, _PINNED = "entry.json", "users", "pinned"
_VERSION = 1
# The operating system has written to the disk whatever is older.
_SETTLED_SECONDS = 600.0
_BLOCK = 512  # of what `os.stat` counts, on every system


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """An entry, as it was when it was looked at."""

    id: str
    """Its id for commands and functions: its kind and its name, with ``/`` between them."""
    kind: str
    """Its purpose."""
    what: str
    """A description of its source, for people; "" if there is none."""
    path: str
    """Its folder."""
    nbytes: int
    """The bytes of its files."""
    made: float
    """The time at which it was made, in seconds since the epoch."""
    used: float
    """The time of its last use, in seconds since the epoch."""
    is_pinned: bool
    """Whether it is kept until somebody asks for its removal."""
    is_in_use: bool
    """Whether a living process has it open."""


def locate_entry(kind: str, name: str) -> Path:
    """Return the folder of an entry, which need not exist."""
    return cache_root() / kind / name


def make_lock(folder: Path) -> FileLock:
    """Make the lock of an entry: who makes, opens or removes it holds it meanwhile."""
    return FileLock(folder.with_name(f".{folder.name}.lock"))


def describe_entry(folder: Path) -> CacheEntry:
    """Describe an entry; also one that is damaged."""
    description = _read_description(folder) or {}
    made = description.get("made")
    return CacheEntry(
        id=f"{folder.parent.name}/{folder.name}",
        kind=folder.parent.name,
        what=str(description.get("what", "")),
        path=str(folder),
        nbytes=measure_folder(folder),
        made=float(made) if isinstance(made, int | float) else 0.0,
        used=_find_last_use(folder),
        is_pinned=is_pinned(folder),
        is_in_use=is_in_use(folder),
    )


def write_description(folder: Path, what: str) -> None:
    """Complete a new entry."""
    maker = identify_self()
    description = {
        "version": _VERSION,
        "what": what,
        "made": time.time(),
        "maker": [maker.host, maker.machine, maker.process, maker.started],
    }
    (folder / _DESCRIPTION).write_text(json.dumps(description), encoding="utf-8")


def is_complete(folder: Path) -> bool:
    """Return whether the contents of an entry can be trusted.

    They were not flushed to the disk, which would take longer than to make them. So those that this
    machine made shortly before it went down are not.
    """
    description = _read_description(folder)
    if description is None or description.get("version") != _VERSION:
        return False
    try:
        host, machine, process, started = description["maker"]
        maker = Holder(str(host), str(machine), int(process), str(started))
        is_settled = _find_last_use(folder) - float(description["made"]) > _SETTLED_SECONDS
        return is_settled or not maker.is_from_before()
    except (KeyError, TypeError, ValueError):
        return False


def mark_used(folder: Path) -> FileLock | None:
    """Mark an entry as in use by this process, until the mark is released.

    Returns:
        The mark; None where the cache may only be read.
    """
    with suppress(OSError):
        os.utime(folder / _DESCRIPTION)
        (folder / _USERS).mkdir(exist_ok=True)
        mark = FileLock(folder / _USERS / uuid.uuid4().hex)
        # Whoever looks whether it is held holds it, for a moment.
        if mark.acquire(1.0):
            return mark
    return None


def is_in_use(folder: Path) -> bool:
    """Return whether a living process has marked an entry; marks of others are removed."""
    try:
        names = {name.removesuffix(HELD_SUFFIX) for name in os.listdir(folder / _USERS)}
    except OSError:
        return False
    for name in names:
        mark = FileLock(folder / _USERS / name)
        try:
            if not mark.acquire():
                return True
        except OSError:
            return True
        mark.release(remove=True)
    return False


def is_pinned(folder: Path) -> bool:
    """Return whether an entry is kept until somebody asks for its removal."""
    return (folder / _PINNED).exists()


def set_pinned(folder: Path, *, is_pinned: bool) -> None:
    """Pin an entry, or unpin it.

    Raises:
        OSError: The file system refused.
    """
    if is_pinned:
        (folder / _PINNED).touch()
    else:
        (folder / _PINNED).unlink(missing_ok=True)


def check_unused(folder: Path) -> None:
    """Raise if a living process has an entry open.

    Raises:
        DatasetBusyError: One has.
    """
    if is_in_use(folder):
        raise DatasetBusyError(f"{folder} is in use by another process, or by this one")


def measure_folder(folder: Path) -> int:
    """Return how much room all files below a folder take; sparse ones take less than their size."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                found = os.lstat(os.path.join(parent, name))
                if stat.S_ISREG(found.st_mode):
                    total += min(found.st_size, _BLOCK * getattr(found, "st_blocks", found.st_size))
    return total


def _find_last_use(folder: Path) -> float:
    for path in (folder / _DESCRIPTION, folder):
        with suppress(OSError):
            return path.stat().st_mtime
    return 0.0


def _read_description(folder: Path) -> Mapping[str, Any] | None:
    try:
        content = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
