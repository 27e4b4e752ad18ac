"""Claim blocks that a process is about to fetch, so that no other one fetches them, too.

A claim is a lock of the bytes that stand for a block in the table of its segment. It belongs to
the open file, of which each fetch has its own, so that threads claim apart from each other, and
the system takes it away from whoever is killed. Where there are no such locks (they are Linux's),
two processes that want the same block at the same time may both fetch it.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from minari_core.ranges.blocks import Blocks

with suppress(ModuleNotFoundError):  # Windows has none
    import fcntl

_PATIENCE_SECONDS = 120.0  # longer than a source goes on trying
_FIRST_PAUSE, _SHORT_PAUSE, _LONGEST_PAUSE = 0.001, 0.02, 0.5
_PAUSING_SHARE = 1 / 8
# What Linux calls `struct flock`, where numbers of bytes have 64 bits.
_LOCK = struct.Struct("hhqqi4x")


class Claims(Protocol):
    """Claims of the blocks of one segment, until they are closed."""

    def take(self, blocks: Blocks) -> npt.NDArray[np.bool_]:
        """Claim what nobody else has claimed, and return which blocks these are."""
        ...

    def close(self) -> None:
        """Give up all claims."""
        ...


class NoClaims:
    """Claims where nobody else could fetch the same, or nobody could be told."""

    def take(self, blocks: Blocks) -> npt.NDArray[np.bool_]:
        """Claim all blocks."""
        return np.ones(len(blocks), dtype=np.bool_)

    def close(self) -> None:
        """Do nothing."""


class FileClaims:
    """Claims by locks of the bytes of a table."""

    def __init__(self, path: Path, first: int) -> None:
        """Open the file.

        Args:
            path: It has 4 bytes for each block.
            first: The place of those of block 0.

        Raises:
            OSError: The file system refused.
        """
        self._file = os.open(path, os.O_RDWR)
        self._first = first

    def take(self, blocks: Blocks) -> npt.NDArray[np.bool_]:
        """Claim what nobody else has claimed, and return which blocks these are."""
        return np.array([self._lock(block) for block in blocks.tolist()], dtype=np.bool_)

    def _lock(self, block: int) -> bool:
        wanted = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, self._first + 4 * block, 4, 0)
        try:
            fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, wanted)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return True
        return True

    def close(self) -> None:
        """Give up all claims."""
        os.close(self._file)


def open_claims(path: Path, first: int) -> Claims:
    """Open claims of the blocks of a table; see `FileClaims`."""
    if sys.platform == "linux" and struct.calcsize("l") == 8 and hasattr(fcntl, "F_OFD_SETLK"):
        with suppress(OSError):  # it was removed meanwhile, so that it is of no use to others
            return FileClaims(path, first)
    return NoClaims()


def take_turns(
    claims: Claims, find: Callable[[Blocks], npt.NDArray[np.bool_]], blocks: Blocks
) -> Iterator[Blocks]:
    """Yield those blocks that are not at hand and that no other process is fetching.

    Others are waited for: they are at hand then, or are yielded if nobody fetches them any more.

    Args:
        claims: Claims of the blocks of a segment, which are closed at the end.
        find: Returns which blocks are at hand.
        blocks: Blocks, counted from the first of the segment.
    """
    began = time.monotonic()
    pause = _FIRST_PAUSE
    with closing(claims):
        while True:
            # Whoever has given up a claim has stored its block before, or has failed.
            is_mine = claims.take(blocks)
            waited = time.monotonic() - began
            if waited > _PATIENCE_SECONDS:
                is_mine[:] = True  # it may have been stopped
            is_missing = ~find(blocks)
            yield blocks[is_mine & is_missing]
            blocks = blocks[~is_mine & is_missing]
            if not len(blocks):
                return
            time.sleep(pause)
            # Where a server is slow, hundreds of processes that wait must not make it slower.
            seldom = min(_PAUSING_SHARE * waited, _LONGEST_PAUSE)
            pause = max(min(2 * pause, _SHORT_PAUSE), seldom)
