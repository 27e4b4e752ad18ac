"""Outputs on their way to a run: whole, under their names, and of names that stay in the folder."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from minari_collect.workers import transport
from minari_collect.workers.messages import RUN_NAME, Task, TaskOutput
from minari_collect.workers.transport import put_in_place, receive_output, send_output
from minari_collect.workers.work_folder import open_work_folder
from minari_core.errors import DatasetWriteError, RecordingError
from minari_core.files import LOCK_NAME
from minari_core.locks import FileLock

OUTPUT = TaskOutput(3, 5, 7)
FILES = {"metadata.json": b"{}", "shard.h5": bytes(range(100))}


class Shelf:
    """Keeps bytes under names, and sends no more than so many at a time."""

    def __init__(self, at_once: int = 1000) -> None:
        self.at_once = at_once
        self.objects: dict[str, bytes] = {}
        self.reads: list[tuple[int, int]] = []

    def create(self, name: str, content: bytes, metadata: Mapping[str, str], /) -> None:
        assert name not in self.objects
        assert metadata == {}
        self.objects[name] = content

    def read(self, name: str, start: int, stop: int, /) -> bytes:
        self.reads.append((start, stop))
        return self.objects[name][start : min(stop, start + self.at_once)]


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    folder = tmp_path / "worker" / ".part-1"
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_output_in_a_folder_that_all_see_is_only_given_its_name(sent: Path) -> None:
    output = send_output(OUTPUT, sent, "folder", None, "run")
    assert output == OUTPUT
    (named,) = sent.parent.iterdir()
    assert named.name == OUTPUT.name == "episodes-000000000003-000000000005"
    assert contents(named) == FILES
    assert receive_output(output, sent.parent, None) == OUTPUT
    assert contents(named) == FILES


def test_an_output_that_a_worker_put_elsewhere_is_told_of(run: Path) -> None:
    with pytest.raises(
        RecordingError, match=f"a worker put {run / OUTPUT.name} in place, which is"
    ):
        receive_output(OUTPUT, run, None)


@pytest.mark.parametrize("at_once", [1000, 7])
@pytest.mark.parametrize("is_remote", [False, True])
def test_an_output_travels_with_its_files(
    is_remote: bool, at_once: int, sent: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_BLOCK", 30)
    shelf = Shelf(at_once) if is_remote else None
    output = send_output(OUTPUT, sent, "remote" if shelf else "result", shelf, "run-x")
    assert contents(sent) == FILES
    if shelf:
        assert output.files is None
        assert output.objects is not None
        assert {name: size for name, (_, size) in output.objects.items()} == {
            name: len(content) for name, content in FILES.items()
        }
        parents = {name.rpartition("/")[0] for name in shelf.objects}
        assert len(parents) == 1
        assert parents.pop().startswith(f"run-x/{OUTPUT.name}-")
        again = send_output(OUTPUT, sent, "remote", shelf, "run-x")
        assert again.objects != output.objects
    else:
        assert output == replace(OUTPUT, files=FILES)

    assert receive_output(output, run, shelf) == OUTPUT
    assert [path.name for path in run.iterdir()] == [OUTPUT.name]
    assert contents(run / OUTPUT.name) == FILES
    if shelf and at_once == 1000:
        of_the_shard = [read for read in shelf.reads if read != (0, 2)]
        assert of_the_shard == [(0, 30), (30, 60), (60, 90), (90, 100)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"files": {"../evil": b""}}, "a worker sent a file of the name '../evil'"),
        ({"files": {".hidden": b""}}, "a worker sent a file of the name '.hidden'"),
        ({"files": {"a/b": b""}}, "a worker sent a file of the name 'a/b'"),
        ({"objects": {"../evil": ("there", 1)}}, "a worker sent a file of the name '../evil'"),
        ({"objects": {"a": ("there", 4)}}, "there ends after 3 of 4 bytes"),
        ({"objects": {"a": ("none", 4)}}, "none"),
    ],
)
def test_an_output_that_is_not_whole_leaves_nothing(
    change: dict[str, Any], reason: str, run: Path
) -> None:
    shelf = Shelf()
    shelf.objects["there"] = b"abc"
    with pytest.raises((RecordingError, KeyError), match=reason):
        receive_output(replace(OUTPUT, **change), run, shelf)
    assert list(run.iterdir()) == []


def test_an_output_through_a_remote_that_is_not_there_is_told_of(run: Path) -> None:
    output = replace(OUTPUT, objects={"a": ("there", 3)})
    with pytest.raises(
        RecordingError, match="a worker sent there through a remote, and there is no"
    ):
        receive_output(output, run, None)


def test_of_two_that_are_put_in_one_place_the_first_stays(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
        put_in_place(tmp_path / name, tmp_path / "place")
    assert [path.name for path in tmp_path.iterdir()] == ["place"]
    assert (tmp_path / "place" / "file").read_text() == "first"
    with pytest.raises(OSError, match="none"):
        put_in_place(tmp_path / "none", tmp_path / "another")


def task_in(folder: str, transport: Any) -> Task:
    return Task(b"", 0, "run", 0, 0, 1, folder, transport, may_exit=False)


def is_held(lock: Path) -> bool:
    other = FileLock(lock)
    if other.acquire():
        other.release()
        return False
    return True


def test_a_worker_writes_to_the_folder_of_its_run_and_says_that_it_lives(run: Path) -> None:
    with pytest.raises(DatasetWriteError, match=f"does not see the work folder {run} of the run"):
        open_work_folder(task_in(str(run), "folder")).__enter__()
    (run / RUN_NAME).write_text("{}")
    with open_work_folder(task_in(str(run), "folder")) as path:
        assert path == run
        (lock,) = run.glob(".worker-*.lock")
        assert is_held(lock)
    assert [path.name for path in run.iterdir()] == [RUN_NAME]


def test_a_worker_with_a_folder_of_that_name_has_a_part_of_it(run: Path) -> None:
    folder = run / "elsewhere"
    with open_work_folder(task_in(str(folder), "result")) as path:
        assert path.parent == folder
        assert path.name.startswith(".part-")
        (path / "shard.h5").write_text("")
        (lock,) = folder.glob(".worker-*.lock")
        assert is_held(lock)
    assert list(folder.iterdir()) == []


def test_a_worker_without_a_folder_has_a_temporary_one_and_removes_those_of_the_dead(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(run))
    dead, alive, new = (run / f"minari-collect-{name}" for name in ("dead", "alive", "new"))
    for folder in (dead, alive, new):
        folder.mkdir()
    (dead / LOCK_NAME).write_text("")
    (dead / "shard.h5").write_text("")
    (run / "another").mkdir()
    target = run / "another" / "minari-collect-target"
    target.mkdir()
    (target / LOCK_NAME).write_text("")
    (run / "minari-collect-link").symlink_to(target)
    living = FileLock(alive / LOCK_NAME)
    assert living.acquire()
    try:
        with open_work_folder(task_in("", "result")) as path:
            assert path.parent == run
            assert is_held(path / LOCK_NAME)
            assert not dead.exists()
            # One without a lock may just be made.
            assert alive.exists()
            assert new.exists()
            assert target.exists()
        assert not path.exists()
    finally:
        living.release()
