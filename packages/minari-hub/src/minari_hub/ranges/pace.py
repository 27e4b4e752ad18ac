"""The pace of requests to a server that counts them."""

from __future__ import annotations

import threading
import time

_AT_ONCE = 8


class Pace:
    """Lets requests wait for their turn, after a few that need not. Thread-safe."""

    def __init__(self) -> None:
        """Begin with no request."""
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self, per_second: float) -> None:
        """Wait until another request may be sent.

        Args:
            per_second: How many may be sent in a second; after a while without any, eight may
                be sent at once.
        """
        with self._lock:
            now = time.monotonic()
            turn = max(self._next, now - (_AT_ONCE - 1) / per_second)
            self._next = turn + 1 / per_second
        if turn > now:
            time.sleep(turn - now)
