"""Who holds a lock: what is read of it, who has surely ended, and what is said of it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from minari_core import locks
from minari_core.locks import (
    FileLock,
    Holder,
    identify_self,
    is_free,
    is_left,
    locate_held,
    read_holder,
    read_holders,
)

posix = pytest.mark.skipif(os.name != "posix", reason="Windows locks every file")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux")
OTHER = Holder("node7", "another", 5, "1")


def sign(path: Path, holder: Holder) -> None:
    path.write_text(json.dumps(asdict(holder)))


def end_process() -> int:
    """The number of a process that has ended, and was waited for."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


@linux
def test_a_holder_has_ended_if_its_process_or_its_machine_has() -> None:
    own = identify_self()
    assert own.is_from_here()
    assert not own.is_from_before()
    assert not own.is_gone()
    assert not own.is_unclear()
    assert not replace(own, started="").is_gone()
    assert replace(own, started="1").is_gone()
    assert replace(own, process=end_process()).is_gone()
    assert not replace(own, process=2**70).is_gone()

    assert not OTHER.is_from_here()
    assert not replace(OTHER, process=end_process()).is_gone()
    assert OTHER.is_unclear()


@linux
def test_a_process_that_nobody_waited_for_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        status = Path(f"/proc/{process.pid}/stat")
        while status.read_text().rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.005)
        assert replace(identify_self(), process=process.pid, started="").is_gone()


@linux
def test_whoever_ran_before_this_machine_was_started_again_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = identify_self()
    boot, *namespaces = own.machine.split()
    if not namespaces:
        pytest.skip("this system does not say when it was started")
    before = replace(own, machine=" ".join(["another", *namespaces]))
    assert before.is_from_before()
    assert before.is_gone()
    assert not before.is_unclear()
    assert not before.is_from_here()
    # Of such a holder nothing says when its machine was started.
    assert not replace(before, machine="another").is_from_before()
    assert not replace(before, machine=" ".join([boot, "other", "spaces"])).is_from_before()
    assert not replace(before, host="node7").is_from_before()
    assert replace(before, host="node7").is_unclear()
    for everywhere in ("", "localhost"):
        monkeypatch.setattr(platform, "node", lambda name=everywhere: name)
        assert not replace(before, host=everywhere).is_from_before()


