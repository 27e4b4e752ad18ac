"""Groups and arrays of an HDF5 file that is not trusted."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy.typing as npt

from minari.interchange.files import name_read_errors
from minari_core.errors import DataError
from minari_core.files import check_plain, name_damage
from minari_core.formats.public.hdf5.claims import bound_episode

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
    with name_read_errors(str(path)):
        check_plain(path, may_be_link=True)
        with h5py.File(path, "r") as file:
            yield file


def look_into(path: Path, parent: str, prefix: str) -> set[str]:
    """Return the names in the first numbered group of a file; empty if it has none.

    Args:
        path: A file of whatever kind.
        parent: The group that the numbered ones lie in.
        prefix: What their names begin with.
    """
    if not path.is_file():
        return set()
    with h5py.File(path, "r") as file:
        group = open_group(file, parent)
        for name in group or ():
            if name.startswith(prefix) and (found := open_group(group, name)) is not None:
                return set(found)
    return set()


def open_group(parent: Group, path: str) -> Group | None:
    """Open a group by its path from another; None if there is none, or a link stands there."""
    found = parent
    for name in filter(None, path.split("/")):
        if name not in found or not is_plain(found, name):
            return None
        found = found[name]
        if not isinstance(found, h5py.Group):
            return None
    return found


def find_group(file: File, name: str) -> GroupReader | None:
    """Return a group at the root of a file, if there is one."""
    return None if open_group(file, name) is None else GroupReader(file, name)


def list_others(file: File, known: Collection[str]) -> list[str]:
    """List what lies at the root of a file under other names, and the attributes of the file."""
    others = sorted(set(file) - set(known))
    return [*others, *(f"attribute {name}" for name in file.attrs)]


def list_numbered(file: File, parent: str, prefix: str) -> list[str]:
    """List the groups whose names are a prefix and a number, by their numbers.

    Args:
        file: The file.
        parent: The group that they lie in.
        prefix: What their names begin with.

    Raises:
        DataError: There is no such parent, or a group in it is called otherwise.
    """
    group = open_group(file, parent)
    if group is None:
        raise DataError(f"{file.filename} has no group {parent!r}")
    numbers: dict[str, int] = {}
    for name in group:
        number = name[len(prefix) :]
        if not (name.startswith(prefix) and number.isascii() and number.isdecimal()):
            raise DataError(
                f"{file.filename}: {group.name} has {name!r}, which is not {prefix} and a number"
            )
        numbers[name] = int(number)
    return sorted(numbers, key=numbers.__getitem__)


class GroupReader:
    """Reads the arrays of one group, and no more of them than the file can hold.

    An episode has a group, and a group several small arrays: the low-level calls of h5py take half
    the time.
    """

    def __init__(self, file: File, path: str) -> None:
        """Open a group.

        Args:
            file: The file.
            path: The path of the group, of which all but the last name is known to be no link.

        Raises:
            DataError: It is a link to somewhere else, or no group.
        """
        self.where = f"{file.filename}: /{path}"
        """The file and the group, for messages."""
        self.left_out: set[str] = set()
        """The attributes of what was read within the group, which nothing keeps."""
        self._arrays = 0
        self._reader = bound_episode(file.id)
        self._group = self._open(file.id, path.encode(), self.where)
        if not isinstance(self._group, h5py.h5g.GroupID):
            raise DataError(f"{self.where} is no group")
        # Asking HDF5 for one name takes as long as for all of them.
        self._names = {name.decode(): name for name in self._group}

    def __contains__(self, name: str) -> bool:
        """Whether the group has a member of a name."""
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        """The names of the members."""
        return iter(self._names)

    @property
    def attributes(self) -> dict[str, Any]:
        """What the group says of itself; None where that is nothing."""
        with name_damage(self.where):
            return dict(self._iterate_attributes())

    def _iterate_attributes(self) -> Iterator[tuple[str, Any]]:
        for name, attribute in _open_attributes(self._group):
            value = self._reader.read_attribute(attribute)
            if value is not None and value.dtype.kind in "OS":
                yield name, _decode(value) if value.ndim else _decode(value)[0]
            else:
                yield name, None if value is None else value[()]

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
        return self._read(self._group, self._names[name], f"{self.where}/{name}", _DEEPEST)

    def _open(self, group: Any, name: bytes, where: str) -> Any:
        if group.links.get_info(name).type != h5py.h5l.TYPE_HARD:
            raise DataError(f"{where} is a link to somewhere else, which is not followed")
        return h5py.h5o.open(group, name)

    def _read(self, group: Any, name: bytes, where: str, depth: int) -> Any:
        found = self._open(group, name, where)
        self._arrays += 1
        if depth == 0 or self._arrays > _MOST_ARRAYS:
            raise DataError(f"{where} is one of more groups than an episode has")
        if h5py.h5a.get_num_attrs(found):
            inside = where.removeprefix(f"{self.where}/")
            self.left_out.update(
                f"attribute {key} of {inside}" for key, _ in _open_attributes(found)
            )
        if isinstance(found, h5py.h5g.GroupID):
            names = {name: name.decode() for name in found}
            return {
                key: self._read(found, name, f"{where}/{key}", depth - 1)
                for name, key in names.items()
            }
        if not isinstance(found, h5py.h5d.DatasetID):
            raise DataError(f"{where} is no array")
        dtype = found.dtype
        if dtype.kind not in "biuf" and h5py.check_string_dtype(dtype) is None:
            raise DataError(f"{where} has dtype {dtype}, which is neither numbers nor text")
        with name_damage(where):
            array = self._reader.read_array(found)
            return array if dtype.kind in "biuf" else _decode(array)


def _open_attributes(found: Any) -> Iterator[tuple[str, Any]]:
    for index in range(h5py.h5a.get_num_attrs(found)):
        attribute = h5py.h5a.open(found, index=index)
        yield attribute.name.decode(), attribute


def _decode(texts: npt.NDArray[Any]) -> list[str]:
    return [
        text.decode() if isinstance(text, bytes) else str(text) for text in texts.ravel().tolist()
    ]


def is_plain(group: Group, name: str) -> bool:
    """Return whether a member of a group lies in it, and is not a link to somewhere else."""
    is_hard: bool = group.id.links.get_info(name.encode()).type == h5py.h5l.TYPE_HARD
    return is_hard
