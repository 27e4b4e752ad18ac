"""Ranges of objects on web servers and in Google's buckets, from a real server on loopback."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from minari_core import MinariDataset
from minari_core.errors import (
    DatasetChangedError,
    DatasetDamagedError,
    MinariError,
    RemoteError,
)
from minari_core.ranges.source import RangeSource
from minari_core.testing import RangeSourceConformance
from minari_hub import stream_dataset
from minari_hub.ranges.gcs_source import GcsSource
from minari_hub.ranges.http_source import HttpSource
from tests.core.helpers.streams import write_numbered
from tests.helpers.object_server import ObjectServer
from tests.hub.helpers.servers import Bucket


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("objects")


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[ObjectServer]:
    with ObjectServer(folder) as server:
        yield server


@pytest.fixture
def server(running: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectServer]:
    running.inject()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", running.url)
    monkeypatch.setenv("HF_ENDPOINT", running.url)
    yield running
    # What was to be fetched ahead is not to be tried again in the tests of others.
    running.inject()
    gc.collect()
    for thread in threading.enumerate():
        if thread.name == "minari-ahead":
            thread.join(30)
            assert not thread.is_alive()


class _OnTheServer(RangeSourceConformance):
    @pytest.fixture(autouse=True)
    def _serve(self, server: ObjectServer, folder: Path) -> None:
        self.server, self.folder = server, folder

    def put(self, objects: Mapping[str, bytes]) -> None:
        (self.folder / "data").mkdir(exist_ok=True)
        for name, content in objects.items():
            (self.folder / "new").write_bytes(content)
            os.replace(self.folder / "new", self.folder / "data" / name)

    def replace(self, source: RangeSource, tmp_path: Path, name: str, content: bytes) -> None:
        self.put({name: content})


class TestHttpSource(_OnTheServer):
    def new_source(self, tmp_path: Path, objects: Mapping[str, bytes]) -> RangeSource:
        self.put(objects)
        return HttpSource(f"{self.server.url}/data")


class TestGcsSource(_OnTheServer):
    def new_source(self, tmp_path: Path, objects: Mapping[str, bytes]) -> RangeSource:
        self.put(objects)
        return GcsSource("gs://bucket/data")


class TestOnGoogleServer(RangeSourceConformance):
    @pytest.fixture(autouse=True)
    def _in_a_bucket(self, bucket: Bucket) -> None:
        self.bucket = bucket

    def new_source(self, tmp_path: Path, objects: Mapping[str, bytes]) -> RangeSource:
        for name, content in objects.items():
            self.bucket.put(f"x-v0/data/{name}", content)
        return GcsSource(f"{self.bucket.url}/x-v0/data")

    def replace(self, source: RangeSource, tmp_path: Path, name: str, content: bytes) -> None:
        self.bucket.put(f"x-v0/data/{name}", content)


# The Hub leads to a storage, whose ETags say nothing of its commits.
DIALECTS = {"http": "{}/x-v0", "gs": "gs://bucket/x-v0", "hf": "hf://farama/x-v0"}
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


def put_dataset(folder: Path) -> MinariDataset:
    data = folder / "x-v0/data"
    if not data.exists():
        write_numbered(data, 90_000)
    return MinariDataset(data)


def read_batches(dataset: MinariDataset) -> list[bytes]:
    return [
        b"".join(np.asarray(leaf).tobytes() for leaf in (batch.observations, batch.rewards))
        for batch in dataset.batches(1024, seed=3, order="pool")
    ]


def open_dataset(server: ObjectServer, dialect: str) -> MinariDataset:
    return stream_dataset(DIALECTS[dialect].format(server.url), cache_nbytes=0)


@pytest.mark.parametrize(
    ("dialect", "kind", "first"),
    [
        *product(
            ["http", "gs"],
            ["busy", "unavailable", "reset", "truncated", "hanging", "slow", "flipped"],
            [1],
        ),
        *product(["http", "gs"], ["no_etag"], [2]),
        *product(["http", "gs"], ["redirect"], [99]),
        *product(["hf"], ["reset", "truncated", "no_etag"], [1]),
    ],
)
def test_with_a_fault_that_passes_all_batches_are_those_of_the_local_dataset(
    server: ObjectServer,
    folder: Path,
    dialect: str,
    kind: str,
    first: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    local = put_dataset(folder)
    if kind == "hanging":
        # Silence is given up after a third of it.
        monkeypatch.setenv("MINARI_REMOTE_GIVE_UP_AFTER", "5")
    server.inject({"kind": kind, "every": 2, "first": first, "seconds": 0.3})

    assert read_batches(open_dataset(server, dialect)) == read_batches(local)
    assert server.read_statistics()["faults"][kind] >= 1


@every_dialect
@pytest.mark.parametrize(
    ("kind", "error", "problem"),
    [
        ("range_ignored", RemoteError, "/shard-.* the server ignores ranges; download"),
        ("wrong_range", RemoteError, "/shard-.* download"),
        ("changed", DatasetChangedError, "x-v0/data was changed .* load the dataset again"),
        ("flipped", DatasetDamagedError, "/shard-.* ask who publishes"),
        ("unavailable", RemoteError, "/shard-.* 503 Service Un.*MINARI_REMOTE_GIVE_UP_AFTER"),
        ("truncated", RemoteError, "/shard-.* MINARI_REMOTE_GIVE_UP_AFTER"),
    ],
)
def test_with_a_fault_that_stays_the_error_names_the_object_and_what_to_do(
    server: ObjectServer,
    folder: Path,
    dialect: str,
    kind: str,
    error: type[MinariError],
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MINARI_REMOTE_GIVE_UP_AFTER", "0.5")
    put_dataset(folder)
    dataset = open_dataset(server, dialect)
    server.inject({"kind": kind, "name": "shard"})
    if (kind, dialect) == ("changed", "hf"):
        # A file of a commit stays what it is.
        read_batches(dataset)
        return

    with pytest.raises(error, match=problem):
        read_batches(dataset)


_FORK = """
import os, sys
from minari_hub.ranges.http_source import HttpSource
source = HttpSource(sys.argv[1])
(name,) = sys.argv[2:]
version = source.version(name)
spans = [(at, at + 100_000) for at in range(0, 900_000, 100_000)]
expected = sorted(source.read_ranges(name, spans, version=version))
child = os.fork()
if not child:
    os._exit(7 if sorted(source.read_ranges(name, spans, version=version)) == expected else 8)
