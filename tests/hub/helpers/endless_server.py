"""A server that answers without end, as a bucket of Google's or as the Hugging Face Hub."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from itertools import chain, count, repeat
from urllib.parse import parse_qs, urlsplit

from tests.hub.helpers.servers import LoopbackServer

# What an answer may have beside its content, without end.
BESIDE: dict[str, tuple[bytes, bytes]] = {
    "extensions": (b"", b"1;" + b"x" * 1000 + b"\r\n \r\n"),
    "line": (b"1;", b"x" * 1000),
    "trailers": (b"0\r\n", b"x: " + b"x" * 1000 + b"\r\n"),
}
_BLANKS = gzip.compress(b" " * (64 << 20), 1)


class EndlessServer(LoopbackServer):
    """Lists and sends in one of the ways that have no end."""

    def __init__(self, way: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.way = way
        """``same page``, ``new pages``, ``slow pages``, ``body``, ``packed``, ``packed oddly``,
        ``crawling``, ``steady``, ``continue``, ``headers``, ``header``, ``status``, one of
        `BESIDE`, or any of these and `` content``, which lists one
        file as it should."""
        self.numbers = count()
        self.requests = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: EndlessServer

    def do_GET(self) -> None:
        self.server.requests += 1
        way = self.server.way
        if way.endswith(" content") and self._is_a_list():
            self._send_page(None)
            return
        way, _, pace = way.removesuffix(" content").partition(", ")
        if way == "slow pages":
            time.sleep(0.1)
        if way in BESIDE:
            self._send_beside(*BESIDE[way], 0.2 if pace == "slowly" else 0.0)
        elif way == "steady":
            self._send(self._pace(), 1 << 20, [])
        elif way == "headers":
            self._send_raw(chain([b"HTTP/1.1 200 OK\r\n"], repeat(b"x: " + b"x" * 100 + b"\r\n")))
        elif way == "header":
            self._send_raw(chain([b"HTTP/1.1 200 OK\r\nx: "], repeat(b"x" * 1000)))
        elif way == "status":
            self._send_raw(chain([b"HTTP/1.1 200 "], repeat(b"O" * 1000)))
        elif way == "continue":
            self._send_raw(iter(lambda: b"HTTP/1.1 100 Continue\r\n\r\n" * 100, b""))
        elif way.endswith(("page", "pages")):
            self._send_page("again" if way == "same page" else f"page{next(self.server.numbers)}")
        elif way.startswith("packed"):
            encoding = "gzip" if way == "packed" else "gzip, gzip"
            self._send([_BLANKS], len(_BLANKS), [("Content-Encoding", encoding)])
        elif way == "body":
            self._send(iter(lambda: b" " * 65_536, b""), 3 << 30, [])
        else:
            self._send(self._crawl(), 1 << 20, [])

    do_POST = do_GET  # noqa: N815

    def _is_a_list(self) -> bool:
        return "alt=media" not in self.path and "/resolve/" not in self.path

    def _crawl(self) -> Iterator[bytes]:
        while True:
            yield b" "
            time.sleep(0.2)

    def _send_beside(self, begin: bytes, block: bytes, pause: float) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

        def list_blocks() -> Iterator[bytes]:
            yield begin
            while True:
                yield block
                time.sleep(pause)

        self._send_raw(list_blocks())

    def _send_raw(self, blocks: Iterator[bytes]) -> None:
        self.close_connection = True
        with suppress(OSError):
            for block in blocks:
                self.wfile.write(block)
                self.wfile.flush()

    def _pace(self) -> Iterator[bytes]:
        for _ in range(64):
            yield b" " * (16 << 10)
            time.sleep(0.1)

    def _send_page(self, token: str | None) -> None:
        address = urlsplit(self.path)
        headers = []
        content: object
        if address.path.startswith("/api/"):
            query = parse_qs(address.query)
            content = [
                {"id": "farama/x", "type": "file", "path": "y-v0/data/metadata.json"}
                | {"oid": "0" * 40, "size": 1 << 20}
            ]
            if token:
                author = query.get("author", ["farama"])[0]
                url = f"{self.server.url}{address.path}?author={author}&cursor={token}"
                headers = [("Link", f'<{url}>; rel="next"')]
        else:
            item = {"name": "x/y-v0/data/metadata.json", "size": str(1 << 20), "generation": "1"}
            content = {"items": [item], "nextPageToken": token}
        body = json.dumps(content).encode()
        self._send([body], len(body), headers)

    def _send(self, blocks: object, size: int, headers: list[tuple[str, str]]) -> None:
        self.send_response(200)
        for key, value in [*headers, ("Content-Length", str(size))]:
            self.send_header(key, value)
        self.end_headers()
        with suppress(OSError):
            for block in blocks:  # type: ignore[attr-defined]  # bytes, perhaps without end
                self.wfile.write(block)
                self.wfile.flush()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""
