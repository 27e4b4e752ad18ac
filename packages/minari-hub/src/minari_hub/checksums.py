"""Checksums as remotes keep them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Checksum:
    """A checksum of a known kind."""

    algorithm: str
    """``crc32c``, ``md5``, ``sha256`` or ``git-sha1``."""
    digest: str
    """In hexadecimal."""
