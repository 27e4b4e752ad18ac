"""What the tests know of the servers that they talk to."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from threading import Thread
from typing import Any


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Bucket:
    """A bucket, and the means to look into it past the library under test."""

    server: str
    name: str
    itself: Any

    @property
    def url(self) -> str:
        return f"gs://{self.name}"

    def put(self, name: str, content: bytes) -> None:
        self.itself.blob(name).upload_from_string(content)

    def names(self) -> list[str]:
        return sorted(blob.name for blob in self.itself.list_blobs())


class LoopbackServer(ThreadingHTTPServer):
    """An HTTP server that runs while it is used as a context."""

    daemon_threads = True
    request_queue_size = 64

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Any:
        Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *details: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that hangs up, which killed ones do."""
