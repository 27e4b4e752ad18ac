"""Replace a dataset as a whole: whoever looks finds the old one or the new one.

Most systems exchange two folders in one step. On the others the old dataset moves aside, to
``.staging/replaced/<dataset id>``, until the new one has its name, and ``.staging/replaced`` is
locked meanwhile. Whoever misses a dataset waits for that lock, looks again, and puts back what
lies there because a process was killed in that instant.
"""

from __future__ import annotations

import errno
import os
import platform
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path

from minari_core.errors import DatasetNotFoundError, DatasetWriteError
from minari_core.files import holds_dataset, lock_dataset
from minari_core.local.folders import walk_folders
from minari_core.local.locations import DATA_FOLDER, dataset_folder, staging_root
from minari_core.local.staging import hold_staging_folder

ASIDE = "replaced"
"""The folder in the staging area where datasets wait that are being replaced."""

_MOST_LOOKS = 10
_AT_FDCWD = -100
_EXCHANGE = 2
# Containers also forbid calls that they do not know.
_CANNOT = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM})


def holds_local_dataset(dataset_id: str) -> bool:
    """Return whether there is a local dataset of an id; one that is just replaced is there.

    Raises:
        DatasetIdError: The id is malformed.
    """
    data = dataset_folder(dataset_id) / DATA_FOLDER
    return look_until_found(lambda: holds_dataset(data))


def look_until_found(look: Callable[[], bool]) -> bool:
    """Return whether a look finds a dataset, also if that is just replaced.

    Args:
        look: Looks for it.
    """
    # A second look may fall into a second replacement, unless that is held off.
    for _ in range(_MOST_LOOKS):
        if look():
            return True
        put_back()
    return look()


def replace_dataset(dataset_id: str, staged: Path) -> Path:
    """Give the name of a dataset to another one, in one step or as if in one.

    Args:
        dataset_id: Its id; its folder exists.
        staged: The folder that takes its place.

    Returns:
        Where the old dataset lies now, for `discard_folder`.

    Raises:
        OSError: The file system refused; the old dataset has its name.
        DatasetBusyError: Another process holds its lock; it has its name.
    """
    target = dataset_folder(dataset_id)
    data = target / DATA_FOLDER
    # Whoever adds to the old one either has committed that, or finds another one there. Windows
    # moves no folder in which a file is open.
    has_lock = data.is_dir() and os.name == "posix"
    with lock_dataset(data) if has_lock else nullcontext():
        if exchange_paths(staged, target):
            return staged
        return _replace_in_two_steps(dataset_id, staged)


def put_back() -> None:
    """Wait for a replacement that goes on, and put back what killed ones left."""
    if is_replacing():
        with hold_off_replacements():
            pass


def is_replacing() -> bool:
    """Return whether a replacement in two steps may be going on, or was killed."""
    return os.path.isdir(_locate_aside())  # False where nobody may look


@contextmanager
def hold_off_replacements() -> Iterator[None]:
    """Let no replacement in two steps go on meanwhile, and put back what killed ones left."""
    with ExitStack() as stack:
        # Whoever may not write here cannot hold it off, and looks more often.
        with suppress(DatasetWriteError, DatasetNotFoundError):
            stack.enter_context(lock_dataset(_locate_aside()))
        for name, is_dataset in walk_folders(_locate_aside()):
            if is_dataset:
                _put_back(name)
        yield


def _put_back(dataset_id: str) -> None:
    target, aside = dataset_folder(dataset_id), _locate_aside(dataset_id)
    if os.path.lexists(aside) and not os.path.lexists(target):
        # Where the new one has the name by now, this fails.
        with suppress(OSError):
            os.rename(aside, target)
            _remove_empty_parents(aside)


def discard_replaced(dataset_id: str) -> None:
    """Discard what a finished replacement was killed before discarding."""
    aside = _locate_aside(dataset_id)
    if os.path.lexists(aside):
        discard_folder(aside)


def discard_folder(folder: Path) -> None:
    """Remove a folder of the staging area, which no later process takes for anything else.

    Raises:
        OSError: The file system refused to move it.
    """
    with hold_staging_folder("delete-") as trash:
        os.rename(folder, trash)
    _remove_empty_parents(folder)


def _remove_empty_parents(folder: Path) -> None:
    with suppress(OSError):
        while (folder := folder.parent) != staging_root():
            folder.rmdir()


def _locate_aside(dataset_id: str = "") -> Path:
    return staging_root() / ASIDE / dataset_id


def _replace_in_two_steps(dataset_id: str, staged: Path) -> Path:
    target, aside = dataset_folder(dataset_id), _locate_aside(dataset_id)
    with _lock_aside():
        discard_replaced(dataset_id)
        aside.parent.mkdir(parents=True, exist_ok=True)
        os.rename(target, aside)
        try:
            os.rename(staged, target)
        except OSError:
            os.rename(aside, target)
            raise
        trash = staging_root() / f"delete-{uuid.uuid4().hex}"
        os.rename(aside, trash)
        with suppress(OSError):
            # Nobody removes what has just changed while it has no lock.
            os.utime(trash)
        _remove_empty_parents(aside)
        return trash


@contextmanager
def _lock_aside() -> Iterator[None]:
    with ExitStack() as stack:
        while True:
            _locate_aside().mkdir(parents=True, exist_ok=True)
            # Whoever is done with the folder removes it.
            with suppress(DatasetNotFoundError):
                stack.enter_context(lock_dataset(_locate_aside()))
                break
        yield


def exchange_paths(one: Path, other: Path) -> bool:
    """Exchange the names of two files or folders in one step; return whether the system can.

    Raises:
        OSError: The file system refused.
    """
    import ctypes

    names = os.fsencode(one), os.fsencode(other)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if platform.system() == "Darwin":
            failed = library.renamex_np(*names, _EXCHANGE)
        else:
            failed = library.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _EXCHANGE)
    except (AttributeError, OSError, TypeError):  # Windows, and old libraries of C
        return False
    number = ctypes.get_errno()
    if failed and number not in _CANNOT:
        raise OSError(number, os.strerror(number), str(other))
    return not failed
