"""The ends of objects, which come with their versions because they are read next."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from minari_core.ranges.source import ObjectVersion

END_NBYTES = 1 << 18
"""The size of an end: the last block of a shard, and all of most manifests."""

_MOST_ENDS = 64


class Ends:
    """The last ends that came, each until it is read. Thread-safe."""

    def __init__(self) -> None:
        """Start with none."""
        self._ends: OrderedDict[str, tuple[ObjectVersion, int, bytes]] = OrderedDict()
        self._lock = Lock()

    def keep(self, name: str, version: ObjectVersion, content: bytes) -> None:
        """Keep the last bytes of an object."""
        with self._lock:
            self._ends[name] = version, version.size - len(content), content
            if len(self._ends) > _MOST_ENDS:
                self._ends.popitem(last=False)

    def take(self, name: str, version: ObjectVersion, start: int, stop: int) -> bytes | None:
        """Return a range of an end, and forget that end; None if it is not here."""
        with self._lock:
            known, first, content = self._ends.get(name, (None, 0, b""))
            if known != version or start < first:
                return None
            del self._ends[name]
            return content[start - first : stop - first]
