"""End episodes that take too long."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
import time
from collections.abc import Iterator

_GRACE_SECONDS = 2.0
EXIT_CODE = 75
"""What a worker exits with when an episode cannot be ended otherwise."""


class EpisodeTimeoutError(Exception):
    """Raised in the thread of an episode that takes too long."""


class EpisodeWatch:
    """Raise an error in the thread that steps an episode for too long.

    An environment that hangs outside Python does not see the error. The process is ended then,
    if that is allowed, and whoever waits for it learns that it is gone.
    """

    def __init__(self, seconds: float | None, *, may_exit: bool) -> None:
        """Prepare to watch.

        Args:
            seconds: How long an episode may take; any time if None.
            may_exit: Whether the process may be ended.
        """
        self._seconds = seconds
        self._may_exit = may_exit
        self._deadline: float | None = None
        self._is_told = False
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread_id = threading.get_ident()

    def __enter__(self) -> EpisodeWatch:
        """Begin to watch this thread."""
        self._thread_id = threading.get_ident()
        if self._seconds is not None:
            threading.Thread(target=self._watch, daemon=True, name="episode watch").start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Watch no longer."""
        self._stopped.set()

    @contextlib.contextmanager
    def episode(self) -> Iterator[None]:
        """Watch what is done in the block.

        Raises:
            EpisodeTimeoutError: It took too long.
        """
        if self._seconds is None:
            yield
            return
        with self._lock:
            self._is_told = False
            self._deadline = time.monotonic() + self._seconds
        try:
            yield
        finally:
            with self._lock:
                self._deadline = None

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        """Leave what is done in the block alone, and do not count its time."""
        began = time.monotonic()
        with self._lock:
            deadline, self._deadline = self._deadline, None
        try:
            yield
        finally:
            with self._lock:
                if deadline is not None:
                    self._deadline = deadline + time.monotonic() - began

    def _watch(self) -> None:
        tick = min((self._seconds or 1.0) / 4, 0.5)
        while not self._stopped.wait(tick):
            with self._lock:
                deadline, told = self._deadline, self._is_told
                if deadline is None or time.monotonic() < deadline:
                    continue
                if not told:
                    self._is_told = True
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(
                        ctypes.c_ulong(self._thread_id), ctypes.py_object(EpisodeTimeoutError)
                    )
                    continue
            if self._may_exit and time.monotonic() > deadline + _GRACE_SECONDS:
                sys.stderr.write("an episode hangs and cannot be ended; its worker ends instead\n")
                sys.stderr.flush()
                os._exit(EXIT_CODE)
