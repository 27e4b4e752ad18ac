"""Describe the cause of a client library's error, in words that fit a line."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

from minari_hub.transfer.bounds import TooSlowError

_LONGEST = 300
_HOST = re.compile(r"host=[']([^']+)'|resolve '([^']+)'|host ([\w.-]+):\d+")
_QUERY = re.compile(r"(https?://[^\s?]+)\?[^\s:]*")


def is_unresolved(error: BaseException) -> bool:
    """Return whether a request failed because the name of its host could not be resolved."""
    return any(isinstance(each, socket.gaierror) for each in _iterate_causes(error))


def describe_error(error: BaseException) -> str:
    """Return what went wrong, in one line of bounded length without the query of a URL.

    Example:
        >>> describe_error(ValueError("404 GET https://host/o?prefix=a&fields=b: not there"))
        '404 GET https://host/o: not there'
    """
    causes = list(_iterate_causes(error))
    for each in causes:
        if isinstance(each, TooSlowError):
            return str(each)
    host = next(filter(None, map(_find_host, causes)), "")
    for each in causes:
        if isinstance(each, socket.gaierror):
            name = f"the name {host!r}" if host else "the name of its host"
            return f"{name} cannot be resolved ({each.strerror}); is there a network?"
    text = _QUERY.sub(r"\1", " ".join(str(error).split())) or type(error).__name__
    root = causes[-1]
    if "Max retries exceeded" in text and root is not error:
        reason = getattr(root, "strerror", None) or str(root) or type(root).__name__
        text = f"{host}: {reason}" if host else str(reason)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST].rpartition(' ')[0]} …"


def _iterate_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised from, the root last."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _find_host(error: BaseException) -> str:
    found = _HOST.search(str(error))
    return next(filter(None, found.groups()), "") if found else ""
