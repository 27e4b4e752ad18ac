"""Answers of web servers as they arrive: neither too slowly, nor with headers without end."""

from __future__ import annotations

import http.client
import io
import math
import time
from socket import socket

from minari_hub.transfer.bounds import LEAST_RATE, TooLargeError, TooSlowError
from minari_hub.transfer.retrying import Patience

_LONGEST_LINE = 1 << 16
# Of what is no content: the headers, and the sizes of chunks and what may follow them.
_MOST_OVERHEAD = 1 << 20
_WINDOW_SECONDS = 30.0


class _Measured(io.RawIOBase):
    """The bytes that arrive at a socket, unless they are next to none for too long."""

    def __init__(self, raw: io.RawIOBase) -> None:
        super().__init__()
        self._raw = raw
        self._window = max(1.0, min(_WINDOW_SECONDS, Patience.from_environment().give_up_after))
        self._waited = 0.0
        self._received = 0
        self._has_begun = False  # before the first bytes, the server may think
        self._ahead = 0  # bytes of content more than others
        self.deadline = math.inf

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int | None:  # type: ignore[override]  # any buffer
        began = time.monotonic()
        if began > self.deadline:
            raise TooSlowError("not all of an answer has come in time")
        count: int | None = self._raw.readinto(buffer)
        if self._has_begun:
            # Only the time in which the server was waited for, not that of who reads.
            self._waited += time.monotonic() - began
        self._has_begun = True
        self._received += count or 0
        self._ahead += count or 0
        if count and self._waited >= self._window:
            if self._received < LEAST_RATE * self._waited:
                raise TooSlowError(
                    f"it sent {max(self._received, 0):,} bytes in {self._waited:.0f} s, fewer than "
                    f"{LEAST_RATE} a second"
                )
            self._waited, self._received = 0.0, 0
        return count

    def note_line(self, nbytes: int) -> None:
        """Note that so many bytes were a line beside the content.

        Raises:
            TooLargeError: There are too many of them.
        """
        self._received -= nbytes
        self._ahead -= 2 * nbytes
        if self._ahead < -_MOST_OVERHEAD:
            raise TooLargeError(
                f"it sends more than {_MOST_OVERHEAD:,} bytes beside the content of an answer"
            )

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
            super().close()


class _Reader(io.BufferedReader):
    """Reads lines of a bounded length, none of which is content."""

    def __init__(self, measured: _Measured) -> None:
        super().__init__(measured)
        self._measured = measured

    def limit(self, seconds: float) -> None:
        """Take nothing any more after so many seconds."""
        self._measured.deadline = time.monotonic() + seconds

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(_LONGEST_LINE + 1)
        if len(line) > _LONGEST_LINE:
            raise TooLargeError(f"it sends a line of more than {_LONGEST_LINE:,} bytes")
        self._measured.note_line(len(line))
        return line


class MeasuredAnswer(http.client.HTTPResponse):
    """An answer whose bytes come at `LEAST_RATE` or faster, and whose headers have an end."""

    def __init__(self, sock: socket, debuglevel: int = 0, method: str | None = None) -> None:
        super().__init__(sock, debuglevel, method)
        self._reader = _Reader(_Measured(self.fp.detach()))
        self.fp = self._reader

    def read_within(self, nbytes: int, seconds: float) -> bytes:
        """Read so many bytes, or fewer where the content ends before.

        Raises:
            TooSlowError: They have not come after so many seconds.
        """
        self._reader.limit(seconds)
        return self.read(nbytes)

    def begin(self) -> None:
        try:
            super().begin()
        except http.client.HTTPException as error:
            # All others have a class of their own. It would be the same at the next try.
            if type(error) is http.client.HTTPException:
                raise TooLargeError(f"it sends headers without end: {error}") from error
            raise
