"""The conformance suite of remotes notices each defect, and a remote without one passes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Event, Lock
from typing import Any

import pytest

from minari_core.errors import RemoteError, RemoteObjectExistsError, RemoteObjectNotFoundError
from minari_hub import testing
from minari_hub.remotes.base import Remote
from minari_hub.testing import RemoteConformance
from minari_hub.transfer.checksums import Checksum, start_hasher
from minari_hub.transfer.objects import DatasetEntry, RemoteObject, Upload
from minari_hub.transfer.partial_file import PartialFile


class InMemory(Remote):
    """Objects in a dict, and one defect."""

    url = "memory:"

    def __init__(self, defect: str) -> None:
        self.defect = defect
        self.objects: dict[str, tuple[bytes, Mapping[str, str]]] = {}
        self.lock = Lock()
        self.looks = 0

    def find(self, prefix: str = "", *, suffix: str = "") -> Iterator[RemoteObject]:
        self.looks += 1
        if self.defect == "lists what is not there" and not self.objects:
            yield RemoteObject("ghost", 0)
        if self.defect == "folders only" and "/" in prefix:
            prefix = prefix.rpartition("/")[0] + "/"
        if self.defect == "no suffix":
            suffix = ""
        for name, (content, attached) in self.objects.items():
            if self.defect == "whole folders" and not name.startswith(f"{prefix.rstrip('/')}/"):
                continue
            if name.startswith(prefix) and name.endswith(suffix):
                for _ in range(2 if self.defect == "lists twice" else 1):
                    yield self._describe(name, content, attached)

    def _describe(self, name: str, content: bytes, attached: Mapping[str, str]) -> RemoteObject:
        hasher = start_hasher("sha256", len(content))
        hasher.update(b"other" if self.defect == "another checksum" else content)
        size = len(content) + (self.defect == "another size" and len(content) == 256)
        size += self.defect == "another size of an upload" and len(content) == 5
        version = str(self.looks) if self.defect == "changes when looked at" else ""
        return RemoteObject(name, size, version, Checksum("sha256", hasher.hexdigest()), attached)

    def datasets(self, prefix: str = "") -> Iterator[DatasetEntry]:
        for entry in super().datasets("" if self.defect == "all datasets" else prefix):
            skips = self.defect == "only one namespace" and entry.dataset_id.count("/") == 2
            attached = {} if self.defect == "attaches nothing" else entry.attached
            if not skips:
                yield DatasetEntry(entry.dataset_id, attached)

    def namespaces(self) -> Iterator[str]:
        for name in super().namespaces():
            if not (self.defect == "no inner namespaces" and "/" in name):
                yield name

    def read(self, name: str, start: int, stop: int) -> bytes:
        if name not in self.objects:
            if self.defect == "empty if not there":
                return b""
            if self.defect == "another error":
                raise RemoteError("it is not there")
            raise RemoteObjectNotFoundError(name)
        content = self.objects[name][0]
        if self.defect == "reads one more":
            stop += 1
        if self.defect == "reads from the beginning":
            start = 0
        if self.defect == "reads to the end":
            stop = len(content)
        return content[start:stop]

    def download(self, files: Sequence[PartialFile], stop: Event) -> list[Exception | None]:
        outcomes: list[Exception | None] = []
        for file in files:
            try:
                content = self.read(file.source.name, 0, file.source.size)
                if self.defect == "downloads nothing":
                    raise RemoteObjectNotFoundError(file.source.name)
                if self.defect == "goes on wrongly" and file.position:
                    content = content[1:] + b"x"
                if self.defect == "begins anew":
                    file.restart()
                if self.defect == "ends early":
                    content = content[:-1]
                if self.defect == "sends other bytes":
                    content = content[::-1]
                file.write(content[file.position :])
                outcomes.append(None)
            except RemoteError as error:
                hides = self.defect == "hides what is gone"
                outcomes.append(None if hides else error)
                if self.defect == "stops at an error":
                    return [error] * len(files)
        return outcomes

    def upload(
        self, uploads: Sequence[Upload], report: Callable[[int], None], stop: Event
    ) -> list[Exception | None]:
        outcomes: list[Exception | None] = []
        for each in uploads:
            try:
                self._put(each.name, each.path.read_bytes(), {}, self.defect == "uploads over")
                outcomes.append(None)
            except RemoteError as error:
                outcomes.append(None if self.defect == "hides that it exists" else error)
            if self.defect != "reports nothing":
                report(each.size)
        if self.defect == "loses empty files":
            self.objects = {name: each for name, each in self.objects.items() if each[0]}
        return outcomes

    def create(self, name: str, content: bytes, metadata: Mapping[str, str]) -> None:
        if self.defect == "creates text":
            content = content.decode("latin-1").encode()
        self._put(name, content, metadata, self.defect == "creates over")

    def _put(self, name: str, content: bytes, attached: Mapping[str, str], over: bool) -> None:
        with self.lock:
            if name in self.objects and not over:
                if self.defect == "refuses by another error":
                    raise RemoteError("it exists")
                raise RemoteObjectExistsError(name)
            self.objects[name] = (content, attached)


DEFECTS: dict[str, set[str]] = {
    "lists what is not there": {"an_empty_remote_has_no_objects"},
    "empty if not there": {
        "an_empty_remote_has_no_objects", "an_object_that_is_gone_is_an_error_of_its_own",
    },
    "another error": {
        "an_empty_remote_has_no_objects", "an_object_that_is_gone_is_an_error_of_its_own",
    },
    "creates text": {"what_is_created_is_read_back"},
    "another size": {"what_is_created_is_read_back"},
    "another checksum": {
        "what_is_created_is_read_back", "many_files_go_up_and_come_down_as_they_were",
    },
    "lists twice": {"what_is_created_is_read_back", "whoever_opens_it_again_sees_the_same"},
    "reads one more": {"a_range_is_read_and_never_more_than_there_is"},
    "reads from the beginning": {"a_range_is_read_and_never_more_than_there_is"},
    "reads to the end": {"a_range_is_read_and_never_more_than_there_is"},
    "creates over": {
        "an_object_that_exists_is_never_replaced", "one_of_many_who_create_an_object_succeeds",
    },
    "uploads over": {"an_object_that_exists_is_never_replaced"},
    "hides that it exists": {"an_object_that_exists_is_never_replaced"},
    "refuses by another error": {"an_object_that_exists_is_never_replaced"},
    "folders only": {"objects_are_found_by_how_their_names_begin_and_end"},
    "whole folders": {"objects_are_found_by_how_their_names_begin_and_end"},
    "no suffix": {"objects_are_found_by_how_their_names_begin_and_end"},
    "all datasets": {"datasets_are_found_by_their_manifests"},
    "only one namespace": {"datasets_are_found_by_their_manifests"},
    "attaches nothing": {"datasets_are_found_by_their_manifests"},
    "no inner namespaces": {"namespaces_are_found_by_their_metadata"},
    "another size of an upload": {"many_files_go_up_and_come_down_as_they_were"},
    "loses empty files": {"many_files_go_up_and_come_down_as_they_were"},
    "reports nothing": {"many_files_go_up_and_come_down_as_they_were"},
    "downloads nothing": {
        "many_files_go_up_and_come_down_as_they_were", "a_download_goes_on_where_a_file_ends",
        "an_object_that_is_gone_is_an_error_of_its_own",
    },
    "sends other bytes": {
        "many_files_go_up_and_come_down_as_they_were", "a_download_goes_on_where_a_file_ends",
    },
    "ends early": {"many_files_go_up_and_come_down_as_they_were"},
    "goes on wrongly": {"a_download_goes_on_where_a_file_ends"},
    "begins anew": {"a_download_goes_on_where_a_file_ends"},
    "hides what is gone": {"an_object_that_is_gone_is_an_error_of_its_own"},
    "stops at an error": {"an_object_that_is_gone_is_an_error_of_its_own"},
    "changes when looked at": {"whoever_opens_it_again_sees_the_same"},
}  # fmt: skip
TESTS = sorted(name for name in vars(RemoteConformance) if name.startswith("test_"))


def run_suite(name: str, defect: str, folder: Path) -> BaseException | None:
    class Suite(RemoteConformance):
        attaches_metadata = True

        def new_remote(self, tmp_path: Path) -> Remote:
            return InMemory(defect)

    folder.mkdir(parents=True)
    try:
        getattr(Suite(), name)(folder)
    except (AssertionError, RemoteError) as error:
        return error
    return None


def test_a_remote_without_a_defect_passes(tmp_path: Path) -> None:
    assert len(TESTS) == 12
    for name in TESTS:
        assert run_suite(name, "", tmp_path / name) is None


@pytest.fixture(autouse=True)
def _smaller_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testing, "_LARGE", bytes(range(256)) * 40)


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_of_a_remote_is_noticed(defect: str, tmp_path: Path) -> None:
    for name in sorted(DEFECTS[defect]):
        error = run_suite(f"test_{name}", defect, tmp_path / name)
        assert error is not None
        assert str(error)


def test_a_suite_that_does_not_say_so_expects_nothing_attached(tmp_path: Path) -> None:
    class Suite(RemoteConformance):
        def new_remote(self, tmp_path: Path) -> Remote:
            return InMemory("attaches nothing")

    suite: Any = Suite()
    suite.test_datasets_are_found_by_their_manifests(tmp_path)
