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
from collections.abc import Iterator, Sequence
from contextlib import suppress
from math import prod
from struct import Struct
from struct import error as StructError  # noqa: N812  # it is an exception
from typing import Any, TypeAlias

import numpy as np

from minari_core.formats.public.hdf5.parts import (
    ATTRIBUTE,
    ATTRIBUTE_INFO,
    ATTRIBUTE_SIZES,
    CONTINUATION,
    DATASPACE,
    DATATYPE,
    EXTERNAL,
    FILTERS,
    LAYOUT,
    LINK,
    LINK_INFO,
    SYMBOL_TABLE,
    Form,
    Grid,
    Message,
    UnusualFileError,
    decode_attribute_head,
    decode_dtype,
    decode_shape,
    describe_form,
    lay_grid,
    make_layout_struct,
    make_struct,
)

Tree: TypeAlias = "dict[str, np.ndarray[Any, Any] | Tree]"
Attributes: TypeAlias = dict[str, Any]

_UNDEFINED = 2**64 - 1
_SHARED = 0x2
_V1_HEADER = Struct("<B7xI4x")
_PAIR, _ONE, _NODE = Struct("<QQ"), Struct("<Q"), Struct("<4sBBHQQ")
_SYMBOLS = Struct("<4sHH")
_DEEPEST, _DEEPEST_INDEX, _MOST_STEPS = 16, 4, 1 << 17
_MOST_FORMS, _LARGEST_NAMES, _LARGEST_HEAD = 64, 1 << 16, 1 << 12
_MOST_CHUNKS, _MOST_KEPT_CHUNKS = 1 << 14, 1 << 8
_DAMAGE = (
    StructError,
    LookupError,
    ValueError,
    TypeError,
    OverflowError,
    MemoryError,
    RuntimeError,
)


