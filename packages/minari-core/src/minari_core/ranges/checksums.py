"""The CRC-32 of each block of an object, to compare what arrives with what was written."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minari_core.ranges.blocks import BLOCK_NBYTES


@dataclass(frozen=True, slots=True)
class BlockChecksums:
    """Checksums of the blocks of an object, whose end may not be summed up."""

    nbytes: int
    """How many bytes are summed up, from the first on."""
    crcs: npt.NDArray[np.uint32]
    """The CRC-32 of each block of these bytes; the last block may be shorter."""

    def fits(self, block: int, content: bytes | memoryview, crc: int | None = None) -> bool:
        """Return whether a block has the content that was summed up, as far as it was.

        Args:
            block: Its number in the object.
            content: All of its bytes.
            crc: Their CRC-32, where it was computed already.
        """
        if block >= len(self.crcs):
            return True
        summed = memoryview(content)[: self.nbytes - block * BLOCK_NBYTES]
        if crc is None or len(summed) < len(content):
            crc = zlib.crc32(summed)
        return crc == int(self.crcs[block])

    def find_damaged(self, contents: memoryview) -> list[int]:
        """Return the blocks of an object that do not have the content that was summed up.

        Args:
            contents: All bytes of the object.
        """
        return [
            block
            for block in range(len(self.crcs))
            if not self.fits(block, contents[block * BLOCK_NBYTES :][:BLOCK_NBYTES])
        ]
