"""Plain groups and datasets of an HDF5 file, decoded from a memory map.

Opening a dataset through the HDF5 library costs as much as reading the whole of a short episode.
What the public Minari writes is simple: small groups whose links and attributes lie in their
headers, and numbers in one block or in chunks without filters. That much of the `file format`_ is
decoded here. Whatever is otherwise raises `UnusualFileError`, and is for the library to read, which
also finds the words for what is damaged.

.. _file format: https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from math import prod
from struct import Struct
from struct import error as StructError  # noqa: N812  # it is an exception
from typing import Any, TypeAlias

import numpy as np
from h5py import h5t

Tree: TypeAlias = "dict[str, np.ndarray[Any, Any] | Tree]"
Attributes: TypeAlias = dict[str, Any]

_UNDEFINED = 2**64 - 1
_DATASPACE, _LINK_INFO, _DATATYPE, _EXTERNAL, _LINK, _LAYOUT = 0x1, 0x2, 0x3, 0x7, 0x6, 0x8
_FILTERS, _ATTRIBUTE, _CONTINUATION, _SYMBOL_TABLE, _ATTRIBUTE_INFO = 0xB, 0xC, 0x10, 0x11, 0x15
_SHARED = 0x2
_V1_MESSAGE, _V2_MESSAGE = Struct("<HHB3x"), Struct("<BHB")
_PAIR, _ONE, _NODE = Struct("<QQ"), Struct("<Q"), Struct("<4sBBHQQ")
_SYMBOLS, _SYMBOL = Struct("<4sHH"), Struct("<QQI")
_ATTRIBUTE_SIZES = Struct("<BBHHH")
_DEEPEST, _DEEPEST_INDEX, _MOST_STEPS = 16, 4, 1 << 17
_DAMAGE = (
    StructError,
    LookupError,
    ValueError,
    TypeError,
    OverflowError,
    MemoryError,
    RuntimeError,
)

Message: TypeAlias = tuple[int, int, int]
"""The type of a message, and the address and size of its contents."""


class UnusualFileError(Exception):
    """Something is not of the simple kind that is decoded here."""


class Hdf5Map:
    """A map of a file whose addresses have 8 bytes and count from its beginning."""

    def __init__(self, descriptor: int) -> None:
        """Map a file that is open.

        Raises:
            OSError: It cannot be mapped.
            ValueError: It is empty.
        """
        self.content = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
        self._steps = self._nbytes = 0
        self._copies = True

    def close(self) -> None:
        """Unmap the file, once nothing views it any more."""
        # While an error is being handled, its traceback may still hold a view.
        with suppress(BufferError):
            self.content.close()

    def read(self, address: int, *, copy: bool = True) -> tuple[Tree, Attributes | None]:
        """Read everything below a group.

        Args:
            address: The address of its header.
            copy: Return fresh arrays; else views of the map, where an array lies in one piece.

        Returns:
            Arrays and dicts of them by name, and the group's attributes, or None if some are not
            numbers.

        Raises:
            UnusualFileError: Something is not simple, or is damaged.
        """
        self._steps = self._nbytes = 0
        self._copies = copy
        try:
            return self._group(address, _DEEPEST)
        except _DAMAGE as error:
            raise UnusualFileError(str(error)) from error

    def _group(self, address: int, depth: int) -> tuple[Tree, Attributes | None]:
        tree: Tree = {}
        attributes: Attributes | None = {}
        for kind, start, _ in self._messages(address):
            if kind == _LINK:
                name, target = self._link(start)
                tree[name] = self._thing(target, depth - 1)
            elif kind == _ATTRIBUTE:
                if attributes is not None:
                    attributes = self._with_attribute(attributes, start)
            elif kind == _LINK_INFO:
                following = start + (10 if self.content[start + 1] & 1 else 2)
                self._expect(
                    _ONE.unpack_from(self.content, following)[0] == _UNDEFINED, "many links"
                )
            elif kind == _ATTRIBUTE_INFO:
                following = start + (4 if self.content[start + 1] & 1 else 2)
                if _ONE.unpack_from(self.content, following)[0] != _UNDEFINED:
                    attributes = None
            elif kind == _SYMBOL_TABLE:
                for name, target in self._symbols(*_PAIR.unpack_from(self.content, start)):
                    tree[name] = self._thing(target, depth - 1)
        # As the library gives them; in some headers they are in the order of their making.
        return dict(sorted(tree.items())), attributes

    def _thing(self, address: int, depth: int) -> np.ndarray[Any, Any] | Tree:
        self._expect(depth > 0, "deep groups")
        shape: tuple[int, ...] | None = None
        dtype: np.dtype[Any] | None = None
        layout: int | None = None
        for kind, start, size in self._messages(address):
            if kind == _DATATYPE:
                dtype = _dtype(self.content[start : start + size])
            elif kind == _DATASPACE:
                shape = _shape(self.content[start : start + size])
            elif kind == _LAYOUT:
                layout = start
            else:
                self._expect(kind not in (_FILTERS, _EXTERNAL), "filters or other files")
        if layout is None:
            return self._group(address, depth)[0]
        if shape is None or dtype is None:
            raise UnusualFileError("a dataset without a shape or a type")
        return self._array(layout, shape, dtype)

    def _messages(self, address: int) -> Iterator[Message]:
        """The messages of an object's header, those of its continuations included."""
        content = self.content
        if content[address : address + 4] == b"OHDR":
            flags = content[address + 5]
            self._expect(content[address + 4] == 2, "a header's version")
            start = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
            width = 1 << (flags & 3)
            end = int.from_bytes(content[start : start + width], "little")
            blocks = [(start + width, start + width + end)]
            form, extra, frame = _V2_MESSAGE, 2 if flags & 4 else 0, 4
        else:
            self._expect(content[address] == 1, "a header's version")
            length = int.from_bytes(content[address + 8 : address + 12], "little")
            blocks = [(address + 16, address + 16 + length)]
            form, extra, frame = _V1_MESSAGE, 0, 0
        for position, end in blocks:  # it grows meanwhile
            while position + form.size <= end:
                self._step()
                kind, size, flags = form.unpack_from(content, position)
                position += form.size + extra
                if flags & _SHARED:
                    raise UnusualFileError("a shared message")
                if kind == _CONTINUATION:
                    self._expect(len(blocks) < _DEEPEST, "a long header")
                    offset, length = _PAIR.unpack_from(content, position)
                    blocks.append((offset + frame, offset + length - frame))
                elif kind:
                    yield kind, position, size
                position += size

    def _link(self, start: int) -> tuple[str, int]:
        content = self.content
        flags = content[start + 1]
        position = start + 2
        if flags & 0x8:
            self._expect(content[position] == 0, "a link to another place")
            position += 1
        position += (8 if flags & 0x4 else 0) + (1 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        length = int.from_bytes(content[position : position + width], "little")
        position += width
        name = content[position : position + length].decode("utf-8")
        return name, _ONE.unpack_from(content, position + length)[0]

    def _symbols(self, tree: int, heap: int) -> Iterator[tuple[str, int]]:
        """The links of a group of the older kind."""
        content = self.content
        self._expect(content[heap : heap + 4] == b"HEAP", "names")
        names = _ONE.unpack_from(content, heap + 24)[0]
        for table in self._tables(tree, _DEEPEST):
            signature, _, count = _SYMBOLS.unpack_from(content, table)
            self._expect(signature == b"SNOD", "a table of symbols")
            for position in range(table + 8, table + 8 + 40 * count, 40):
                offset, target, cached = _SYMBOL.unpack_from(content, position)
                # A link to another place has no header, and says so here.
                self._expect(cached != 2 and target != _UNDEFINED, "a link to another place")
                end = content.find(b"\0", names + offset)
                yield content[names + offset : end].decode("utf-8"), target

    def _tables(self, address: int, depth: int) -> Iterator[int]:
        self._step()
        signature, kind, level, entries, _, _ = _NODE.unpack_from(self.content, address)
        self._expect(signature == b"TREE" and kind == 0 and depth > 0, "an index of links")
        for position in range(address + 32, address + 32 + 16 * entries, 16):
            child = _ONE.unpack_from(self.content, position)[0]
            if level:
                yield from self._tables(child, depth - 1)
            else:
                yield child

    def _with_attribute(self, attributes: Attributes, start: int) -> Attributes | None:
        try:
            name, value = self._attribute(start)
        except UnusualFileError:
            return None
        return {**attributes, name: value}

    def _attribute(self, start: int) -> tuple[str, Any]:
        content = self.content
        version, flags, *sizes = _ATTRIBUTE_SIZES.unpack_from(content, start)
        self._expect(version in (1, 3) and (version == 1 or not flags), "an attribute's version")
        position = start + (8 if version == 1 else 9)
        parts: list[bytes] = []
        for size in sizes:
            parts.append(content[position : position + size])
            position += -(-size // 8) * 8 if version == 1 else size
        name, kind, space = parts
        shape, dtype = _shape(space), _dtype(kind)
        value = np.frombuffer(content, dtype, prod(shape), position).reshape(shape)
        return name.rstrip(b"\0").decode("utf-8"), value.copy() if shape else value[()]

    def _array(
        self, layout: int, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> np.ndarray[Any, Any]:
        content = self.content
        version, kind = content[layout], content[layout + 1]
        self._expect(version == 3, "a layout's version")
        count = prod(shape)
        self._nbytes += count * dtype.itemsize
        self._expect(self._nbytes <= len(content), "arrays larger than the file")
        if kind == 1:
            offset, nbytes = _PAIR.unpack_from(content, layout + 2)
            self._expect(offset != _UNDEFINED and nbytes == count * dtype.itemsize, "no data")
            view = np.frombuffer(content, dtype, count, offset).reshape(shape)
            return view.copy() if self._copies else view
        rank = len(shape)
        self._expect(kind == 2 and rank > 0 and content[layout + 2] == rank + 1, "its layout")
        tree = _ONE.unpack_from(content, layout + 3)[0]
        sizes = np.frombuffer(content, "<u4", rank, layout + 11).tolist()
        self._expect(all(sizes), "empty chunks")
        missing = prod(-(-length // size) for length, size in zip(shape, sizes, strict=True))
        per_chunk = prod(sizes)
        chunk_nbytes = per_chunk * dtype.itemsize
        self._expect(missing * chunk_nbytes <= len(content), "chunks that are not there")
        found = np.empty(shape, dtype)
        last: list[int] = []
        for nbytes, corner, offset in self._chunks(tree, rank, _DEEPEST_INDEX):
            missing -= 1
            # One after the other, and each in a place of its own: so all places have one.
            if nbytes != chunk_nbytes or missing < 0 or corner <= last:
                raise UnusualFileError("a chunk too many")
            if any(c % size or c >= n for c, size, n in zip(corner, sizes, shape, strict=True)):
                raise UnusualFileError("a chunk in no place")
            last = corner
            chunk = np.frombuffer(content, dtype, per_chunk, offset).reshape(sizes)
            target = found[
                tuple([slice(c, c + size) for c, size in zip(corner, sizes, strict=True)])
            ]
            if target.shape != chunk.shape:
                chunk = chunk[tuple(map(slice, target.shape))]
            target[...] = chunk
        self._expect(missing == 0, "chunks that are not there")
        return found

    def _chunks(self, address: int, rank: int, depth: int) -> Iterator[tuple[int, list[int], int]]:
        """Yield the size, the corner and the address of each chunk below a node."""
        self._step()
        self._expect(address != _UNDEFINED and depth > 0, "no chunks")
        signature, kind, level, entries, _, _ = _NODE.unpack_from(self.content, address)
        self._expect(signature == b"TREE" and kind == 1, "an index of chunks")
        entry = Struct(f"<II{rank + 1}QQ")
        position = address + _NODE.size
        for _ in range(entries):
            nbytes, mask, *corner, child = entry.unpack_from(self.content, position)
            position += entry.size
            if level:
                yield from self._chunks(child, rank, depth - 1)
            elif mask:
                raise UnusualFileError("filters that were left out")
            else:
                # The last coordinate counts the bytes of an element, and is always 0.
                yield nbytes, corner[:rank], child

    def _step(self) -> None:
        """Count what is looked at: the same places may be linked to from many."""
        self._steps += 1
        self._expect(self._steps < min(_MOST_STEPS, len(self.content)), "a large group")

    @staticmethod
    def _expect(holds: bool, what: str) -> None:
        if not holds:
            raise UnusualFileError(what)


@lru_cache(maxsize=1024)
def _dtype(message: bytes) -> np.dtype[Any]:
    """Return the dtype that a message encodes, decoded by the library."""
    dtype: np.dtype[Any] = h5t.decode(b"\x03\x00" + message).dtype
    if dtype.kind not in "biufc":
        raise UnusualFileError(f"values of type {dtype}")
    return dtype


@lru_cache(maxsize=4096)
def _shape(message: bytes) -> tuple[int, ...]:
    version, rank = message[0], message[1]
    if version not in (1, 2) or (version == 2 and message[3] > 1):
        raise UnusualFileError("a dataspace without values")
    return tuple(np.frombuffer(message, "<u8", rank, 8 if version == 1 else 4).tolist())
