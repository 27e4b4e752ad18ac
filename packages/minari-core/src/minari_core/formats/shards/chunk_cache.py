"""What decodes compressed chunks: threads of this process, and a bounded cache of chunks."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

Buffer = npt.NDArray[np.uint8]
Job = TypeVar("Job")

CACHE_NBYTES = 16 << 20
"""So many decoded bytes are kept in each process. More would push them out of the processor's
caches, which takes longer than decoding them again."""

_MOST_THREADS = 8
_FEWEST_JOBS = 4
_SMALLEST_NBYTES = 1 << 18


class _Chunk:
    """A decoded chunk, which stays while somebody uses it."""

    __slots__ = ("buffer", "users")

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer
        self.users = 1


class ChunkCache:
    """Chunks that were decoded last. Thread-safe.

    The memory of a chunk that is pushed out is used again for the next: asking the operating
    system for new memory can take longer than decoding into it.
    """

    def __init__(self, limit: int = CACHE_NBYTES) -> None:
        """Start empty.

        Args:
            limit: How many bytes to keep; what is being used at the moment comes on top.
        """
        self._limit = limit
        self._lock = threading.Lock()
        self._chunks: OrderedDict[Hashable, _Chunk] = OrderedDict()
        self._nbytes = 0

    @property
    def nbytes(self) -> int:
        """How many bytes are kept."""
        return self._nbytes

    def use(
        self,
        key: Hashable,
        nbytes: int,
        decode: Callable[[Buffer], None],
        copy_from: Callable[[Buffer], None],
    ) -> None:
        """Look at a chunk, which is decoded only if it is not there.

        Args:
            key: Tells the chunk from all others.
            nbytes: Its size.
            decode: Fills a buffer with it.
            copy_from: Takes out what is wanted; the buffer must not be kept.
        """
        with self._lock:
            chunk = self._chunks.get(key)
            is_there = chunk is not None
            if chunk is None:
                chunk = _Chunk(self._buffer(nbytes))
            else:
                self._chunks.move_to_end(key)
                chunk.users += 1
        if not is_there:
            decode(chunk.buffer)
            with self._lock:
                self._keep(key, chunk)
        try:
            copy_from(chunk.buffer)
        finally:
            with self._lock:
                chunk.users -= 1

    def _buffer(self, nbytes: int) -> Buffer:
        """Memory for a chunk, of the oldest ones if the limit is reached."""
        while self._nbytes + nbytes > self._limit:
            oldest = next((key for key, chunk in self._chunks.items() if not chunk.users), None)
            if oldest is None:
                break
            buffer = self._chunks.pop(oldest).buffer
            self._nbytes -= len(buffer)
            if len(buffer) == nbytes and self._nbytes + nbytes <= self._limit:
                return buffer
        return np.empty(nbytes, dtype=np.uint8)

    def _keep(self, key: Hashable, chunk: _Chunk) -> None:
        # Two threads may have decoded the same chunk at the same time; one of them is enough. What
        # is in use may reach the limit alone.
        size = len(chunk.buffer)
        if key not in self._chunks and self._nbytes + size <= self._limit:
            self._chunks[key] = chunk
            self._nbytes += size


class _Process:
    """What belongs to this process, and is made anew after a fork."""

    def __init__(self) -> None:
        self.cache = ChunkCache()
        self.lock = threading.Lock()
        self.pool: ThreadPoolExecutor | None = None
        self.threads = 0

    def helpers(self) -> tuple[ThreadPoolExecutor | None, int]:
        """Threads beside the calling one, and how many they are together."""
        with self.lock:
            if self.threads == 0:
                self.threads = min(_usable_processors(), _MOST_THREADS)
                if self.threads > 1:
                    from concurrent.futures import ThreadPoolExecutor  # only who decodes

                    self.pool = ThreadPoolExecutor(
                        self.threads - 1, thread_name_prefix="minari-decoder"
                    )
            return self.pool, self.threads


_process = _Process()


def _start_anew() -> None:
    """In a forked child no thread lives on, and a lock may be held by one that does not."""
    global _process
    _process = _Process()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)


def _usable_processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def chunk_cache() -> ChunkCache:
    """The cache of this process."""
    return _process.cache


def run_jobs(job: Callable[[Job], None], jobs: Sequence[Job], nbytes: int) -> None:
    """Do jobs that leave Python most of the time, on all processors.

    Args:
        job: Does one of them.
        jobs: All of them, each about as long.
        nbytes: How much comes out of them together; little is done in this thread alone.
    """
    pool, threads = None, 1
    if len(jobs) >= _FEWEST_JOBS and nbytes >= _SMALLEST_NBYTES:
        pool, threads = _process.helpers()
    borders = [len(jobs) * part // threads for part in range(threads + 1)]
    shares = [jobs[borders[part] : borders[part + 1]] for part in range(threads)]

    def do(share: Sequence[Job]) -> None:
        for item in share:
            job(item)

    others: list[Future[None]] = []
    if pool is not None:
        others = [pool.submit(do, share) for share in shares[1:]]
    try:
        do(shares[0])
    finally:
        # What the others write to must not be given back before they are done.
        failures = [other.exception() for other in others]
    for failure in failures:
        if failure is not None:
            raise failure
