"""CRC-32 of a file and of each of its blocks, for one reading of it."""

from __future__ import annotations

import zlib
from functools import cache
from io import FileIO

import numpy as np

from minari_core.ranges.blocks import BLOCK_NBYTES
from minari_core.ranges.checksums import BlockChecksums

_POLYNOMIAL = 0xEDB88320
_Matrix = tuple[int, ...]


def compute_block_checksums(file: FileIO) -> tuple[BlockChecksums, int]:
    """Compute the CRC-32 of each block of an open file, and of all of it."""
    file.seek(0)
    crcs: list[int] = []
    nbytes = total = 0
    # One small buffer stays in the processor's cache, where a new one a block would not.
    buffer = memoryview(bytearray(BLOCK_NBYTES))
    while count := _fill(file, buffer):
        crcs.append(zlib.crc32(buffer[:count]))
        total = combine_crc32(total, crcs[-1], count)
        nbytes += count
    return BlockChecksums(nbytes, np.array(crcs, dtype=np.uint32)), total


def combine_crc32(first: int, second: int, nbytes: int) -> int:
    """Return the CRC-32 of bytes and those that follow them.

    As zlib's ``crc32_combine`` (Adler), which Python does not have: appending zeros to bytes
    multiplies their CRC by a matrix over the field of two elements.

    Args:
        first: The CRC-32 of the bytes before.
        second: That of those that follow.
        nbytes: The number of those that follow.
    """
    power = 0
    while nbytes:
        if nbytes & 1:
            first = _multiply(_append_zeros(power), first)
        nbytes >>= 1
        power += 1
    return first ^ second


@cache
def _append_zeros(power: int) -> _Matrix:
    """Return the matrix that appends ``2 ** power`` bytes that are 0."""
    if power:
        half = _append_zeros(power - 1)
        return tuple(_multiply(half, column) for column in half)
    one_bit = (_POLYNOMIAL, *(1 << bit for bit in range(31)))
    matrix = one_bit
    for _ in range(3):
        matrix = tuple(_multiply(matrix, column) for column in matrix)
    return matrix


def _multiply(matrix: _Matrix, vector: int) -> int:
    product = 0
    for column in matrix:
        if not vector:
            break
        if vector & 1:
            product ^= column
        vector >>= 1
    return product


def _fill(file: FileIO, buffer: memoryview) -> int:
    filled = 0
    while filled < len(buffer) and (count := file.readinto(buffer[filled:])):
        filled += count
    return filled
