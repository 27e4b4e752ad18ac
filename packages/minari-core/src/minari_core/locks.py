"""Locks of files: the system's, and where a file system has none, files that are created.

Whoever holds a lock is written into the lock file. Where the system locks no files (some network
file systems, some containers), a second file beside it, ``….held``, is created by one process
alone. Both are looked at by everybody, so that two machines of which one has locks exclude each
other too. What a process of this machine left when it was killed is taken over; of another machine
nobody can tell here whether a process is alive, so that such a file stays until it is removed, or
somebody who has judged by other signs that the process is gone takes over from it.
"""

from __future__ import annotations

import atexit
import errno
import json
import os
import platform
import sys
import time
import uuid
import weakref
from collections.abc import Collection
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

with suppress(ModuleNotFoundError):  # Windows has none
    # Here, for a process imports nothing any more when it collects what lived to its end.
    import fcntl

if TYPE_CHECKING:
    from filelock import BaseFileLock

HELD_SUFFIX = ".held"
"""What the name of the file has more that stands for a lock where the system has none."""

_POLL_SECONDS = 0.02
# For how long those who look at a lock may keep it from who takes it, and what it waits at a time.
_LOOK_SECONDS = 1.0
_LONGEST_PAUSE = 0.001
_LOOK = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
# Some file systems call a lock an invalid argument.
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL})
_HELD_BY_ANOTHER = frozenset({errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK})
# Between creating a file and writing who did, a process takes no time.
_UNSIGNED_SECONDS = 60.0
_LARGEST_NBYTES = 4096


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a lock, or held it when it was killed."""

    host: str
    """The name of its machine."""
    machine: str
    """Tells in which machine, since which start of it, the number of a process means anything."""
    process: int
    """Its number."""
    started: str
    """When it started, for numbers are used again; empty where the system does not say."""

    def is_from_here(self) -> bool:
        """Return whether its machine is this one, so that `is_gone` can tell."""
        return self.machine == _identify_machine()

    def is_from_before(self) -> bool:
        """Return whether its machine is this one, which has been started again since."""
        if self.host != platform.node() or self.host in ("", "localhost"):
            return False
        (then, *namespaces), (now, *_) = self.machine.split(), _identify_machine().split()
        return bool(namespaces) and then != now

    def is_gone(self) -> bool:
        """Return whether it has surely ended."""
        if self.is_from_before():
            return True
        if not self.is_from_here() or os.name != "posix":
            return False
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            return False
        state, started = _read_process(self.process)
        return state in ("Z", "X") or bool(self.started and started and started != self.started)

    def is_unclear(self) -> bool:
        """Return whether nobody can tell here if it has ended."""
        return not (self.is_from_here() or self.is_gone())


def read_holders(path: Path) -> list[tuple[Holder, float]]:
    """Read who holds a lock, and since when; nobody if nobody does, or nobody has said so.

    Args:
        path: The lock file.
    """
    holders: list[tuple[Holder, float]] = []
    for each in (path, locate_held(path)):
        holder = _parse_holder(_read(each))
        with suppress(FileNotFoundError):
            if holder is not None:
                holders.append((holder, each.stat().st_mtime))
    return holders


def identify_self() -> Holder:
    """Describe this process as the holder of locks."""
    own = os.getpid()
    return Holder(platform.node(), _identify_machine(), own, _read_process(own)[1])


def read_holder(path: Path) -> Holder | None:
    """Read who holds a lock; None if nobody does, or nobody has said so.

    Args:
        path: The lock file.
    """
    return next((holder for holder, _ in read_holders(path)), None)


def is_free(path: Path, abandoned_by: Collection[Holder] = ()) -> bool:
    """Return whether nobody holds a lock; nothing is made, changed or removed for that.

    Args:
        path: The lock file, which need not exist.
        abandoned_by: Processes that are taken to be gone, though nobody can tell here.

    Raises:
        OSError: The file system refused.
    """
    held = locate_held(path)
    if os.path.lexists(held) and not _may_go(held, abandoned_by):
        return False
    try:
        descriptor = os.open(path, _LOOK)
    except FileNotFoundError:
        return True
    try:
        if _is_unlocked(descriptor):
            return True
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    else:
        return False
    finally:
        os.close(descriptor)
    holder = _parse_holder(_read(path))
    return holder is None or holder in abandoned_by or holder.is_gone()


def is_left(held: Path) -> bool:
    """Return whether a file that stands for a lock was surely left by a process that is gone.

    Args:
        held: The file.
    """
    try:
        holder = _parse_holder(_read(held))
        if holder is not None:
            return holder.is_gone()
        return time.time() - held.stat().st_mtime > _UNSIGNED_SECONDS
    except FileNotFoundError:
        return False


def locate_held(path: Path) -> Path:
    """Return the file that stands for a lock where the system has none.

    Args:
        path: The lock file.
    """
    return path.with_name(f"{path.name}{HELD_SUFFIX}")


class FileLock:
    """A lock that one process at a time holds, by means of a file; one object has it once."""

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is made.

        Args:
            path: The lock file, in a folder that exists.
        """
        self.path = path
        self._descriptor = -1
        self._own_held = False
        self._earlier = b""
        self._library_lock: BaseFileLock | None = None  # on Windows

    def acquire(
        self, timeout: float = 0.0, *, abandoned_by: Collection[Holder] | None = None
    ) -> bool:
        """Take the lock; return False where another holds it all the time.

        Args:
            timeout: For how many seconds to try.
            abandoned_by: Processes that are taken to be gone, though nobody can tell here: a file
                that stands for the lock of one is removed. Whose name is in the lock file is then
                in it again after the lock is released, unless this is None.

        Raises:
            OSError: The file system refused.
        """
        end = time.monotonic() + timeout
        while not self._try(abandoned_by or ()):
            if time.monotonic() >= end:
                return False
            time.sleep(_POLL_SECONDS)
        if abandoned_by is None:
            self._earlier = b""
        _held.add(self)
        return True

    def release(self, *, remove: bool = False) -> None:
        """Give the lock up, if this process holds it.

        Args:
            remove: Remove the file, too.
        """
        _held.discard(self)
        if self._library_lock is not None:
            self._library_lock.release()
            self._library_lock = None
            if remove:
                with suppress(OSError):
                    self.path.unlink()
            return
        if remove and self._holds():
            with suppress(OSError):
                self.path.unlink()
        self._withdraw()

    def forget(self) -> None:
        """Leave the lock to the process that took it; this one is a fork of it."""
        if self._descriptor >= 0:
            # Closing it here unlocks nothing: the other process has it open.
            os.close(self._descriptor)
        self._descriptor, self._own_held, self._library_lock = -1, False, None

    def describe_holder(self) -> str:
        """Return who holds the lock, to be put behind "another process"; "" if nobody has said.

        Where nobody can tell whether that process is alive, what to do is said.
        """
        held = locate_held(self.path)
        holder = read_holder(self.path)
        whose = [f"process {holder.process} on {holder.host}"] if holder else []
        is_unclear = holder is None or not holder.is_from_here() or holder.is_gone()
        if held.exists() and is_unclear:
            whose.append(f"there are no file locks here, so delete {held} if that process is gone")
        return f" ({'; '.join(whose)})" if whose else ""

    def __del__(self) -> None:
        if self._holds():
            with suppress(OSError):
                self.release()

    def _holds(self) -> bool:
        return self._descriptor >= 0 or self._own_held

    def _try(self, gone: Collection[Holder]) -> bool:
        if os.name != "posix":
            return self._try_library()
        try:
            descriptor = _lock(self.path)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            return self._try_without_locks(gone)
        if descriptor < 0:
            return False
        held = locate_held(self.path)
        if _is_held(held, gone):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        self._earlier = _read(self.path)
        # Where it cannot be written, as on a full disk, the lock of the system does without.
        with suppress(OSError):
            _sign(self.path)
        # Whoever had the file beside it may have removed this one before.
        if _is_held(held, gone) or not _is_open(descriptor, self.path):
            self._withdraw()
            return False
        return True

    def _try_library(self) -> bool:
        from filelock import FileLock as LibraryLock  # only who writes needs it
        from filelock import Timeout

        lock = LibraryLock(self.path, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            return False
        self._library_lock = lock
        return True

    def _try_without_locks(self, gone: Collection[Holder]) -> bool:
        # Each kind of holder first says that it is there, and then looks for the other.
        held = locate_held(self.path)
        if _is_held(held, gone):
            return False
        try:
            descriptor = os.open(held, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        self._own_held = True
        try:
            with open(descriptor, "wb", buffering=0) as file:
                file.write(_read_own_signature())
                is_there = _is_open(file.fileno(), held)
            other = _parse_holder(_read(self.path))
        except BaseException:
            self._withdraw()
            raise
        if not is_there or not (other is None or other in gone or other.is_gone()):
            self._withdraw()
            return False
        return True

    def _withdraw(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            with suppress(OSError):
                if os.fstat(descriptor).st_nlink == 1:
                    os.ftruncate(descriptor, 0)
                    os.pwrite(descriptor, self._earlier, 0)
            with suppress(OSError):
                # Closing alone would leave it to processes that were forked meanwhile.
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)
        if self._own_held:
            self._own_held = False
            held = locate_held(self.path)
            with suppress(OSError):
                if _read(held) in (b"", _read_own_signature()):
                    held.unlink()


_held: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _forget_all() -> None:
    """Forget what a forked process inherits: should its parent be killed, the locks are free."""
    for lock in list(_held):
        lock.forget()
    _held.clear()
    _read_own_signature.cache_clear()


def _release_all() -> None:
    """Release what lives to the end of the process, and is collected late or never."""
    for lock in list(_held):
        with suppress(OSError):
            lock.release()


atexit.register(_release_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def _lock(path: Path) -> int:
    """Open and lock a file; return its descriptor, or -1 where another has it.

    Raises:
        OSError: The file system refused, or has no locks.
    """
    import random

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    end = time.monotonic() + _LOOK_SECONDS
    try:
        while not _flock(descriptor, fcntl.LOCK_EX):
            # Whoever only looks has it for an instant, and shares it; whoever holds it does not.
            if not _flock(descriptor, fcntl.LOCK_SH) or time.monotonic() > end:
                os.close(descriptor)
                return -1
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            time.sleep(random.uniform(0, _LONGEST_PAUSE))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _flock(descriptor: int, kind: int) -> bool:
    """Lock an open file by the system's means at once; return False where another has it."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD_BY_ANOTHER:
            return False
        raise
    return True


def _is_open(descriptor: int, path: Path) -> bool:
    """Return whether the file that is open is still the one of this name."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _sign(path: Path) -> None:
    # Opened and closed for that alone, for some network file systems send it at a close.
    with open(path, "r+b", buffering=0) as file:
        found = os.fstat(file.fileno())
        if found.st_nlink == 1:
            if found.st_size:
                # Not an empty one: ext4 sends what was truncated to the disk when it is closed, and
                # whoever removes the file waits for that.
                file.truncate()
            file.write(_read_own_signature())


def _is_unlocked(descriptor: int) -> bool:
    """Return whether nobody has locked an open file by the system's means."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        return True
    # It goes with the descriptor; others may look at the same time.
    return _flock(descriptor, fcntl.LOCK_SH)


def _is_held(held: Path, gone: Collection[Holder]) -> bool:
    """Return whether a file says that a lock is held; one of a process that is gone is removed."""
    return os.path.lexists(held) and not (_may_go(held, gone) and _remove_left(held, gone))


def _may_go(held: Path, gone: Collection[Holder]) -> bool:
    return _parse_holder(_read(held)) in gone or is_left(held)


def _remove_left(held: Path, gone: Collection[Holder]) -> bool:
    """Remove what a process left that is gone; return whether it is removed."""
    # Of several processes that saw it, all of them on this machine, one at a time looks again:
    # another may have created its own since. A name without a file is the only lock that needs
    # no file system, and only Linux has those; on others it is removed on request.
    import hashlib
    import socket

    with suppress(OSError), ExitStack() as stack:
        if sys.platform.startswith("linux"):
            key = hashlib.sha256(os.fsencode(held.resolve())).hexdigest()[:32]
            one = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            one.bind(f"\0minari-{key}")
        elif _parse_holder(_read(held)) not in gone:
            return False
        if _may_go(held, gone):
            held.unlink()
        return not held.exists()
    return False


def _read(path: Path) -> bytes:
    """Read a small file; nothing where there is none, or it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(_LARGEST_NBYTES)
    except OSError:
        return b""


def _parse_holder(text: bytes) -> Holder | None:
    try:
        content = json.loads(text)
        return Holder(
            str(content["host"]),
            str(content["machine"]),
            int(content["process"]),
            str(content["started"]),
        )
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


@cache
def _read_own_signature() -> bytes:
    return json.dumps(asdict(identify_self())).encode("ascii")


@cache
def _identify_machine() -> str:
    try:
        # In another container a number is another process, or `_remove_left` another lock.
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return " ".join(
            [boot, *(os.readlink(f"/proc/self/ns/{space}") for space in ("pid", "net"))]
        )
    except OSError:
        return f"{platform.node()} {uuid.getnode():x}"


def _read_process(process: int) -> tuple[str, str]:
    """Return the state of a process and when it started; "" where the system does not say."""
    try:
        text = Path(f"/proc/{process}/stat").read_text("utf-8", "replace")
        # Its name may have any characters, and parentheses around it.
        fields = text.rpartition(")")[2].split()
        return fields[0], fields[19]
    except (OSError, IndexError):
        return "", ""
