"""An HDF5 file, read by low-level calls that follow no link out of the dataset's folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from h5py import h5a, h5d, h5f, h5g, h5i, h5l, h5o, h5p, h5s, h5t

from minari_core.errors import DatasetBusyError, DatasetDamagedError, MissingDependencyError
from minari_core.files import check_plain
from minari_core.formats.public.hdf5.mapped_file import Attributes, Hdf5Map, Tree, UnusualFileError
from minari_core.formats.public.limits import MOST_PACKED, check_limit, limit_nbytes

_SMALL_NBYTES = 1 << 20
"""What is read without a look at how much is stored."""
_ROWS_AT_ONCE = 256


@contextmanager
def name_damage(where: str) -> Iterator[None]:
    """Turn whatever the block raises about the file into an error that names it.

    Raises:
        DatasetBusyError: A file in it is held open for writing.
        DatasetDamagedError: The block raised another error; the message contains ``where``.
    """
    try:
        yield
    except DatasetDamagedError as error:
        if where in str(error):
            raise
        raise DatasetDamagedError(f"{where}: {error}") from error
    except (DatasetBusyError, MissingDependencyError):
        raise
    except BlockingIOError as error:
        raise DatasetBusyError(
            f"{where} is held open for writing by another program; try again when it is closed"
        ) from error
    except Exception as error:
        raise DatasetDamagedError(f"{where} cannot be read: {error}") from error


class Hdf5File:
    """An open file; links are not followed, except from the root to files beside it."""

    def __init__(self, path: Path, expected_nbytes: int = 0) -> None:
        """Open a file for reading.

        Args:
            path: The file.
            expected_nbytes: The size that its arrays are expected to have in memory.

        Raises:
            DatasetBusyError: Another program holds it open for writing.
            DatasetDamagedError: It is missing or no HDF5 file; the message names it.
        """
        self._path = path
        access = h5p.create(h5p.FILE_ACCESS)
        # Every chunk is read once, so a cache for chunks would only cost its making.
        access.set_cache(0, 1, 0, 0.75)
        with name_damage(str(path)):
            check_plain(path, may_be_link=True)
            self._file = h5f.open(str(path).encode(), h5f.ACC_RDONLY, access)
            self.root = h5g.open(self._file, b"/")
        self._left = limit_nbytes(expected_nbytes, _measure(self._file))
        self._others: dict[str, Hdf5File] = {}
        self._map: Hdf5Map | None = None
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
        """Open the group of an episode.

        Raises:
            DatasetDamagedError: There is none, it is no group, or its link leaves the folder.
        """
        name = f"episode_{number}".encode()
        where = f"episode {number} of {self._path}"
        with name_damage(where):
            links = self.root.links
            if not links.exists(name):
                raise DatasetDamagedError(f"{where} is missing")
            kind = links.get_info(name).type
            if kind == h5l.TYPE_HARD:
                found = h5o.open(self._file, name)
            elif kind == h5l.TYPE_EXTERNAL:
                target, inside = links.get_val(name)
                found = self._open_linked(target, inside, where)
            else:
                raise DatasetDamagedError(f"{where} is a link to another place")
            if not is_group(found):
                raise DatasetDamagedError(f"{where} is not a group")
            return found

    def plain_episode(self, number: int) -> tuple[Tree, Attributes | None] | None:
        """Read an episode by `Hdf5Map.read`; None if only the HDF5 library can read it."""
        name = f"episode_{number}".encode()
        links = self.root.links
        if self._map is None or not links.exists(name):
            return None
        link = links.get_info(name)
        if link.type != h5l.TYPE_HARD:
            return None
        try:
            return self._map.read(link.u)
        except UnusualFileError:
            return None

    def _open_linked(self, target: bytes, inside: bytes, where: str) -> Any:
        file_name = target.decode("utf-8", "replace")
        if Path(file_name).name != file_name or "\\" in file_name or file_name in ("", ".", ".."):
            raise DatasetDamagedError(
                f"{where} is a link to {file_name!r}, which leads out of the dataset's folder"
            )
        path = self._path.parent / file_name
        if path.is_symlink():
            raise DatasetDamagedError(f"{where}: {path} is a link")
        if file_name not in self._others:
            self._others[file_name] = Hdf5File(path)
            self._left += self._others[file_name]._left
        other = self._others[file_name]
        holder, _, name = inside.rpartition(b"/")
        if holder not in (b"", b"/"):
            raise DatasetDamagedError(f"{where} is a link to {inside!r}, which is no episode")
        with name_damage(where):
            return other.open(other.root, name.decode("utf-8"))

    def open(self, group: Any, name: str) -> Any:
        """Open a group or dataset inside a group.

        Raises:
            DatasetDamagedError: The name is a link to another place, or lies in no group.
        """
        if not is_group(group):
            raise DatasetDamagedError(f"what should hold {name} is not a group")
        encoded = name.encode("utf-8")
        if group.links.get_info(encoded).type != h5l.TYPE_HARD:
            raise DatasetDamagedError(f"{name} is a link to another place")
        return h5o.open(group, encoded)

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
            if stored > _measure(h5i.get_file_id(dataset)) or nbytes > stored * MOST_PACKED:
                raise DatasetDamagedError(
                    f"a dataset of shape {shape} claims {nbytes} bytes; {stored} are in the file"
                )
        self._count(nbytes)
        array = np.empty(shape, dtype=dtype)
        if dtype.kind == "O" and len(shape) == 1:
            self._read_rows(dataset, array)
        elif array.size:
            # Into memory of its own type, so that HDF5 converts nothing.
            dataset.read(h5s.ALL, h5s.ALL, array)
        return array

    def _read_rows(self, dataset: Any, array: np.ndarray[Any, Any]) -> None:
        """Read rows of variable length; how much memory they take is seen when they are read."""
        for start in range(0, len(array), _ROWS_AT_ONCE):
            rows = array[start : start + _ROWS_AT_ONCE]
            there = dataset.get_space()
            there.select_hyperslab((start,), (len(rows),))
            dataset.read(h5s.create_simple((len(rows),)), there, rows)
            self._count(sum(memoryview(row).nbytes for row in rows.tolist()))

    def _count(self, nbytes: int) -> None:
        check_limit(nbytes, self._left)
        self._left -= nbytes

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


def _measure(file: Any) -> int:
    """Return the size of an open file in bytes."""
    return int(file.get_filesize())


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


def read_attributes(thing: Any) -> dict[str, Any]:
    """Read the attributes of an object; numbers as numpy's, text as Python's."""
    found: dict[str, Any] = {}
    for index in range(h5a.get_num_attrs(thing)):
        attribute = h5a.open(thing, index=index)
        value = read_attribute(attribute)
        if value is not None:
            found[attribute.name.decode("utf-8")] = value
    return found


def read_attribute(attribute: Any) -> Any:
    """Read the value of an attribute; numbers as numpy's, text as Python's, None if it has none."""
    if attribute.get_space().get_simple_extent_type() == h5s.NULL:
        return None
    value = np.empty(attribute.shape, dtype=attribute.dtype)
    attribute.read(value)
    return _to_plain(value)


def _to_plain(value: np.ndarray[Any, Any]) -> Any:
    if value.dtype.kind in "OS":
        texts = [
            item.decode("utf-8") if isinstance(item, bytes) else item
            for item in value.reshape(-1).tolist()
        ]
        return texts[0] if value.ndim == 0 else texts
    return value[()] if value.ndim == 0 else value
