"""Open plain files alone, replace and flush them, make folders, and lock that of a dataset.

A failure raises an error of `minari_core.errors` that names the file.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeGuard

from minari_core.errors import (
    DataError,
    DatasetAccessError,
    DatasetBusyError,
    DatasetDamagedError,
    DatasetNotFoundError,
    DatasetWriteError,
    MinariError,
    MissingDependencyError,
    advise_on_refusal,
)
from minari_core.locks import HELD_SUFFIX, FileLock

MANIFEST_NAME = "metadata.json"
"""The file with the metadata of a dataset, in its folder."""

MAIN_FILE = "main_data.hdf5"
"""The file with all episodes of a dataset in the format ``"hdf5"``."""

_LIMITS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What has run out, which says nothing about the file."""


def check_plain(path: str | os.PathLike[str], *, may_be_link: bool = False) -> None:
    """Raise unless a file is a regular one; opening a pipe could block for ever.

    Args:
        path: The file.
        may_be_link: Accept a symbolic link to a regular file.

    Raises:
        FileNotFoundError: There is none.
        DatasetDamagedError: It is a link, a pipe, a folder or a device.
    """
    mode = os.stat(path, follow_symlinks=may_be_link).st_mode
    if stat.S_ISLNK(mode):
        raise DatasetDamagedError(f"{path} is a link, where a plain file belongs")
    if not stat.S_ISREG(mode):
        raise DatasetDamagedError(f"{path} is no plain file")


def may_be(path: str | os.PathLike[str], is_kind: Callable[[int], bool]) -> bool:
    """Return whether a path has a file of some kind, or one that may not be looked at.

    Opening the latter raises an error that says why.

    Args:
        path: The path; links are followed.
        is_kind: A test of a file mode, such as `stat.S_ISREG`.
    """
    try:
        return is_kind(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # none has a NUL in its name
        return False
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG


def holds_dataset(folder: str | os.PathLike[str]) -> bool:
    """Return whether a ``data`` folder looks like that of a dataset, in whatever format.

    A folder that may not be read counts as one: opening it then raises the error that says so.
    """
    return may_be(os.path.join(folder, MANIFEST_NAME), stat.S_ISREG) or may_be(
        os.path.join(folder, MAIN_FILE), stat.S_ISREG
    )


def make_read_error(path: Path | str, error: Exception) -> DatasetDamagedError | DatasetBusyError:
    """Return the error of a file that cannot be read: nobody may look at it now, or it is damaged.

    Args:
        path: The file; or what is in it, in words.
        error: What the system said, or the library that reads it.
    """
    if isinstance(error, PermissionError):
        return DatasetAccessError(
            f"{path} may not be read ({error.strerror}); ask whoever owns it for the right to"
        )
    if may_not_read(error):
        return DatasetBusyError(
            f"{path} cannot be opened: {_describe(error)}; {advise_on_refusal(error)}"
        )
    return DatasetDamagedError(f"{path} cannot be read: {error}")


def make_write_error(said: str, error: Exception, more: str = "") -> DatasetWriteError:
    """Return the error of something that the file system refused.

    Args:
        said: What could not be done.
        error: What the system said, or h5py of it.
        more: What else to say, after a semicolon.
    """
    return DatasetWriteError(f"{said}: {_describe(error)}{more and f'; {more}'}")


def is_out_of_descriptors(error: BaseException) -> bool:
    """Return whether the system refused because as many files are open as may be."""
    return isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)


def _describe(error: Exception) -> str:
    # HDF5 says more of a limit, and nothing that helps.
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number in _LIMITS else str(error)


def may_not_read(error: BaseException) -> TypeGuard[OSError]:
    """Return whether the system refused to open a file, which says nothing about what is in it."""
    return isinstance(error, PermissionError) or (
        isinstance(error, OSError) and error.errno in _LIMITS
    )


