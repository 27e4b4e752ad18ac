"""Datasets are streamed from a server of S3, with signed requests and without s3fs."""

from __future__ import annotations

import hashlib
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("moto", reason="needs the environment object-stores")

import boto3
from moto.server import ThreadedMotoServer

import minari
from minari_core import MinariDataset
from minari_core.errors import DatasetNotFoundError, RemoteError
from minari_core.ranges.source import RangeSource
from minari_core.testing import RangeSourceConformance
from minari_hub.ranges.object_store_source import ObjectStoreSource
from tests.core.helpers.streams import write_numbered

Put = Callable[[str, bytes], object]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def credentials(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("AWS_ENDPOINT_URL", address),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "someone"),
        ("AWS_SECRET_ACCESS_KEY", "s3cret"),
        ("MINARI_REMOTE_TOKEN", "application-default"),
        ("MINARI_REMOTE_GIVE_UP_AFTER", "5"),
    ):
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(address: str, credentials: None) -> tuple[str, Put]:
    """A bucket, and what puts an object into it."""
    name = uuid.uuid4().hex
    client = boto3.client("s3", endpoint_url=address, region_name="us-east-1")
    client.create_bucket(Bucket=name)
    return name, lambda key, content: client.put_object(Bucket=name, Key=key, Body=content)


class TestObjectStoreSource(RangeSourceConformance):
    @pytest.fixture(autouse=True)
    def _in_a_bucket(self, bucket: tuple[str, Put]) -> None:
        self.bucket, self.put = bucket

    def new_source(self, tmp_path: Path, objects: Mapping[str, bytes]) -> RangeSource:
        for name, content in objects.items():
            self.put(f"x-v0/data/{name}", content)
        return ObjectStoreSource(f"s3://{self.bucket}/x-v0/data", "application-default")

    def replace(self, source: RangeSource, tmp_path: Path, name: str, content: bytes) -> None:
        self.put(f"x-v0/data/{name}", content)


def _hash_batches(dataset: MinariDataset) -> list[str]:
    return [
        hashlib.sha256(
            b"".join(np.asarray(part).tobytes() for part in (batch.observations, batch.rewards))
        ).hexdigest()
        for batch in dataset.batches(512, seed=1, order="pool")
    ]


def test_all_batches_are_those_of_the_local_dataset_by_url_and_by_id(
    bucket: tuple[str, Put], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_CACHE_PATH", str(tmp_path / "cache"))
    # What lists and downloads from S3 is not there.
    monkeypatch.setitem(sys.modules, "s3fs", None)
    name, put = bucket
    write_numbered(tmp_path / "data")
    for path in (tmp_path / "data").iterdir():
        put(f"some/x-v0/data/{path.name}", path.read_bytes())
    expected = _hash_batches(MinariDataset(tmp_path / "data"))

    stream = minari.load_dataset(f"s3://{name}/some/x-v0", stream=True)
    assert _hash_batches(stream) == expected
    monkeypatch.setenv("MINARI_REMOTE", f"s3://{name}")
    assert _hash_batches(minari.load_dataset("some/x-v0", stream=True)) == expected
    with pytest.raises(DatasetNotFoundError, match="y-v0"):
        minari.load_dataset("some/y-v0", stream=True)


def test_a_server_that_is_gone_is_an_error_that_shows_no_credentials(
    monkeypatch: pytest.MonkeyPatch, credentials: None
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("MINARI_REMOTE_GIVE_UP_AFTER", "0.5")

    with pytest.raises(RemoteError, match="s3://bucket/x-v0/data") as failed:
        minari.load_dataset("s3://bucket/x-v0", stream=True)
    assert "s3cret" not in str(failed.value)
