"""What takes a pass over the data: done once, in a thread of its own, when it is asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable

from minari_core.json_values import JsonObject


class BackgroundTask:
    """A task and its outcome; its methods may be called from several threads."""

    def __init__(self, run: Callable[[], JsonObject]) -> None:
        """Begin nothing yet.

        Args:
            run: Does it, and returns the outcome, whatever happens.
        """
        self._run = run
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._outcome: JsonObject | None = None

    def describe(self, *, start: bool = False) -> JsonObject:
        """Describe how far it is.

        Args:
            start: Begin, if nobody has.

        Returns:
            The ``state``, ``idle``, ``running`` or ``done``, and with the last one the outcome.
        """
        with self._lock:
            if start and self._thread is None and self._outcome is None:
                self._thread = threading.Thread(target=self.run, name="minari-view", daemon=True)
                self._thread.start()
        if self._outcome is not None:
            return {"state": "done", **self._outcome}
        return {"state": "idle" if self._thread is None else "running"}

    def run(self) -> None:
        """Do it now, in this thread."""
        self._outcome = self._run()