@contextmanager
def name_damage(where: str) -> Iterator[None]:
    """Turn whatever the block raises about a file into an error that names it.

    Args:
        where: The file; or what is in it, in words.

    Raises:
        DatasetAccessError: The file may not be read.
        DatasetBusyError: It is held open for writing, or no more files can be opened.
        DatasetDamagedError: The block raised another error; the message contains ``where``.
    """
    try:
        yield
    except (DatasetAccessError, DatasetBusyError, MissingDependencyError):
        raise
    except BlockingIOError as error:
        raise DatasetBusyError(
            f"{where} is held open for writing by another program; try again when it is closed"
        ) from error
    except Exception as error:
        if may_not_read(error):
            raise make_read_error(where, error) from error
        if not isinstance(error, MinariError):
            said = f"{where} cannot be read: {type(error).__name__}: {error}"
        elif isinstance(error, DatasetDamagedError) and where in str(error):
            raise
        else:
            said = f"{where}: {error}"
        raise DatasetDamagedError(said) from error


@contextmanager
def name_file(path: Path | str) -> Iterator[None]:
    """Name a file in errors about what it holds, where the message does not."""
    try:
        yield
    except (DataError, DatasetDamagedError) as error:
        if str(path) in str(error):
            raise
        raise type(error)(f"{path}: {error}") from error


@contextmanager
def wrap_write_errors(path: Path) -> Iterator[None]:
    """Turn an error of the file system into a `DatasetWriteError` that names a file or folder."""
    try:
        yield
    except MinariError:
        raise
    except OSError as error:
        raise make_write_error(f"{path} could not be written", error) from error


def replace_file(target: Path, text: bytes) -> None:
    """Replace a file atomically, and flush it to the disk.

    Raises:
        OSError: The file system refused.
    """
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        with open(temporary, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        sync_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path) -> bool:
    """Hard-link a file, or copy it where the file system has no links; never half a file.

    Args:
        source: The file.
        target: Its new name; what a killed process has left there is replaced.

    Returns:
        Whether the file was linked rather than copied.
    """
    try:
        os.link(source, target)
        return True
    except FileExistsError:
        if os.path.samefile(source, target):
            return True
        target.unlink()
    except OSError:
        pass
    try:
        shutil.copyfile(source, target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return False


def sync_file(path: Path) -> None:
    """Flush a file's contents to the disk."""
    # Only Windows wants a file to be writable for that.
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> list[Path]:
    """Make a folder and those above it that are missing, each of which outlives a power cut.

    Returns:
        The folders that were made, the uppermost first.

    Raises:
        OSError: The file system refused; none of those that were made is left.
    """
    missing = [each for each in (folder, *folder.parents) if not each.is_dir()]
    made: list[Path] = []
    try:
        for each in reversed(missing):
            # Somebody else may make it meanwhile.
            with suppress(FileExistsError):
                each.mkdir()
                made.append(each)
                sync_folder(each.parent)
    except BaseException:
        for each in reversed(made):
            with suppress(OSError):
                each.rmdir()
        raise
    return made


LOCK_NAME = ".lock"
LOCK_FILES = frozenset({LOCK_NAME, f"{LOCK_NAME}{HELD_SUFFIX}"})
"""The files that a lock has in a folder."""
_TIMEOUT_SECONDS = 60.0


@contextmanager
def lock_dataset(folder: Path) -> Iterator[None]:
    """Hold the lock of the folder that a dataset's data lies in.

    Args:
        folder: The folder. A lock does not bring back one that was deleted.

    Raises:
        DatasetNotFoundError: The folder is not there.
        DatasetBusyError: Another process has held the lock for long.
        DatasetWriteError: The file system refused.
    """
    lock = FileLock(folder / LOCK_NAME)
    try:
        if not folder.is_dir():
            raise FileNotFoundError
        is_locked = lock.acquire(_TIMEOUT_SECONDS)
    except FileNotFoundError as error:
        raise DatasetNotFoundError(
            f"{folder} is gone: its dataset was deleted, or moved"
        ) from error
    except OSError as error:
        raise make_write_error(f"{folder} cannot be locked", error) from error
    if not is_locked:
        raise DatasetBusyError(
            f"{folder} has been locked by another process{lock.describe_holder()} for "
            f"{_TIMEOUT_SECONDS:.0f} seconds; try again when it is done"
        )
    try:
        yield
    finally:
        lock.release()
        _remove_if_alone(folder)


def _remove_if_alone(folder: Path) -> None:
    """Remove the lock and its folder where the dataset was deleted between a look and the lock."""
    with suppress(OSError):
        if os.listdir(folder) == [LOCK_NAME]:
            (folder / LOCK_NAME).unlink()
            folder.rmdir()
            folder.parent.rmdir()
