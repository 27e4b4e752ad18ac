"""Systems that refuse to open what is there."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")


def without_privileges(function: Callable[[], Result]) -> Result:
    """What a function returns for a user whom the modes of files bind, as they do not bind root."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            if os.geteuid() == 0:
                # Version 3 of the header, this thread, and no capability in any of the sets.
                header = (ctypes.c_uint32 * 2)(0x20080522, 0)
                assert ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)()) == 0
            results.append(function())
        except BaseException as error:
            errors.append(error)

    # Capabilities are a thread's own, and end with it.
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


@contextmanager
def unreadable(path: Path) -> Iterator[None]:
    """A file or folder that only root may read."""
    path.chmod(0)
    try:
        yield
    finally:
        path.chmod(0o700)


@contextmanager
def without_descriptors(free: int) -> Iterator[None]:
    """A process that can open only so many files more."""
    import resource

    opened: list[int] = []
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = os.open(os.devnull, os.O_RDONLY)
    os.close(highest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 64, before[1]))
    try:
        while True:
            try:
                opened.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                break
        for _ in range(free):
            os.close(opened.pop())
        yield
    finally:
        for each in opened:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
