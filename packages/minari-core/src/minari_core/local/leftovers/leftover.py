"""Describe what a killed process left, and how packages say what they leave."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from minari_core.files import LOCK_FILES
from minari_core.local.staging import find_last_change
from minari_core.locks import read_holders


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that a killed process left under the root of the datasets."""

    id: str
    """The argument of `remove_leftovers`, and for a recording of `recover_recording`."""
    kind: str
    """Its kind, such as ``"recording"``, ``"run"``, ``"download"`` or ``"temporary file"``."""
    path: str
    """Its path."""
    dataset_id: str
    """The dataset that it was to become, or lies beside; "" if nothing says that."""
    nbytes: int
    """The bytes of its files, without locks."""
    changed: float
    """The time of its last change, in seconds since the epoch."""
    remedy: str
    """The way to keep its contents; "" if there is nothing of value in it."""

    @property
    def age_seconds(self) -> float:
        """Seconds since it last changed."""
        return max(0.0, time.time() - self.changed)

    @property
    def is_valuable(self) -> bool:
        """Whether it holds what no dataset has, or spares work; see `remedy`."""
        return bool(self.remedy)


@dataclass(frozen=True, slots=True)
class Worth:
    """The contents of a staged folder, and their worth."""

    dataset_id: str = ""
    """The dataset that it was to become."""
    remedy: str = ""
    """The way to keep its contents."""


@dataclass(frozen=True, slots=True)
class StagedKind:
    """A kind of folders in the staging area, whose names begin alike."""

    name: str
    """The name of the kind."""
    prefix: str
    """The prefix of their names."""
    describe: Callable[[Path], Worth]
    """Says what is in one, which no living process has."""


Found: TypeAlias = tuple[Leftover, Callable[[], None]]
"""Something that is left, and what removes it if it is still left."""


def describe(name: str, kind: str, path: Path, worth: Worth) -> Leftover:
    """Describe something that is left.

    Args:
        name: Its id.
        kind: What it is.
        path: Where it lies.
        worth: What is in it.
    """
    return Leftover(
        id=name,
        kind=kind,
        path=str(path),
        dataset_id=worth.dataset_id,
        nbytes=_measure(path),
        changed=find_last_change(path),
        remedy=worth.remedy,
    )


def describe_unclear(lock: Path) -> str:
    """Return the remedy of a lock alone of which nobody can tell here whether it is held, or "".

    Args:
        lock: The lock file.
    """
    whose = " and ".join(
        f"process {holder.process} on {holder.host}"
        for holder, _ in read_holders(lock)
        if holder.is_unclear()
    )
    return f"if {whose} is alive, it holds the lock; remove it if that has ended" if whose else ""


def _measure(path: Path) -> int:
    inside = [] if path.is_symlink() or not path.is_dir() else path.rglob("*")
    total = 0
    for each in (path, *inside):
        with suppress(OSError):
            found = each.lstat()
            is_counted = each == path or each.name not in LOCK_FILES
            if not stat.S_ISDIR(found.st_mode) and is_counted:
                total += found.st_size
    return total
