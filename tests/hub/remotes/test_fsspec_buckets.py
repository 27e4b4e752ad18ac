"""Buckets that fsspec opens: one request for an object, and the credentials of the machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any, ClassVar

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry

import minari
from minari_hub import open_remote
from minari_hub.transfer.objects import Upload
from minari_hub.transfer.retrying import Patience


class _Bucket(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Takes the options of buckets, and notes what it is asked."""

    protocol = "oss"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    asked: ClassVar[list[tuple[str, dict[str, Any]]]] = []
    failures: ClassVar[list[Exception]] = []
    """Raised after what was asked for is done."""

    def __init__(self, anon: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self.asked.append(("open", {"anon": anon}))

    def _put(self, path: str, content: bytes, options: dict[str, Any]) -> None:
        self.asked.append((path, options))
        if options.get("mode") == "create" and self.exists(path):
            raise FileExistsError(path)
        super().pipe_file(path, content)
        if self.failures:
            raise self.failures.pop()

    def pipe_file(self, path: str, value: bytes, **options: Any) -> None:
        self._put(path, value, options)

    def put_file(self, lpath: str, rpath: str, callback: Any = None, **options: Any) -> None:
        self._put(rpath, Path(lpath).read_bytes(), options)

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        self.asked.append(("ls", {}))
        return super().ls(path, detail=detail, **options)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Bucket]]:
    _Bucket.clear_instance_cache()
    for scheme in ("oss", "s3"):
        monkeypatch.setitem(_registry, scheme, _Bucket)
    monkeypatch.setattr(Patience, "from_environment", lambda: Patience(2.0, 0.01, 0.05))
    _Bucket.store, _Bucket.pseudo_dirs, _Bucket.asked, _Bucket.failures = {}, [""], [], []
    yield _Bucket
    _Bucket.store, _Bucket.failures = {}, []


def created(bucket: type[_Bucket]) -> list[tuple[str, dict[str, Any]]]:
    return [each for each in bucket.asked if each[0] not in ("open", "ls")]


def test_an_object_is_created_in_one_request_that_fails_where_there_is_one(
    bucket: type[_Bucket], tmp_path: Path
) -> None:
    remote = open_remote("oss://bucket/at")
    remote.create("a/b", b"first", {})
    with pytest.raises(minari.RemoteObjectExistsError):
        remote.create("a/b", b"second", {})
    (tmp_path / "file").write_bytes(b"content")
    reported: list[int] = []
    uploads = [Upload(tmp_path / "file", "a/c", 7), Upload(tmp_path / "file", "a/b", 7)]
    first, second = remote.upload(uploads, reported.append, Event())

    assert first is None
    assert isinstance(second, minari.RemoteObjectExistsError)
    paths = [path for path, _ in created(bucket)]
    assert [path.rpartition("at/")[2] for path in paths] == ["a/b", "a/c"]
    assert [options for _, options in created(bucket)] == [{"mode": "create"}] * 2
    assert reported == [7]
    assert {found.name: found.size for found in remote.find("a/")} == {"a/b": 5, "a/c": 7}


def test_the_beginning_of_an_object_is_replaced_without_that(
    bucket: type[_Bucket], tmp_path: Path
) -> None:
    remote = open_remote("oss://bucket/at")
    remote.create("a", b"con", {})
    remote.create("a", b"content", {})
    assert remote.read("a", 0, 99) == b"content"
    (tmp_path / "file").write_bytes(b"content and more")
    over = Upload(tmp_path / "file", "a", 16, replaces_beginning=True)
    assert remote.upload([over], lambda nbytes: None, Event()) == [None]
    assert remote.read("a", 0, 99) == b"content and more"
    assert [options for _, options in created(bucket)] == [{"mode": "create"}, {}, {}]
    for other in (b"conTENT and something else", b"content and more"):
        with pytest.raises(minari.RemoteObjectExistsError):
            remote.create("a", other, {})


def test_what_was_created_though_the_answer_was_lost_is_there(bucket: type[_Bucket]) -> None:
    remote = open_remote("oss://bucket/at")
    bucket.failures = [ConnectionResetError("reset")]
    remote.create("a", b"content", {})
    assert remote.read("a", 0, 99) == b"content"
    # Without a fault, it is somebody else's.
    with pytest.raises(minari.RemoteObjectExistsError):
        remote.create("a", b"content", {})


def test_who_gives_no_token_is_nobody_where_the_bucket_knows_the_difference(
    bucket: type[_Bucket], monkeypatch: pytest.MonkeyPatch
) -> None:
    anonymous = open_remote("s3://bucket/at")
    known = open_remote("s3://bucket/at", "application-default")
    other = open_remote("oss://bucket/at")
    assert [options["anon"] for name, options in bucket.asked if name == "open"] == [
        True,
        False,
        None,
    ]

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("not for everybody")

    monkeypatch.setattr(bucket, "cat_file", refuse)
    with pytest.raises(minari.RemoteAccessError, match="; give token='application-default', or se"):
        anonymous.read("a", 0, 1)
    for remote in (known, other):
        with pytest.raises(minari.RemoteAccessError, match=r"not for everybody$"):
            remote.read("a", 0, 1)
    with pytest.raises(minari.RemoteUrlError, match="credentials from this machine") as refused:
        open_remote("s3://bucket/at", "secret")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("answer", ["text", b"longer than asked", None])
def test_an_answer_that_is_not_those_bytes_is_refused(
    answer: Any, bucket: type[_Bucket], monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = open_remote("oss://bucket/at")
    remote.create("a", b"content", {})
    monkeypatch.setattr(bucket, "cat_file", lambda *_, **__: answer)
    with pytest.raises(minari.RemoteError, match=r"sends something else than the bytes of 'a'$"):
        remote.read("a", 0, 4)


def test_hidden_objects_are_not_listed(bucket: type[_Bucket]) -> None:
    remote = open_remote("oss://bucket/at")
    for name in ("a/b.h5", "a/.c.h5", ".d/e.h5", "f.json"):
        remote.create(name, b"", {})
    assert sorted(found.name for found in remote.find()) == ["a/b.h5", "f.json"]
    assert [found.name for found in remote.find("", suffix=".h5")] == ["a/b.h5"]


def test_nothing_is_asked_for_where_an_object_ends(
    bucket: type[_Bucket], monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = open_remote("oss://bucket/at")
    # As much as the first piece.
    content = bytes(range(256)) * 512
    remote.create("a", content, {})
    cat_file = MemoryFileSystem.cat_file
    asked: list[int] = []

    def read(files: MemoryFileSystem, path: str, start: int, end: int) -> bytes:
        asked.append(start)
        if start >= len(content):
            raise ValueError("there is nothing")
        found: bytes = cat_file(files, path, start=start, end=end)
        return found

    monkeypatch.setattr(bucket, "cat_file", read)
    assert remote.read("a", 0, len(content) + 5) == content
    assert remote.read("a", 7, 10) == content[7:10]
    assert asked == [0, 7]
