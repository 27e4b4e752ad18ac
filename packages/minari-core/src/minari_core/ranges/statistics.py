"""What a stream has asked for, got and waited for in this process."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class StreamStatistics:
    """The figures of a stream in this process, since it was opened here."""

    requests: int = 0
    """Ranges and versions of objects that were asked for."""
    nbytes: int = 0
    """The bytes that arrived."""
    waited_seconds: float = 0.0
    """The seconds that readers waited for bytes, summed over all threads."""
    hits: int = 0
    """How often all bytes that a reader wanted were at hand."""
    misses: int = 0
    """How often some were not."""


class Counter:
    """Counts what a stream does. Thread-safe."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._lock = threading.Lock()
        self._seen = StreamStatistics()
        self.hits = 0
        """Counted without the lock, because all that is read is counted."""

    def add(
        self, *, requests: int = 0, nbytes: int = 0, seconds: float = 0.0, misses: int = 0
    ) -> None:
        """Add to the figures."""
        with self._lock:
            seen = self._seen
            self._seen = StreamStatistics(
                seen.requests + requests,
                seen.nbytes + nbytes,
                seen.waited_seconds + seconds,
                0,
                seen.misses + misses,
            )

    def read(self) -> StreamStatistics:
        """Return the figures so far."""
        return replace(self._seen, hits=self.hits)
