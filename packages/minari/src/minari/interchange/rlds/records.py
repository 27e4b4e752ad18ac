"""TFRecord files: records with their lengths and checksums, one after another."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from minari_core.errors import DatasetDamagedError, MissingDependencyError

try:
    import google_crc32c
except ImportError as error:
    raise MissingDependencyError(
        "the checksums of TFRecord files need google-crc32c; pip install 'minari[rlds]'"
    ) from error

_HEAD = struct.Struct("<QI")
_TAIL = struct.Struct("<I")


def write_record(file: BinaryIO, record: bytes) -> None:
    """Write a record."""
    length = struct.pack("<Q", len(record))
    file.write(length + _TAIL.pack(_mask(length)) + record + _TAIL.pack(_mask(record)))


def iterate_records(path: Path) -> Iterator[bytes]:
    """Read the records of a file.

    Raises:
        DatasetDamagedError: The file cannot be read, ends within a record, or a checksum differs;
            the message names file and record.
    """
    number = 0
    try:
        with path.open("rb") as file:
            left = os.fstat(file.fileno()).st_size
            while left:
                where = f"{path}: record {number}"
                head = file.read(_HEAD.size)
                if len(head) < _HEAD.size:
                    raise DatasetDamagedError(f"{where} has no whole length")
                length, checksum = _HEAD.unpack(head)
                if _mask(head[:8]) != checksum:
                    raise DatasetDamagedError(f"{where}: the checksum of its length differs")
                left -= _HEAD.size + length + _TAIL.size
                if left < 0:
                    raise DatasetDamagedError(f"{where} is of {length} bytes, more than there are")
                record = file.read(length)
                if _TAIL.pack(_mask(record)) != file.read(_TAIL.size):
                    raise DatasetDamagedError(f"{where}: its checksum differs")
                yield record
                number += 1
    except OSError as error:
        if isinstance(error, DatasetDamagedError):
            raise
        raise DatasetDamagedError(f"{path} cannot be read: {error}") from error


def _mask(data: bytes) -> int:
    """Return the checksum as TFRecord has it: CRC-32C, rotated and shifted."""
    checksum: int = google_crc32c.value(data)
    return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF
