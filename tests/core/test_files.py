"""Files are read if they are plain, and written whole or not at all; errors name them."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

import pytest

from minari_core.errors import (
    DataError,
    DatasetAccessError,
    DatasetBusyError,
    DatasetDamagedError,
    DatasetNotFoundError,
    DatasetWriteError,
    MissingDependencyError,
)
from minari_core.files import (
    LOCK_FILES,
    LOCK_NAME,
    check_plain,
    holds_dataset,
    is_out_of_descriptors,
    link_or_copy,
    lock_dataset,
    make_folder,
    make_read_error,
    make_write_error,
    may_be,
    may_not_read,
    name_damage,
    name_file,
    replace_file,
    sync_file,
    sync_folder,
    wrap_write_errors,
)
from minari_core.locks import FileLock

posix = pytest.mark.skipif(os.name != "posix", reason="has links and pipes")
_NO_MORE_FILES = OSError(errno.EMFILE, "no more")


@posix
def test_only_plain_files_are_opened(tmp_path: Path) -> None:
    plain, link, pipe = (tmp_path / name for name in ("plain", "link", "pipe"))
    plain.touch()
    link.symlink_to(plain)
    os.mkfifo(pipe)
    check_plain(plain)
    check_plain(link, may_be_link=True)
    with pytest.raises(DatasetDamagedError, match=f"^{link} is a link, where a plain file belongs"):
        check_plain(link)
    for other in (pipe, tmp_path):
        with pytest.raises(DatasetDamagedError, match=f"^{other} is no plain file$"):
            check_plain(other)
    with pytest.raises(FileNotFoundError):
        check_plain(tmp_path / "none")


def test_what_a_path_may_be_is_said_without_opening_it(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    assert may_be(plain, stat.S_ISREG)
    assert not may_be(plain, stat.S_ISDIR)
    assert may_be(tmp_path, stat.S_ISDIR)
    for none in (tmp_path / "none", plain / "below", "a\0b", tmp_path / ("a" * 300)):
        assert not may_be(none, stat.S_ISREG)
    if os.name == "posix":
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        assert may_be(tmp_path / "loop", stat.S_ISREG)  # opening it says what is wrong


@pytest.mark.parametrize("name", ["metadata.json", "main_data.hdf5"])
def test_a_folder_with_either_main_file_holds_a_dataset(name: str, tmp_path: Path) -> None:
    assert not holds_dataset(tmp_path)
    (tmp_path / name).mkdir()
    assert not holds_dataset(tmp_path)
    (tmp_path / name).rmdir()
    (tmp_path / name).touch()
    assert holds_dataset(tmp_path)


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied"),
            DatasetAccessError,
            "it may not be read (Permission denied); ask whoever owns it for the right to",
        ),
        (
            _NO_MORE_FILES,
            DatasetBusyError,
            f"it cannot be opened: {os.strerror(errno.EMFILE)}; ",
        ),
        (
            OSError(errno.ENOMEM, "no more"),
            DatasetBusyError,
            f"it cannot be opened: {os.strerror(errno.ENOMEM)}; ",
        ),
        (ValueError("bad"), DatasetDamagedError, "it cannot be read: bad"),
        (OSError(errno.EIO, "broken"), DatasetDamagedError, "it cannot be read: [Errno 5] broken"),
    ],
)
def test_an_error_of_reading_tells_damage_from_what_may_not_be_read_now(
    error: Exception, kind: type[Exception], said: str
) -> None:
    made = make_read_error("it", error)
    assert type(made) is kind
    assert str(made).startswith(said)
    assert may_not_read(error) is (kind is not DatasetDamagedError)
    assert is_out_of_descriptors(error) is (error is _NO_MORE_FILES)
    if kind is not DatasetDamagedError:
        with pytest.raises(kind, match="it"), name_damage("it"):
            raise error


def test_an_error_of_writing_says_what_could_not_be_done() -> None:
    broken = OSError(errno.EIO, "broken")
    assert str(make_write_error("it failed", broken)) == "it failed: [Errno 5] broken"
    assert str(make_write_error("it failed", broken, "try")) == "it failed: [Errno 5] broken; try"
    full = str(make_write_error("it failed", OSError(errno.EMFILE, "much text of a library")))
    assert full.startswith(f"it failed: {os.strerror(errno.EMFILE)}")
    assert "library" not in full


def test_damage_names_what_is_damaged_once() -> None:
    for raised, said in (
        (ValueError("bad"), "the file cannot be read: ValueError: bad"),
        (DataError("bad"), "the file: bad"),
        (DatasetDamagedError("bad"), "the file: bad"),
        (DatasetDamagedError("bad in the file"), "bad in the file"),
    ):
        with pytest.raises(DatasetDamagedError) as caught, name_damage("the file"):
            raise raised
        assert str(caught.value) == said
    held = "the file is held open for writing by another"
    with pytest.raises(DatasetBusyError, match=held), name_damage("the file"):
        raise BlockingIOError(errno.EAGAIN, "locked")
    for kept in (DatasetBusyError("busy"), DatasetAccessError("no"), MissingDependencyError("h5")):
        with pytest.raises(type(kept)) as passed, name_damage("the file"):
            raise kept
        assert passed.value is kept


def test_an_error_about_what_is_in_a_file_names_the_file_once() -> None:
    for kind in (DataError, DatasetDamagedError):
        with pytest.raises(kind, match=r"^a/b: bad$"), name_file("a/b"):
            raise kind("bad")
        with pytest.raises(kind, match=r"^bad a/b$"), name_file("a/b"):
            raise kind("bad a/b")
    with pytest.raises(ValueError, match=r"^bad$"), name_file("a/b"):
        raise ValueError("bad")


def test_an_error_of_the_file_system_names_what_was_written(tmp_path: Path) -> None:
    said = f"^{tmp_path} could not be written: .Errno 5. no"
    with pytest.raises(DatasetWriteError, match=said), wrap_write_errors(tmp_path):
        raise OSError(errno.EIO, "no")
    busy = DatasetBusyError("busy")
    with pytest.raises(DatasetBusyError) as caught, wrap_write_errors(tmp_path):
        raise busy
    assert caught.value is busy


def test_a_file_is_replaced_whole_or_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    replace_file(target, b"one")
    replace_file(target, b"two")
    assert target.read_bytes() == b"two"

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fail)
            with pytest.raises(OSError, match="broken"):
                replace_file(target, b"three")
        assert os.listdir(tmp_path) == ["target"]
        assert target.read_bytes() == b"two"


def test_what_is_written_is_flushed_before_its_name_and_the_name_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    flush, rename = os.fsync, os.replace

    def note_flush(descriptor: int) -> None:
        status = os.fstat(descriptor)
        done.append("folder" if stat.S_ISDIR(status.st_mode) else f"{status.st_size} bytes")
        flush(descriptor)

    def note_rename(source: Path, target: Path) -> None:
        done.append("name")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", note_flush)
    monkeypatch.setattr(os, "replace", note_rename)
    replace_file(tmp_path / "target", b"four")
    of_name = ["folder"] if os.name == "posix" else []
    assert done == ["4 bytes", "name", *of_name]
    sync_file(tmp_path / "target")
    sync_folder(tmp_path)
    assert done == ["4 bytes", "name", *of_name, "4 bytes", *of_name]
    make_folder(tmp_path / "a" / "b")
    assert done[-2:] == [*of_name, *of_name] or not of_name


def test_a_file_is_linked_where_it_can_be_and_else_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"content")
    assert link_or_copy(source, target) is True
    assert os.path.samefile(source, target)
    assert link_or_copy(source, target) is True
    assert os.path.samefile(source, target)
    # What a killed process left is replaced, by a copy.
    target.unlink()
    target.write_bytes(b"half")
    assert link_or_copy(source, target) is False
    assert target.read_bytes() == b"content"
    assert not os.path.samefile(source, target)

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links")

    monkeypatch.setattr(os, "link", refuse)
    target.unlink()
    assert link_or_copy(source, target) is False
    assert target.read_bytes() == b"content"

    def fail(source: Path, target: Path) -> None:
        target.write_bytes(b"ha")
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(shutil, "copyfile", fail)
    with pytest.raises(OSError, match="full"):
        link_or_copy(source, target)
    assert not target.exists()


def test_the_folders_that_are_missing_are_made_and_on_failure_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_folder(tmp_path / "a" / "b")
    assert made == [tmp_path / "a", tmp_path / "a" / "b"]
    assert make_folder(tmp_path / "a" / "b") == []
    mkdir = Path.mkdir

    def fail_at_the_end(self: Path) -> None:
        if self.name == "e":
            raise OSError(errno.ENOSPC, "full")
        mkdir(self)

    monkeypatch.setattr(Path, "mkdir", fail_at_the_end)
    with pytest.raises(OSError, match="full"):
        make_folder(tmp_path / "a" / "c" / "d" / "e")
    assert os.listdir(tmp_path / "a") == ["b"]


def test_a_folder_that_somebody_else_makes_meanwhile_is_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdir = Path.mkdir

    def be_late(self: Path) -> None:
        mkdir(self)
        if self.name == "a":
            raise FileExistsError

    monkeypatch.setattr(Path, "mkdir", be_late)
    assert make_folder(tmp_path / "a" / "b") == [tmp_path / "a" / "b"]


def hold(folder: Path) -> None:
    with lock_dataset(folder):
        assert not FileLock(folder / LOCK_NAME).acquire()


def test_a_dataset_is_locked_while_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "dataset" / "data"
    folder.mkdir(parents=True)
    (folder / "metadata.json").touch()
    hold(folder)
    lock = FileLock(folder / LOCK_NAME)
    assert lock.acquire()
    monkeypatch.setattr("minari_core.files._TIMEOUT_SECONDS", 0.0)
    with pytest.raises(
        DatasetBusyError,
        match=rf"^{folder} has been locked by another process.* for 0 seconds; try again when",
    ):
        hold(folder)
    lock.release()
    with pytest.raises(DatasetNotFoundError, match="is gone: its dataset was deleted, or moved"):
        hold(tmp_path / "none")
    assert {".lock", ".lock.held"} == LOCK_FILES


def test_a_lock_brings_no_deleted_dataset_back(tmp_path: Path) -> None:
    folder = tmp_path / "dataset" / "data"
    folder.mkdir(parents=True)
    with lock_dataset(folder):
        pass
    assert os.listdir(tmp_path) == []
    folder.mkdir(parents=True)
    (folder / "other").touch()
    hold(folder)
    assert sorted(os.listdir(folder)) == [LOCK_NAME, "other"]


@posix
def test_a_lock_that_cannot_be_taken_is_an_error_that_names_the_folder(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DatasetWriteError, match=f"^{tmp_path} cannot be locked: "):
        hold(tmp_path)
