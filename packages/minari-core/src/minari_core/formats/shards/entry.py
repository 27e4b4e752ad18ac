"""The entry of one shard in the manifest: its file, its counts, and where its arrays lie."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, overload

from minari_core.columns import AXES, Axis, Schema
from minari_core.errors import DatasetDamagedError
from minari_core.json_values import JsonObject

FORMAT_VERSION = 1
"""The newest version of the columnar format that this package reads, and the one it writes."""

LENGTHS = "episodes/length"
"""The path of the array that says how many steps each episode has."""

NO_OFFSET = -1
"""Stands for the offset of an array that is stored in chunks."""

Counts: TypeAlias = tuple[int, int, int]
"""The numbers of rows, steps and episodes of a shard."""

# A column group that is one array has no name but its own.
_ARRAY_AXES: Mapping[str, Axis] = {**AXES, LENGTHS: "episodes"}
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


class ShardEntries(Sequence[ShardEntry]):
    """The entries of a manifest, each read when it is asked for.

    A dataset may have ten thousand, and a process that draws batches from it or hands it to others
    needs the counts of all, and the entries of some.
    """

    __slots__ = ("_array_counts", "_counted", "_listed", "_where", "counts")

    def __init__(
        self, listed: Sequence[Any], schemas: Sequence[Schema], where: str, *, check_rows: bool
    ) -> None:
        """Read the counts.

        Args:
            listed: The entries as `ShardEntry.to_json` wrote them.
            schemas: The schemas that they name.
            where: The file of the manifest, for error messages.
            check_rows: Whether an array with another number of rows than its shard is an error.

        Raises:
            KeyError: A count is missing.
            TypeError: An entry is no object.
            ValueError: A count makes no sense.
        """
        columns = [[entry[axis] for entry in listed] for axis in ("rows", "steps", "episodes")]
        for column in columns:
            for value in () if set(map(type, column)) <= {int} else column:
                _count(value)
            if column:
                _count(min(column))
                _count(max(column))
        self.counts: list[Counts] = list(zip(*columns, strict=True))
        """Those of each shard."""
        self._listed = listed
        self._where = where
        self._array_counts = [len(schema.arrays) for schema in schemas]
        self._counted: list[list[tuple[int, str, Axis]]] = [
            [
                (index, spec.path, _ARRAY_AXES[spec.path])
                for index, spec in enumerate(schema.arrays if check_rows else ())
                if spec.path in _ARRAY_AXES
            ]
            for schema in schemas
        ]

    def __len__(self) -> int:
        return len(self._listed)

    @overload
    def __getitem__(self, index: int) -> ShardEntry: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[ShardEntry, ...]: ...

    def __getitem__(self, index: int | slice) -> ShardEntry | tuple[ShardEntry, ...]:
        """Read one entry or some.

        Raises:
            DatasetDamagedError: A value makes no sense, or the file name leaves the dataset's
                folder.
        """
        if isinstance(index, slice):
            return tuple(map(self._read, self._listed[index]))
        return self._read(self._listed[index])

    def __iter__(self) -> Iterator[ShardEntry]:
        return map(self._read, self._listed)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ShardEntries):
            return self._listed == other._listed
        return tuple(self) == other

    __hash__ = None  # type: ignore[assignment]  # as of any sequence that is no tuple

    def _read(self, listed: Mapping[str, object]) -> ShardEntry:
        try:
            entry = read_entry(listed, self._array_counts)
            self._check_rows(entry)
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetDamagedError(f"{self._where} is damaged: {error}") from error
        return entry

    def _check_rows(self, entry: ShardEntry) -> None:
        counts = {"rows": entry.rows, "steps": entry.steps, "episodes": entry.episodes}
        for index, path, axis in self._counted[entry.schema]:
            _, rows = entry.arrays[index]
            if rows != counts[axis]:
                raise ValueError(
                    f"shard {entry.file} is said to have {counts[axis]} {axis}, but its array "
                    f"{path!r} has {rows}"
                )


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
