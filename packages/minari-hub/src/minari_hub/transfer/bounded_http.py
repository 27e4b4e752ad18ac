"""HTTP answers that end: bounded in size, and in how slowly they come."""

from __future__ import annotations

import http.client
import time

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from minari_hub.transfer import bounds
from minari_hub.transfer.bounds import TooLargeError, TooSlowError
from minari_hub.transfer.measured_answer import MeasuredAnswer

LARGEST_ANSWER = 32 << 20
"""The most bytes of an answer that is read at once, as a page of a list, after unpacking."""

TIMEOUT = (15.0, 60.0)
"""Seconds to wait for a connection, and for its next bytes."""

PASSING_HTTP_ERRORS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
)
"""What is raised where a connection fails in passing."""

_CONNECTIONS = 32
# Unpacked, a block is at most a thousand times as large.
_BLOCK = 8 << 10
_ENCODINGS = ("", "identity", "gzip", "deflate")


class BoundedAdapter(HTTPAdapter):
    """Make requests whose answers are bounded.

    An answer that is read at once, an error or a redirection has at most `LARGEST_ANSWER` bytes,
    else `TooLargeError` is raised, and comes within ten minutes. The content of every answer comes
    at `LEAST_RATE` or faster, measured over half a minute of waiting for it; else what is raised
    was caused by a `TooSlowError`. What comes beside the content is less than that, or a megabyte.
    """

    def __init__(self) -> None:
        """Begin without a connection."""
        super().__init__(pool_connections=_CONNECTIONS, pool_maxsize=_CONNECTIONS)

    def init_poolmanager(self, *arguments: object, **options: object) -> None:
        """Use connections whose answers are measured."""
        super().init_poolmanager(*arguments, **options)  # type: ignore[arg-type]  # passed on
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: object):  # type: ignore[no-untyped-def]  # its class is urllib3's
        """Use connections whose answers are measured, through a proxy too."""
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float | None, float | None] | None = None,
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
        proxies: dict[str, str] | None = None,
    ) -> requests.Response:
        """Make a request, and read the answer unless it is a content that is streamed."""
        # Others can pack a thousand times as much as these.
        request.headers["Accept-Encoding"] = "gzip, deflate"
        response = super().send(request, stream, timeout, verify, cert, proxies)
        if not stream or response.status_code >= 300:
            try:
                response._content = _read(response)
            except BaseException:
                response.close()
                raise
            response._content_consumed = True
        return response


def _read(response: requests.Response) -> bytes:
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        raise TooLargeError(f"it sends an answer packed as {encoding[:80]!r}, which has no bound")
    content = bytearray()
    began = time.monotonic()
    for block in response.iter_content(_BLOCK):
        content += block
        if time.monotonic() - began > bounds.LONGEST_ANSWER:
            raise TooSlowError(
                f"it sent {len(content):,} bytes in {bounds.LONGEST_ANSWER:g} s, and is not done"
            )
        if len(content) > LARGEST_ANSWER:
            raise TooLargeError(
                f"it sends more than {LARGEST_ANSWER:,} bytes for one answer, the most that are "
                "taken"
            )
    return bytes(content)


class _Connection(HTTPConnection):
    response_class = MeasuredAnswer


class _SecureConnection(HTTPSConnection):
    response_class = MeasuredAnswer


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


def mount_bounds(session: requests.Session) -> None:
    """Bound all answers that a session gets."""
    adapter = BoundedAdapter()
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)
