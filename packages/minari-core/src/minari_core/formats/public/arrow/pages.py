"""Read what the pages of a Parquet file claim to be, without unpacking them.

A page is unpacked as a whole, and stands for as many values as it says, of which one may be stored
for all. That is said by the head of each page, in Thrift's `compact protocol`_.

.. _compact protocol: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap
from typing import Any

from minari_core.errors import DatasetDamagedError

_UNPACKED, _PACKED, _KINDS = 2, 3, (5, 7, 8)
_VALUES = 1
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
_NARROW = {"INT_8": 1, "UINT_8": 1, "INT_16": 2, "UINT_16": 2}
"""Kinds of numbers that are stored in more bytes than they have."""
_REFERENCE_NBYTES = 8
_MOST_FIELDS, _DEEPEST = 1 << 16, 8


@dataclass(frozen=True, slots=True)
class PageClaims:
    """The claims of all pages of a file about their own size."""

    largest: int
    """The size of the largest page when it is unpacked."""
    nbytes: int
    """The memory that all values take; texts, which may be the same, count as references."""


def read_page_claims(content: bytes | mmap, metadata: Any) -> PageClaims:
    """Read what all pages of a file claim to be.

    Args:
        content: The file.
        metadata: Its metadata, as ``ParquetFile.metadata`` gives it.

    Raises:
        DatasetDamagedError: A page is not where one should be.
    """
    largest = nbytes = 0
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for index in range(metadata.num_columns):
            chunk = row_group.column(index)
            leaf = metadata.schema.column(index)
            width = _NARROW.get(leaf.converted_type) or _WIDTHS.get(
                leaf.physical_type, leaf.length or _REFERENCE_NBYTES
            )
            start = chunk.data_page_offset
            if chunk.dictionary_page_offset:
                start = min(start, chunk.dictionary_page_offset)
            if not start and not chunk.num_values:
                continue  # nothing was written
            for unpacked, values in _read_pages(content, start, chunk.total_compressed_size):
                largest = max(largest, unpacked)
                nbytes += width * values
    return PageClaims(largest, nbytes)


def _read_pages(content: bytes | mmap, start: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the unpacked size, and the number of values, of the pages in a part of a file."""
    end = start + size
    if not 0 <= start <= end <= len(content):
        raise DatasetDamagedError(f"pages lie from byte {start} to {end} of {len(content)}")
    while start < end:
        head = _Head(content, start, end)
        unpacked, packed = (head.fields.get((number,), -1) for number in (_UNPACKED, _PACKED))
        if unpacked < 0 or packed < 0:
            raise DatasetDamagedError(f"there is no page at byte {start}")
        yield unpacked, sum(head.fields.get((kind, _VALUES), 0) for kind in _KINDS)
        start = head.offset + packed


class _Head:
    """The head of a page: its whole numbers, by the numbers of their fields."""

    def __init__(self, content: bytes | mmap, start: int, end: int) -> None:
        self._content = content
        self._end = end
        self._left = _MOST_FIELDS
        self.offset = start
        """The offset of what follows it."""
        self.fields: dict[tuple[int, ...], int] = {}
        self._struct(())

    def _struct(self, path: tuple[int, ...]) -> None:
        if len(path) > _DEEPEST:
            raise DatasetDamagedError("the head of a page is too deep")
        number = 0
        while (head := self._byte()) & 0xF:
            number = number + (head >> 4) if head >> 4 else self._whole()
            self._value(head & 0xF, (*path, number))

    def _value(self, kind: int, path: tuple[int, ...]) -> None:
        self._left -= 1
        if self._left < 0:
            raise DatasetDamagedError("the head of a page has too many fields")
        if kind in (4, 5, 6):
            self.fields[path] = self._whole()
        elif kind in (3, 7, 8):
            self._skip({3: 1, 7: 8}.get(kind) or self._varint())
        elif kind in (9, 10):
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._varint()
            for _ in range(count):
                # In a list, a flag has a byte of its own.
                self._value(3 if head & 0xF in (1, 2) else head & 0xF, (*path, -1))
        elif kind == 12:
            self._struct(path)
        elif kind not in (1, 2):
            raise DatasetDamagedError(f"the head of a page has a field of kind {kind}")

    def _whole(self) -> int:
        number = self._varint()
        return number >> 1 ^ -(number & 1)

    def _varint(self) -> int:
        number = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
        raise DatasetDamagedError("the head of a page has a number without an end")

    def _byte(self) -> int:
        self._skip(1)
        return self._content[self.offset - 1]

    def _skip(self, count: int) -> None:
        self.offset += count
        if self.offset > self._end:
            raise DatasetDamagedError("the head of a page is cut")
