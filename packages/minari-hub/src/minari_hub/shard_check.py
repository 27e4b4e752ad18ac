"""A shard's file against what the manifest says of it."""

from __future__ import annotations

import zlib
from pathlib import Path

from minari_core.errors import DatasetDamagedError
from minari_core.manifest import ShardEntry
from minari_hub.checksums import blocks_of


def check_shard(folder: Path, shard: ShardEntry, where: str) -> None:
    """Raise unless a shard is whole.

    Args:
        folder: The folder that it lies in.
        shard: What the manifest says.
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
    crc32 = 0
    for block in blocks_of(path):
        crc32 = zlib.crc32(block, crc32)
    if crc32 != shard.crc32:
        raise DatasetDamagedError(
            f"{shard.file} of {where} is not what its manifest says: its CRC-32 is {crc32:08x}, "
            f"not {shard.crc32:08x}"
        )
