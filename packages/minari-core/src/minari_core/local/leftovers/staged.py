"""Find what is left in the staging area: folders, replaced datasets, and locks of neither."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from minari_core.errors import MinariError
from minari_core.files import LOCK_FILES
from minari_core.local.folders import remove_folder, walk_folders
from minari_core.local.leftovers.leftover import (
    Found,
    StagedKind,
    Worth,
    describe,
    describe_unclear,
)
from minari_core.local.locations import datasets_root, staging_root
from minari_core.local.replacing import ASIDE, discard_folder, hold_off_replacements
from minari_core.local.staging import (
    LOCK_SUFFIX,
    hold_abandoned,
    hold_left,
    look_abandoned,
    look_left,
)
from minari_core.locks import HELD_SUFFIX, locate_held

_KINDS = (
    StagedKind("creation", "create-", lambda folder: Worth()),
    StagedKind("deletion", "delete-", lambda folder: Worth()),
)
_OF_OTHERS = tuple(
    StagedKind(
        name,
        prefix,
        lambda folder: Worth(remedy="another package or release made it, and may go on with it"),
    )
    # Whoever lists without the packages that leave them shall know them by name.
    for name, prefix in (
        ("recording", "collect-"),
        ("run", "run-"),
        ("download", "download-"),
        ("upload", "upload-"),
        ("unknown", ""),
    )
)


def find_staged(kinds: Sequence[StagedKind]) -> Iterator[Found]:
    """Find what is left in the staging area, except what living processes have.

    Args:
        kinds: What other packages put there.
    """
    try:
        names = set(os.listdir(staging_root()))
    except OSError:
        return
    for name in sorted(names - {ASIDE}):
        path = staging_root() / name
        if name.endswith((LOCK_SUFFIX, LOCK_SUFFIX + HELD_SUFFIX)):
            lock = path.with_name(name.removesuffix(HELD_SUFFIX))
            # One lock may have two files, and goes with its folder.
            if lock.stem not in names and (lock == path or lock.name not in names):
                yield from _find_lock(lock)
            continue
        kind = next(each for each in (*_KINDS, *kinds, *_OF_OTHERS) if name.startswith(each.prefix))
        try:
            with look_left(path):
                found = describe(name, kind.name, path, kind.describe(path))
        except MinariError:
            continue
        yield found, partial(_remove_staged, path)


def find_replaced() -> Iterator[Found]:
    """Find datasets that were replaced, of which the new ones have the names."""
    aside = staging_root() / ASIDE
    try:
        with look_left(aside):
            found = list(_list_replaced(aside))
    except MinariError:
        return
    yield from found


def _list_replaced(aside: Path) -> Iterator[Found]:
    names = [name for name, is_dataset in walk_folders(aside) if is_dataset]
    for name in names:
        # One whose name is free is still a dataset: whoever opens or lists datasets puts it back.
        if os.path.lexists(datasets_root() / name):
            found = describe(f"{ASIDE}/{name}", "replaced dataset", aside / name, Worth(name))
            yield found, partial(_remove_replaced, aside / name)
    if not names:
        yield describe(ASIDE, "lock", aside, Worth()), partial(_remove_empty_folders, aside)


def _find_lock(path: Path) -> Iterator[Found]:
    there = path if path.exists() else locate_held(path)
    found = describe(there.name, "lock", there, Worth(remedy=describe_unclear(path)))
    with suppress(MinariError):
        with look_abandoned(path, [path], found.changed):
            pass
        yield found, partial(_remove_lock, path)


def _remove_lock(path: Path) -> None:
    changed = path.stat().st_mtime if path.exists() else 0.0
    with hold_abandoned(path, [path], changed), suppress(FileNotFoundError):
        path.unlink()


def _remove_replaced(path: Path) -> None:
    _take_over(staging_root() / ASIDE)
    with hold_off_replacements():
        if path.exists():
            discard_folder(path)


def _take_over(aside: Path) -> None:
    """Remove what stands for the lock of a process that is gone, for which others would wait."""
    with hold_left(aside):
        pass


def _remove_empty_folders(aside: Path) -> None:
    _take_over(aside)
    # The lock of the uppermost goes when it is given up.
    with hold_off_replacements():
        for parent, _, _ in os.walk(aside, topdown=False):
            with suppress(OSError):
                os.rmdir(parent)


def _remove_staged(path: Path) -> None:
    with hold_left(path):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
        elif os.name != "posix":
            _empty(path)
        elif path.name.startswith("delete-"):
            remove_folder(path)
        else:
            # In one step, so that no half of it is ever taken for something.
            discard_folder(path)
    # Windows removes no lock that is held.
    if path.is_dir():
        for name in LOCK_FILES:
            (path / name).unlink(missing_ok=True)
        path.rmdir()


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name in LOCK_FILES:
            continue
        if path.is_dir():
            remove_folder(path)
        else:
            path.unlink()
