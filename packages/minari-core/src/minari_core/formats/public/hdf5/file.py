"""An HDF5 file, read by low-level calls that follow no link out of the dataset's folder."""

from __future__ import annotations

from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from h5py import h5a, h5d, h5f, h5g, h5l, h5o, h5p, h5s, h5t

from minari_core.errors import DatasetDamagedError
from minari_core.files import check_plain, name_damage
from minari_core.formats.public.hdf5.claims import (
    check_chunks,
    check_variable,
    find_largest_heap,
    read_row_lengths,
)
from minari_core.formats.public.hdf5.mapped_file import Attributes, Hdf5Map, Tree
from minari_core.formats.public.hdf5.parts import UnusualFileError
from minari_core.formats.public.limits import (
    FREE_NBYTES,
    MOST_PACKED,
    Budget,
    check_limit,
    limit_nbytes,
)

_SMALL_NBYTES = 1 << 20
"""What is read without a look at how much is stored."""
_PIECE_NBYTES = 16 << 20
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
        self._linked: Hdf5File | None = None
        """The file that the last episode lies in, if it is another one."""
        layout = self._file.get_create_plist()
        if layout.get_userblock() == 0 and layout.get_sizes() == (8, 8):
            # Of the same open file: the path may lead to another one by now.
            with suppress(OSError, ValueError, RuntimeError):
                self._map = Hdf5Map(self._file.get_vfd_handle())

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
            self._linked = None
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

    @property
    def _file_nbytes(self) -> int:
        """The size of the file that the last episode lies in."""
        return (self._linked or self)._nbytes

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
        other = self._linked = self._others[file_name]
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
        layout = dataset.get_create_plist()
        if layout.get_layout() == h5d.VIRTUAL or layout.get_external_count():
            raise DatasetDamagedError("a dataset lies outside its file")
        shape, dtype = dataset.shape, dataset.dtype
        nbytes = prod(shape) * dtype.itemsize
        if nbytes > _SMALL_NBYTES:
            stored = dataset.get_storage_size()
            if stored > self._file_nbytes or nbytes > stored * MOST_PACKED:
                raise DatasetDamagedError(
                    f"a dataset of shape {shape} claims {nbytes} bytes; {stored} are in the file"
                )
        self.budget.take(nbytes)
        if dtype.hasobject:
            check_variable(dataset.get_type())
        if layout.get_layout() == h5d.CHUNKED:
            check_chunks(dataset, layout)
        array = np.empty(shape, dtype=dtype)
        if dtype.kind == "O" and array.size:
            self._read_rows(dataset, array)
        elif array.size:
            # Into memory of its own type, so that HDF5 converts nothing.
            dataset.read(h5s.ALL, h5s.ALL, array)
        return array

    def _read_rows(self, dataset: Any, array: np.ndarray[Any, Any]) -> None:
        """Read rows of variable length, of which many may lie in the same place."""
        content = (self._linked or self)._map
        lengths = None if content is None else read_row_lengths(dataset, content.content)
        if lengths is not None:
            kind = dataset.get_type()
            itemsize = kind.get_super().get_size() if isinstance(kind, h5t.TypeVlenID) else 1
            self._count_heap(int(lengths.sum()) * itemsize)
            dataset.read(h5s.ALL, h5s.ALL, array)
            return
        # Each may be as large as the file.
        at_once = max(1, _PIECE_NBYTES // self._file_nbytes)
        for start in range(0, array.size, at_once):
            flat = np.arange(start, min(start + at_once, array.size))
            there = dataset.get_space()
            if array.ndim:
                there.select_elements(np.stack(np.unravel_index(flat, array.shape), axis=1))
            rows = np.empty(len(flat), dtype=array.dtype)
            dataset.read(h5s.create_simple((len(flat),)), there, rows)
            self._count_heap(sum(memoryview(row).nbytes for row in rows.tolist()))
            array.reshape(-1)[flat] = rows

    def _count_heap(self, nbytes: int) -> None:
        self._heap_budget.take(nbytes)
        self.budget.take(nbytes)

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
        if attribute.get_space().get_simple_extent_type() == h5s.NULL:
            return None
        shape, dtype = attribute.shape, attribute.dtype
        check_limit(prod(shape) * dtype.itemsize, _SMALL_NBYTES + self._file_nbytes)
        if dtype.hasobject:
            check_variable(attribute.get_type())
        if dtype.hasobject and prod(shape) * self._file_nbytes > FREE_NBYTES:
            # Texts may lie in the same place, and are read all at once.
            content = (self._linked or self)._map
            largest = self._file_nbytes if content is None else find_largest_heap(content.content)
            check_limit(prod(shape) * largest, FREE_NBYTES + self._heap_budget.left)
        value = np.empty(shape, dtype=dtype)
        attribute.read(value)
        return _to_plain(value)

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