class Hdf5Map:
    """What lies in a file whose addresses have 8 bytes and count from its beginning."""

    def __init__(self, content: mmap.mmap) -> None:
        """Take a map of the file, which is closed with this."""
        self.content = content
        self._steps = self._nbytes = 0
        self._most_steps = min(_MOST_STEPS, len(self.content))
        self._copies = True
        self._forms: dict[tuple[int, bytes], list[Form]] = {}
        self._names: dict[tuple[bytes, tuple[int, ...]], list[str]] = {}

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
            if kind == LINK:
                name, target = self._link(start)
                tree[name] = self._thing(target, depth - 1)
            elif kind == ATTRIBUTE:
                if attributes is not None:
                    attributes = self._with_attribute(attributes, start)
            elif kind == LINK_INFO:
                following = start + (10 if self.content[start + 1] & 1 else 2)
                self._expect(
                    _ONE.unpack_from(self.content, following)[0] == _UNDEFINED, "many links"
                )
            elif kind == ATTRIBUTE_INFO:
                following = start + (4 if self.content[start + 1] & 1 else 2)
                if _ONE.unpack_from(self.content, following)[0] != _UNDEFINED:
                    attributes = None
            elif kind == SYMBOL_TABLE:
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
            if kind == DATATYPE:
                dtype = decode_dtype(self.content[start : start + size])
            elif kind == DATASPACE:
                shape = decode_shape(self.content[start : start + size])
            elif kind == LAYOUT:
                layout = start
            elif kind in (FILTERS, EXTERNAL):
                raise UnusualFileError("filters or other files")
        if layout is None and shape is None and dtype is None:
            return self._group(address, depth)[0]
        if layout is None or shape is None or dtype is None:
            raise UnusualFileError("neither a group nor a dataset")
        return self._array(layout, shape, dtype)

    def _messages(self, address: int) -> Sequence[Message]:
        """The messages of an object's header that are decoded, those of continuations included."""
        content = self.content
        version, length = _V1_HEADER.unpack_from(content, address)
        if version == 1:
            start, frame, prefix = address + _V1_HEADER.size, 0, "HHB3x"
        else:
            self._expect(content[address : address + 5] == b"OHDR\2", "a header's version")
            flags = content[address + 5]
            start = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
            width = 1 << (flags & 3)
            length = int.from_bytes(content[start : start + width], "little")
            start, frame, prefix = start + width, 4, "BHB2x" if flags & 4 else "BHB"
        messages = self._read_block(start, length, prefix)
        blocks = 1
        for kind, position, _ in messages:  # it grows meanwhile
            if kind == CONTINUATION:
                blocks += 1
                self._expect(blocks < _DEEPEST, "a long header")
                offset, length = _PAIR.unpack_from(content, position)
                messages += self._read_block(offset + frame, length - 2 * frame, prefix)
        return messages

    def _read_block(self, start: int, length: int, prefix: str) -> list[Message]:
        """Return the messages of one block of a header."""
        content = self.content
        beginning = length, content[start : start + 8]
        known = self._forms.get(beginning, ())
        for form in known:
            if form.prefixes.unpack_from(content, start) == form.expected:
                self._step(len(form.expected))
                return [(kind, start + offset, size) for kind, offset, size in form.messages]
        head = Struct(f"<{prefix}")
        messages: list[Message] = []
        position = 0
        while position + head.size <= length:
            self._step()
            kind, size, flags = head.unpack_from(content, start + position)
            if flags & _SHARED:
                raise UnusualFileError("a shared message")
            messages.append((kind, position + head.size, size))
            position += head.size + size
        form = describe_form(content, start, messages, prefix)
        if len(self._forms) < _MOST_FORMS and len(known) < _MOST_FORMS:
            self._forms[beginning] = [*known, form]
        return [(kind, start + offset, size) for kind, offset, size in form.messages]

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
        nbytes, names = (
            _ONE.unpack_from(content, heap + 8)[0],
            _ONE.unpack_from(content, heap + 24)[0],
        )
        self._expect(nbytes <= _LARGEST_NAMES, "many names")
        text = content[names : names + nbytes]
        for table in self._tables(tree, _DEEPEST):
            signature, _, count = _SYMBOLS.unpack_from(content, table)
            self._expect(signature == b"SNOD", "a table of symbols")
            values = make_struct("QQI20x", count).unpack_from(content, table + _SYMBOLS.size)
            offsets, targets, cached = values[::3], values[1::3], values[2::3]
            # A link to another place has no header, and says so here.
            self._expect(2 not in cached and _UNDEFINED not in targets, "a link to another place")
            found = self._names.get((text, offsets))
            if found is None:
                ends = [text.index(b"\0", offset) for offset in offsets]
                found = [text[o:e].decode("utf-8") for o, e in zip(offsets, ends, strict=True)]
                if len(self._names) < _MOST_FORMS:
                    self._names[text, offsets] = found
            yield from zip(found, targets, strict=True)

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
        attributes[name] = value
        return attributes

    def _attribute(self, start: int) -> tuple[str, Any]:
        content = self.content
        version, _, *sizes = ATTRIBUTE_SIZES.unpack_from(content, start)
        if version == 1:
            value = start + 8 + sum([-(-size // 8) * 8 for size in sizes])
        else:
            value = start + 9 + sum(sizes)
        self._expect(value - start <= _LARGEST_HEAD, "a long attribute")
        name, shape, dtype = decode_attribute_head(content[start:value])
        if not shape:
            return name, np.frombuffer(content, dtype, 1, value)[0]
        return name, np.frombuffer(content, dtype, prod(shape), value).reshape(shape).copy()

    def _array(
        self, layout: int, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> np.ndarray[Any, Any]:
        content, rank = self.content, len(shape)
        version, kind = content[layout], content[layout + 1]
        self._expect(version == 3 and kind in (1, 2), "a layout's version")
        count = prod(shape)
        self._nbytes += count * dtype.itemsize
        self._expect(self._nbytes <= len(content), "arrays larger than the file")
        if kind == 1:
            address, nbytes = _PAIR.unpack_from(content, layout + 2)
            self._expect(address != _UNDEFINED and nbytes == count * dtype.itemsize, "no data")
            return self._view(address, shape, dtype, count)
        self._expect(rank > 0 and content[layout + 2] == rank + 1, "its layout")
        tree, *sizes = make_layout_struct(rank).unpack_from(content, layout + 3)
        grid = self._grid(shape, tuple(sizes), dtype.itemsize)
        keys, addresses = self._chunks(tree, grid, _DEEPEST_INDEX)
        # Each in its place, and none is missing.
        if keys != grid.keys:
            raise UnusualFileError("a chunk too many, or in no place")
        if grid.is_one:
            return self._view(addresses[0], shape, dtype, count)
        per_chunk = prod(sizes)
        nbytes = per_chunk * dtype.itemsize
        if addresses == tuple(range(addresses[0], addresses[-1] + 1, nbytes)):
            # One behind the other, as a program leaves them that writes nothing else meanwhile.
            flat = np.frombuffer(content, dtype, per_chunk * len(addresses), addresses[0])
            whole = flat.reshape(grid.blocks).transpose(grid.axes).reshape(grid.padded)[grid.inside]
            return whole.copy() if self._copies or not whole.flags.c_contiguous else whole
        found = np.empty(shape, dtype)
        for address, target, source in zip(addresses, grid.targets, grid.sources, strict=True):
            chunk = np.frombuffer(content, dtype, per_chunk, address).reshape(sizes)
            found[target] = chunk[source]
        return found

    def _view(
        self, address: int, shape: tuple[int, ...], dtype: np.dtype[Any], count: int
    ) -> np.ndarray[Any, Any]:
        view = np.frombuffer(self.content, dtype, count, address).reshape(shape)
        return view.copy() if self._copies else view

    def _grid(self, shape: tuple[int, ...], sizes: tuple[int, ...], itemsize: int) -> Grid:
        self._expect(0 not in sizes, "empty chunks")
        if sizes == shape:
            return lay_grid(shape, sizes, itemsize)
        count = prod([-(-length // size) for length, size in zip(shape, sizes, strict=True)])
        self._expect(count * prod(sizes) * itemsize <= len(self.content), "missing chunks")
        self._expect(count <= _MOST_CHUNKS, "many chunks")
        # What is large is not kept.
        lay = lay_grid if count <= _MOST_KEPT_CHUNKS else lay_grid.__wrapped__
        return lay(shape, sizes, itemsize)

    def _chunks(
        self, address: int, grid: Grid, depth: int
    ) -> tuple[tuple[bytes, ...], tuple[int, ...]]:
        """Return the keys and the addresses of the chunks below a node."""
        self._step()
        if not grid.keys:
            return (), ()
        self._expect(address != _UNDEFINED and depth > 0, "no chunks")
        signature, kind, level, entries, _, _ = _NODE.unpack_from(self.content, address)
        self._expect(signature == b"TREE" and kind == 1, "an index of chunks")
        self._expect(entries <= len(grid.keys), "a chunk too many")
        is_all = entries == len(grid.keys)
        entry = grid.entries if is_all else make_struct(f"{len(grid.keys[0])}sQ", entries)
        values = entry.unpack_from(self.content, address + _NODE.size)
        if not level:
            return values[::2], values[1::2]
        keys: tuple[bytes, ...] = ()
        addresses: tuple[int, ...] = ()
        for child in values[1::2]:
            some, there = self._chunks(child, grid, depth - 1)
            keys, addresses = keys + some, addresses + there
            self._expect(len(keys) <= len(grid.keys), "a chunk too many")
        return keys, addresses

    def _step(self, count: int = 1) -> None:
        """Count what is looked at: the same places may be linked to from many."""
        self._steps += count
        if self._steps >= self._most_steps:
            raise UnusualFileError("a large group")

    @staticmethod
    def _expect(holds: bool, what: str) -> None:
        if not holds:
            raise UnusualFileError(what)
