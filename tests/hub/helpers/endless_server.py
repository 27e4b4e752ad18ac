"""A server that answers without end, as a bucket of Google's or as the Hugging Face Hub."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from itertools import count
from urllib.parse import parse_qs, urlsplit

from tests.hub.helpers.servers import LoopbackServer

_BLANKS = gzip.compress(b" " * (64 << 20), 1)


class EndlessServer(LoopbackServer):
    """Lists and sends in one of the ways that have no end."""

    def __init__(self, way: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.way = way
        """``same page``, ``new pages``, ``body``, ``packed``, ``packed oddly``, ``crawling``, or
        ``crawling content``, which lists one file as it should."""
        self.numbers = count()
        self.requests = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: EndlessServer

    def do_GET(self) -> None:
        self.server.requests += 1
        way = self.server.way
        if way == "crawling content" and self._is_a_list():
            self._send_page(None)
        elif way in ("same page", "new pages"):
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
