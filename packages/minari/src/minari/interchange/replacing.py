"""A file or folder that is written beside its target, and takes its name once it is whole.

Whoever writes holds the lock of ``.NAME.lock`` beside the target, so that the next one knows what
lies there to be of a process that was killed.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from minari_core.errors import DatasetBusyError, DatasetExistsError
from minari_core.files import make_folder, sync_file, sync_folder, wrap_write_errors
from minari_core.local.replacing import exchange_paths
from minari_core.locks import FileLock


@contextmanager
def replace_when_whole(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a path beside a target, and rename what was written there to it at the end.

    After an error nothing is left, and after a kill nothing but what the next one removes.

    Args:
        target: The file or folder.
        overwrite: Replace what is there.

    Raises:
        DatasetExistsError: The target is taken, and ``overwrite`` is False.
        DatasetBusyError: Another process writes it.
        DatasetWriteError: The file system refused.
    """
    _check_is_free(target, overwrite=overwrite)
    with wrap_write_errors(target):
        made = make_folder(target.parent)
        try:
            with _hold(target):
                _tidy(target)
                _check_is_free(target, overwrite=overwrite)
                yield from _replace(target)
        except BaseException:
            for folder in reversed(made):
                with suppress(OSError):
                    folder.rmdir()
            raise


def _check_is_free(target: Path, *, overwrite: bool) -> None:
    if not overwrite and os.path.lexists(target):
        raise DatasetExistsError(
            f"{target} is there already; give another path, or overwrite=True to replace it"
        )


@contextmanager
def _hold(target: Path) -> Iterator[None]:
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    if not lock.acquire():
        raise DatasetBusyError(
            f"another process{lock.describe_holder()} writes {target}; try again when it is done"
        )
    try:
        yield
    finally:
        lock.release(remove=True)


def _tidy(target: Path) -> None:
    """Remove what processes left that were killed, and put back what one of them had moved."""
    for left in _list_left(target, "replaced"):
        if os.path.lexists(target):
            _remove(left)
        else:
            os.rename(left, target)
    for left in _list_left(target, "part"):
        _remove(left)


def _replace(target: Path) -> Iterator[Path]:
    # The name keeps its end, by which libraries tell what a file is.
    unique = uuid.uuid4().hex[:12]
    staged = target.with_name(f".{unique}.part-{target.name}")
    replaced = target.with_name(f".{unique}.replaced-{target.name}")
    try:
        yield staged
        for file in [staged, *staged.rglob("*")]:
            if file.is_file():
                sync_file(file)
        if not os.path.lexists(target):
            os.rename(staged, target)
        # Two renames have an instant without the target.
        elif not exchange_paths(staged, target):
            os.rename(target, replaced)
            os.rename(staged, target)
        sync_folder(target.parent)
    finally:
        if os.path.lexists(replaced) and not os.path.lexists(target):
            os.rename(replaced, target)
        _remove(staged)
        _remove(replaced)


def _list_left(target: Path, kind: str) -> list[Path]:
    named = re.compile(rf"\.[0-9a-f]{{12}}\.{kind}-{re.escape(target.name)}")
    return [path for path in target.parent.iterdir() if named.fullmatch(path.name)]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
