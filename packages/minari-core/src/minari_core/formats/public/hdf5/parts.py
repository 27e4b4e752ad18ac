"""Parts of an HDF5 file that do not depend on where they lie, and are therefore decoded once.

The public Minari's files have the same few headers, types, shapes and grids of chunks thousands of
times. Their codes are those of the `file format`_.

.. _file format: https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from math import prod
from struct import Struct
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from h5py import h5t

DATASPACE, LINK_INFO, DATATYPE, EXTERNAL, LINK, LAYOUT = 0x1, 0x2, 0x3, 0x7, 0x6, 0x8
FILTERS, ATTRIBUTE, CONTINUATION, SYMBOL_TABLE, ATTRIBUTE_INFO = 0xB, 0xC, 0x10, 0x11, 0x15
ATTRIBUTE_SIZES = Struct("<BBHHH")
_DECODED = frozenset(
    {
        *(DATASPACE, LINK_INFO, DATATYPE, EXTERNAL, LINK, LAYOUT),
        *(FILTERS, ATTRIBUTE, CONTINUATION, SYMBOL_TABLE, ATTRIBUTE_INFO),
    }
)

Message: TypeAlias = tuple[int, int, int]
"""The type of a message, and the address and size of its contents."""


class UnusualFileError(Exception):
    """Something is not of the simple kind that is decoded here."""


class Form(NamedTuple):
    """Where the messages of a block of a header lie. Thousands of headers have few such forms."""

    prefixes: Struct
    """Picks what stands before each message."""
    expected: tuple[int, ...]
    """What that is."""
    messages: Sequence[Message]
    """Those that are decoded; their addresses count from the beginning of the block."""


class Grid(NamedTuple):
    """The chunks that a dataset of some shape has."""

    keys: tuple[bytes, ...]
    """What the index of chunks says of each: its size, that no filter was left out, its corner."""
    targets: Sequence[tuple[slice, ...]]
    """Where each lies in the dataset."""
    sources: Sequence[tuple[slice, ...]]
    """Which part of it lies there."""
    entries: Struct
    """Picks the keys and addresses of all of them."""
    is_one: bool
    """Whether there is one chunk, as large as the dataset."""
    blocks: tuple[int, ...]
    """How many chunks there are along each axis, and the shape of each."""
    axes: tuple[int, ...]
    """The axes of `blocks`, those of one axis of the dataset beside each other."""
    padded: tuple[int, ...]
    """The shape of all chunks together."""
    inside: tuple[slice, ...]
    """The part of it that is the dataset."""


@lru_cache(maxsize=1024)
def make_struct(element: str, count: int) -> Struct:
    """Return what picks some elements of one form, one behind the other."""
    return Struct("<" + element * count)


@lru_cache(maxsize=64)
def make_layout_struct(rank: int) -> Struct:
    """Return what picks the address of the index of chunks, and their shape."""
    return Struct(f"<Q{rank}I")


def describe_form(content: mmap.mmap, start: int, messages: Sequence[Message], prefix: str) -> Form:
    """Describe the form of a block.

    Each prefix tells where the next one is. So a block that is as long, and has the same prefixes
    in these places, has the same messages there.
    """
    size, end = Struct(f"<{prefix}").size, 0
    picked = "<"
    for _, offset, _ in messages:
        picked += f"{offset - size - end}x{prefix}"
        end = offset
    prefixes = Struct(picked)
    decoded = [message for message in messages if message[0] in _DECODED]
    return Form(prefixes, prefixes.unpack_from(content, start), decoded)


@lru_cache(maxsize=1024)
def lay_grid(shape: tuple[int, ...], sizes: tuple[int, ...], itemsize: int) -> Grid:
    """Return the chunks of some size that a dataset of some shape has."""
    # The last coordinate counts the bytes of an element, and is always 0.
    key, nbytes = Struct(f"<II{len(shape) + 1}Q"), prod(sizes) * itemsize
    targets: list[tuple[slice, ...]] = []
    sources: list[tuple[slice, ...]] = []
    corners = product(*[range(0, n, size) for n, size in zip(shape, sizes, strict=True)])
    for corner in corners:
        spans = [min(size, n - first) for first, size, n in zip(corner, sizes, shape, strict=True)]
        targets.append(
            tuple([slice(first, first + span) for first, span in zip(corner, spans, strict=True)])
        )
        sources.append(tuple([slice(span) for span in spans]))
    keys = [key.pack(nbytes, 0, *[part.start for part in target], 0) for target in targets]
    entries = make_struct(f"{key.size}sQ", len(keys))
    counts = [-(-n // size) for n, size in zip(shape, sizes, strict=True)]
    rank = len(shape)
    return Grid(
        tuple(keys),
        targets,
        sources,
        entries,
        is_one=sizes == shape,
        blocks=(*counts, *sizes),
        axes=tuple([axis for pair in range(rank) for axis in (pair, pair + rank)]),
        padded=tuple([count * size for count, size in zip(counts, sizes, strict=True)]),
        inside=tuple(map(slice, shape)),
    )


@lru_cache(maxsize=256)
def decode_attribute_head(head: bytes) -> tuple[str, tuple[int, ...], np.dtype[Any]]:
    """Return the name, shape and dtype of an attribute, which stand before its value."""
    version, flags, *sizes = ATTRIBUTE_SIZES.unpack_from(head)
    if version not in (1, 3) or (version == 3 and flags):
        raise UnusualFileError("an attribute's version")
    position = 8 if version == 1 else 9
    parts: list[bytes] = []
    for size in sizes:
        parts.append(head[position : position + size])
        position += -(-size // 8) * 8 if version == 1 else size
    name, kind, space = parts
    return name.rstrip(b"\0").decode("utf-8"), decode_shape(space), decode_dtype(kind)


@lru_cache(maxsize=1024)
def decode_dtype(message: bytes) -> np.dtype[Any]:
    """Return the dtype that a message encodes, decoded by the library."""
    dtype: np.dtype[Any] = h5t.decode(b"\x03\x00" + message).dtype
    if dtype.kind not in "biufc":
        raise UnusualFileError(f"values of type {dtype}")
    return dtype


@lru_cache(maxsize=4096)
def decode_shape(message: bytes) -> tuple[int, ...]:
    """Return the shape that a message encodes."""
    version, rank = message[0], message[1]
    if version not in (1, 2) or (version == 2 and message[3] > 1):
        raise UnusualFileError("a dataspace without values")
    return tuple(np.frombuffer(message, "<u8", rank, 8 if version == 1 else 4).tolist())
