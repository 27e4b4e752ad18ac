"""Keep a small object of a remote in the cache, so that one process of a machine reads it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from minari_core.cache.opening import open_entry
from minari_core.errors import (
    CacheError,
    DatasetBusyError,
    DatasetDamagedError,
    DatasetWriteError,
)
from minari_core.ranges.cache_folder import KIND
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
