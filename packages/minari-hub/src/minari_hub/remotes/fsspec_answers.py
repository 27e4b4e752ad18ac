"""Interpret what file systems of fsspec say of files, of errors, and of what was sent."""

from __future__ import annotations

import errno
import math
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from threading import Event
from typing import TypeAlias

from fsspec.callbacks import Callback

from minari_core.errors import (
    MinariError,
    RemoteAccessError,
    RemoteError,
    RemoteObjectExistsError,
    RemoteObjectNotFoundError,
)
from minari_hub.transfer.partial_file import TransferStoppedError
from minari_hub.transfer.retrying import PASSING_STATUS

Entry: TypeAlias = Mapping[str, object]
"""What a file system says of a file."""

# Where a file's version, and when it was written, stand in what the file systems say of it.
_VERSION_KEYS = ("etag", "ETag", "generation", "version_id", "mtime", "LastModified", "created")
_TIME_KEYS = ("mtime", "last_modified", "last_write_time", "created")
_FINAL = frozenset(
    getattr(errno, name, -1)
    for name in ("ENOSPC", "EDQUOT", "EROFS", "EFBIG", "ENAMETOOLONG", "ELOOP")
)
# Of libraries that need not be installed: aiohttp, botocore, azure-core, paramiko, ftplib.
_PASSING_NAMES = frozenset(
    {
        "ClientConnectionError",
        "ClientPayloadError",
        "HTTPClientError",
        "ServiceRequestError",
        "ServiceResponseError",
        "SSHException",
        "error_temp",
    }
)


class Progress(Callback):  # type: ignore[misc]  # fsspec has no types
    """Told by a file system what it has sent; bytes that are sent again are not reported again."""

    def __init__(self, report: Callable[[int], None], stop: Event) -> None:
        """Begin before the first byte.

        Args:
            report: Called with numbers of bytes that were sent.
            stop: When set, `TransferStoppedError` is raised at the next of them.
        """
        super().__init__()
        self._tell = report
        self._stop = stop
        self._sent = 0
        self._reported = 0

    def restart(self) -> None:
        """Begin to send the file, perhaps once more."""
        self._sent = 0
        self.relative_update(0)

    def relative_update(self, inc: int = 1) -> None:
        """Note that bytes were sent."""
        if self._stop.is_set():
            raise TransferStoppedError("the transfer was stopped")
        self._sent += inc
        self._tell_up_to(self._sent)

    def finish(self, size: int) -> None:
        """Note that all was sent, also where the file system said nothing of it."""
        self._tell_up_to(size)

    def _tell_up_to(self, sent: int) -> None:
        if sent > self._reported:
            self._tell(sent - self._reported)
            self._reported = sent


def choose_error(error: Exception) -> type[RemoteError]:
    """Return the class of this project's error for one of a file system."""
    if isinstance(error, FileNotFoundError):
        return RemoteObjectNotFoundError
    if isinstance(error, FileExistsError):
        return RemoteObjectExistsError
    if isinstance(error, PermissionError):
        return RemoteAccessError
    return RemoteError


def is_passing(error: Exception) -> bool:
    """Return whether an error is transient."""
    if isinstance(error, MinariError) or choose_error(error) is not RemoteError:
        return False
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return status in PASSING_STATUS
    if isinstance(error, OSError):
        return error.errno not in _FINAL
    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, EOFError | TimeoutError) or not names.isdisjoint(_PASSING_NAMES)


def is_hidden(name: str) -> bool:
    """Return whether a file, or a folder that it is in, is hidden."""
    return any(part.startswith(".") for part in name.split("/"))


def read_size(described: Entry) -> int:
    """Return how many bytes a file has; 0 where that is unknown."""
    size = described.get("size")
    return size if isinstance(size, int) and size >= 0 else 0


def read_version(described: Entry) -> str:
    """Return text that changes whenever a file does; "" where there is none."""
    return next((str(described[key]) for key in _VERSION_KEYS if described.get(key)), "")


def read_time(described: Entry) -> float:
    """Return when a file was written, in seconds since 1970; infinity where that is unknown."""
    value = next((described[key] for key in _TIME_KEYS if described.get(key)), None)
    if isinstance(value, datetime):
        known = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        return known.timestamp()
    return float(value) if isinstance(value, int | float) else math.inf
