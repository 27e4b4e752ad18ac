"""Requests to web servers that read, with bounded answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import quote, urlsplit

import requests

from minari_core.errors import RemoteError
from minari_core.json_values import JsonObject
from minari_hub.transfer.bounded_http import TIMEOUT, mount_bounds

_BLOCK = 64 << 10


class StatusError(Exception):
    """A server answers with a status that is none of success."""

    def __init__(self, response: requests.Response) -> None:
        """Keep the status.

        Args:
            response: The answer.
        """
        reason = response.headers.get("X-Error-Message") or response.reason
        super().__init__(f"{response.status_code} {reason}: {response.url}")
        self.status = response.status_code


class RangeIgnoredError(RemoteError):
    """A server sends another range than was asked for."""


class WebSession:
    """The requests that one remote makes; several threads may make them."""

    def __init__(self, endpoint: str, token: str | None) -> None:
        """Begin without a connection.

        Args:
            endpoint: What all addresses begin with.
            token: A bearer token for the server of these; None is anonymous.
        """
        self._endpoint = endpoint.rstrip("/")
        self._token = token
        self._session = requests.Session()
        self._session.auth = self._sign
        mount_bounds(self._session)

    def read_range(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        """Read a range of a file, a block at a time, or less where it ends before.

        Raises:
            RangeIgnoredError: Another range is sent.
            RemoteError: More is sent.
        """
        headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
        try:
            response = self.request("GET", self.address(path), stream=True, headers=headers)
        except StatusError as error:
            if error.status == 416:
                return
            raise
        with response:
            sent = response.headers.get("Content-Range", "bytes 0-")
            if not sent.startswith(f"bytes {start}-"):
                raise RangeIgnoredError(
                    f"{response.url} sends {sent[:80]!r}, not from byte {start}"
                )
            left = stop - start
            for block in response.raw.stream(_BLOCK, decode_content=False):
                if len(block) > left:
                    raise RemoteError(f"{response.url} sends more than was asked for")
                left -= len(block)
                yield block

    def request(
        self,
        method: str,
        address: str,
        *,
        stream: bool = False,
        headers: Mapping[str, str] | None = None,
        json: JsonObject | None = None,
    ) -> requests.Response:
        """Make a request.

        Raises:
            StatusError: The server refuses it.
        """
        response = self._session.request(
            method, address, stream=stream, headers=headers, json=json, timeout=TIMEOUT
        )
        if not response.ok:
            raise StatusError(response)
        return response

    def address(self, path: str) -> str:
        """Return the address of a path."""
        return f"{self._endpoint}/{quote(path)}"

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Prove who asks, to this server and no other; without this, a ``.netrc`` would."""
        if self._token and urlsplit(request.url or "").netloc == urlsplit(self._endpoint).netloc:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request
