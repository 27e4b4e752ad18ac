"""Checksums as remotes keep them, computed of files and of blocks in order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

Algorithm: TypeAlias = Literal["crc32c", "md5", "sha256", "git-sha1"]
"""``git-sha1`` is what git names a file's content by."""

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Checksum:
    """A checksum of a known kind."""

    algorithm: Algorithm
    """The algorithm that computes it."""
    digest: str
    """In hexadecimal, lower case."""

    def matches(self, path: Path) -> bool:
        """Return whether a file has this checksum."""
        return compute_checksum(path, self.algorithm) == self


class Hasher(Protocol):
    """The interface of ``hashlib``: takes data in order, and gives its checksum."""

    def update(self, data: bytes, /) -> None:
        """Take in the next bytes."""

    def hexdigest(self) -> str:
        """Return the checksum of what was taken in, in hexadecimal."""


class _Crc32c:
    def __init__(self) -> None:
        # A compiled extension: imported where it is used.
        from google_crc32c import extend

        self._extend = extend
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = self._extend(self._value, data)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


def start_hasher(algorithm: Algorithm, size: int) -> Hasher:
    """Start a checksum.

    Args:
        algorithm: How it is computed.
        size: The size of the whole content, which git puts in front of it.
    """
    if algorithm == "crc32c":
        return _Crc32c()
    if algorithm == "git-sha1":
        hasher = hashlib.sha1(usedforsecurity=False)
        hasher.update(b"blob %d\0" % size)
        return hasher
    return hashlib.new(algorithm, usedforsecurity=False)


def compute_checksum(path: Path, algorithm: Algorithm) -> Checksum:
    """Compute the checksum of a file."""
    hasher = start_hasher(algorithm, path.stat().st_size)
    for block in read_blocks(path):
        hasher.update(block)
    return Checksum(algorithm, hasher.hexdigest())


def read_blocks(path: Path) -> Iterator[bytes]:
    """Read the content of a file, a block at a time."""
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            yield block
