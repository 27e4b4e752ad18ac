"""Describe the cause of a client library's error, in words that fit a line."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from minari_hub.transfer.bounds import TooSlowError

_LONGEST = 300
_HOST = re.compile(
    r"host=[']([^']+)'|resolve '([^']+)'|host ([\w.-]+):\d+|Connection to (\S+) timed out"
)
# Of each client library, so that none is imported for it.
_PROXY_ERRORS = frozenset({"ProxyError", "ClientProxyConnectionError"})
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
    host = next(filter(None, map(_find_host, reversed(causes))), "")
    for each in reversed(causes):
        if type(each).__name__ in _PROXY_ERRORS:
            return _describe_proxy_error(_find_host(each) or _find_proxy(host), causes[-1])
    for each in causes:
        if isinstance(each, socket.gaierror):
            name = f"the name {host!r}" if host else "the name of its host"
            return f"{name} cannot be resolved ({each.strerror}); is there a network?"
    text = _QUERY.sub(r"\1", " ".join(str(error).split())) or type(error).__name__
    root = causes[-1]
    if "Max retries exceeded" in text and root is not error:
        text = f"{host}: {_describe_root(root)}" if host else _describe_root(root)
    proxy = _find_proxy(host) if host and isinstance(root, TimeoutError) else ""
    if proxy:
        text = f"{text} (through the proxy {proxy!r})"
    return _shorten(text)


def _describe_proxy_error(proxy: str, root: BaseException) -> str:
    if isinstance(root, socket.gaierror):
        name = f"the name {proxy!r} of the proxy" if proxy else "the name of the proxy"
        problem = f"{name} cannot be resolved ({root.strerror})"
    else:
        problem = f"the proxy{f' {proxy!r}' if proxy else ''}: {_describe_root(root)}"
    return f"{_shorten(problem)}; is it the one that HTTP_PROXY or HTTPS_PROXY should name?"


def _describe_root(root: BaseException) -> str:
    return str(getattr(root, "strerror", None) or str(root) or type(root).__name__)


def _find_proxy(host: str) -> str:
    """Find which host the environment says to ask for the pages of another one; "" for none."""
    from urllib.request import getproxies, proxy_bypass  # only where something went wrong

    proxies = getproxies()
    url = next((proxies[each] for each in ("https", "all", "http") if each in proxies), "")
    if not url or proxy_bypass(host):
        return ""
    try:
        # Without the password that may be in it.
        return urlsplit(url if "//" in url else f"//{url}").hostname or ""
    except ValueError:
        return ""


def _shorten(text: str) -> str:
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
