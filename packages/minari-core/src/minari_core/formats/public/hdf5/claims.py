"""Estimate the memory that HDF5 would take for parts of a file, before it reads them.

A row of variable length lies in a heap; in its place are its length and where in the heap it lies.
Rows may share what lies there, so that a small file can stand for much. A packed chunk is unpacked
by HDF5 to whatever it holds, whatever its dataset says.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from itertools import product
from math import prod
from mmap import ACCESS_READ, mmap
from typing import Any

import numpy as np
import numpy.typing as npt
from h5py import h5d, h5s, h5t, h5z

from minari_core.errors import DatasetDamagedError
from minari_core.formats.public.limits import (
    FREE_NBYTES,
    MOST_PACKED,
    Budget,
    check_limit,
    limit_chunk_nbytes,
    limit_unsaid_nbytes,
)

_ROW = np.dtype([("length", "<u4"), ("address", "<u8"), ("index", "<u4")])
# With its version, without which HDF5 takes it for no heap, and which no text goes on with.
_HEAP = b"GCOL\x01"
_ITEM = np.dtype({"names": ["index", "size"], "formats": ["<u2", "<u8"], "offsets": [0, 8]})
_SCANNED_NBYTES = 1 << 30
"""Files of which all heaps are looked at before a single text, which may lie in any, is read."""
_largest_heaps: dict[tuple[int, ...], int] = {}
_MOST_KNOWN = 16
_CHECKSUM_NBYTES = 4
_AT_ONCE = 1 << 20
_SMALL_NBYTES = 1 << 20
"""What is read without a look at how much is stored."""
_PIECE_NBYTES = 16 << 20


class BoundedReader:
    """Reads the datasets of a file, and takes no more memory for them than it could hold."""

    def __init__(
        self,
        nbytes: int,
        map_content: Callable[[], mmap | None],
        budget: Budget,
        heap: Budget,
        identity: tuple[int, ...] = (),
    ) -> None:
        """Begin.

        Args:
            nbytes: The size of the file.
            map_content: Maps the file; see `map_file`.
            budget: The memory that arrays may still take.
            heap: The same of rows of variable length, which no program packs or stores twice.
            identity: Tells the file and its state from others, if several readers read it.
        """
        self._nbytes = nbytes
        self._map_content = map_content
        self._budget = budget
        self._heap = heap
        self._identity = identity
        self._largest: int | None = None

    def check(self, dataset: Any) -> None:
        """Raise if a dataset, or any part of it, may not be read.

        Raises:
            DatasetDamagedError: It lies outside its file, claims to be larger than it can be, or
                has rows of variable length of which nobody knows how long they are.
        """
        self._check(dataset, dataset.get_create_plist())
        if dataset.dtype.kind == "O" and not self._count_rows(dataset):
            raise DatasetDamagedError("its rows of variable length are packed")

    def read_array(self, dataset: Any) -> np.ndarray[Any, Any]:
        """Read a whole dataset into a fresh array; text as bytes objects.

        Raises:
            DatasetDamagedError: It lies outside its file, or claims to be larger than it can be.
        """
        shape, dtype = dataset.shape, dataset.dtype
        self._check(dataset, dataset.get_create_plist())
        self._budget.take(prod(shape) * dtype.itemsize)
        array = np.empty(shape, dtype=dtype)
        if dtype.kind == "O" and array.size and not self._count_rows(dataset):
            self._read_pieces(dataset, array)
        elif array.size:
            # Into memory of its own type, so that HDF5 converts nothing.
            dataset.read(h5s.ALL, h5s.ALL, array)
        return array

    def read_attribute(self, attribute: Any) -> np.ndarray[Any, Any] | None:
        """Read the value of an attribute; None if it has none.

        Raises:
            DatasetDamagedError: It claims to be larger than it can be.
        """
        if attribute.get_space().get_simple_extent_type() == h5s.NULL:
            return None
        shape, dtype = attribute.shape, attribute.dtype
        check_limit(prod(shape) * dtype.itemsize, _SMALL_NBYTES + self._nbytes)
        if dtype.hasobject:
            check_variable(attribute.get_type())
            # Texts may lie in the same place, and are read all at once.
            if prod(shape) > 1 or self._nbytes <= _SCANNED_NBYTES:
                check_limit(prod(shape) * self._find_largest(), FREE_NBYTES + self._heap.left)
        value = np.empty(shape, dtype=dtype)
        attribute.read(value)
        return value

    def _find_largest(self) -> int:
        """Return how large a row of variable length is at most; that of a file is found once."""
        found = _largest_heaps.get(self._identity) if self._identity else self._largest
        if found is None:
            content = self._map_content()
            found = self._largest = self._nbytes if content is None else survey_heaps(content)
            if self._identity:
                for oldest in [*_largest_heaps][: 1 - _MOST_KNOWN]:
                    _largest_heaps.pop(oldest, None)
                _largest_heaps[self._identity] = found
        return found

    def _check(self, dataset: Any, layout: Any) -> None:
        if layout.get_layout() == h5d.VIRTUAL or layout.get_external_count():
            raise DatasetDamagedError("a dataset lies outside its file")
        shape, dtype = dataset.shape, dataset.dtype
        nbytes = prod(shape) * dtype.itemsize
        if nbytes > _SMALL_NBYTES:
            stored = dataset.get_storage_size()
            if stored > self._nbytes or nbytes > stored * MOST_PACKED:
                raise DatasetDamagedError(
                    f"a dataset of shape {shape} claims {nbytes} bytes; {stored} are in the file"
                )
        if dtype.hasobject:
            check_variable(dataset.get_type())
        if layout.get_layout() == h5d.CHUNKED:
            check_chunks(dataset, layout)

    def _count_rows(self, dataset: Any) -> bool:
        """Count what rows of variable length take, of which many may lie in the same place.

        Returns:
            Whether that is known before they are read.
        """
        content = self._map_content()
        lengths = None if content is None else read_row_lengths(dataset, content)
        if lengths is None:
            return False
        kind = dataset.get_type()
        itemsize = kind.get_super().get_size() if isinstance(kind, h5t.TypeVlenID) else 1
        self._count_heap(int(lengths.sum()) * itemsize)
        return True

    def _read_pieces(self, dataset: Any, array: np.ndarray[Any, Any]) -> None:
        # Each row may be as large as the file.
        at_once = max(1, _PIECE_NBYTES // self._nbytes)
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
        self._heap.take(nbytes)
        self._budget.take(nbytes)


def bound_episode(file: Any) -> BoundedReader:
    """Return what reads an episode of a file that does not say how large its episodes are.

    Args:
        file: The open file, as the low-level calls of h5py have it.
    """
    nbytes = int(file.get_filesize())
    known = os.fstat(file.get_vfd_handle())
    return BoundedReader(
        nbytes,
        cache(partial(map_file, file)),
        Budget(limit_unsaid_nbytes(nbytes)),
        Budget(nbytes),
        (known.st_dev, known.st_ino, known.st_size, known.st_mtime_ns),
    )


def map_file(file: Any) -> mmap | None:
    """Map an open file; None unless its addresses have 8 bytes and count from its beginning."""
    layout = file.get_create_plist()
    if layout.get_userblock() == 0 and layout.get_sizes() == (8, 8):
        # Of the same open file: the path may lead to another one by now.
        with suppress(OSError, ValueError, RuntimeError):
            return mmap(file.get_vfd_handle(), 0, access=ACCESS_READ)
    return None


def read_row_lengths(dataset: Any, content: mmap) -> npt.NDArray[np.int64] | None:
    """Read the number of elements of each row of variable length.

    Args:
        dataset: A dataset of such rows.
        content: Its file, whose addresses have 8 bytes and count from its beginning.

    Returns:
        The numbers, those of rows that a chunk has beyond the last one included; None if the rows
        are packed, or in the header of the dataset, or if rows that are not there have a value.

    Raises:
        DatasetDamagedError: They lie in a heap that HDF5 would never come to the end of.
    """
    layout = dataset.get_create_plist()
    if layout.fill_value_defined() == h5d.FILL_VALUE_USER_DEFINED:
        return None
    extents: list[tuple[int, int]] = []
    if layout.get_layout() == h5d.CONTIGUOUS:
        extents += [(dataset.get_offset(), prod(dataset.shape))] if dataset.get_offset() else []
    elif layout.get_layout() == h5d.CHUNKED and layout.get_nfilters() == 0:
        count = prod(layout.get_chunk())
        extents += [(chunk.byte_offset, count) for chunk in _list_chunks(dataset, layout)]
    else:
        return None
    rows = [np.frombuffer(content, _ROW, count, offset) for offset, count in extents]
    heaps = {each for some in rows for each in some["address"][some["length"] > 0].tolist()}
    for address in sorted(heaps):
        check_heap(content, address)
    lengths = [some["length"] for some in rows]
    return np.concatenate([np.zeros(0, np.int64), *lengths], dtype=np.int64)


def check_variable(kind: Any) -> None:
    """Raise unless values of a type are texts, rows of numbers, or references.

    Others may hold rows of variable length within rows of variable length.

    Raises:
        DatasetDamagedError: They are something else.
    """
    if isinstance(kind, h5t.TypeVlenID):
        is_known = kind.get_super().dtype.kind in "biufc"
    else:
        is_known = isinstance(kind, h5t.TypeStringID | h5t.TypeReferenceID)
    if not is_known:
        raise DatasetDamagedError(f"values of variable length are of type {kind.dtype}")


def check_heap(content: mmap, start: int) -> None:
    """Raise if HDF5 would walk through a heap for ever: past a free part of no size.

    Args:
        content: The file.
        start: Where the heap begins. If none does, HDF5 says so.

    Raises:
        DatasetDamagedError: There is such a part.
    """
    if content[start : start + len(_HEAP)] != _HEAP:
        return
    head = int(_ITEM.itemsize)
    end = start + int.from_bytes(content[start + 8 : start + 16], "little")
    place = start + head
    while place + head <= min(end, len(content)):
        index, size = np.frombuffer(content, _ITEM, 1, place)[0].item()
        if not index and not size:
            raise DatasetDamagedError(f"the heap at byte {start} has a free part of no size")
        place += head + -(-size // 8) * 8 if index else size


def survey_heaps(content: mmap) -> int:
    """Return how large a row of variable length is at most, by the heaps in a file.

    Raises:
        DatasetDamagedError: HDF5 would never come to the end of one.
    """
    largest, offset = 0, content.find(_HEAP)
    while offset >= 0:
        check_heap(content, offset)
        size = int.from_bytes(content[offset + 8 : offset + 16], "little")
        if size <= len(content) - offset:
            largest = max(largest, size)
        offset = content.find(_HEAP, offset + 1)
    return largest


def check_chunks(dataset: Any, layout: Any) -> None:
    """Raise if a chunk unpacks to more than its shape.

    Args:
        dataset: A dataset in chunks.
        layout: The properties that it was created with.

    Raises:
        DatasetDamagedError: One does, or chunks are far larger than the dataset.
    """
    filters = [layout.get_filter(index)[0] for index in range(layout.get_nfilters())]
    if not filters:
        return  # read from the file as they are
    itemsize = dataset.get_type().get_size()
    claimed = prod(layout.get_chunk()) * itemsize
    most = limit_chunk_nbytes(prod(dataset.shape) * itemsize)
    if claimed > most:
        raise DatasetDamagedError(
            f"a dataset of shape {dataset.shape} has chunks of shape {layout.get_chunk()}, each of "
            f"{claimed} bytes; chunks may have {most}"
        )
    if h5z.FILTER_DEFLATE not in filters or not dataset.get_storage_size():
        return
    for chunk in _list_chunks(dataset, layout):
        mask, packed = dataset.read_direct_chunk(chunk.chunk_offset)
        applied = [kind for index, kind in enumerate(filters) if not mask >> index & 1]
        _check_chunk(packed, applied, claimed)


def _check_chunk(packed: bytes, filters: list[int], claimed: int) -> None:
    # What does not pack becomes slightly larger.
    most = claimed + claimed // 64 + 1024
    for index in reversed(range(len(filters))):
        if filters[index] == h5z.FILTER_FLETCHER32:
            packed = packed[:-_CHECKSUM_NBYTES]
        elif filters[index] == h5z.FILTER_DEFLATE:
            packed = _unpack(packed, most, keep=h5z.FILTER_DEFLATE in filters[:index])
        elif filters[index] != h5z.FILTER_SHUFFLE:
            return  # of a kind that packs little


def _unpack(packed: bytes, most: int, *, keep: bool) -> bytes:
    unpacker = zlib.decompressobj()
    total, kept, rest = 0, [], packed
    while rest and not unpacker.eof:
        try:
            piece = unpacker.decompress(rest, _AT_ONCE)
        except zlib.error as error:
            raise DatasetDamagedError(f"a packed chunk is damaged: {error}") from error
        rest = unpacker.unconsumed_tail
        total += len(piece)
        if total > most:
            raise DatasetDamagedError(f"a chunk unpacks to more than the {most} bytes that it may")
        if keep:
            kept.append(piece)
    return b"".join(kept)


def _list_chunks(dataset: Any, layout: Any) -> Iterator[Any]:
    """Yield what is known of the chunks that are stored."""
    if hasattr(dataset, "chunk_iter"):  # of newer releases of HDF5
        found: list[Any] = []
        dataset.chunk_iter(found.append)
        yield from found
        return
    sizes = [range(0, n, size) for n, size in zip(dataset.shape, layout.get_chunk(), strict=True)]
    for corner in product(*sizes):
        chunk = dataset.get_chunk_info_by_coord(corner)
        if chunk.byte_offset is not None:
            yield chunk
