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
import numpy.typing as npt

from minari_core.errors import DatasetChangedError, DatasetDamagedError, RemoteObjectNotFoundError
from minari_core.ranges.blocks import BLOCK_NBYTES, BlockLayout, Blocks
from minari_core.ranges.cache_folder import CacheFolder, open_cache_folder
from minari_core.ranges.checksums import BlockChecksums
from minari_core.ranges.claims import take_turns
from minari_core.ranges.generation import Generation, RenewedError
from minari_core.ranges.segments import Segment
from minari_core.ranges.source import ObjectVersion, RangeSource
from minari_core.ranges.statistics import Counter, StreamStatistics
from minari_core.storage.file_map import Contents

_MOST_TRIES = 4
_HITS_BETWEEN_LOOKS = 512
# What the pool is drawn from, twice: a generation begins with a copy of what is still needed.
_MOST_HELD_NBYTES = 120 << 20


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
        self._held_nbytes = 0
        if self._folder is not None:
            self._folder.become_unlocked()
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
        folder = self._find_folder()
        if folder is None:
            return self._open_new(None, number)
        name, size = self._objects[number]
        known: list[Segment] = []

        def look(numbers: Blocks) -> npt.NDArray[np.bool_]:
            file = folder.open(name, None)
            if file is not None and file.version.size == size:
                known.append(Segment(file.version, file))
            return np.full(len(numbers), bool(known))

        wanted = np.array([number])
        if not look(wanted).all():
            # Many workers begin with the same objects.
            for missing in take_turns(folder.claim_openings(), look, wanted):
                if len(missing):
                    return self._open_new(folder, number)
        return known[0]

    def _open_new(self, folder: CacheFolder | None, number: int) -> Segment:
        """Ask for the version of an object, and make its segment."""
        name, size = self._objects[number]
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
        return Segment(version, made)

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
        last = np.array([(segment.version.size - 1) // BLOCK_NBYTES])
        if number not in self._checksums:
            claims = segment.claim(shares=self.reserve(0))
            for missing in take_turns(claims, segment.find, last):
                if len(missing):
                    self._checksums[number] = self._read_end_intact(number, segment)
        if number not in self._checksums:
            self._checksums[number] = self._read_end_intact(number, segment)
        return self._checksums[number]

    def _read_end_intact(self, number: int, segment: Segment) -> BlockChecksums | None:
        for _ in range(_MOST_TRIES - 2):
            with suppress(DatasetDamagedError):
                return self._read_end(number, segment)
        return self._read_end(number, segment)

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
        is_intact = sums is None or sums.fits(last, end.content)
        if not is_at_hand and is_intact and not self.share(segment, last, end.content):
            segment.hold(last, end.content)
            self.note_held(self._generation, len(end.content))
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

    def reserve(self, nbytes: int) -> bool:
        """Return whether the cache has room for blocks of so many bytes."""
        return self._folder is not None and self._folder.reserve(nbytes)

    def share(
        self,
        segment: Segment,
        block: int,
        content: bytes | memoryview,
        crcs: Sequence[int] | None = None,
    ) -> bool:
        """Add blocks to the cache, and return whether it had room; see `Segment.share`."""
        return self.reserve(len(content)) and segment.share(block, content, crcs)

    def note_held(self, generation: Generation, nbytes: int) -> None:
        """Note that a generation holds bytes in memory, and replace one that holds too many."""
        with self._lock:
            self._held_nbytes += nbytes
            is_too_much = self._held_nbytes > _MOST_HELD_NBYTES
        if is_too_much:
            self._renew(generation)

    def _renew(self, generation: Generation) -> None:
        """Let another generation take the place of one, unless that was done."""
        with self._lock:
            if self._generation is generation:
                self._held_nbytes = 0
                generation.forget_elder()
                self._generation = Generation(self, generation)


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
