"""The folder of one dataset in the cache of streams, which all of them keep within a bound."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from minari_core.cache.entry import CONTENTS, is_in_use, is_pinned
from minari_core.cache.opening import open_entry
from minari_core.cache.settings import cache_root
from minari_core.errors import CacheError, DatasetBusyError, DatasetWriteError
from minari_core.ranges.claims import Claims, open_claims
from minari_core.ranges.segments import (
    BLOCKS_SUFFIX,
    SegmentFile,
    measure_segments,
    open_segment,
    remove_segment,
)
from minari_core.ranges.source import ObjectVersion

KIND = "streams"
"""The kind of these entries of the cache."""
CACHE_NBYTES = 10 * 10**9
"""The size of all of them together, unless a caller says otherwise."""

_OPENINGS = "openings"
_MEASURED_PARTS = 32  # one part in so many of the bound is stored before all is measured again
_SPARE_PARTS = 16  # one part in so many is freed beyond what has to be
_RECENT_SECONDS = 3600.0


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
        self._total, self._unmeasured = 0, limit
        self._is_full = False
        self.become_unlocked()

    def become_unlocked(self) -> None:
        """Forget who measures, as a child must after a fork."""
        self._lock = threading.Lock()

    def open(self, name: str, version: ObjectVersion | None) -> SegmentFile | None:
        """Open the files of the segment of an object; see `open_segment`."""
        return open_segment(self._folder / f"{name}{BLOCKS_SUFFIX}", version)

    def claim_openings(self) -> Claims:
        """Open claims of objects by their numbers: who has one makes the segment of its object."""
        path = self._folder / _OPENINGS
        with suppress(OSError):
            path.touch()
        return open_claims(path, 0)

    def remove(self, name: str) -> None:
        """Remove the segment of an object."""
        remove_segment(self._folder / f"{name}{BLOCKS_SUFFIX}")

    def reserve(self, nbytes: int) -> bool:
        """Return whether blocks may be stored, and evict segments where all have too much.

        What of this dataset was used within an hour stays, and so do datasets that are in use: who
        visits all of a dataset that is larger than the cache finds as much of it as there was
        room for, and none of it if what was used least recently made room for what is next.

        Args:
            nbytes: The bytes of the blocks.
        """
        with self._lock:
            self._unmeasured += nbytes
            is_over = not self._is_full and self._total + self._unmeasured > self._limit
            if is_over or self._unmeasured >= self._limit // _MEASURED_PARTS:
                # What was reserved just now is not there yet.
                self._unmeasured = nbytes
                self._total = self._make_room(nbytes)
                self._is_full = self._total + nbytes > self._limit
            return not self._is_full

    def _make_room(self, nbytes: int) -> int:
        """Evict segments to have room for some bytes, and return how much all have after that."""
        folders = {
            folder: measure_segments(folder)
            for folder in (cache_root() / KIND).glob(f"*/{CONTENTS}")
        }
        total = sum(size for found in folders.values() for size, _ in found.values())
        if total + nbytes <= self._limit:
            return total
        for path, size in self._list_evictable(folders):
            if total + nbytes <= self._limit - self._limit // _SPARE_PARTS:
                break
            remove_segment(path)
            total -= size
        return total

    def _list_evictable(
        self, folders: Mapping[Path, Mapping[Path, tuple[int, float]]]
    ) -> list[tuple[Path, int]]:
        """List the segments that may be evicted, in the order of eviction, and their sizes."""
        recent = time.time() - _RECENT_SECONDS
        order: list[tuple[bool, float, float, Path, int]] = []
        for folder, segments in folders.items():
            is_own = folder == self._folder
            last = max((used for _, used in segments.values()), default=0.0)
            if is_pinned(folder.parent) or (
                not is_own and last > recent and is_in_use(folder.parent)
            ):
                continue
            order += [
                (is_own, last, used, path, size)
                for path, (size, used) in segments.items()
                if not is_own or used < recent
            ]
        return [(path, size) for *_, path, size in sorted(order)]


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
