"""Test the contract of a remote, by tests that a remote's own test class inherits.

Example:
    >>> class TestMyRemote(RemoteConformance):
    ...     def new_remote(self, folder):
    ...         return FolderRemote(folder / "remote")
    >>> import tempfile
    >>> from pathlib import Path
    >>> from minari_hub.remotes.folder import FolderRemote
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     TestMyRemote().test_what_is_created_is_read_back(Path(folder))
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event

from minari_core.errors import RemoteObjectExistsError, RemoteObjectNotFoundError
from minari_core.testing.expectations import expect, expect_raises
from minari_hub.remotes.base import Remote
from minari_hub.transfer.objects import RemoteObject, Upload
from minari_hub.transfer.partial_file import PartialFile
from minari_hub.transfer.threads import run_many

__all__ = ["RemoteConformance"]

_LARGE = bytes(range(256)) * 33_000


class RemoteConformance(ABC):
    """The contract of `Remote`; a test class that inherits from it says how to open one."""

    attaches_metadata: bool = False
    """Whether the remote keeps what is attached to an object."""

    @abstractmethod
    def new_remote(self, tmp_path: Path) -> Remote:
        """Open a remote without any object, which can be opened again.

        Args:
            tmp_path: A folder of the test's own.
        """

    def test_an_empty_remote_has_no_objects(self, tmp_path: Path) -> None:
        """Listing what is not there gives nothing, or says that it is not there."""
        remote = self.new_remote(tmp_path)

        expect(_names(remote) == [], "an empty remote lists objects")
        expect_raises(RemoteObjectNotFoundError, lambda: remote.read("a/none", 0, 1))

    def test_what_is_created_is_read_back(self, tmp_path: Path) -> None:
        """Bytes are kept as they are, and listed with their size."""
        remote = self.new_remote(tmp_path)
        content = bytes(range(256))

        remote.create("x-v0/data/metadata.json", content, {})

        expect(remote.read("x-v0/data/metadata.json", 0, 256) == content, "other bytes come back")
        found = _find_only(remote, "x-v0/data/metadata.json")
        expect(found.size == 256, f"its size is {found.size}")
        expect(found.matches(content), "its checksum is another one")

    def test_a_range_is_read_and_never_more_than_there_is(self, tmp_path: Path) -> None:
        """Ranges are half-open, and end where the object does."""
        remote = self.new_remote(tmp_path)
        remote.create("a/b", b"0123456789", {})

        for start, stop in [(0, 4), (3, 5), (8, 100), (9, 10), (0, 0), (5, 5), (10, 20)]:
            expect(
                remote.read("a/b", start, stop) == b"0123456789"[start:stop],
                f"bytes {start} to {stop} are other ones",
            )

    def test_an_object_that_exists_is_never_replaced(self, tmp_path: Path) -> None:
        """Neither by creating it again, nor by uploading a file over it."""
        remote = self.new_remote(tmp_path)
        remote.create("a/b", b"first", {})
        (tmp_path / "file").write_bytes(b"other")

        expect_raises(RemoteObjectExistsError, lambda: remote.create("a/b", b"second", {}))
        (error,) = remote.upload([Upload(tmp_path / "file", "a/b", 5)], _ignore, Event())

        expect(isinstance(error, RemoteObjectExistsError), f"the upload gave {error!r}")
        expect(remote.read("a/b", 0, 100) == b"first", "it was replaced")

    def test_one_of_many_who_create_an_object_succeeds(self, tmp_path: Path) -> None:
        """Creating is one step."""
        remote = self.new_remote(tmp_path)
        contents = [f"{number}".encode() for number in range(8)]

        outcomes = run_many(lambda content: remote.create("a/b", content, {}), contents)

        winners = [each for each, error in zip(contents, outcomes, strict=True) if error is None]
        expect(len(winners) == 1, f"{len(winners)} succeeded")
        expect(remote.read("a/b", 0, 100) == winners[0], "another content won")

    def test_objects_are_found_by_how_their_names_begin_and_end(self, tmp_path: Path) -> None:
        """A prefix need not end at a slash."""
        remote = self.new_remote(tmp_path)
        names = [
            "x-v1/data/metadata.json",
            "x-v1/data/shard.h5",
            "x-v10/data/metadata.json",
            "n/x-v1/data/metadata.json",
            "n/m/y-v0/data/metadata.json",
        ]
        for name in names:
            remote.create(name, name.encode(), {})

        for prefix in ["", "x-v1", "x-v1/", "x-v1/data/s", "n", "n/", "n/m", "n/m/y-v0/", "none"]:
            expected = sorted(name for name in names if name.startswith(prefix))
            # A remote may keep a list of its own among them.
            found = sorted(set(names).intersection(_names(remote, prefix)))
            expect(found == expected, f"of {prefix!r}: {found}")
        manifests = sorted(found.name for found in remote.find("x", suffix="/data/metadata.json"))
        expect(manifests == [names[0], names[2]], f"by their ends: {manifests}")

    def test_datasets_are_found_by_their_manifests(self, tmp_path: Path) -> None:
        """An id is what stands in front of the manifest's name."""
        remote = self.new_remote(tmp_path)
        for dataset_id in ["x-v1", "n/x-v1", "n/m/y-v0"]:
            remote.create(f"{dataset_id}/data/shard.h5", b"", {})
            remote.create(f"{dataset_id}/data/metadata.json", b"{}", {"minari": "{}"})

        found = {entry.dataset_id: entry.attached for entry in remote.datasets()}

        expect(sorted(found) == ["n/m/y-v0", "n/x-v1", "x-v1"], f"found {sorted(found)}")
        below = [entry.dataset_id for entry in remote.datasets("n/m")]
        expect(below == ["n/m/y-v0"], f"below n/m: {below}")
        if self.attaches_metadata:
            attached = [dict(each) for each in found.values()]
            expect(attached == [{"minari": "{}"}] * 3, f"attached: {attached}")

    def test_namespaces_are_found_by_their_metadata(self, tmp_path: Path) -> None:
        """They need no dataset."""
        remote = self.new_remote(tmp_path)
        for namespace in ["n", "n/m", "o"]:
            remote.create(f"{namespace}/namespace_metadata.json", b"{}", {})
        remote.create("n/x-v1/data/metadata.json", b"{}", {})

        found = sorted(remote.namespaces())
        expect(found == ["n", "n/m", "o"], f"found {found}")

    def test_many_files_go_up_and_come_down_as_they_were(self, tmp_path: Path) -> None:
        """Empty files, small ones, and one that needs several requests."""
        remote = self.new_remote(tmp_path)
        contents = {"d/empty": b"", "d/e/small": b"small", "d/large": _LARGE}
        uploads = _write(tmp_path / "up", contents)
        sent: list[int] = []

        outcomes = remote.upload(uploads, sent.append, Event())

        expect(outcomes == [None] * 3, f"uploading: {outcomes}")
        expect(sum(sent) == sum(map(len, contents.values())), f"reported {sum(sent)} bytes")
        objects = {found.name: found for found in remote.find("d/")}
        expect(sorted(objects) == sorted(contents), f"there are {sorted(objects)}")
        for name, content in contents.items():
            expect(objects[name].matches(content), f"{name} is listed as {objects[name]}")
        wanted = [found for found in objects.values() if found.size]
        _expect_downloads(remote, wanted, contents, tmp_path / "down")

    def test_a_download_goes_on_where_a_file_ends(self, tmp_path: Path) -> None:
        """Neither fetch again nor touch the bytes that a file has."""
        remote = self.new_remote(tmp_path)
        contents = {"d/one": _LARGE, "d/two": _LARGE[::-1]}
        remote.upload(_write(tmp_path / "up", contents), _ignore, Event())
        wanted = list(remote.find("d/"))
        down = tmp_path / "down"
        down.mkdir()
        for index, found in enumerate(wanted):
            (down / str(index)).write_bytes(contents[found.name][: 1000 + 8_000_000 * index])

        _expect_downloads(remote, wanted, contents, down)

    def test_an_object_that_is_gone_is_an_error_of_its_own(self, tmp_path: Path) -> None:
        """The others still arrive."""
        remote = self.new_remote(tmp_path)
        remote.create("d/here", b"here", {})
        here = _find_only(remote, "d/here")
        gone = RemoteObject("d/gone", 4)
        with (
            PartialFile(tmp_path / "here", here) as first,
            PartialFile(tmp_path / "gone", gone) as second,
        ):
            outcomes = remote.download([first, second], Event())

        expect(outcomes[0] is None, f"the one that is there: {outcomes[0]!r}")
        expect(isinstance(outcomes[1], RemoteObjectNotFoundError), f"the other: {outcomes[1]!r}")
        expect((tmp_path / "here").read_bytes() == b"here", "it has other bytes")

    def test_whoever_opens_it_again_sees_the_same(self, tmp_path: Path) -> None:
        """Nothing is kept in the object."""
        remote = self.new_remote(tmp_path)
        remote.create("a/b", b"content", {})

        expect(remote.url != "", "it has no URL")
        expect(_names(remote) == ["a/b"], "it is gone")
        expect(
            _find_only(remote, "a/b") == _find_only(remote, "a/b"), "it changes by being looked at"
        )


