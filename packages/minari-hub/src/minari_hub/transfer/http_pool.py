"""Connections to web servers, which are kept for many requests of a megabyte from many threads."""

from __future__ import annotations

import base64
import http.client
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from functools import cached_property
from socket import SHUT_RDWR, socket
from ssl import SSLContext, SSLError, create_default_context
from typing import cast
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from minari_core.errors import RemoteError
from minari_hub.transfer.bounds import EXPECTED_RATE
from minari_hub.transfer.measured_answer import MeasuredAnswer
from minari_hub.transfer.retrying import Patience

_MOST_IDLE = 32
_CONNECT_SECONDS = 10.0
_LONGEST_SILENCE = 20.0
# For an answer whatever its size; see `EXPECTED_RATE`.
_ANSWER_SECONDS = 30.0
_SMALL = 1 << 16
_CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answers."""

    url: str
    """What was asked for."""
    status: int
    """Its status."""
    headers: Message
    """Its headers."""
    body: bytes | None
    """Its content; None if it is larger than was to be read."""


class HttpPool:
    """Connections that are kept; any number of threads may make requests at once."""

    def __init__(self) -> None:
        """Begin without a connection."""
        patience = Patience.from_environment().give_up_after
        self._silence = max(1.0, min(_LONGEST_SILENCE, patience / 3))
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, str], list[http.client.HTTPConnection]] = {}
        self._busy: set[http.client.HTTPConnection] = set()
        self._proxies: dict[tuple[str, str], SplitResult | None] = {}
        self._is_closed = False

    def get(self, url: str, headers: Mapping[str, str], most: int) -> Answer:
        """Ask for what is at a URL.

        Args:
            url: The URL, of ``http`` or ``https``.
            headers: What to send with it.
            most: The most bytes of a successful answer that are read.

        Raises:
            RemoteError: The pool was closed.
            OSError: The server cannot be reached, or sends nothing for too long.
            HTTPException: It sends something else than an answer, or breaks off.
        """
        parts = urlsplit(url)
        key = parts.scheme, parts.netloc
        if key not in self._proxies:
            self._proxies[key] = _find_proxy(parts)
        proxy = self._proxies[key]
        while True:
            connection = self._take(key)
            is_kept = connection is not None
            if connection is None:
                connection = self._build(parts, proxy)
            with self._lock:
                self._busy.add(connection)
            try:
                answer, can_be_kept = self._exchange(connection, parts, proxy, headers, most)
            except BaseException as error:
                self._put(key, connection, can_be_kept=False)
                if self._is_closed and isinstance(error, Exception):
                    raise RemoteError(f"the connection to {parts.hostname} was closed") from error
                # The server may have ended a kept connection just when it was used again.
                if is_kept and isinstance(error, ConnectionError | SSLError):
                    continue
                raise
            self._put(key, connection, can_be_kept=can_be_kept)
            return answer

    def __del__(self) -> None:
        """End the connections of who forgot to: no thread is in it, and none may be waited for."""
        for kept in getattr(self, "_idle", {}).values():
            for connection in kept:
                connection.close()

    def close(self) -> None:
        """End all connections; what is under way fails."""
        with self._lock:
            self._is_closed = True
            idle = [each for kept in self._idle.values() for each in kept]
            self._idle.clear()
            busy = list(self._busy)
        for connection in idle:
            connection.close()
        for connection in busy:
            if connection.sock is not None:
                try:
                    connection.sock.shutdown(SHUT_RDWR)
                except OSError:
                    continue  # it has ended by itself

    def _take(self, key: tuple[str, str]) -> http.client.HTTPConnection | None:
        with self._lock:
            kept = self._idle.get(key)
            return kept.pop() if kept else None

    def _put(
        self, key: tuple[str, str], connection: http.client.HTTPConnection, *, can_be_kept: bool
    ) -> None:
        with self._lock:
            self._busy.discard(connection)
            if can_be_kept and not self._is_closed:
                kept = self._idle.setdefault(key, [])
                if len(kept) < _MOST_IDLE:
                    kept.append(connection)
                    return
        connection.close()

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        parts: SplitResult,
        proxy: SplitResult | None,
        headers: Mapping[str, str],
        most: int,
    ) -> tuple[Answer, bool]:
        """Send a request and read its answer.

        Returns:
            The answer, and whether the connection can be used again.
        """
        if connection.sock is None:
            connection.connect()
            cast("socket", connection.sock).settimeout(self._silence)
        target = parts._replace(scheme="", netloc="", path=parts.path or "/", fragment="").geturl()
        if parts.scheme == "http" and proxy is not None:
            target = parts._replace(fragment="").geturl()
            headers = {**headers, **_sign_for_proxy(proxy)}
        connection.request("GET", target, headers={**headers, "Accept-Encoding": "identity"})
        response = cast("MeasuredAnswer", connection.getresponse())
        body = _read(response, most if response.status < 300 else _SMALL)
        response.close()
        can_be_kept = body is not None and not response.will_close
        return Answer(parts.geturl(), response.status, response.headers, body), can_be_kept

    def _build(self, parts: SplitResult, proxy: SplitResult | None) -> http.client.HTTPConnection:
        host = parts.hostname or ""
        at, port = (host, parts.port) if proxy is None else (proxy.hostname or "", proxy.port)
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(
                at, port, timeout=_CONNECT_SECONDS, context=self._context
            )
            if proxy is not None:
                connection.set_tunnel(host, parts.port, headers=_sign_for_proxy(proxy))
        else:
            connection = http.client.HTTPConnection(at, port, timeout=_CONNECT_SECONDS)
        connection.response_class = MeasuredAnswer
        return connection

    @cached_property
    def _context(self) -> SSLContext:
        given = next(filter(None, map(os.environ.get, _CERTIFICATES)), None)
        if given is None:
            from certifi import where  # as the other remotes do

            given = where()
        if os.path.isdir(given):
            return create_default_context(capath=given)
        return create_default_context(cafile=given)


def _read(response: MeasuredAnswer, most: int) -> bytes | None:
    """Read a content; None if it has more bytes than that."""
    nbytes = response.length  # None where the server says the lengths of parts alone
    if nbytes is not None and nbytes > most:
        return None
    seconds = _ANSWER_SECONDS + (nbytes or most) / EXPECTED_RATE
    content = response.read_within(most + 1 if nbytes is None else nbytes, seconds)
    if nbytes is not None and len(content) < nbytes:
        raise http.client.IncompleteRead(content, nbytes - len(content))
    return content if len(content) <= most else None


def _find_proxy(parts: SplitResult) -> SplitResult | None:
    """Find the proxy that the environment says to ask; None for none."""
    proxies = getproxies()
    url = proxies.get(parts.scheme) or proxies.get("all")
    if not url or proxy_bypass(parts.hostname or ""):
        return None
    return urlsplit(url if "//" in url else f"//{url}")


def _sign_for_proxy(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
