"""Datasets on a web server are downloaded as their manifests say, and nothing is listed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import minari
from minari_core.errors import (
    DatasetNotFoundError,
    RemoteAccessError,
    RemoteError,
    RemoteUrlError,
)
from minari_hub import get_remote_metadata, open_remote, stream_dataset
from tests.core.helpers.streams import write_dataset
from tests.helpers.object_server import ObjectServer
from tests.hub.helpers.servers import LoopbackServer


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectServer]:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    monkeypatch.setenv("MINARI_CACHE_PATH", str(tmp_path / "cache"))
    write_dataset(tmp_path / "served/x-v0/data")
    with ObjectServer(tmp_path / "served") as running:
        yield running


def test_a_dataset_is_downloaded_and_verified_and_shown(
    server: ObjectServer, tmp_path: Path
) -> None:
    url = f"{server.url}/x-v0"
    server.inject({"kind": "unavailable", "first": 1}, {"kind": "truncated", "first": 1})

    minari.download_dataset(url)

    local = minari.MinariDataset(tmp_path / "served/x-v0/data")
    copy = minari.load_dataset(url)
    np.testing.assert_array_equal(copy[3].observations, local[3].observations)
    assert minari.verify_remote_dataset(url).problems == ()
    assert get_remote_metadata(url)["total_steps"] == local.total_steps


def test_what_needs_a_list_or_a_place_to_write_to_is_an_error_that_says_so(
    server: ObjectServer,
) -> None:
    with pytest.raises(RemoteError, match=r"has no list of its datasets; name one by its URL"):
        minari.list_remote_datasets(server.url)
    with pytest.raises(DatasetNotFoundError, match="y-v0"):
        minari.download_dataset(f"{server.url}/y-v0")
    with pytest.raises(DatasetNotFoundError, match="y-v0"):
        minari.load_dataset(f"{server.url}/y-v0", stream=True)
    minari.download_dataset(f"{server.url}/x-v0")
    with pytest.raises(RemoteError, match="which only sends files"):
        minari.upload_dataset("x-v0", remote_path=f"{server.url}/elsewhere")


class _Handler(BaseHTTPRequestHandler):
    """The files of a folder for who has the token, which another host has."""

    protocol_version = "HTTP/1.1"
    folder: ClassVar[Path]
    tokens: ClassVar[list[tuple[str, str | None]]]
    asked: ClassVar[set[str]]

    def do_GET(self) -> None:
        host, token = self.headers["Host"], self.headers["Authorization"]
        self.tokens.append((host.partition(":")[0], token))
        if host.startswith("127.") and token != "Bearer s3cret":
            self._send(401, b"")
        elif host.startswith("127."):
            self._send(302, b"", Location=f"http://localhost:{host.partition(':')[2]}{self.path}")
        else:
            # It knows no ranges, and breaks off once.
            content = (self.folder / self.path[1:]).read_bytes()
            self._send(200, content, stops=self.path not in self.asked)
            self.asked.add(self.path)

    def _send(self, status: int, body: bytes, stops: bool = False, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if stops else body)
        self.close_connection = stops

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def test_a_token_is_sent_to_its_own_server_and_never_to_where_that_leads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    local = write_dataset(tmp_path / "x-v0/data")

    class Handler(_Handler):
        folder = tmp_path
        tokens: ClassVar[list[tuple[str, str | None]]] = []
        asked: ClassVar[set[str]] = set()

    with LoopbackServer(("127.0.0.1", 0), Handler) as server:
        for token in (None, "wrong"):
            with pytest.raises(RemoteAccessError, match=r"give token=|may lack the permission"):
                stream_dataset(f"{server.url}/x-v0", token=token)
        stream = stream_dataset(f"{server.url}/x-v0", token="s3cret", cache_nbytes=0)
        np.testing.assert_array_equal(stream[1].rewards, local[1].rewards)
        # It breaks off, and cannot go on where it was.
        Handler.asked.clear()
        minari.download_dataset(f"{server.url}/x-v0", token="s3cret")

    sent = set(Handler.tokens)
    assert ("127.0.0.1", "Bearer s3cret") in sent
    assert {token for host, token in sent if host == "localhost"} == {None}


def test_credentials_in_a_url_are_refused_and_not_shown() -> None:
    for url in ("https://me:s3cret@host/x-v0", "https://host/folder?signature=s3cret"):
        with pytest.raises(RemoteUrlError, match="without credentials") as refused:
            open_remote(url)
        assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["https://me:s3cret@host/a/x-v0", "https://host/a/x-v0?signature=s3cret"],
)
def test_a_secret_in_the_url_of_a_dataset_is_refused_without_showing_it(url: str) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: minari.load_dataset(url),
        lambda: minari.load_dataset(url, stream=True),
        lambda: minari.download_dataset(url),
        lambda: get_remote_metadata(url),
    ]
    for attempt in attempts:
        with pytest.raises(RemoteUrlError, match="token") as caught:
            attempt()
        assert "s3cret" not in str(caught.value)
