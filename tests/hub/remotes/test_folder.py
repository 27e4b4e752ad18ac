"""A folder as a remote, on file systems of every kind and after processes that were killed."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import minari
from minari_hub import open_remote

_DAY = 24 * 3600


@pytest.fixture
def without_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("without_links")
def test_without_links_a_file_is_created_once_and_never_replaced(tmp_path: Path) -> None:
    remote = open_remote(tmp_path.as_uri())

    remote.create("x-v0/data/metadata.json", b"first", {})

    with pytest.raises(minari.RemoteObjectExistsError):
        remote.create("x-v0/data/metadata.json", b"second", {})
    assert remote.read("x-v0/data/metadata.json", 0, 99) == b"first"
    assert [path.name for path in (tmp_path / "x-v0/data").iterdir()] == ["metadata.json"]


@pytest.mark.usefixtures("without_links")
def test_without_links_a_kill_before_the_rename_leaves_no_empty_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = open_remote(tmp_path.as_uri())

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            remote.create("metadata.json", b"content", {})
    assert not (tmp_path / "metadata.json").exists()

    # Who is killed outright does not even take back the claim.
    claim = tmp_path / ".metadata.json.claim"
    claim.touch()
    with pytest.raises(minari.RemoteObjectExistsError):
        remote.create("metadata.json", b"content", {})
    os.utime(claim, (time.time() - _DAY,) * 2)
    remote.create("metadata.json", b"content", {})
    assert remote.read("metadata.json", 0, 99) == b"content"


def test_what_a_killed_upload_left_is_swept_when_it_is_old(tmp_path: Path) -> None:
    old, new = tmp_path / f".{'a' * 32}", tmp_path / f".{'b' * 32}"
    for path in (old, new, tmp_path / ".keep"):
        path.write_bytes(b"half")
        os.utime(path, (time.time() - 9 * _DAY,) * 2)
    new.touch()

    open_remote(tmp_path.as_uri()).create("metadata.json", b"content", {})

    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [new.name, ".keep", "metadata.json"]
    )


def test_a_folder_that_the_disk_does_not_give_is_not_left_out_of_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = open_remote(tmp_path.as_uri())
    remote.create("one/x-v0/data/metadata.json", b"{}", {})
    scan = os.scandir

    def fail(path: str | Path) -> Iterator[os.DirEntry[str]]:
        if str(path).endswith("one"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return scan(path)

    monkeypatch.setattr(os, "scandir", fail)
    with pytest.raises(minari.RemoteError, match="could not list"):
        list(remote.find(""))
