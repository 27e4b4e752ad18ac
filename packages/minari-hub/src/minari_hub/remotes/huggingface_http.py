"""Requests to the Hugging Face Hub that read, with bounded answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar
from urllib.parse import quote, urlsplit

import requests

from minari_core.errors import RemoteError
from minari_core.json_values import JsonObject
from minari_hub.transfer.bounded_http import TIMEOUT, mount_bounds
from minari_hub.transfer.bounds import ListingClock, PageCounter

Result = TypeVar("Result")

_BLOCK = 64 << 10


class StatusError(Exception):
    """The Hub answers with a status that is none of success."""

    def __init__(self, response: requests.Response) -> None:
        """Keep the status.

        Args:
            response: The answer.
        """
        reason = response.headers.get("X-Error-Message") or response.reason
        super().__init__(f"{response.status_code} {reason}: {response.url}")
        self.status = response.status_code


class Ask(Protocol):
    """Make a request, with retries and this project's errors."""

    def __call__(self, what: str, work: Callable[[], Result], /) -> Result:
        """Call a function that makes it; ``what`` is what it does, for an error message."""


class HubSession:
    """The requests that one remote makes; several threads may make them."""

    def __init__(self, endpoint: str, token: str | None) -> None:
        """Begin without a connection.

        Args:
            endpoint: The URL of the Hub.
            token: The API token; None is anonymous.
        """
        self._endpoint = endpoint.rstrip("/")
        self._token = token
        self._session = requests.Session()
        self._session.auth = self._sign
        mount_bounds(self._session)

    def get_json(self, path: str) -> JsonObject:
        """Read a JSON object."""
        content = _parse(self._request("GET", self._address(path)))
        if not isinstance(content, dict):
            raise RemoteError(f"{path} of {self._endpoint} is no JSON object")
        return content

    def find_paths(self, path: str, revision: str, paths: Sequence[str]) -> list[str]:
        """Return which of some paths a repository has."""
        address = self._address(f"{path}/paths-info/{revision}")
        content = _parse(self._request("POST", address, json={"paths": [*paths]}))
        return [str(entry["path"]) for entry in _to_entries(content, path)]

    def list_pages(
        self, path: str, query: Mapping[str, str], clock: ListingClock, url: str, ask: Ask
    ) -> Iterator[JsonObject]:
        """List the entries at an address, page by page.

        Args:
            path: The address.
            query: What is asked for.
            clock: Measures the listing that this is a part of.
            url: What is listed, for an error message.
            ask: Makes each request.

        Raises:
            RemoteError: It lists no entries, or without end.
        """
        counter = PageCounter(url, clock)
        address: str | None = (
            requests.Request("GET", self._address(path), params=query).prepare().url
        )
        while address:
            page = address
            response = ask(f"list {url}", lambda: self._request("GET", page))  # noqa: B023
            address = response.links.get("next", {}).get("url")
            counter.note(address)
            yield from _to_entries(_parse(response), path)

    def read_range(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        """Read a range of a file, a block at a time, or less where it ends before.

        Raises:
            RemoteError: Another range is sent.
        """
        headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
        try:
            response = self._request("GET", self._address(path), stream=True, headers=headers)
        except StatusError as error:
            if error.status == 416:
                return
            raise
        with response:
            sent = response.headers.get("Content-Range", "bytes 0-")
            if not sent.startswith(f"bytes {start}-"):
                raise RemoteError(f"{response.url} sends {sent[:80]!r}, not from byte {start}")
            left = stop - start
            for block in response.raw.stream(_BLOCK, decode_content=False):
                if len(block) > left:
                    raise RemoteError(f"{response.url} sends more than was asked for")
                left -= len(block)
                yield block

    def _request(
        self,
        method: str,
        address: str,
        *,
        stream: bool = False,
        headers: Mapping[str, str] | None = None,
        json: JsonObject | None = None,
    ) -> requests.Response:
        response = self._session.request(
            method, address, stream=stream, headers=headers, json=json, timeout=TIMEOUT
        )
        if not response.ok:
            raise StatusError(response)
        return response

    def _address(self, path: str) -> str:
        return f"{self._endpoint}/{quote(path)}"

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Prove who asks, to the Hub and nobody else; without this, a ``.netrc`` would."""
        if self._token and urlsplit(request.url or "").netloc == urlsplit(self._endpoint).netloc:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _parse(response: requests.Response) -> object:
    try:
        return response.json()
    except (ValueError, RecursionError) as error:
        raise RemoteError(f"{response.url} sends something else than JSON") from error


def _to_entries(content: object, path: str) -> list[JsonObject]:
    if not isinstance(content, list) or not all(isinstance(each, dict) for each in content):
        raise RemoteError(f"{path} is no list of objects")
    return content
