"""Locks: one process at a time, with the system's locks, without them, and where only some have."""

from __future__ import annotations

import errno
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from minari_core import locks
from minari_core.errors import DatasetBusyError
from minari_core.files import LOCK_NAME, lock_dataset
from minari_core.local.staging import look_abandoned
from minari_core.locks import (
    FileLock,
    identify_self,
    is_free,
    locate_held,
    read_holder,
    read_holders,
)

posix = pytest.mark.skipif(os.name != "posix", reason="Windows locks every file")
linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux takes over what was killed"
)
WITHOUT = [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL]
_PROGRAM = """
import sys
from functools import partial
from pathlib import Path
number = int(sys.argv[2])
if number:
    import fcntl
    def refuse(descriptor, operation):
        raise OSError(number, "no locks here")
    fcntl.flock = refuse
# Alone, for the package takes long to import.
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("locks", sys.argv[4])
locks = sys.modules["locks"] = module_from_spec(spec)
spec.loader.exec_module(locks)
lock = locks.FileLock(Path(sys.argv[1]))
print(lock.acquire(float(sys.argv[3])), flush=True)
sys.stdin.readline()
lock.release()
"""

_KEPT_TO_THE_END = """
class Keeper:
    pass
cycle = Keeper()
cycle.own = cycle
{}.lock = lock
assert lock.acquire()
del lock, cycle
"""


@pytest.fixture(
    params=[0, *sorted(set(WITHOUT))], ids=lambda number: errno.errorcode.get(number, "locks")
)
def number(request: pytest.FixtureRequest) -> int:
    """What the system answers to whoever asks for a lock; 0 for locks."""
    if request.param and not sys.platform.startswith("linux"):
        pytest.skip("takes over what was killed on Linux alone")
    return int(request.param)


class Other:
    """Another process, which tries to take a lock and holds it."""

    def __init__(self, path: Path, number: int = 0, timeout: float = 0.0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(path), str(number), str(timeout), locks.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.has_lock = self.process.stdout.readline() == "True\n"

    def end(self) -> None:
        self.process.communicate("\n", timeout=60)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=60)


