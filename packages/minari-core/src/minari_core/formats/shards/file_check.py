"""Check the file of a shard against its entry in the manifest."""

from __future__ import annotations

import zlib
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from minari_core.columns import Schema
from minari_core.errors import DatasetDamagedError
from minari_core.files import check_plain
from minari_core.formats.shards.entry import ShardEntry
from minari_core.formats.shards.reader import ShardReader, view_array

_READ_SIZE = 1 << 18


def check_shard(folder: Path, shard: ShardEntry, where: str) -> None:
    """Raise unless the file of a shard has the recorded size and checksum.

    Args:
        folder: The folder of the file.
        shard: The entry of the shard in the manifest.
        where: The dataset, for an error message.

    Raises:
        DatasetDamagedError: It is missing, or has another size or CRC-32.
    """
    path = folder / shard.file
    if not path.is_file():
        raise DatasetDamagedError(f"{where} lacks {shard.file}, though its manifest names it")
    nbytes = path.stat().st_size
    if nbytes != shard.nbytes:
        raise DatasetDamagedError(
            f"{shard.file} of {where} has {nbytes} bytes, and its manifest says {shard.nbytes}"
        )
    with open(path, "rb", buffering=0) as file:
        _, crc32 = compute_checksum(file)
    if crc32 != shard.crc32:
        raise DatasetDamagedError(
            f"{shard.file} of {where} is not what its manifest says: its CRC-32 is {crc32:08x}, "
            f"not {shard.crc32:08x}"
        )


def read_shard(folder: Path, shard: ShardEntry, schema: Schema) -> ShardReader:
    """Read the whole file of a shard into memory, and check it against its entry.

    Args:
        folder: The folder of the file.
        shard: The entry of the shard in the manifest.
        schema: The schema that it names.

    Raises:
        OSError: The file cannot be read.
        DatasetDamagedError: It has another size or CRC-32, or an array lies outside it.
    """
    name = str(folder / shard.file)
    check_plain(name)
    with open(name, "rb") as file:
        contents = file.read(shard.nbytes + 1)
    if len(contents) != shard.nbytes or zlib.crc32(contents) != shard.crc32:
        raise DatasetDamagedError(f"{name} is not what its manifest says")
    arrays = [
        view_array(memoryview(contents), shard, schema, index, name, f"{name}: {spec.path}")
        for index, spec in enumerate(schema.arrays)
        if not spec.derived
    ]
    return ShardReader(name, schema, arrays, (shard.rows, shard.steps, shard.episodes))


def compute_checksum(file: BinaryIO | FileIO) -> tuple[int, int]:
    """Compute the size in bytes and the CRC-32 of an open file."""
    file.seek(0)
    nbytes, checksum = 0, 0
    # One small buffer stays in the processor's cache, where a new one a block would not.
    buffer = memoryview(bytearray(_READ_SIZE))
    while count := file.readinto(buffer):  # type: ignore[union-attr]  # every binary file has it
        checksum = zlib.crc32(buffer[:count], checksum)
        nbytes += count
    return nbytes, checksum
