"""Stop a process before any call of it that changes the file system.

The kernel is asked to report each such call of a child, its threads and its processes, whoever
makes it: Python, HDF5 or Arrow (a seccomp filter with user notification). The call waits until it
is answered, so that a child can be killed between any two changes.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import select
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.campaigns.helpers.forked import Child, Ending, Tell

# Names are numbered as on x86-64, and on the systems that came later.
_WRITES = {
    "x86_64": {"write": 1, "pwrite64": 18, "writev": 20, "ftruncate": 77, "sendfile": 40}
    | {"pwritev": 296, "pwritev2": 328, "fallocate": 285, "copy_file_range": 326},
    "aarch64": {"write": 64, "pwrite64": 68, "writev": 66, "ftruncate": 46, "sendfile": 71}
    | {"pwritev": 70, "pwritev2": 287, "fallocate": 47, "copy_file_range": 285},
}
_NAMES = {
    "x86_64": {"rename": 82, "renameat": 264, "renameat2": 316, "link": 86, "linkat": 265}
    | {"symlink": 88, "symlinkat": 266, "unlink": 87, "unlinkat": 263, "mkdir": 83}
    | {"mkdirat": 258, "rmdir": 84, "truncate": 76},
    "aarch64": {"renameat": 38, "renameat2": 276, "linkat": 37, "symlinkat": 36}
    | {"unlinkat": 35, "mkdirat": 34, "truncate": 45},
}
_OPENS = {"x86_64": {"openat": 257}, "aarch64": {"openat": 56}}
_SECCOMP = {"x86_64": 317, "aarch64": 277}

_NEW_LISTENER = 8
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_CONTINUE = 1
_DATA = struct.Struct("QIIiIQ6Q")
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000


@dataclass(frozen=True)
class Call:
    """One call that changes the file system."""

    name: str
    """The system call."""
    path: str
    """The file that it concerns, as far as it is known."""

    def __str__(self) -> str:
        return f"{self.name} {self.path}"


def are_calls_known() -> bool:
    """Whether this system can say which calls a process makes."""
    machine = platform.machine()
    return platform.system() == "Linux" and machine in _SECCOMP


def run_until(
    work: Callable[[Tell], object],
    stop: Callable[[int, Call], bool],
    below: Path,
    seconds: float = 120.0,
) -> tuple[Ending, list[Call]]:
    """Work in a child, and kill it before a call that changes the file system.

    Args:
        work: What it does.
        stop: Is asked before each call, with its number from 0 on, whether to kill the child;
            workers that it started are not killed, and go on until they end by themselves.
        below: Only calls count that concern a file below this folder.
        seconds: After how long all of it is killed.

    Returns:
        How the child ended, and the calls that it has made or was about to make.
    """
    import fcntl  # other systems than Linux may lack it, and import this module

    ours, theirs = socket.socketpair()

    def watched(tell: Tell) -> None:
        descriptor = _install_filter()
        socket.send_fds(theirs, [b"-"], [descriptor])
        os.close(descriptor)
        theirs.close()
        ours.close()
        work(tell)

    with ours:
        child = Child(watched)
        theirs.close()
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    if not descriptors:
        raise RuntimeError(f"the filter cannot be installed:\n{child.wait().errors}")
    (listener,) = descriptors
    calls: list[Call] = []
    is_killed = False
    deadline = time.monotonic() + seconds
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    try:
        while time.monotonic() < deadline:
            events = poll.poll(50)
            child.told()  # or its pipe is full some time
            if any(event & (select.POLLHUP | select.POLLERR) for _, event in events):
                break
            if not events:
                continue
            request = bytearray(_DATA.size)
            try:
                fcntl.ioctl(listener, _RECEIVE, request)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.EINTR):
                    continue
                raise
            number, task, _, call_number, _, _, *arguments = _DATA.unpack(request)
            call = _describe(task, call_number, arguments, below)
            if call is not None and not is_killed:
                if stop(len(calls), call):
                    child.kill()
                    is_killed = True
                calls.append(call)
            if is_killed and os.path.exists(f"/proc/{child.pid}/task/{task}"):
                continue  # with an answer, the call might be made before the signal ends it
            with suppress(FileNotFoundError):  # it was killed meanwhile
                fcntl.ioctl(listener, _SEND, struct.pack("QqiI", number, 0, 0, _CONTINUE))
    finally:
        os.close(listener)
    return child.wait(max(1.0, deadline - time.monotonic())), calls


def _describe(task: int, number: int, arguments: list[int], below: Path) -> Call | None:
    """The call, or None if it changes nothing below the folder."""
    machine = platform.machine()
    for name, its_number in _WRITES[machine].items():
        if number == its_number:
            path = _target(task, arguments[2] if name == "copy_file_range" else arguments[0])
            return Call(name, _shown(path, below)) if _is_below(path, below) else None
    if number in _OPENS[machine].values():
        path = _text(task, arguments[1])
        is_change = arguments[2] & (os.O_CREAT | os.O_TRUNC)
        is_new = not os.path.exists(path) or arguments[2] & os.O_TRUNC
        changes = is_change and is_new and _is_below(path, below)
        return Call("open", _shown(path, below)) if changes else None
    for name, its_number in _NAMES[machine].items():
        if number == its_number:
            # A folder's descriptor stands before the name in the calls whose name ends with at.
            index = 1 if name.endswith(("at", "at2")) else 0
            path = _text(task, arguments[index])
            if index and not path.startswith("/"):
                path = f"{_target(task, arguments[0] & 0xFFFFFFFF)}/{path}"
            return Call(name, _shown(path, below)) if _is_below(path, below) else None
    return None


def _is_below(path: str, below: Path) -> bool:
    return path.startswith(f"{below}/") or path == str(below)


def _shown(path: str, below: Path) -> str:
    return os.path.relpath(path, below)


def _target(task: int, descriptor: int) -> str:
    try:
        return os.readlink(f"/proc/{task}/fd/{descriptor}")
    except OSError:
        return ""


def _text(task: int, address: int) -> str:
    """The text at an address of a task."""
    try:
        with open(f"/proc/{task}/mem", "rb", buffering=0) as memory:
            memory.seek(address)
            # A read that begins in a page that is there may not go on into one that is not.
            read = memory.read(4096 - address % 4096)
            if b"\0" not in read:
                read += memory.read(4096)
    except (OSError, ValueError, OverflowError):
        return ""
    return os.fsdecode(read.split(b"\0", 1)[0])


def _install_filter() -> int:
    """Make the kernel report this process's calls; the descriptor on which it does so."""
    library = ctypes.CDLL(None, use_errno=True)
    machine = platform.machine()
    numbers = [number for table in (_WRITES, _OPENS, _NAMES) for number in table[machine].values()]

    def instruction(code: int, if_true: int, if_false: int, value: int) -> bytes:
        return struct.pack("HBBI", code, if_true, if_false, value)

    program = instruction(0x20, 0, 0, 0)  # load the call's number
    for index, number in enumerate(numbers):
        program += instruction(0x15, len(numbers) - index, 0, number)  # if it is this, notify
    program += instruction(0x06, 0, 0, _ALLOW) + instruction(0x06, 0, 0, _NOTIFY)
    text = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(text))
    no_new_privileges = 38
    if library.prctl(no_new_privileges, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "the process may not give up privileges")
    descriptor = library.syscall(_SECCOMP[machine], 1, _NEW_LISTENER, ctypes.c_char_p(header))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "the system does not report calls")
    return int(descriptor)
