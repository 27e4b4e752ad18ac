"""Requests to the Hugging Face Hub that read, with bounded answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

import requests

from minari_core.errors import RemoteError
from minari_core.json_values import JsonObject
from minari_hub.transfer.bounds import ListingClock, PageCounter
from minari_hub.transfer.web_session import WebSession

Result = TypeVar("Result")


class Ask(Protocol):
    """Make a request, with retries and this project's errors."""

    def __call__(self, what: str, work: Callable[[], Result], /) -> Result:
        """Call a function that makes it; ``what`` is what it does, for an error message."""


class HubSession(WebSession):
    """What is asked of the Hub besides ranges of files."""

    def get_json(self, path: str) -> JsonObject:
        """Read a JSON object."""
        content = _parse(self.request("GET", self.address(path)))
        if not isinstance(content, dict):
            raise RemoteError(f"{path} of {self._endpoint} is no JSON object")
        return content

    def find_paths(self, path: str, revision: str, paths: Sequence[str]) -> list[str]:
        """Return which of some paths a repository has."""
        address = self.address(f"{path}/paths-info/{revision}")
        content = _parse(self.request("POST", address, json={"paths": [*paths]}))
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
            requests.Request("GET", self.address(path), params=query).prepare().url
        )
        while address:
            page = address
            response = ask(f"list {url}", lambda: self.request("GET", page))  # noqa: B023
            address = response.links.get("next", {}).get("url")
            counter.note(address)
            yield from _to_entries(_parse(response), path)


def _parse(response: requests.Response) -> object:
    try:
        return response.json()
    except (ValueError, RecursionError) as error:
        raise RemoteError(f"{response.url} sends something else than JSON") from error


def _to_entries(content: object, path: str) -> list[JsonObject]:
    if not isinstance(content, list) or not all(isinstance(each, dict) for each in content):
        raise RemoteError(f"{path} is no list of objects")
    return content
