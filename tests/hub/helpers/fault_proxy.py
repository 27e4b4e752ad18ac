"""A proxy in front of a storage server that counts requests and makes what goes wrong in life."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from threading import Lock
from urllib.parse import urlsplit

from tests.hub.helpers.servers import LoopbackServer

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "te", "trailer"}


@dataclass(frozen=True)
class Answer:
    """What the proxy answers."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    cut_after: int | None = None
    """Hang up after so many bytes of the body."""
    seconds_per_block: float = 0.0
    """Send the body slowly."""


@dataclass
class Fault:
    """What to do to some requests."""

    pattern: str
    """What the method and the path, as ``GET /path?query``, must match somewhere."""
    change: Callable[[Answer], Answer]
    """From the server's answer to the one that is given; the server sees the request."""
    times: int = 1_000_000
    """To how many of them."""
    every: int = 1
    """To every how many-th of them."""
    before_server: bool = False
    """Whether the server does not see the request."""
    seen: int = 0
    done: int = 0

    def strikes(self, request: str) -> bool:
        if not re.search(self.pattern, request):
            return False
        self.seen += 1
        if self.done >= self.times or self.seen % self.every:
            return False
        self.done += 1
        return True


def status(code: int) -> Callable[[Answer], Answer]:
    return lambda answer: Answer(code, [("Content-Type", "text/plain")], b"not now")


def cut(after: int) -> Callable[[Answer], Answer]:
    return lambda answer: Answer(answer.status, answer.headers, answer.body, cut_after=after)


def flip(place: int) -> Callable[[Answer], Answer]:
    def change(answer: Answer) -> Answer:
        body = bytearray(answer.body)
        if body:
            body[place % len(body)] ^= 1
        return Answer(answer.status, answer.headers, bytes(body))

    return change


def shorten(by: int) -> Callable[[Answer], Answer]:
    return lambda answer: Answer(answer.status, answer.headers, answer.body[:-by])


def slow(seconds_per_block: float) -> Callable[[Answer], Answer]:
    return lambda answer: Answer(
        answer.status, answer.headers, answer.body, seconds_per_block=seconds_per_block
    )


def replace_text(old: str, new: str) -> Callable[[Answer], Answer]:
    """As if the server had other JSON text there, such as an object name that it refuses."""
    return lambda answer: Answer(
        answer.status,
        answer.headers,
        answer.body.replace(old.encode(), json.dumps(new)[1:-1].encode()),
    )


class FaultProxy(LoopbackServer):
    """Forwards every request to a server, but for the faults that it is told to make."""

    def __init__(self, server: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.backend = urlsplit(server).netloc
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.bytes_sent = 0
        self.page_size = 0
        """Ask the server for pages of so many objects, if not 0."""
        self.required_token: str | None = None
        """Refuse requests without this access token, as a private bucket does."""
        self.lock = Lock()
        self.answering = 0
        """How many answers are under way, some of them to clients that were killed."""

    def count(self, pattern: str) -> int:
        """How many requests matched."""
        return sum(1 for request in self.requests if re.search(pattern, request))

    def forget(self) -> None:
        """Count from nothing again, and make no more faults.

        What is still on its way to a client that was killed is waited for, and not counted.
        """
        deadline = time.monotonic() + 20
        while self.answering and time.monotonic() < deadline:
            time.sleep(0.002)
        with self.lock:
            self.requests, self.headers, self.faults, self.bytes_sent = [], [], [], 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultProxy

    def do_GET(self) -> None:
        request = f"{self.command} {self.path}"
        body = self._body()
        proxy = self.server
        with proxy.lock:
            proxy.requests.append(request)
            proxy.headers.append({key.lower(): value for key, value in self.headers.items()})
            fault = next((each for each in proxy.faults if each.strikes(request)), None)
        wanted = proxy.required_token
        if wanted and self.headers.get("Authorization") != f"Bearer {wanted}":
            self._answer(Answer(401, [], b"Anonymous caller does not have access"))
            return
        unseen = fault is not None and fault.before_server
        answer = Answer(500, [], b"") if unseen else self._forward(body)
        if fault is not None:
            answer = fault.change(answer)
        self._answer(answer)

    do_POST = do_PUT = do_HEAD = do_DELETE = do_PATCH = do_GET  # noqa: N815

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _forward(self, body: bytes) -> Answer:
        connection = http.client.HTTPConnection(self.server.backend, timeout=30)
        try:
            headers = {
                key: value for key, value in self.headers.items() if key.lower() not in _HOP_BY_HOP
            }
            path = self.path
            if self.server.page_size and self.command == "GET" and re.search(r"/o\?", path):
                path += f"&maxResults={self.server.page_size}"
            connection.request(self.command, path, body=body or None, headers=headers)
            response = connection.getresponse()
            content = response.read()
            kept = [
                (key, value)
                for key, value in response.getheaders()
                if key.lower() not in _HOP_BY_HOP | {"date", "server"}
            ]
            return Answer(response.status, kept, content)
        finally:
            connection.close()

    def _answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for key, value in answer.headers:
            # Uploads in pieces go on where the server says, and that is here.
            self.send_header(key, value.replace(self.server.backend, self.server.url[7:]))
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        body = answer.body if answer.cut_after is None else answer.body[: answer.cut_after]
        block = 1 << 16 if answer.seconds_per_block else max(len(body), 1)
        with self.server.lock:
            self.server.answering += 1
        try:
            for start in range(0, len(body), block):
                time.sleep(answer.seconds_per_block)
                self.wfile.write(body[start : start + block])
                with self.server.lock:
                    self.server.bytes_sent += len(body[start : start + block])
        finally:
            with self.server.lock:
                self.server.answering -= 1
        if answer.cut_after is not None:
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""
