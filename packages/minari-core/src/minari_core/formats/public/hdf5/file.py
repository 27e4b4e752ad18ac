"""An HDF5 file, read by low-level calls that follow no link out of the dataset's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from h5py import h5a, h5d, h5f, h5g, h5l, h5o, h5p, h5t

from minari_core.errors import DatasetDamagedError
from minari_core.files import check_plain, name_damage
from minari_core.formats.public.hdf5.claims import BoundedReader, map_file
from minari_core.formats.public.hdf5.mapped_file import Attributes, Hdf5Map, Tree
from minari_core.formats.public.hdf5.parts import UnusualFileError
from minari_core.formats.public.limits import Budget, limit_nbytes

_HEAP_READS = 3
"""How often at most the same rows of variable length are read while a file is open."""


class Hdf5File:
    """An open file; links are not followed, except from the root to files beside it."""

    def __init__(
        self, path: Path, expected_nbytes: int = 0, linked_folder: Path | None = None
    ) -> None:
        """Open a file for reading.

        Args:
            path: The file.
            expected_nbytes: The size that its arrays are expected to have in memory.
            linked_folder: The folder of the files that it links to, if not its own.

        Raises:
            DatasetBusyError: Another program holds it open for writing.
            DatasetDamagedError: It is missing or no HDF5 file; the message names it.
        """
        self._path = path
        self._linked_folder = linked_folder or path.parent
        access = h5p.create(h5p.FILE_ACCESS)
        # Every chunk is read once, so a cache for chunks would only cost its making.
        access.set_cache(0, 1, 0, 0.75)
        with name_damage(str(path)):
            check_plain(path, may_be_link=True)
            self._file = h5f.open(str(path).encode(), h5f.ACC_RDONLY, access)
            self.root = h5g.open(self._file, b"/")
        self._nbytes = int(self._file.get_filesize())
        self.budget = Budget(limit_nbytes(expected_nbytes, self._nbytes))
        """The memory that arrays of the file, and images that they hold, may still take."""
        # No program packs rows of variable length, or stores any twice.
        self._heap_budget = Budget(_HEAP_READS * self._nbytes)
        self._others: dict[str, Hdf5File] = {}
        self._groups: dict[int, tuple[int, str]] = {}
        """The groups of that episode by their addresses, each with its parent and name."""
        self._map: Hdf5Map | None = None
        self._content = map_file(self._file)
        if self._content is not None:
            self._map = Hdf5Map(self._content)
        self._own = self._current = self._make_reader(self)
        """What reads the file that the last episode lies in, which may be a linked one."""

    def close(self) -> None:
        """Close the file and those that it links to."""
        for other in self._others.values():
            other.close()
        if self._map is not None:
            self._map.close()
        self._file.close()

    def __enter__(self) -> Hdf5File:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def episode(self, number: int) -> Any:
        """Open the group of an episode, to read what is below it until the next one is opened.

        Raises:
            DatasetDamagedError: There is none, it is no group, or its link leaves the folder.
        """
        name = f"episode_{number}".encode()
        where = f"episode {number} of {self._path}"
        with name_damage(where):
            links = self.root.links
            if not links.exists(name):
                raise DatasetDamagedError(f"{where} is missing")
            self._current = self._own
            self._groups.clear()
            kind = links.get_info(name).type
            if kind == h5l.TYPE_HARD:
                found = self.open(self.root, name.decode("ascii"))
            elif kind == h5l.TYPE_EXTERNAL:
                target, inside = links.get_val(name)
                found = self._open_linked(target, inside, where)
            else:
                raise DatasetDamagedError(f"{where} is a link to another place")
            if not is_group(found):
                raise DatasetDamagedError(f"{where} is not a group")
            return found

    def _make_reader(self, of: Hdf5File) -> BoundedReader:
        content = of._content
        return BoundedReader(of._nbytes, lambda: content, self.budget, self._heap_budget)

    def plain_episode(
        self, number: int, *, copy: bool = True
    ) -> tuple[Tree, Attributes | None] | None:
        """Read an episode by `Hdf5Map.read`; None if only the HDF5 library can read it."""
        if self._map is None:
            return None
        try:
            link = self.root.links.get_info(f"episode_{number}".encode())
            return self._map.read(link.u, copy=copy) if link.type == h5l.TYPE_HARD else None
        except (KeyError, UnusualFileError):
            return None

    def _open_linked(self, target: bytes, inside: bytes, where: str) -> Any:
        file_name = target.decode("utf-8", "replace")
        if Path(file_name).name != file_name or "\\" in file_name or file_name in ("", ".", ".."):
            raise DatasetDamagedError(
                f"{where} is a link to {file_name!r}, which leads out of the dataset's folder"
            )
        path = self._linked_folder / file_name
        if path.is_symlink():
            raise DatasetDamagedError(f"{where}: {path} is a link")
        if file_name not in self._others:
            self._others[file_name] = Hdf5File(path)
            self.budget.add(self._others[file_name].budget)
            self._heap_budget.add(self._others[file_name]._heap_budget)
        other = self._others[file_name]
        self._current = self._make_reader(other)
        holder, _, name = inside.rpartition(b"/")
        if holder not in (b"", b"/"):
            raise DatasetDamagedError(f"{where} is a link to {inside!r}, which is no episode")
        with name_damage(where):
            return self.open(other.root, name.decode("utf-8"))

    def open(self, group: Any, name: str) -> Any:
        """Open a group or dataset inside a group.

        Raises:
            DatasetDamagedError: The name is a link to another place, or lies in no group; or it
                is a group of the episode that has another name, too.
        """
        if not is_group(group):
            raise DatasetDamagedError(f"what should hold {name} is not a group")
        encoded = name.encode("utf-8")
        link = group.links.get_info(encoded)
        if link.type != h5l.TYPE_HARD:
            raise DatasetDamagedError(f"{name} is a link to another place")
        found = h5o.open(group, encoded)
        if is_group(found):
            # By such names a small file has paths without end, or more than can ever be read.
            path = hash(group), name
            known = self._groups.setdefault(link.u, path)
            if known != path:
                raise DatasetDamagedError(f"the groups {known[1]!r} and {name!r} are the same")
        return found

    def read_array(self, dataset: Any) -> np.ndarray[Any, Any]:
        """Read a whole dataset into a fresh array; text as bytes objects.

        Raises:
            DatasetDamagedError: It lies outside its file, or claims to be larger than it can be.
        """
        return self._current.read_array(dataset)

    def read_attributes(self, thing: Any) -> dict[str, Any]:
        """Read the attributes of an object; numbers as numpy's, text as Python's.

        Raises:
            DatasetDamagedError: One claims to be larger than it can be.
        """
        found: dict[str, Any] = {}
        for index in range(h5a.get_num_attrs(thing)):
            attribute = h5a.open(thing, index=index)
            value = self.read_attribute(attribute)
            if value is not None:
                found[attribute.name.decode("utf-8")] = value
        return found

    def read_attribute(self, attribute: Any) -> Any:
        """Read the value of an attribute; None if it has none.

        Raises:
            DatasetDamagedError: It claims to be larger than it can be.
        """
        value = self._current.read_attribute(attribute)
        return None if value is None else _to_plain(value)

    def read_text(self, dataset: Any) -> list[str]:
        """Read a dataset of strings.

        Raises:
            DatasetDamagedError: It is something else.
        """
        array = self.read_array(dataset)
        if array.dtype.kind not in "OS" or array.ndim != 1:
            raise DatasetDamagedError(f"text is stored as {array.dtype} of shape {array.shape}")
        return [
            row if isinstance(row, str) else bytes(row).decode("utf-8") for row in array.tolist()
        ]


def names_in(group: Any) -> list[str]:
    """List the names in a group, in alphabetical order."""
    return [name.decode("utf-8") for name in group]


def is_group(thing: Any) -> bool:
    """Return whether an object is a group rather than a dataset.

    Raises:
        DatasetDamagedError: It is neither.
    """
    if isinstance(thing, h5g.GroupID):
        return True
    if not isinstance(thing, h5d.DatasetID):
        raise DatasetDamagedError(f"there is a {type(thing).__name__} where a dataset belongs")
    return False


def is_variable(dataset: Any) -> bool:
    """Return whether the rows of a dataset are of variable length."""
    return isinstance(dataset.get_type(), h5t.TypeVlenID)


def _to_plain(value: np.ndarray[Any, Any]) -> Any:
    if value.dtype.kind in "OS":
        texts = [
            item.decode("utf-8") if isinstance(item, bytes) else item
            for item in value.reshape(-1).tolist()
        ]
        return texts[0] if value.ndim == 0 else texts
    return value[()] if value.ndim == 0 else value