@contextmanager
def refused(number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A system that has no locks."""
    if not number:
        yield
        return
    import fcntl

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", refuse)
        yield


def list_descriptors() -> list[str]:
    """What this process has open, where the system says it."""
    return os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []


def test_one_at_a_time_has_a_lock(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / LOCK_NAME
    with refused(number, monkeypatch):
        one, other = FileLock(path), FileLock(path)
        assert one.acquire()
        assert not other.acquire()
        assert not Other(path, number).has_lock
        one.release()
        assert other.acquire()
        other.release()
        child = Other(path, number)
        assert child.has_lock
        opened = list_descriptors()
        assert not one.acquire(0.1)
        assert list_descriptors() == opened
        child.end()
        assert one.acquire()
        one.release()
    assert {each.name for each in tmp_path.iterdir()} <= {LOCK_NAME}


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="stops a process")
def test_the_lock_of_a_process_that_was_killed_is_free_and_of_one_that_sleeps_is_not(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / LOCK_NAME
    child = Other(path, number)
    assert child.has_lock
    os.kill(child.process.pid, signal.SIGSTOP)
    for name in tmp_path.iterdir():
        os.utime(name, (1.0, 1.0))
    with refused(number, monkeypatch):
        lock = FileLock(path)
        assert not lock.acquire()
        child.kill()
        assert lock.acquire()
        lock.release()
    assert {each.name for each in tmp_path.iterdir()} <= {LOCK_NAME}


@linux
@pytest.mark.parametrize(("first", "second"), [(0, errno.ENOLCK), (errno.ENOLCK, 0)])
def test_who_has_file_locks_and_who_has_none_exclude_each_other(
    first: int, second: int, tmp_path: Path
) -> None:
    path = tmp_path / LOCK_NAME
    one = Other(path, first)
    two = Other(path, second)
    assert (one.has_lock, two.has_lock) == (True, False)
    two.end()
    one.kill()
    three = Other(path, second)
    assert three.has_lock
    three.end()


@posix
def test_those_who_only_look_keep_a_lock_from_nobody(tmp_path: Path) -> None:
    path = tmp_path / LOCK_NAME
    is_over = threading.Event()

    def look() -> None:
        while not is_over.is_set():
            is_free(path)

    with ThreadPoolExecutor(2) as pool:
        lookers = [pool.submit(look) for _ in range(2)]
        lock = FileLock(path)
        taken = []
        for _ in range(300):
            taken.append(lock.acquire())
            lock.release()
            time.sleep(1e-4)
        is_over.set()
    assert all(taken)
    assert [each.result() for each in lookers] == [None, None]


@posix
def test_the_lock_of_another_machine_is_never_taken_and_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = tmp_path / f"{LOCK_NAME}.held"
    holder = {"host": "node7", "machine": "another", "process": os.getpid(), "started": "1"}
    held.write_text(json.dumps(holder))
    os.utime(held, (1.0, 1.0))
    monkeypatch.setattr("minari_core.files._TIMEOUT_SECONDS", 0.0)
    for number in (0, errno.ENOLCK):
        with (
            refused(number, monkeypatch),
            pytest.raises(DatasetBusyError, match=rf"on node7; .*delete .*{held.name} if"),
            lock_dataset(tmp_path),
        ):
            pass
    held.unlink()
    with lock_dataset(tmp_path):
        found = read_holder(tmp_path / LOCK_NAME)
    assert found
    assert found.process == os.getpid()
    assert found.is_from_here()
    assert not found.is_gone()
    assert read_holder(tmp_path / LOCK_NAME) is None


def state_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    """The names, contents and times of the files in a folder."""
    return {each.name: (each.read_bytes(), each.stat().st_mtime_ns) for each in folder.iterdir()}


def holders_of(path: Path) -> list[locks.Holder]:
    return [holder for holder, _ in read_holders(path)]


OF_ANOTHER = {"host": "node7", "machine": "another", "process": 1, "started": "1"}


@posix
def test_looking_whether_a_lock_is_free_changes_nothing(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / LOCK_NAME
    with refused(number, monkeypatch):
        assert is_free(path)
        assert list(tmp_path.iterdir()) == []
        child = Other(path, number)
        before = state_of(tmp_path)
        assert not is_free(path)
        child.kill()
        assert is_free(path)
        assert state_of(tmp_path) == before
        path.write_text(json.dumps(OF_ANOTHER))
        locate_held(path).unlink(missing_ok=True)
        before = state_of(tmp_path)
        # The locks of the system do not tell of another machine that has none.
        assert is_free(path) is not bool(number)
        assert is_free(path, holders_of(path))
        path.rename(locate_held(path))
        assert not is_free(path)
        assert is_free(path, holders_of(path))
        assert list(state_of(tmp_path).values()) == list(before.values())


@posix
def test_whoever_fails_to_take_a_lock_leaves_in_it_who_has_it(tmp_path: Path) -> None:
    path = tmp_path / LOCK_NAME
    for each in (path, locate_held(path)):
        each.write_text(json.dumps(OF_ANOTHER))
    before = state_of(tmp_path)
    assert not FileLock(path).acquire(0.1)
    assert state_of(tmp_path) == before


@posix
def test_a_lock_is_taken_over_from_whom_the_caller_names_and_nobody_else(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / LOCK_NAME
    lock = FileLock(path)
    for each in (path, locate_held(path)):
        each.write_text(json.dumps(OF_ANOTHER))
    abandoned_by = holders_of(path)
    locate_held(path).write_text(json.dumps({**OF_ANOTHER, "process": 2}))
    with refused(number, monkeypatch):
        assert not lock.acquire(abandoned_by=abandoned_by)
        assert [holder.process for holder in holders_of(path)] == [1, 2]
        locate_held(path).write_text(json.dumps(OF_ANOTHER))
        assert lock.acquire(abandoned_by=abandoned_by)
        assert os.getpid() in {holder.process for holder in holders_of(path)}
        assert not Other(path, number).has_lock
        lock.release()
    assert not locate_held(path).exists()
    assert json.loads(path.read_bytes()) == OF_ANOTHER


@linux
@pytest.mark.parametrize("age", [0.0, 3600.0])
def test_a_file_that_nobody_has_signed_counts_while_it_is_new(
    age: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = tmp_path / f"{LOCK_NAME}.held"
    held.touch()
    then = time.time() - age
    os.utime(held, (then, then))
    with (
        refused(errno.ENOLCK, monkeypatch)
        if os.path.isdir("/proc/self/fd")
        else refused(0, monkeypatch)
    ):
        lock = FileLock(tmp_path / LOCK_NAME)
        assert lock.acquire() is bool(age)
        lock.release()


@linux
def test_the_number_of_a_process_that_is_used_again_is_another_process(tmp_path: Path) -> None:
    path = tmp_path / LOCK_NAME
    lock = FileLock(path)
    assert lock.acquire()
    holder = json.loads(path.read_bytes())
    lock.release()
    held = tmp_path / f"{LOCK_NAME}.held"
    held.write_text(json.dumps({**holder, "started": "1"}))
    assert lock.acquire()
    assert not held.exists()
    lock.release()


@posix
def test_a_fork_neither_drops_its_parents_lock_nor_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / LOCK_NAME
    lock = FileLock(path)
    assert lock.acquire()

    def drop() -> None:
        lock.release()
        FileLock.__del__(lock)

    def wait() -> None:
        time.sleep(60)

    os.waitpid(_fork(drop), 0)
    assert not Other(path).has_lock
    sleeping = _fork(wait)
    try:
        lock.release()
        other = Other(path, timeout=10.0)
        assert other.has_lock
        other.end()
    finally:
        os.kill(sleeping, signal.SIGTERM)
        os.waitpid(sleeping, 0)


@posix
def test_a_lock_of_a_killed_process_is_free_though_its_fork_lives(tmp_path: Path) -> None:
    path = tmp_path / LOCK_NAME
    readable, writable = os.pipe()

    def hold_and_fork() -> None:
        lock = FileLock(path)
        assert lock.acquire()
        grandchild = _fork(lambda: time.sleep(60))
        os.write(writable, f"{grandchild}\n".encode())
        time.sleep(60)

    child = _fork(hold_and_fork)
    grandchild = int(os.read(readable, 100))
    try:
        assert not FileLock(path).acquire()
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        # The fork forgets the lock as soon as it runs.
        lock = FileLock(path)
        assert lock.acquire(10.0)
        lock.release()
    finally:
        os.kill(grandchild, signal.SIGTERM)
        os.close(readable)
        os.close(writable)


def _fork(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return child


def test_a_lock_that_is_collected_is_free(tmp_path: Path) -> None:
    def take() -> None:
        assert FileLock(tmp_path / LOCK_NAME).acquire()

    take()
    gc.collect()
    lock = FileLock(tmp_path / LOCK_NAME)
    assert lock.acquire()
    lock.release(remove=True)
    assert list(tmp_path.iterdir()) == []


@posix
@pytest.mark.parametrize("owner", ["cycle", "Keeper"])
def test_a_lock_that_lives_until_its_process_ends_is_free_and_nothing_is_said(
    owner: str, tmp_path: Path, number: int
) -> None:
    path = tmp_path / LOCK_NAME
    program = _PROGRAM + _KEPT_TO_THE_END.format(owner)
    done = subprocess.run(
        [sys.executable, "-c", program, str(path), str(number), "0", locks.__file__],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not path.with_name(f"{LOCK_NAME}{locks.HELD_SUFFIX}").exists()
    assert not path.read_bytes()


@posix
def test_a_lock_file_that_is_a_link_is_refused_and_what_it_leads_to_is_kept(
    tmp_path: Path,
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / LOCK_NAME).symlink_to(precious)
    with pytest.raises(OSError, match="links"):
        FileLock(tmp_path / LOCK_NAME).acquire()
    (tmp_path / LOCK_NAME).unlink()
    os.link(precious, tmp_path / LOCK_NAME)
    lock = FileLock(tmp_path / LOCK_NAME)
    assert lock.acquire()
    lock.release()
    assert precious.read_text() == "kept"


def test_what_is_taken_up_while_it_is_looked_at_is_not_left(tmp_path: Path) -> None:
    path = tmp_path / LOCK_NAME
    look = partial(look_abandoned, tmp_path, [path], 0.0)
    with look():
        pass
    other = FileLock(path)
    with pytest.raises(DatasetBusyError, match="in use by another process"), look():
        assert other.acquire()
    other.release()


@linux
def test_a_holder_says_when_its_process_started() -> None:
    own = identify_self()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as later:
        other = Path(f"/proc/{later.pid}/stat").read_text().rpartition(")")[2].split()[19]
        later.communicate(b"\n")
    # In ticks since the start of the system.
    assert 0 < int(own.started) < int(other)
