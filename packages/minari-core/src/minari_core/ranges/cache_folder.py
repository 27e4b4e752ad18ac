"""The folder of one dataset in the cache of streams, which all of them keep within a bound."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from minari_core.cache.entry import CONTENTS
from minari_core.cache.opening import open_entry
from minari_core.cache.settings import cache_root
from minari_core.errors import CacheError, DatasetBusyError, DatasetWriteError
from minari_core.ranges.segments import (
    BLOCKS_SUFFIX,
    SharedSegment,
    measure_segment,
    open_segment,
    remove_segment,
)
from minari_core.ranges.source import ObjectVersion

KIND = "streams"
"""The kind of these entries of the cache."""
CACHE_NBYTES = 10 * 10**9
"""The size of all of them together, unless a caller says otherwise."""

_MEASURED_EVERY = 32 << 20
_SPARE = 16  # one part in so many is freed beyond what has to be


class CacheFolder:
    """The segments of one dataset, which are shared with all processes of this machine."""

    def __init__(self, folder: Path, limit: int) -> None:
        """Use a folder.

        Args:
            folder: An existing folder.
            limit: The bytes that the segments of all datasets may have together.
        """
        self._folder = folder
        self._limit = limit
        self._unmeasured = _MEASURED_EVERY
        self.next_use: Callable[[str], float] | None = None
        """Returns when an object will be used next, in any unit; what is used last goes first.
        None removes first what grew least recently."""

    def open(self, name: str, version: ObjectVersion | None) -> SharedSegment | None:
        """Open the segment of an object; see `open_segment`."""
        return open_segment(self._folder / f"{name}{BLOCKS_SUFFIX}", version)

    def remove(self, name: str) -> None:
        """Remove the segment of an object."""
        remove_segment(self._folder / f"{name}{BLOCKS_SUFFIX}")

    def note_stored(self, nbytes: int) -> bool:
        """Note that blocks were stored, and evict segments where all have too much.

        Returns:
            Whether segments of this dataset were evicted.
        """
        self._unmeasured += nbytes
        if self._unmeasured < _MEASURED_EVERY:
            return False
        self._unmeasured = 0
        return self.evict(self._limit)

    def evict(self, limit: int) -> bool:
        """Evict segments until all have at most some bytes: those of other datasets first.

        Returns:
            Whether segments of this dataset were evicted.
        """
        sizes = {path: measure_segment(path) for path in self._list_segments()}
        total = sum(sizes.values())
        if total <= limit:
            return False
        has_own = False
        for path in sizes:
            if total <= limit - limit // _SPARE:
                break
            total -= sizes[path]
            remove_segment(path)
            has_own = has_own or path.parent == self._folder
        return has_own

    def _list_segments(self) -> list[Path]:
        """List the segments of all datasets, the one to be evicted first at the beginning."""
        own, others = [], []
        for path in (cache_root() / KIND).glob(f"*/{CONTENTS}/*{BLOCKS_SUFFIX}"):
            with suppress(OSError):
                if path.parent == self._folder:
                    own.append((self._rank(path), path))
                else:
                    used = (path.parents[1] / "entry.json").stat().st_mtime
                    others.append((used, path.stat().st_mtime, path))
        return [path for *_, path in sorted(others)] + [path for _, path in sorted(own)]

    def _rank(self, path: Path) -> float:
        if self.next_use is None:
            return path.stat().st_mtime
        return -self.next_use(path.name.removesuffix(BLOCKS_SUFFIX))


def open_cache_folder(uid: str, url: str, limit: int) -> CacheFolder | None:
    """Open the folder of a dataset, which is made if there is none.

    Args:
        uid: Tells the dataset from all others.
        url: Where it is streamed from.
        limit: See `CacheFolder`.

    Returns:
        The folder; None if the cache cannot be written to, or may have nothing.
    """
    if limit <= 0:
        return None
    name = hashlib.sha256(os.fsencode(f"{uid} {url}")).hexdigest()[:32]
    try:
        folder, _ = open_entry(
            KIND, name, f"blocks of {url}", lambda _: None, lambda path: CacheFolder(path, limit)
        )
    except (CacheError, DatasetBusyError, DatasetWriteError):
        return None
    return folder
