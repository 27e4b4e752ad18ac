"""Whole objects in the cache: small ones that are read once, and copies of large ones."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from minari_core.cache.entry import CONTENTS
from minari_core.cache.opening import open_entry
from minari_core.cache.settings import cache_root
from minari_core.errors import (
    CacheError,
    DatasetBusyError,
    DatasetDamagedError,
    DatasetWriteError,
)
from minari_core.ranges.cache_folder import KIND
from minari_core.ranges.segments import BLOCKS_SUFFIX, open_segment
from minari_core.ranges.source import ObjectVersion

_FILE = "text"


class _Text:
    """Bytes of an entry, which is in use while this lives."""

    def __init__(self, content: bytes) -> None:
        self.content = content


def read_once(url: str, version: ObjectVersion, read: Callable[[], bytes]) -> bytes:
    """Read an object, or what another process of this machine has read of the same version.

    Args:
        url: Its address.
        version: Its version; without a tag, which tells it from others, it is always read.
        read: Reads it.
    """
    if version.tag is None:
        return read()
    name = hashlib.sha256(os.fsencode(f"{url} {version.size} {version.tag}")).hexdigest()[:32]

    def make(folder: Path) -> None:
        (folder / _FILE).write_bytes(read())

    def open_text(folder: Path) -> _Text:
        content = (folder / _FILE).read_bytes()
        if len(content) != version.size:
            raise DatasetDamagedError(f"{folder} has {len(content)} bytes, not {version.size}")
        return _Text(content)

    try:
        return open_entry(KIND, name, url, make, open_text)[0].content
    except (CacheError, DatasetBusyError, DatasetWriteError):
        return read()


def copy_cached_object(name: str, nbytes: int, target: Path) -> bool:
    """Copy an object of which all blocks are in the cache, of whichever dataset.

    What was copied is to be compared with a checksum: the cache says no more than it was told.

    Args:
        name: Its name, a single one.
        nbytes: Its size.
        target: The file to write.

    Returns:
        Whether there was one of that size.

    Raises:
        OSError: The file cannot be written.
    """
    for path in (cache_root() / KIND).glob(f"*/{CONTENTS}/{glob.escape(name)}{BLOCKS_SUFFIX}"):
        found = None
        with suppress(OSError):
            found = open_segment(path, None)
        if found is None or found.version.size != nbytes or not found.find_all():
            continue
        with suppress(FileNotFoundError):  # evicted meanwhile
            shutil.copyfile(found.data_path, target)
            return True
    return False
