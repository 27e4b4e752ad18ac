"""The entry of one shard in the manifest: its file, its counts, and where its arrays lie."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from minari_core.json_values import JsonObject

FORMAT_VERSION = 1
"""The newest version of the columnar format that this package reads, and the one it writes."""

NO_OFFSET = -1
"""Stands for the offset of an array that is stored in chunks."""

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """The entry of one shard in the manifest."""

    file: str
    """Its name in the dataset's folder."""
    nbytes: int
    """The size of the file."""
    crc32: int
    """The CRC-32 of the file."""
    schema: int
    """The index of its schema in `Snapshot.schemas`."""
    rows: int
    """Rows of observations and infos."""
    steps: int
    """Rows of actions, rewards and flags."""
    episodes: int
    """Entries of episodes."""
    arrays: tuple[tuple[int, int], ...]
    """For each array of the schema, its byte offset and its number of rows."""

    def to_json(self) -> JsonObject:
        """Return the entry as the manifest stores it."""
        return {
            "file": self.file,
            "bytes": self.nbytes,
            "crc32": self.crc32,
            "schema": self.schema,
            "rows": self.rows,
            "steps": self.steps,
            "episodes": self.episodes,
            "arrays": [list(array) for array in self.arrays],
        }


def read_entry(entry: Mapping[str, object], array_counts: Sequence[int]) -> ShardEntry:
    """Read the entry of one shard from a manifest.

    Args:
        entry: The entry as `ShardEntry.to_json` wrote it.
        array_counts: The number of arrays of each schema.

    Raises:
        KeyError: A key is missing.
        ValueError: A value makes no sense, or the file name leaves the dataset's folder.
    """
    file, schema, arrays = entry["file"], _count(entry["schema"]), entry["arrays"]
    if not isinstance(file, str) or not _FILE_NAME.fullmatch(file):
        raise ValueError(f"shard file name {file!r} leaves the dataset's folder")
    if schema >= len(array_counts) or not isinstance(arrays, list):
        raise ValueError(f"shard {file} has no schema {schema}")
    if len(arrays) != array_counts[schema]:
        raise ValueError(f"shard {file} has {len(arrays)} arrays, not {array_counts[schema]}")
    return ShardEntry(
        file,
        _count(entry["bytes"]),
        _count(entry["crc32"]),
        schema,
        _count(entry["rows"]),
        _count(entry["steps"]),
        _count(entry["episodes"]),
        tuple(
            (NO_OFFSET if offset == NO_OFFSET else _count(offset), _count(rows))
            for offset, rows in arrays
        ),
    )


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(f"{value!r} is not a count")
    return value
