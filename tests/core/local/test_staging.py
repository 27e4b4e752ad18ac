"""The staging area: what is held while somebody works on it, and when it belongs to nobody."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from minari_core.errors import DatasetBusyError, DatasetWriteError
from minari_core.local.leftovers.leftover import Leftover, Worth, describe, describe_unclear
from minari_core.local.locations import staging_root
from minari_core.local.staging import (
    find_last_change,
    hold_abandoned,
    hold_left,
    hold_staging_folder,
    look_abandoned,
    look_left,
)
from minari_core.locks import FileLock, Holder, identify_self, read_holder

posix = pytest.mark.skipif(os.name != "posix", reason="Windows locks every file")
OTHER = Holder("node7", "another", 5, "1")
DAY = 24 * 3600.0


def sign(path: Path, holder: Holder, age: float = 0.0) -> None:
    path.write_text(json.dumps(asdict(holder)))
    os.utime(path, (time.time() - age,) * 2)


def test_a_staged_folder_is_locked_and_removed_with_its_lock() -> None:
    with hold_staging_folder("create-") as folder:
        assert folder.parent == staging_root()
        assert folder.name.startswith("create-")
        assert not folder.exists()
        lock = folder.with_suffix(".lock")
        assert read_holder(lock) == identify_self()
        assert not FileLock(lock).acquire()
        folder.mkdir()
        (folder / "file").touch()
        said = f"{folder.name} is in use by another process"
        with pytest.raises(DatasetBusyError, match=said), hold_left(folder):
            pass
    assert os.listdir(staging_root()) == []


@posix
def test_a_staged_folder_is_not_begun_without_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    def begin() -> None:
        with hold_staging_folder("create-"):
            pytest.fail("it was begun")

    number = errno.EMFILE
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        with pytest.raises(DatasetWriteError, match=r"create-.* could not be made"):
            begin()
    assert os.listdir(staging_root()) == []
    number = errno.EIO
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        with hold_staging_folder("create-") as folder:
            folder.touch()
            patch.undo()


Hold = Callable[[Path, list[Path], float], AbstractContextManager[None]]


@pytest.mark.parametrize("hold", [hold_abandoned, look_abandoned])
def test_what_nobody_has_is_held_and_what_somebody_may_have_is_not(
    hold: Hold, tmp_path: Path
) -> None:
    lock, now = tmp_path / "lock", time.time()

    def attempt(age: float, locks: list[Path] | None = None) -> None:
        with hold(tmp_path, [lock] if locks is None else locks, now - age):
            pass

    attempt(0.0)
    # Without a lock, age alone tells.
    attempt(DAY + 60, [])
    said = "has no lock that could tell .*, and has changed in the last 24 hours$"
    with pytest.raises(DatasetBusyError, match=said):
        attempt(DAY - 60, [])
    held = FileLock(lock)
    assert held.acquire()
    with pytest.raises(DatasetBusyError, match=r"is in use by another process .process "):
        attempt(2 * DAY)
    held.release()
    # Nobody can tell of another machine, unless neither the lock nor what it is of has changed.
    for lock_age, age in ((0.0, 2 * DAY), (2 * DAY, 0.0), (DAY - 60, DAY - 60)):
        sign(lock, OTHER, lock_age)
        with pytest.raises(DatasetBusyError, match="was made by process 5 on node7, which may be"):
            attempt(age)
    sign(lock, OTHER, DAY + 60)
    attempt(DAY + 60)
    assert read_holder(lock) == OTHER
    # Who has ended on this machine has it no more, however new it is.
    sign(lock, replace(identify_self(), started="1"))
    attempt(0.0)


@posix
def test_a_lock_that_cannot_be_looked_at_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "lock")
    for hold, said in ((hold_abandoned, "cannot be locked"), (look_abandoned, "cannot be looked")):
        told = pytest.raises(DatasetWriteError, match=f"^{tmp_path} {said}")
        with told, hold(tmp_path, [tmp_path / "lock"], 0.0):
            pass


@posix
def test_all_locks_of_a_staged_folder_are_held(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").touch()
    for path in (folder, folder / "file"):
        os.utime(path, (time.time() - 2 * DAY,) * 2)
    with hold_left(folder):  # without a lock
        pass
    for path in (folder / ".lock", tmp_path / "folder.lock", folder / "worker.lock"):
        lock = FileLock(path)
        assert lock.acquire()
        for look in (hold_left, look_left):
            with pytest.raises(DatasetBusyError, match="folder is in use"), look(folder):
                pass
        lock.release(remove=True)
        os.utime(folder, (time.time() - 2 * DAY,) * 2)
    (folder / "file").touch()
    with pytest.raises(DatasetBusyError, match="has no lock that could tell"), look_left(folder):
        pass
    with look_left(folder, has_lock=True):
        assert sorted(os.listdir(folder)) == ["file"]
    # Whoever removes the folder removes the lock beside it.
    outer = tmp_path / "folder.lock"
    outer.touch()
    with hold_left(folder):
        (folder / "file").unlink()
        folder.rmdir()
    assert list(tmp_path.iterdir()) == []


def test_the_last_change_is_that_of_anything_inside_but_locks(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    for path, when in ((deep / "file", 30.0), (deep / ".lock", 50.0), (deep / ".lock.held", 60.0)):
        path.touch()
        os.utime(path, (when, when))
    for folder, when in ((deep, 10.0), (tmp_path / "a", 20.0)):
        os.utime(folder, (when, when))
    assert find_last_change(tmp_path / "a") == 30.0
    assert find_last_change(deep / "file") == 30.0
    assert abs(find_last_change(tmp_path / "none") - time.time()) < 60
    if os.name == "posix":
        link = tmp_path / "link"
        link.symlink_to(tmp_path / "a")
        os.utime(link, (5.0, 5.0), follow_symlinks=False)
        assert find_last_change(link) == 5.0


def test_a_leftover_says_its_size_without_locks_and_its_age(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file").write_bytes(b"12345")
    (folder / "other").write_bytes(b"678")
    (folder / ".lock").write_bytes(b"much more")
    found = describe("x", "recording", folder, Worth("a-v0", "recover it"))
    assert found == Leftover(
        *("x", "recording", str(folder), "a-v0", 8, find_last_change(folder), "recover it")
    )
    assert found.is_valuable
    assert 0 <= found.age_seconds < 60
    assert describe("x", "file", folder / "other", Worth()).nbytes == 3
    # A lock by itself counts.
    assert describe("x", "lock", folder / ".lock", Worth()).nbytes == 9
    assert not describe("x", "lock", folder / ".lock", Worth()).is_valuable
    assert replace(found, changed=time.time() + 1000).age_seconds == 0


def test_who_may_hold_a_lock_is_said_of_a_lock_alone(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    assert describe_unclear(lock) == ""
    sign(lock, identify_self())
    assert describe_unclear(lock) == ""
    sign(lock, OTHER)
    assert describe_unclear(lock) == (
        "if process 5 on node7 is alive, it holds the lock; remove it if that has ended"
    )
    sign(tmp_path / "lock.held", replace(OTHER, process=6))
    assert "process 5 on node7 and process 6 on node7 is alive" in describe_unclear(lock)
