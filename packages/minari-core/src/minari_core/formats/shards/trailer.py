"""The trailer of a shard: small tables behind the bytes that HDF5 reads.

The lengths of millions of short episodes are tens of megabytes, which nobody should have to read
to find the episode of one step. So where a shard has whole episodes only, its file ends with the
first step of every 64th of them. Each block of the bytes before has its CRC-32 there, so that who
reads some blocks knows whether they are what was written. Who knows no trailer reads the same data
without it.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from minari_core.errors import DatasetDamagedError
from minari_core.ranges.blocks import BLOCK_NBYTES
from minari_core.ranges.checksums import BlockChecksums
from minari_core.storage.file_map import Contents

Found = TypeVar("Found")

EPISODES_PER_START = 64
"""How many episodes share an entry of the index that this package writes."""

_ALIGNMENT = 64
_DTYPE = np.dtype("<i8")
_CRC_DTYPE = np.dtype("<u4")
_MAGIC = b"\x89MINARI\n"
_HDF5, _SUPERBLOCK_NBYTES = b"\x89HDF\r\n\x1a\n", 48
# The size and the CRC-32 of the description before it, and the mark of a trailer.
_END = struct.Struct("<II8s")


@dataclass(frozen=True, slots=True)
class EpisodeStarts:
    """The first step of every so many episodes of a shard, in which all of them are whole."""

    every: int
    """How many episodes there are for each entry."""
    starts: npt.NDArray[np.int64]
    """The first step of episodes 0, ``every``, 2 × ``every``, … in the shard, and at the end the
    number of its steps."""

    def fits(self, lengths: npt.NDArray[np.int64]) -> bool:
        """Return whether these are the starts of episodes.

        Args:
            lengths: The number of steps of each episode of the shard.
        """
        return np.array_equal(self.starts, _find_starts(lengths, self.every))


def encode_trailer(
    nbytes: int, lengths: npt.NDArray[np.int64] | None, checksums: BlockChecksums | None = None
) -> bytes:
    """Encode the trailer of a shard.

    Args:
        nbytes: The size of its file without a trailer.
        lengths: The number of steps of each episode; None where some may not be whole.
        checksums: Those of the blocks of its file without a trailer.
    """
    trailer = bytearray(-nbytes % _ALIGNMENT)
    description: dict[str, dict[str, int]] = {}

    def add(name: str, table: npt.NDArray[np.generic], **fields: int) -> None:
        content = table.tobytes()
        offset, crc32 = nbytes + len(trailer), zlib.crc32(content)
        description[name] = {**fields, "offset": offset, "length": len(table), "crc32": crc32}
        trailer.extend(content)

    if lengths is not None:
        starts = _find_starts(lengths, EPISODES_PER_START)
        add("episode_starts", starts.astype(_DTYPE), every=EPISODES_PER_START)
    if checksums is not None:
        crcs = checksums.crcs.astype(_CRC_DTYPE)
        add("block_checksums", crcs, block=BLOCK_NBYTES, bytes=checksums.nbytes)
    text = json.dumps(description, separators=(",", ":")).encode("ascii")
    return bytes(trailer) + text + _END.pack(len(text), zlib.crc32(text), _MAGIC)


def read_episode_starts(contents: Contents, episodes: int, where: str) -> EpisodeStarts | None:
    """Read the index of the episodes of a shard; None if its file has none for so many.

    Args:
        contents: All bytes of the file.
        episodes: The number of entries of episodes that count.
        where: The shard, for an error message.

    Raises:
        DatasetDamagedError: The trailer is not what was written.
    """

    def read(description: Mapping[str, Any], stop: int) -> EpisodeStarts | None:
        index = description.get("episode_starts")
        if index is None:
            return None
        every = int(index["every"])
        if every < 1 or int(index["length"]) != -(-episodes // every) + 1:
            return None
        return EpisodeStarts(every, _read_table(contents, index, _DTYPE, stop).astype(np.int64))

    return _read(contents, where, read)


def read_block_checksums(contents: Contents, where: str) -> BlockChecksums | None:
    """Read the checksums of the blocks of a shard; None if its file has none.

    Args:
        contents: All bytes of the file.
        where: The shard, for an error message.

    Raises:
        DatasetDamagedError: The trailer is not what was written.
    """

    def read(description: Mapping[str, Any], stop: int) -> BlockChecksums | None:
        sums = description.get("block_checksums")
        if sums is None or sums["block"] != BLOCK_NBYTES:
            return None
        nbytes = int(sums["bytes"])
        if not 0 <= nbytes <= stop or int(sums["length"]) != -(-nbytes // BLOCK_NBYTES):
            raise ValueError(f"it has {sums['length']} checksums for {nbytes} bytes")
        return BlockChecksums(nbytes, _read_table(contents, sums, _CRC_DTYPE, stop))

    return _read(contents, where, read)


def _read(
    contents: Contents, where: str, read: Callable[[Mapping[str, Any], int], Found | None]
) -> Found | None:
    """Read something that a trailer describes, given where its tables end; None without one."""
    description_stop = len(contents) - _END.size
    end = bytes(contents[max(0, description_stop) : len(contents)])
    if len(end) < _END.size or not end.endswith(_MAGIC):
        _check_end(contents, where)
        return None
    size, checksum, _ = _END.unpack(end)
    try:
        if size > description_stop:
            raise ValueError(f"a description of {size} bytes is more than the file has")
        text = bytes(contents[description_stop - size : description_stop])
        if zlib.crc32(text) != checksum:
            raise ValueError("its checksum is another one")
        return read(json.loads(text), description_stop - size)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise DatasetDamagedError(f"{where}: its trailer is damaged: {error}") from error


def _check_end(contents: Contents, where: str) -> None:
    """Raise if a file without a trailer is not HDF5, or goes on behind the end that this says.

    Otherwise a trailer whose last bytes are damaged would be none, and nothing compared any more.
    """
    head = bytes(contents[:_SUPERBLOCK_NBYTES])
    if len(head) < _SUPERBLOCK_NBYTES or not head.startswith(_HDF5):
        raise DatasetDamagedError(f"{where}: it does not begin as an HDF5 file does")
    # By the version of the first block: where it has the address of the end.
    end = int.from_bytes(head[40:48] if head[8] < 2 else head[28:36], "little")
    if end < len(contents):
        raise DatasetDamagedError(
            f"{where}: its trailer is damaged: behind byte {end}, where HDF5 says that it ends, "
            f"are {len(contents) - end} bytes of something else"
        )


def _read_table(
    contents: Contents, index: Mapping[str, Any], dtype: np.dtype[Any], stop: int
) -> npt.NDArray[Any]:
    offset, nbytes = int(index["offset"]), int(index["length"]) * dtype.itemsize
    if not 0 <= offset <= stop - nbytes:
        raise ValueError(f"bytes from {offset} on are outside")
    table = contents[offset : offset + nbytes]
    if zlib.crc32(table) != index["crc32"]:
        raise ValueError("the checksum of its index is another one")
    return np.frombuffer(table, dtype)


def _find_starts(lengths: npt.NDArray[np.int64], every: int) -> npt.NDArray[np.int64]:
    ends = np.cumsum(lengths, dtype=np.int64)
    starts = ends - lengths
    return np.append(starts[::every], ends[-1:] if len(ends) else 0)
