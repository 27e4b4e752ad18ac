"""The trailer of a shard: a small index of its episodes, behind the bytes that HDF5 reads.

The lengths of millions of short episodes are tens of megabytes, which nobody should have to read
to find the episode of one step. So where a shard has whole episodes only, its file ends with the
first step of every 64th of them. Who knows no trailer reads the same data without it.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minari_core.errors import DatasetDamagedError
from minari_core.storage.file_map import Contents

EPISODES_PER_START = 64
"""How many episodes share an entry of the index that this package writes."""

_ALIGNMENT = 64
_DTYPE = np.dtype("<i8")
_MAGIC = b"\x89MINARI\n"
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


def encode_trailer(nbytes: int, lengths: npt.NDArray[np.int64]) -> bytes:
    """Encode the trailer of a shard whose episodes are all whole.

    Args:
        nbytes: The size of its file without a trailer.
        lengths: The number of steps of each episode.
    """
    padding = -nbytes % _ALIGNMENT
    starts = _find_starts(lengths, EPISODES_PER_START).astype(_DTYPE)
    table = starts.tobytes()
    description = json.dumps(
        {
            "episode_starts": {
                "every": EPISODES_PER_START,
                "offset": nbytes + padding,
                "length": len(starts),
                "crc32": zlib.crc32(table),
            }
        },
        separators=(",", ":"),
    ).encode("ascii")
    end = _END.pack(len(description), zlib.crc32(description), _MAGIC)
    return bytes(padding) + table + description + end


def read_episode_starts(contents: Contents, episodes: int, where: str) -> EpisodeStarts | None:
    """Read the index of the episodes of a shard; None if its file has none for so many.

    Args:
        contents: All bytes of the file.
        episodes: The number of entries of episodes that count.
        where: The shard, for an error message.

    Raises:
        DatasetDamagedError: The trailer is not what was written.
    """
    description_stop = len(contents) - _END.size
    if description_stop < 0:
        return None
    size, checksum, magic = _END.unpack(contents[description_stop : len(contents)])
    if magic != _MAGIC:
        return None
    try:
        if size > description_stop:
            raise ValueError(f"a description of {size} bytes is more than the file has")
        description = bytes(contents[description_stop - size : description_stop])
        if zlib.crc32(description) != checksum:
            raise ValueError("its checksum is another one")
        index = json.loads(description).get("episode_starts")
        if index is None:
            return None
        every, offset, length = (int(index[key]) for key in ("every", "offset", "length"))
        if every < 1 or length != -(-episodes // every) + 1:
            return None
        if not 0 <= offset <= description_stop - size - length * _DTYPE.itemsize:
            raise ValueError(f"bytes from {offset} on are outside")
        table = contents[offset : offset + length * _DTYPE.itemsize]
        if zlib.crc32(table) != index["crc32"]:
            raise ValueError("the checksum of its index is another one")
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise DatasetDamagedError(f"{where}: its trailer is damaged: {error}") from error
    return EpisodeStarts(every, np.frombuffer(table, _DTYPE).astype(np.int64))


def _find_starts(lengths: npt.NDArray[np.int64], every: int) -> npt.NDArray[np.int64]:
    ends = np.cumsum(lengths, dtype=np.int64)
    starts = ends - lengths
    return np.append(starts[::every], ends[-1:] if len(ends) else 0)