def _names(remote: Remote, prefix: str = "") -> list[str]:
    try:
        return sorted(found.name for found in remote.find(prefix))
    except RemoteObjectNotFoundError:
        return []


def _find_only(remote: Remote, name: str) -> RemoteObject:
    found = [each for each in remote.find(name) if each.name == name]
    expect(len(found) == 1, f"{name} is listed {len(found)} times")
    return found[0]


def _write(folder: Path, contents: Mapping[str, bytes]) -> Sequence[Upload]:
    folder.mkdir()
    uploads = []
    for index, (name, content) in enumerate(contents.items()):
        path = folder / str(index)
        path.write_bytes(content)
        uploads.append(Upload(path, name, len(content)))
    return uploads


def _expect_downloads(
    remote: Remote, wanted: Sequence[RemoteObject], contents: Mapping[str, bytes], folder: Path
) -> None:
    folder.mkdir(exist_ok=True)
    arrived: list[int] = []
    files = [
        PartialFile(folder / str(index), found, arrived.append)
        for index, found in enumerate(wanted)
    ]
    lacking = sum(file.source.size - file.position for file in files)
    outcomes = remote.download(files, Event())
    expect(outcomes == [None] * len(files), f"downloading: {outcomes}")
    expect(min(arrived, default=0) >= 0, "bytes that were there were fetched again")
    expect(sum(arrived) == lacking, f"{sum(arrived)} bytes were reported, {lacking} were lacking")
    for file in files:
        expect(file.is_complete, f"{file.source.name} ends at {file.position}")
        expect(file.matches(), f"{file.source.name} has another checksum")
        file.close()
        expect(file.path.read_bytes() == contents[file.source.name], f"{file.source.name} differs")


def _ignore(nbytes: int) -> None:
    """Take no notice of what was sent."""