def test_all_that_is_said_of_the_holders_of_a_lock_is_read(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert read_holders(path) == []
    assert read_holder(path) is None
    sign(locate_held(path), OTHER)
    os.utime(locate_held(path), (7.0, 7.0))
    assert read_holders(path) == [(OTHER, 7.0)]
    sign(path, replace(OTHER, process=6))
    os.utime(path, (8.0, 8.0))
    assert read_holders(path) == [(replace(OTHER, process=6), 8.0), (OTHER, 7.0)]
    assert read_holder(path) == replace(OTHER, process=6)
    assert locate_held(path).name == "lock.held"


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "5", "{}", "[" * 4000),
        '{"host": "a", "machine": "b", "process": 5}',
        '{"host": "a", "machine": "b", "process": "x", "started": ""}',
        '{"host": "a", "machine": "b", "process": 1e999, "started": ""}',
        json.dumps({**asdict(OTHER), "more": "x" * 4096}),
    ],
)
def test_what_says_nothing_of_a_holder_is_nobody(text: str, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text(text)
    assert read_holders(path) == []


def test_a_long_text_of_a_holder_is_read_as_far_as_a_page(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    text = json.dumps(asdict(OTHER))
    path.write_text(text.ljust(4096))
    assert read_holder(path) == OTHER


def test_a_file_that_stands_for_a_lock_is_left_if_its_process_has_ended(tmp_path: Path) -> None:
    held = tmp_path / "lock.held"
    assert not is_left(held)
    sign(held, identify_self())
    os.utime(held, (1.0, 1.0))
    assert not is_left(held)
    sign(held, OTHER)
    os.utime(held, (1.0, 1.0))
    assert not is_left(held)
    held.write_text("")
    assert not is_left(held)
    now = time.time()
    os.utime(held, (now - 50, now - 50))
    assert not is_left(held)
    os.utime(held, (now - 61, now - 61))
    assert is_left(held)
    if sys.platform.startswith("linux"):
        sign(held, replace(identify_self(), process=end_process()))
        assert is_left(held)


@posix
def test_looking_sees_through_what_others_who_look_do(tmp_path: Path) -> None:
    import fcntl

    path = tmp_path / "lock"
    path.touch()
    with open(path, "rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert is_free(path)
        fcntl.flock(looking, fcntl.LOCK_EX)
        assert not is_free(path)
    assert is_free(path)
    sign(locate_held(path), OTHER)
    assert not is_free(path)
    assert is_free(path, [OTHER])
    locate_held(path).unlink()
    locate_held(path).symlink_to(tmp_path / "nowhere")
    assert not is_free(path)  # nobody knows whose it is


@linux
def test_a_file_that_was_left_is_free_and_stays_for_whoever_takes_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    sign(locate_held(path), replace(identify_self(), process=end_process()))
    assert is_free(path)
    assert locate_held(path).exists()
    lock = FileLock(path)
    assert lock.acquire()
    assert not locate_held(path).exists()
    assert read_holder(path) == identify_self()
    lock.release()
    assert path.read_bytes() == b""


@posix
def test_one_who_looks_for_long_keeps_a_lock_and_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    monkeypatch.setattr(locks, "_LOOK_SECONDS", 0.03)
    path = tmp_path / "lock"
    path.touch()
    lock = FileLock(path)
    with open(path, "rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        opened = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
        assert not lock.acquire()
        assert opened == (os.listdir("/proc/self/fd") if opened else [])
        monkeypatch.setattr(locks, "_LOOK_SECONDS", 30.0)
        threading.Timer(0.05, fcntl.flock, (looking, fcntl.LOCK_UN)).start()
        assert lock.acquire()
    lock.release()


def test_a_lock_is_waited_for_as_long_as_the_caller_says(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first, second = FileLock(path), FileLock(path)
    assert first.acquire()
    began = time.monotonic()
    assert not second.acquire(0.1)
    assert time.monotonic() - began >= 0.1
    threading.Timer(0.1, first.release).start()
    assert second.acquire(30.0)
    second.release()


@posix
def test_the_files_of_a_lock_are_for_all_who_may_write_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import fcntl

    path = tmp_path / "lock"
    lock = FileLock(path)
    before = os.umask(0)
    try:
        assert lock.acquire()
        assert path.stat().st_mode & 0o777 == 0o666
        lock.release()

        def refuse(descriptor: int, operation: int) -> None:
            raise OSError(errno.ENOLCK, "no locks")

        monkeypatch.setattr(fcntl, "flock", refuse)
        assert lock.acquire()
        assert locate_held(path).stat().st_mode & 0o777 == 0o666
        assert json.loads(locate_held(path).read_bytes()) == asdict(identify_self())
    finally:
        os.umask(before)
        lock.release()
    assert not locate_held(path).exists()


@posix
def test_other_errors_than_that_there_are_no_locks_are_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import fcntl

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.EIO, "broken")

    path = tmp_path / "lock"
    path.touch()
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", refuse)
        takes: list[Callable[[], object]] = [FileLock(path).acquire, lambda: is_free(path)]
        for take in takes:
            with pytest.raises(OSError, match="broken"):
                take()
    with pytest.raises(OSError, match="No such file"):
        FileLock(tmp_path / "none" / "lock").acquire()


@posix
def test_what_is_said_of_who_has_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = FileLock(path)
    assert lock.describe_holder() == ""
    sign(path, OTHER)
    assert lock.describe_holder() == " (process 5 on node7)"
    held = locate_held(path)
    sign(held, OTHER)
    advice = f"there are no file locks here, so delete {held} if that process is gone"
    assert lock.describe_holder() == f" (process 5 on node7; {advice})"
    path.unlink()
    held.write_text("")
    assert lock.describe_holder() == f" ({advice})"
    own = identify_self()
    sign(held, own)
    assert lock.describe_holder() == f" (process {own.process} on {own.host})"


@posix
def test_only_who_holds_a_lock_removes_its_file(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder, other = FileLock(path), FileLock(path)
    assert holder.acquire()
    other.release(remove=True)
    assert path.exists()
    holder.release(remove=True)
    assert not path.exists()
    path.write_text("x" * 1000)
    assert holder.acquire()
    assert json.loads(path.read_bytes()) == asdict(identify_self())
    holder.release()
    holder.release()
    assert path.read_bytes() == b""


@posix
def test_a_lock_that_cannot_be_signed_is_not_taken_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import fcntl

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    path = tmp_path / "lock"
    parse = locks._parse_holder

    def fail(text: bytes) -> Holder | None:
        if locate_held(path).exists():
            raise OSError(errno.EIO, "broken")
        return parse(text)

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", refuse)
        patch.setattr(locks, "_parse_holder", fail)
        with pytest.raises(OSError, match="broken"):
            FileLock(path).acquire()
    assert not locate_held(path).exists()
    assert FileLock(path).acquire()
