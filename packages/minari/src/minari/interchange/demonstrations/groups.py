"""Groups and arrays of an HDF5 file that is not trusted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np

from minari_core.errors import DataError, DatasetDamagedError
from minari_core.formats.public.limits import FREE_NBYTES, MOST_PACKED

File: TypeAlias = h5py.File
Group: TypeAlias = h5py.Group
Array: TypeAlias = h5py.Dataset

_DEEPEST = 16
_MOST_ARRAYS = 10_000


@contextmanager
def open_file(path: Path) -> Iterator[File]:
    """Open a file for reading.

    Raises:
        DatasetDamagedError: It is no HDF5 file, or cut short.
    """
    with wrap_read_errors(path), h5py.File(path, "r") as file:
        yield file


@contextmanager
def wrap_read_errors(path: Path) -> Iterator[None]:
    """Turn what the HDF5 library raises for a damaged file into an error of the tree."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, SystemError, UnicodeDecodeError) as error:
        if isinstance(error, DataError):
            raise
        raise DatasetDamagedError(f"{path} cannot be read: {error}") from error


def look_into(path: Path, parent: str, prefix: str) -> set[str]:
    """Return the names in the first numbered group of a file; empty if it has none.

    Args:
        path: A file of whatever kind.
        parent: The group that the numbered ones lie in.
        prefix: What their names begin with.
    """
    try:
        if not path.is_file():
            return set()
        with h5py.File(path, "r") as file:
            for name in file[parent]:
                if name.startswith(prefix) and isinstance(file[parent][name], h5py.Group):
                    return set(file[parent][name])
    except (OSError, RuntimeError, KeyError, ValueError, AttributeError):
        pass
    return set()


def find_group(file: File, name: str) -> GroupReader | None:
    """Return a group at the root of a file, if there is one."""
    if name not in file or not _is_plain(file, name) or not isinstance(file[name], h5py.Group):
        return None
    return GroupReader(file[name])


def list_numbered(file: File, parent: str, prefix: str) -> list[str]:
    """List the groups whose names are a prefix and a number, by their numbers.

    Args:
        file: The file.
        parent: The group that they lie in.
        prefix: What their names begin with.

    Raises:
        DataError: There is no such parent, or a group in it is called otherwise.
    """
    group = file.get(parent)
    if not isinstance(group, h5py.Group):
        raise DataError(f"{file.filename} has no group {parent!r}")
    numbers: dict[str, int] = {}
    for name in group:
        number = name[len(prefix) :]
        if not (name.startswith(prefix) and number.isascii() and number.isdecimal()):
            raise DataError(
                f"{file.filename}: {group.name} has {name!r}, which is not {prefix} and a number"
            )
        if not _is_plain(group, name):
            raise DataError(f"{file.filename}: {name} is a link to somewhere else")
        numbers[name] = int(number)
    return sorted(numbers, key=numbers.__getitem__)


class GroupReader:
    """Reads the arrays of one group, and no more of them than the file can hold."""

    def __init__(self, group: Group) -> None:
        self._group = group
        # Asking HDF5 for one name takes as long as for all of them.
        self._names = dict.fromkeys(group)
        self._unbacked = FREE_NBYTES
        self._arrays = 0
        self._file_nbytes = group.file.id.get_filesize()
        self.where = f"{group.file.filename}: {group.name}"
        """The file and the group, for messages."""

    def __contains__(self, name: str) -> bool:
        """Whether the group has a member of a name."""
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        """The names of the members."""
        return iter(self._names)

    @property
    def attributes(self) -> dict[str, Any]:
        """What the group says of itself."""
        return dict(self._group.attrs)

    def read(self, name: str) -> Any:
        """Read an array, or a dict of what lies in a group.

        Returns:
            Arrays of numbers and flags, and lists of text.

        Raises:
            DataError: There is no such member, it is a link to somewhere else, or lies outside the
                file, or holds neither numbers nor text.
            DatasetDamagedError: It claims more bytes than the file can hold.
        """
        if name not in self._names:
            raise DataError(f"{self.where} has no {name!r}; it has {', '.join(self._names)}")
        return self._read(self._group, name, f"{self.where}/{name}", _DEEPEST)

    def _read(self, group: Group, name: str, where: str, depth: int) -> Any:
        if not _is_plain(group, name):
            raise DataError(f"{where} is a link to somewhere else, which is not followed")
        found = group[name]
        self._arrays += 1
        if depth == 0 or self._arrays > _MOST_ARRAYS:
            raise DataError(f"{where} is one of more groups than an episode has")
        if isinstance(found, h5py.Group):
            return {key: self._read(found, key, f"{where}/{key}", depth - 1) for key in found}
        if not isinstance(found, h5py.Dataset):
            raise DataError(f"{where} is no array")
        made = found.id.get_create_plist()
        if made.get_layout() == h5py.h5d.VIRTUAL or made.get_external_count():
            raise DataError(f"{where} lies outside the file")
        self._check_size(found, where)
        dtype = found.dtype
        if dtype.kind in "biuf":
            return found[()]
        if h5py.check_string_dtype(dtype) is None:
            raise DataError(f"{where} has dtype {dtype}, which is neither numbers nor text")
        return np.ravel(found.asstr()[()]).tolist()

    def _check_size(self, found: Array, where: str) -> None:
        claimed, stored = found.nbytes, found.id.get_storage_size()
        unbacked = max(0, claimed - MOST_PACKED * stored)
        if unbacked > self._unbacked or stored > self._file_nbytes:
            raise DatasetDamagedError(
                f"{where} claims {claimed} bytes, of which the file holds {stored}"
            )
        self._unbacked -= unbacked


def _is_plain(group: Group, name: str) -> bool:
    is_hard: bool = group.id.links.get_info(name.encode()).type == h5py.h5l.TYPE_HARD
    return is_hard
