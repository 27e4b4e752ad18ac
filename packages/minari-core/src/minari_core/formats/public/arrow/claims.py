"""Read what the batches of an Arrow file claim to be, without decompressing them.

Arrow takes the memory that a compressed buffer asks for before it looks at what is there. So the
few tables of the file's `format`_ that say it are read here; Arrow checks all others.

.. _format: https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap
from struct import Struct
from struct import error as StructError  # noqa: N812  # it is an exception

from minari_core.errors import DatasetDamagedError

_U16, _I32, _U32, _I64, _PAIR = map(Struct, ("<H", "<i", "<I", "<q", "<qq"))
_BLOCK = Struct("<qi4xq")
_END = b"ARROW1"
_DICTIONARIES, _BATCHES = 2, 3
_CONTINUATION = 0xFFFFFFFF
_UNCOMPRESSED = -1


@dataclass(frozen=True, slots=True)
class BatchClaim:
    """The claims of a batch of rows, or of a dictionary's values, about its own size."""

    rows: int
    """The number of its rows; 0 for a dictionary."""
    nbytes: int
    """The memory that its compressed buffers take; 0 if they are not compressed."""


def read_claims(content: bytes | mmap) -> list[BatchClaim]:
    """Read what all batches of a file claim to be.

    Args:
        content: The file.

    Raises:
        DatasetDamagedError: It is no Arrow file.
    """
    try:
        return list(_read_blocks(content))
    except (StructError, OverflowError, RecursionError) as error:
        raise DatasetDamagedError(f"it is no Arrow file: {error}") from error


def _read_blocks(content: bytes | mmap) -> Iterator[BatchClaim]:
    end = len(content) - len(_END)
    if content[max(end, 0) :] != _END or end < _I32.size:
        raise DatasetDamagedError("it does not end as an Arrow file does")
    (size,) = _I32.unpack_from(content, end - _I32.size)
    start = end - _I32.size - size
    if size <= 0 or start < 0:
        raise DatasetDamagedError(f"its last table has {size} bytes")
    footer = _follow(content, start)
    for kind in (_DICTIONARIES, _BATCHES):
        for position in _list(content, footer, kind, _BLOCK.size):
            offset, head, _ = _BLOCK.unpack_from(content, position)
            yield _read_batch(content, offset, head, is_dictionary=kind == _DICTIONARIES)


def _read_batch(
    content: bytes | mmap, offset: int, head: int, *, is_dictionary: bool
) -> BatchClaim:
    (mark,) = _U32.unpack_from(content, _check(offset))
    message = _follow(content, offset + (8 if mark == _CONTINUATION else 4))
    batch = _follow(content, _field(content, message, 2))
    if is_dictionary:
        batch = _follow(content, _field(content, batch, 1))
    length = _field(content, batch, 0)
    rows = _I64.unpack_from(content, length)[0] if length and not is_dictionary else 0
    nbytes = 0
    if _field(content, batch, 3):
        for position in _list(content, batch, 2, _PAIR.size):
            start, size = _PAIR.unpack_from(content, position)
            if size:
                (claimed,) = _I64.unpack_from(content, _check(offset + head + start))
                nbytes += size if claimed == _UNCOMPRESSED else max(claimed, 0)
    return BatchClaim(rows, nbytes)


def _field(content: bytes | mmap, table: int, number: int) -> int:
    """Return where a field of a table lies, or 0 if the table does not have it."""
    where = _check(table - _I32.unpack_from(content, table)[0])
    slot = 4 + 2 * number
    if slot >= _U16.unpack_from(content, where)[0]:
        return 0
    (offset,) = _U16.unpack_from(content, where + slot)
    return table + int(offset) if offset else 0


def _follow(content: bytes | mmap, position: int) -> int:
    return position + int(_U32.unpack_from(content, position)[0])


def _list(content: bytes | mmap, table: int, number: int, size: int) -> Iterator[int]:
    """Yield where the items of a list lie that is a field of a table."""
    field = _field(content, table, number)
    if not field:
        return
    start = _follow(content, field)
    (count,) = _U32.unpack_from(content, start)
    yield from range(start + 4, start + 4 + count * size, size)


def _check(position: int) -> int:
    # A negative one would be counted from the end.
    if position < 0:
        raise DatasetDamagedError(f"something lies at byte {position}")
    return position