assert sorted(source.read_ranges(name, spans, version=version)) == expected
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_has_connections_and_threads_of_its_own(
    server: ObjectServer, folder: Path
) -> None:
    put_dataset(folder)
    name = next((folder / "x-v0/data").glob("*.h5")).name
    command = [sys.executable, "-c", _FORK, f"{server.url}/x-v0/data", name]

    assert subprocess.run(command, timeout=120, check=False).returncode == 7


_INTERRUPT = """
import sys
from minari_hub.ranges.http_source import HttpSource
source = HttpSource(sys.argv[1])
(name,) = sys.argv[2:]
version = source.version(name)
print("begins", flush=True)
list(source.read_ranges(name, [(0, 100_000), (100_000, 200_000)], version=version))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_an_interrupt_ends_a_process_that_waits_for_a_server(
    server: ObjectServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MINARI_REMOTE_GIVE_UP_AFTER")
    put_dataset(folder)
    name = next((folder / "x-v0/data").glob("*.h5")).name
    command = [sys.executable, "-c", _INTERRUPT, f"{server.url}/x-v0/data", name]
    server.inject({"kind": "hanging", "every": 2, "name": "shard"})
    seen = server.read_statistics()["faults"].get("hanging", 0)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        while server.read_statistics()["faults"].get("hanging", 0) == seen:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        # Long before the 20 seconds after which a server is given up.
        _, shown = process.communicate(timeout=10)

    assert process.returncode != 0
    assert shown.rstrip().endswith(b"KeyboardInterrupt")


def test_closing_a_source_ends_what_is_under_way(server: ObjectServer, folder: Path) -> None:
    put_dataset(folder)
    name = next((folder / "x-v0/data").glob("*.h5")).name
    source = HttpSource(f"{server.url}/x-v0/data")
    version = source.version(name)
    server.inject({"kind": "hanging", "name": "shard"})
    threading.Timer(0.3, source.close).start()

    with pytest.raises(RemoteError, match="was closed"):
        list(source.read_ranges(name, [(0, 100_000), (100_000, 200_000)], version=version))


def test_the_proxy_that_the_environment_names_is_asked(
    server: ObjectServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data/b").write_bytes(b"content")
    monkeypatch.setenv("http_proxy", server.url)
    source = HttpSource("http://nowhere.example/data")

    assert list(source.read_ranges("b", [(1, 3)], version=source.version("b"))) == [(0, b"on")]


def test_a_server_that_takes_few_requests_a_second_is_heeded(
    folder: Path, server: ObjectServer
) -> None:
    local = put_dataset(folder)
    with ObjectServer(folder, requests_per_second=6) as limited:
        assert read_batches(open_dataset(limited, "http")) == read_batches(local)
        # No request is tried again before it may be.
        assert limited.read_statistics()["requests"] < 40


def test_a_token_is_in_no_pickle_no_message_and_no_log(
    server: ObjectServer, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    put_dataset(folder)
    server.inject({"kind": "unavailable", "first": 1})
    for source in (
        GcsSource("gs://bucket/x-v0/data", "ya29.s3cret"),
        HttpSource(f"{server.url}/x-v0/data", "s3cret"),
    ):
        assert source.version("metadata.json").size > 0
        with pytest.raises(RemoteError) as failed:
            source.version("none")
        assert "s3cret" not in f"{failed.value!r} {source!r} {caplog.text}"
        assert b"s3cret" not in pickle.dumps(source)
    assert "trying again" in caplog.text
