"""File systems of fsspec that fail as those of life do; each dataset arrives, or nobody sees it."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import minari
from minari_hub import download_dataset, open_remote, upload_dataset
from minari_hub.remotes import fsspec as fsspec_remote
from minari_hub.remotes.base import name_unfinished
from minari_hub.transfer import bounds
from minari_hub.transfer.retrying import Patience
from tests.hub.helpers.datasets import files_of, is_intact, make_shards


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Patience, "from_environment", lambda: Patience(2.0, 0.01, 0.05))


class _Failing(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A file system in memory that writes half of a file, and then fails."""

    protocol = "failing"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    failures: ClassVar[list[Exception]] = []
    """One for each write; what is written after them is written."""

    def put_file(self, lpath: str, rpath: str, callback: Any = None, **options: Any) -> None:
        content = Path(lpath).read_bytes()
        if self.failures:
            super().pipe_file(rpath, content[: len(content) // 2])
            raise self.failures.pop()
        super().pipe_file(rpath, content)

    def pipe_file(self, path: str, value: bytes, **options: Any) -> None:
        if self.failures:
            super().pipe_file(path, value[: len(value) // 2])
            raise self.failures.pop()
        super().pipe_file(path, value)


@pytest.fixture
def failing() -> Iterator[type[_Failing]]:
    fsspec.register_implementation("failing", _Failing, clobber=True)
    _Failing.store, _Failing.pseudo_dirs, _Failing.failures = {}, [""], []
    yield _Failing
    _Failing.store, _Failing.failures = {}, []


@pytest.fixture
def files() -> dict[str, bytes]:
    make_shards("n/x-v0", shards=3, steps=20)
    return files_of("n/x-v0")


def is_published(url: str, files: dict[str, bytes]) -> bool:
    minari.delete_dataset("n/x-v0")
    download_dataset("n/x-v0", remote_path=url)
    return is_intact({"n/x-v0": files})


@pytest.mark.parametrize("exists", [True, False], ids=["empty", "absent"])
def test_a_dataset_goes_up_into_an_empty_folder(
    tmp_path: Path, files: dict[str, bytes], exists: bool
) -> None:
    folder = tmp_path / "remote"
    if exists:
        folder.mkdir()
    url = f"local://{folder.as_posix()}"

    upload_dataset("n/x-v0", remote_path=url)

    there = sorted(path.name for path in (folder / "n/x-v0/data").iterdir())
    assert there == sorted(files)
    assert is_published(url, files)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
        lambda: BrokenPipeError(errno.EPIPE, "Broken pipe"),
        lambda: TimeoutError("timed out"),
        EOFError,
    ],
    ids=["reset", "pipe", "timeout", "end"],
)
def test_a_connection_that_breaks_in_an_upload_is_tried_again(
    failing: type[_Failing], files: dict[str, bytes], make: Callable[[], Exception]
) -> None:
    # Of the shards, and of the manifest.
    failing.failures = [make() for _ in range(7)]

    upload_dataset("n/x-v0", remote_path="failing://remote")

    assert failing.failures == []
    names = sorted(path.rpartition("/")[2] for path in failing.store)
    assert names == sorted([*files, "namespace_metadata.json"])
    assert is_published("failing://remote", files)


@pytest.mark.parametrize("goes_up_first", [0, 2, 3])
def test_an_upload_to_a_remote_that_is_full_leaves_nothing_in_the_way(
    failing: type[_Failing], files: dict[str, bytes], goes_up_first: int, monkeypatch: Any
) -> None:
    monkeypatch.setattr("minari_hub.transfer.threads.WORKERS", 1)
    full = OSError(errno.ENOSPC, "No space left on device")

    class Full(list[Exception]):
        """Fails after some files, however often it is asked."""

        asked = 0

        def __bool__(self) -> bool:
            self.asked += 1
            return self.asked > goes_up_first

        def pop(self, *_: Any) -> Exception:
            return full

    failing.failures = Full()
    with pytest.raises(minari.RemoteError, match="No space left on device"):
        upload_dataset("n/x-v0", remote_path="failing://remote")
    assert len(failing.store) == goes_up_first
    # A full disk is no better after a while.
    assert failing.failures.asked <= 4

    failing.failures = []
    upload_dataset("n/x-v0", remote_path="failing://remote")
    assert is_published("failing://remote", files)


def test_what_cannot_be_removed_after_a_failure_is_no_object(
    failing: type[_Failing], files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as patch:
        patch.setattr(_Failing, "rm_file", refuse)
        failing.failures = [ConnectionResetError() for _ in range(200)]
        with pytest.raises(minari.RemoteError):
            upload_dataset("n/x-v0", remote_path="failing://remote")
    failing.failures = []
    assert failing.store
    assert list(open_remote("failing://remote").find()) == []

    upload_dataset("n/x-v0", remote_path="failing://remote")

    assert is_published("failing://remote", files)


def test_what_killed_uploads_left_is_swept_when_it_is_old(
    tmp_path: Path, files: dict[str, bytes]
) -> None:
    folder = tmp_path / "n/x-v0/data"
    folder.mkdir(parents=True)
    old, new = folder / name_unfinished(), folder / name_unfinished()
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 9 * 24 * 3600,) * 2)

    upload_dataset("n/x-v0", remote_path=f"local://{tmp_path.as_posix()}")

    assert not old.exists()
    assert new.exists()


@pytest.mark.parametrize("kind", ["memory", "local", "file"])
@pytest.mark.parametrize("which", ["shard", "manifest"])
@pytest.mark.parametrize("part", [0.0, 0.7])
def test_a_partial_object_does_not_block_an_id(
    tmp_path: Path, files: dict[str, bytes], kind: str, which: str, part: float
) -> None:
    url = {
        "memory": f"memory://{tmp_path.name}-{which}-{part}",
        "local": f"local://{tmp_path.as_posix()}/remote",
        "file": (tmp_path / "remote").as_uri(),
    }[kind]
    name = "metadata.json" if which == "manifest" else min(each for each in files if "h5" in each)
    begun = files[name][: int(part * len(files[name]))]
    open_remote(url).create(f"n/x-v0/data/{name}", begun, {})

    upload_dataset("n/x-v0", remote_path=url)

    assert is_published(url, files)


def test_the_beginning_of_another_manifest_is_named(
    tmp_path: Path, files: dict[str, bytes]
) -> None:
    url = f"local://{tmp_path.as_posix()}"
    open_remote(url).create("n/x-v0/data/metadata.json", b'{"dataset', {})

    with pytest.raises(minari.DatasetExistsError, match=r"metadata\.json.*beginning of another"):
        upload_dataset("n/x-v0", remote_path=url)


def test_a_folder_of_very_many_files_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MOST_OBJECTS", 20)
    monkeypatch.setattr(bounds, "MOST_FOLDERS", 10)
    many, deep = tmp_path / "many", tmp_path / "deep"
    many.mkdir()
    for number in range(21):
        (many / str(number)).touch()
    (deep / "/".join("abcdefghij")).mkdir(parents=True)

    for url in (many.as_uri(), f"local://{many.as_posix()}"):
        with pytest.raises(minari.RemoteError, match=f"list {url}: .*more than 20 objects"):
            list(open_remote(url).find())
    for url in (deep.as_uri(), f"local://{deep.as_posix()}"):
        with pytest.raises(minari.RemoteError, match=f"list {url}: .*more than 10 folders"):
            list(open_remote(url).find())


def test_links_in_a_circle_are_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "a/b"
    folder.mkdir(parents=True)
    (folder / "file").touch()
    for name in ("one", "two"):
        (folder / name).symlink_to(tmp_path, target_is_directory=True)

    for url in (tmp_path.as_uri(), f"local://{tmp_path.as_posix()}"):
        assert [found.name for found in open_remote(url).find()] == ["a/b/file"]


def test_a_file_system_that_never_answers_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsspec_remote, "_LONGEST_READ_SECONDS", 0.05)
    monkeypatch.setattr(fsspec_remote, "_LONGEST_LIST_SECONDS", 0.05)
    monkeypatch.setattr(Patience, "from_environment", lambda: Patience(0.0))
    remote = open_remote("memory://never")
    remote.create("x-v0/data/metadata.json", b"{}", {})

    def sleep(*_: object, **__: object) -> None:
        time.sleep(5)

    monkeypatch.setattr(MemoryFileSystem, "cat_file", sleep)
    monkeypatch.setattr(MemoryFileSystem, "ls", sleep)

    with pytest.raises(minari.RemoteError, match=r"memory://never: .*0\.05 s to send 2 bytes"):
        remote.read("x-v0/data/metadata.json", 0, 2)
    with pytest.raises(minari.RemoteError, match=r"memory://never: .*0\.05 s to send the list"):
        list(remote.find())


def test_a_slow_connection_is_read_in_smaller_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    remote = open_remote("memory://slow")
    content = bytes(range(256)) * (6 << 12)
    remote.create("file", content, {})
    cat_file = MemoryFileSystem.cat_file

    def read(files: MemoryFileSystem, path: str, start: int, end: int) -> bytes:
        nonlocal now
        asked.append(end - start)
        now += 10 if start > 1 << 20 else 0.1
        found: bytes = cat_file(files, path, start=start, end=end)
        return found

    monkeypatch.setattr(MemoryFileSystem, "cat_file", read)
    assert remote.read("file", 0, len(content) + 5) == content

    assert asked[0] == 128 << 10
    assert max(asked) == 2 << 20
    assert asked[-1] < max(asked)


def test_a_file_system_that_connects_at_once_and_cannot_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    with pytest.raises(minari.RemoteError, match=f"could not open ftp://127.0.0.1:{port}/x: "):
        open_remote(f"ftp://127.0.0.1:{port}/x")
