"""Ranges that obstore reads, from a real server on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from minari_core.errors import (
    DatasetChangedError,
    MissingDependencyError,
    RemoteError,
    RemoteUrlError,
)
from minari_core.ranges.source import RangeSource
from minari_core.testing import RangeSourceConformance
from tests.helpers.object_server import ObjectServer

pytest.importorskip("obstore", reason="needs minari-hub[stream]")

from minari_hub.ranges.object_store_source import ObjectStoreSource
from minari_hub.ranges.object_stores import open_store

_CONTENT = os.urandom(400_000)
_URL = "s3://bucket"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("objects")


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[ObjectServer]:
    with ObjectServer(folder) as server:
        yield server


@pytest.fixture
def server(running: ObjectServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectServer:
    """A bucket of S3 or Azure, as far as objects are read: it is the folder ``bucket``."""
    running.inject()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", running.url)
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", running.url)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    (folder / "bucket").mkdir(exist_ok=True)
    (folder / "bucket/a").write_bytes(_CONTENT)
    return running


class TestOnS3(RangeSourceConformance):
    url = _URL

    @pytest.fixture(autouse=True)
    def _serve(self, server: ObjectServer, folder: Path) -> None:
        self.server, self.folder = server, folder

    def new_source(self, tmp_path: Path, objects: Mapping[str, bytes]) -> RangeSource:
        for name, content in objects.items():
            (self.folder / "bucket" / name).write_bytes(content)
        return ObjectStoreSource(self.url)

    def replace(self, source: RangeSource, tmp_path: Path, name: str, content: bytes) -> None:
        (self.folder / "new").write_bytes(content)
        os.replace(self.folder / "new", self.folder / "bucket" / name)


class TestOnAzure(TestOnS3):
    url = "az://bucket"


@pytest.mark.parametrize("kind", ["busy", "unavailable", "reset", "truncated", "redirect"])
def test_a_fault_that_passes_is_tried_again(server: ObjectServer, kind: str) -> None:
    source = ObjectStoreSource(_URL)
    version = source.version("a")
    server.inject({"kind": kind, "first": 1, "seconds": 60})

    assert list(source.read_ranges("a", [(5, 300_000)], version=version)) == [
        (0, _CONTENT[5:300_000])
    ]
    assert server.read_statistics()["faults"][kind] >= 1
    source.close()


@pytest.mark.parametrize(
    ("kind", "problem"),
    [("range_ignored", "the server ignores ranges"), ("wrong_range", "could not read .*/a: ")],
)
def test_other_bytes_than_those_asked_for_are_an_error(
    server: ObjectServer, kind: str, problem: str
) -> None:
    source = ObjectStoreSource(_URL)
    version = source.version("a")
    server.inject({"kind": kind})

    with pytest.raises(RemoteError, match=problem):
        list(source.read_ranges("a", [(5, 300_000)], version=version))
    source.close()


def test_an_object_that_changes_between_ranges_is_an_error(server: ObjectServer) -> None:
    source = ObjectStoreSource(_URL)
    version = source.version("a")
    server.inject({"kind": "changed", "every": 5})

    with pytest.raises(DatasetChangedError, match="/a was changed"):
        list(
            source.read_ranges(
                "a", [(at, at + 1000) for at in range(0, 100_000, 1000)], version=version
            )
        )
    source.close()


def test_no_more_than_32_requests_are_under_way(server: ObjectServer) -> None:
    source = ObjectStoreSource(_URL)
    version = source.version("a")
    ranges = [(at, at + 1000) for at in range(0, 200_000, 1000)]

    assert len(list(source.read_ranges("a", ranges, version=version))) == 200
    assert server.read_statistics()["at_once"] <= 32
    source.close()


def test_the_text_of_a_token_is_refused_where_the_machine_has_the_credentials() -> None:
    with pytest.raises(RemoteUrlError, match="takes its credentials from this machine") as refused:
        open_store("s3://bucket/data", "secret-text")
    assert "secret-text" not in str(refused.value)


def test_an_azure_url_without_an_account_says_where_to_write_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(RemoteUrlError, match="AZURE_STORAGE_ACCOUNT_NAME"):
        open_store("az://container/data", None)
    open_store("abfs://container@account.dfs.core.windows.net/data", None)


def test_without_obstore_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore.store", None)

    with pytest.raises(MissingDependencyError, match=r"minari-hub\[stream\]"):
        open_store("s3://bucket/data", None)


_FORK = """
import os, sys
from minari_hub.ranges.object_store_source import ObjectStoreSource
source = ObjectStoreSource(sys.argv[1])
version = source.version("a")
child = os.fork()
if not child:
    try:
        source.version("a")
    except OSError as error:
        os._exit(7 if "spawn" in str(error) else 8)
    os._exit(9)
_, status = os.waitpid(child, 0)
assert source.version("a") == version
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_is_told_to_be_spawned_and_does_not_hang(server: ObjectServer) -> None:
    run = subprocess.run([sys.executable, "-c", _FORK, _URL], timeout=120, check=False)

    assert run.returncode == 7
