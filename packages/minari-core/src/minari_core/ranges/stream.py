"""The objects of a remote dataset as bytes at hand: what lacks is fetched before it is read."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import NoReturn
from weakref import WeakSet

import numpy as np

from minari_core.errors import DatasetChangedError, DatasetDamagedError, RemoteObjectNotFoundError
from minari_core.ranges.blocks import BLOCK_NBYTES, BlockLayout, Blocks
from minari_core.ranges.cache_folder import CacheFolder, open_cache_folder
from minari_core.ranges.checksums import BlockChecksums
from minari_core.ranges.generation import Generation, RenewedError
from minari_core.ranges.segments import PrivateSegment, Segment
from minari_core.ranges.source import ObjectVersion, RangeSource
from minari_core.ranges.statistics import Counter, StreamStatistics
from minari_core.storage.file_map import Contents

_MOST_TRIES = 4
_HITS_BETWEEN_LOOKS = 512
_MOST_PRIVATE_NBYTES = 256 << 20


class Stream:
    """Objects of a source, read through the cache. Thread-safe, and usable after a fork."""

    def __init__(
        self,
        source: RangeSource,
        uid: str,
        objects: Sequence[tuple[str, int]],
        cache_nbytes: int,
        check_unchanged: Callable[[int], object],
        read_checksums: Callable[[Contents, str], BlockChecksums | None],
    ) -> None:
        """Fetch nothing yet.

        Args:
            source: Where the objects are.
            uid: Tells the dataset from all others.
            objects: The name and the size of each object.
            cache_nbytes: The bytes that all streams may have on disk together; 0 for none.
            check_unchanged: Called with the number of an object whose version is another one than
                before; raises a `DatasetChangedError` if its content may be, too.
            read_checksums: Reads the checksums of the blocks of an object from its end, given the
                name of the object for error messages; None if it has none.
        """
        self.source = source
        """Where the objects are."""
        self.layout = BlockLayout([size for _, size in objects])
        """Their blocks."""
        self.most_blocks = max(source.range_nbytes // BLOCK_NBYTES, 1)
        """The most blocks to ask for at once."""
        self._objects = objects
        self._uid = uid
        self._cache_nbytes = cache_nbytes
        self._check_unchanged = check_unchanged
        self._read_checksums = read_checksums
        self._checksums: dict[int, BlockChecksums | None] = {}
        self._folder: CacheFolder | None = None
        self._reset()
        _streams.add(self)

    def _reset(self) -> None:
        """Start anew, as a child does after a fork: the threads of its parent are not there."""
        self._lock = threading.Lock()
        self._counter = Counter()
        self._is_private = self._cache_nbytes <= 0
        self._private_nbytes = 0
        self._generation = Generation(self)

    @property
    def generation(self) -> Generation:
        """The segments that are read now."""
        return self._generation

    def find_whole(self) -> Generation | None:
        """Return the generation if all blocks are known to be at hand, and count that as a hit."""
        generation = self._generation
        if not generation.is_whole:
            return None
        self._counter.hits += 1
        return generation

    def describe(self, number: int) -> str:
        """Return the address of an object, for messages."""
        return f"{self.source.url}/{self._objects[number][0]}"

    def read_statistics(self) -> StreamStatistics:
        """Return what was asked for in this process."""
        return self._counter.read()

    def ensure(self, blocks: Blocks) -> Generation:
        """Fetch those of some blocks that are not at hand.

        Args:
            blocks: Blocks, counted through all objects, in any order.

        Returns:
            The generation that has all of them.

        Raises:
            DatasetChangedError: The dataset was changed, or has become another one.
            DatasetDamagedError: A block has another checksum, time and again.
            RemoteError: An object cannot be read.
        """
        generation = self._generation
        if generation.has(blocks):
            self._counter.hits += 1
            if not self._counter.hits % _HITS_BETWEEN_LOOKS:
                generation.look_whether_whole()
            return generation
        began = time.perf_counter()
        for _ in range(_MOST_TRIES):
            generation = self._generation
            try:
                has_fetched = generation.ensure(blocks)
            except RenewedError:
                continue
            if has_fetched:
                self._counter.add(seconds=time.perf_counter() - began, misses=1)
            else:
                self._counter.hits += 1
            return generation
        raise DatasetChangedError(
            f"{self.source.url} was changed {_MOST_TRIES} times while it was being read; load the "
            "dataset again"
        )

    def open_segment(self, number: int) -> Segment:
        """Open the segment of an object, for a new generation."""
        name, size = self._objects[number]
        folder = self._find_folder()
        if folder is not None:
            found = folder.open(name, None)
            if found is not None and found.version.size == size:
                return found
        self._counter.add(requests=1)
        try:
            version = self.source.version(name)
        except RemoteObjectNotFoundError:
            self._check_unchanged(number)
            raise
        if version.size != size:
            self._check_unchanged(number)
            raise DatasetChangedError(
                f"{self.describe(number)} has {version.size} bytes, not the {size} that its "
                "manifest says; load the dataset again"
            )
        try:
            made = None if folder is None else folder.open(name, version)
        except OSError:
            made = None
        return made or PrivateSegment(version)

    def _find_folder(self) -> CacheFolder | None:
        with self._lock:
            if self._folder is None and not self._is_private:
                url = self.source.url
                self._folder = open_cache_folder(self._uid, url, self._cache_nbytes)
                self._is_private = self._folder is None
            return None if self._is_private else self._folder

    def read(
        self, number: int, ranges: Sequence[tuple[int, int]], version: ObjectVersion
    ) -> Iterator[tuple[int, bytes]]:
        """Read ranges of an object as `RangeSource.read_ranges` does, and count them."""
        name = self._objects[number][0]
        for index, content in self.source.read_ranges(name, ranges, version=version):
            self._counter.add(requests=1, nbytes=len(content))
            yield index, content

    def find_checksums(self, number: int, segment: Segment) -> BlockChecksums | None:
        """Return the checksums of the blocks of an object; None if it has none.

        The last block, which they are in, is stored in the segment.

        Raises:
            DatasetDamagedError: Its end is not what was written, time and again.
        """
        if number not in self._checksums:
            for tried in range(1, _MOST_TRIES):
                try:
                    self._checksums[number] = self._read_end(number, segment)
                    break
                except DatasetDamagedError:
                    if tried == _MOST_TRIES - 1:
                        raise
        return self._checksums[number]

    def _read_end(self, number: int, segment: Segment) -> BlockChecksums | None:
        size = segment.version.size
        last = (size - 1) // BLOCK_NBYTES
        is_at_hand = bool(segment.find(np.array([last]))[0])

        def read(start: int, stop: int) -> bytes:
            if is_at_hand and start >= last * BLOCK_NBYTES:
                return bytes(segment.contents[start:stop])
            ((_, content),) = self.read(number, [(start, stop)], segment.version)
            return content

        end = _FileEnd(read, last * BLOCK_NBYTES, size)
        sums = self._read_checksums(end, self.describe(number))
        if not is_at_hand and (sums is None or sums.fits(last, end.content)):
            with suppress(OSError):  # whoever wants this block will notice, too
                segment.store(last, end.content)
        return sums

    def replace_version(
        self, generation: Generation, number: int, version: ObjectVersion, error: Exception
    ) -> NoReturn:
        """Go on with a new version of an object, if it has the same content as the one before.

        Raises:
            RenewedError: It has.
            DatasetChangedError: It may have another.
            RemoteError: There is none.
        """
        self._check_unchanged(number)
        name, _ = self._objects[number]
        if self.source.version(name) == version:
            raise error
        folder = self._find_folder()
        if folder is not None:
            folder.remove(name)
        self._renew(generation)
        raise RenewedError from error

    def give_up_cache(self, generation: Generation, error: OSError) -> NoReturn:
        """Hold blocks in memory from now on, because the disk has no room.

        Raises:
            RenewedError: Always.
        """
        self._is_private = True
        self._renew(generation)
        raise RenewedError from error

    def note_stored(self, generation: Generation, segment: Segment, nbytes: int) -> None:
        """Note that blocks of a segment were stored, and evict some where there are too many."""
        if isinstance(segment, PrivateSegment):
            with self._lock:
                self._private_nbytes += nbytes
                has_own = self._private_nbytes > _MOST_PRIVATE_NBYTES
        else:
            has_own = self._folder is not None and self._folder.note_stored(nbytes)
        if has_own:
            self._renew(generation)

    def _renew(self, generation: Generation) -> None:
        """Let another generation take the place of one, unless that was done."""
        with self._lock:
            if self._generation is generation:
                self._private_nbytes = 0
                self._generation = Generation(self)


class _FileEnd:
    """The bytes of a file of which the end was read, and the rest is when it is asked for."""

    def __init__(self, read: Callable[[int, int], bytes], start: int, size: int) -> None:
        self._read = read
        self._start = start
        self._size = size
        self.content = read(start, size)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, key: slice) -> memoryview:
        start, stop, _ = key.indices(self._size)
        if start < self._start:
            return memoryview(self._read(start, stop))
        return memoryview(self.content)[start - self._start : stop - self._start]


_streams: WeakSet[Stream] = WeakSet()


def _reset_after_fork() -> None:
    for stream in _streams:
        stream._reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
