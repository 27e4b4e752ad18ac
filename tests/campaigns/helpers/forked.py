"""Work in forked processes with bounds on memory and time, and how they ended."""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from select import select
from typing import Any

Tell = Callable[[Any], None]
"""Sends a JSON value to the process that waits."""

MOST_NBYTES = 6 << 30
"""The address space of a child; a child that needs as much is stopped by its system."""


@dataclass
class Ending:
    """How a child ended."""

    code: int
    """Its exit code; negative, the signal that ended it."""
    seconds: float
    """Seconds of its processor."""
    nbytes: int
    """How much its resident memory grew at most."""
    is_late: bool
    """Whether it was killed because it took too long."""
    told: list[Any] = field(default_factory=list)
    """What it has told."""
    errors: str = ""
    """What it wrote to stderr: a traceback, or where each thread was when it crashed."""

    @property
    def fate(self) -> str:
        """In words, if it did not end by itself."""
        if self.is_late:
            return "hangs"
        if self.code == -signal.SIGXCPU:
            return "takes too long"
        if self.code < 0:
            return f"crashes with {signal.Signals(-self.code).name}"
        return "" if self.code == 0 else f"ends with code {self.code}"


class Child:
    """A forked process that works; a group of its own, so that what it starts ends with it."""

    def __init__(
        self,
        work: Callable[[Tell], object],
        *,
        cpu_seconds: int = 120,
        most_nbytes: int | None = None,
    ) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._nbytes = _resident_nbytes()
        self._readable, writable = os.pipe()
        self._text = b""
        sys.stdout.flush()
        with warnings.catch_warnings():
            # numpy's library has threads, and knows how to fork.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            self._live(work, writable, cpu_seconds, most_nbytes)
        os.close(writable)

    def _live(
        self,
        work: Callable[[Tell], object],
        writable: int,
        cpu_seconds: int,
        most_nbytes: int | None,
    ) -> None:
        code = 1
        try:
            os.close(self._readable)
            os.setpgid(0, 0)
            os.dup2(self._errors.fileno(), 2)
            faulthandler.enable(self._errors)
            # Cores of thousands of crashes would fill the disk.
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 5))
            if most_nbytes is not None:
                resource.setrlimit(resource.RLIMIT_AS, (most_nbytes, most_nbytes))
            warnings.simplefilter("ignore")

            def tell(value: Any) -> None:
                line = json.dumps(value).encode() + b"\n"
                while line:
                    line = line[os.write(writable, line) :]

            work(tell)
            code = 0
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)

    def told(self) -> list[Any]:
        """What it has told so far, without waiting."""
        while select([self._readable], [], [], 0)[0]:
            some = os.read(self._readable, 1 << 16)
            if not some:
                break
            self._text += some
        return [json.loads(line) for line in self._text.split(b"\n")[:-1]]

    def kill(self) -> None:
        """End it, and nothing that it has started."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self, seconds: float = 600.0) -> Ending:
        """Wait until it is gone; after so many seconds it is killed."""
        is_late = False
        deadline = time.monotonic() + seconds
        while True:
            self.told()
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline and not is_late:
                is_late = True
                self.kill()
            select([self._readable], [], [], 0.002)
            if not is_late:
                time.sleep(0.0005)
        told = self.told()
        os.close(self._readable)
        # What it has started does not outlive it.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with self._errors as file:
            file.seek(0)
            errors = file.read().decode(errors="replace")
        return Ending(
            code=os.waitstatus_to_exitcode(status),
            seconds=usage.ru_utime + usage.ru_stime,
            nbytes=max(0, usage.ru_maxrss * 1024 - self._nbytes),
            is_late=is_late,
            told=told,
            errors=errors,
        )


def run_forked(
    work: Callable[[Tell], object],
    *,
    seconds: float = 120.0,
    cpu_seconds: int = 60,
    most_nbytes: int | None = MOST_NBYTES,
) -> Ending:
    """Work in a child, and wait for it."""
    return Child(work, cpu_seconds=cpu_seconds, most_nbytes=most_nbytes).wait(seconds)


def ask(work: Callable[[], Any]) -> Any:
    """What a function returns in a child, as JSON; it must succeed."""
    # Bounded by the time that it works; a machine with much else to do is no hang.
    ending = run_forked(lambda tell: tell(work()), seconds=600.0)
    if ending.fate:
        raise RuntimeError(f"what must succeed {ending.fate}:\n{ending.errors}")
    return ending.told[-1]


def _resident_nbytes() -> int:
    # A fork begins with the memory of its parent, but without the files that this has mapped.
    _, resident, of_files = map(int, Path("/proc/self/statm").read_text().split()[:3])
    return (resident - of_files) * os.sysconf("SC_PAGE_SIZE")
