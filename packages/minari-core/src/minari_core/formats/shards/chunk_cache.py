"""A bounded cache of decoded chunks, and the threads of this process that decode them."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

Buffer = npt.NDArray[np.uint8]
Job = TypeVar("Job")

CACHE_NBYTES = 16 << 20
"""The number of decoded bytes that each process caches. More would not fit the processor's own
caches, and reading them would take longer than decoding them again."""

_MOST_THREADS = 8
_FEWEST_JOBS = 4
_SMALLEST_NBYTES = 1 << 18


class _Chunk:
    """A decoded chunk, which stays in memory while it is in use."""

    __slots__ = ("buffer", "users")

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer
        self.users = 1


class ChunkCache:
    """A least-recently-used cache of decoded chunks. Thread-safe.

    The memory of an evicted chunk is used again for the next: asking the operating system for new
    memory can take longer than decoding into it.
    """

    def __init__(self, limit: int = CACHE_NBYTES) -> None:
        """Start empty.

        Args:
            limit: The number of bytes to cache; chunks in use come on top.
        """
        self._limit = limit
        self._lock = threading.Lock()
        self._chunks: OrderedDict[Hashable, _Chunk] = OrderedDict()
        self._nbytes = 0

    @property
    def nbytes(self) -> int:
        """The number of cached bytes."""
        return self._nbytes

    def __contains__(self, key: Hashable) -> bool:
        """Whether a chunk is cached; another thread may have it evicted just after."""
        return key in self._chunks

    def use(
        self,
        key: Hashable,
        nbytes: int,
        decode: Callable[[Buffer], None],
        copy_from: Callable[[Buffer], None],
    ) -> None:
        """Copy from a chunk, which is decoded only if it is not cached.

        Args:
            key: The key of the chunk.
            nbytes: Its decoded size.
            decode: Decodes it into a buffer.
            copy_from: Copies from the buffer, and keeps no reference to it.
        """
        with self._lock:
            chunk = self._chunks.get(key)
            is_there = chunk is not None
            if chunk is None:
                chunk = _Chunk(self._allocate(nbytes))
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

    def _allocate(self, nbytes: int) -> Buffer:
        """Return memory for a chunk, and evict the oldest chunks if the limit is reached."""
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
        # Two threads may have decoded the same chunk at the same time; one copy is enough. Chunks
        # in use may reach the limit alone.
        size = len(chunk.buffer)
        if key not in self._chunks and self._nbytes + size <= self._limit:
            self._chunks[key] = chunk
            self._nbytes += size


class _Process:
    """The cache and the threads of this process; replaced after a fork."""

    def __init__(self) -> None:
        self.caches: dict[int, ChunkCache] = {}
        self.lock = threading.Lock()
        self.pool: ThreadPoolExecutor | None = None
        self.threads = 0

    def get_helpers(self) -> tuple[ThreadPoolExecutor | None, int]:
        """Return a pool of threads beside the calling one, and the number of all threads."""
        with self.lock:
            if self.threads == 0:
                self.threads = min(_count_processors(), _MOST_THREADS)
                if self.threads > 1:
                    from concurrent.futures import ThreadPoolExecutor  # only who decodes

                    self.pool = ThreadPoolExecutor(
                        self.threads - 1, thread_name_prefix="minari-decoder"
                    )
            return self.pool, self.threads


_process = _Process()


def _reset_after_fork() -> None:
    """Forget what a forked child inherits: its threads are gone, and may have held a lock."""
    global _process
    _process = _Process()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)


def _count_processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def chunk_cache(limit: int = CACHE_NBYTES) -> ChunkCache:
    """Return the cache of this process that has some limit; see `ChunkCache`."""
    caches = _process.caches
    # Whichever of two threads is first, both get the same.
    return caches.get(limit) or caches.setdefault(limit, ChunkCache(limit))


def run_jobs(job: Callable[[Job], None], jobs: Sequence[Job], nbytes: int) -> None:
    """Run jobs that mostly hold no GIL on all processors.

    Args:
        job: Runs one job.
        jobs: The jobs, each of about the same length.
        nbytes: The size of their results together; small ones are run in this thread alone.
    """
    pool, threads = None, 1
    if len(jobs) >= _FEWEST_JOBS and nbytes >= _SMALLEST_NBYTES:
        pool, threads = _process.get_helpers()
    bounds = [len(jobs) * share // threads for share in range(threads + 1)]
    shares = [jobs[start:stop] for start, stop in pairwise(bounds)]

    def do(share: Sequence[Job]) -> None:
        for item in share:
            job(item)

    others: list[Future[None]] = []
    if pool is not None:
        others = [pool.submit(do, share) for share in shares[1:]]
    try:
        do(shares[0])
    finally:
        # The caller must not get its buffers back while other threads write to them.
        failures = [other.exception() for other in others]
    for failure in failures:
        if failure is not None:
            raise failure
