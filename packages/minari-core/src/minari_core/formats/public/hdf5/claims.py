"""Estimate the memory that HDF5 would take for parts of a file, before it reads them.

A row of variable length lies in a heap; in its place are its length and where in the heap it lies.
Rows may share what lies there, so that a small file can stand for much. A packed chunk is unpacked
by HDF5 to whatever it holds, whatever its dataset says.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import product
from math import prod
from mmap import mmap
from typing import Any

import numpy as np
import numpy.typing as npt
from h5py import h5d, h5t, h5z

from minari_core.errors import DatasetDamagedError
from minari_core.formats.public.limits import limit_chunk_nbytes

_ROW = np.dtype([("length", "<u4"), ("address", "<u8"), ("index", "<u4")])
_HEAP = b"GCOL"
_CHECKSUM_NBYTES = 4
_AT_ONCE = 1 << 20


def read_row_lengths(dataset: Any, content: mmap) -> npt.NDArray[np.int64] | None:
    """Read the number of elements of each row of variable length.

    Args:
        dataset: A dataset of such rows.
        content: Its file, whose addresses have 8 bytes and count from its beginning.

    Returns:
        The numbers, those of rows that a chunk has beyond the last one included; None if the rows
        are packed, or in the header of the dataset, or if rows that are not there have a value.
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
    found = [np.frombuffer(content, _ROW, count, offset)["length"] for offset, count in extents]
    return np.concatenate([np.zeros(0, np.int64), *found], dtype=np.int64)


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


def find_largest_heap(content: mmap) -> int:
    """Return how large a row of variable length is at most, by the heaps in a file."""
    largest, offset = 0, content.find(_HEAP)
    while offset >= 0:
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
