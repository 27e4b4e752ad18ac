"""The journal of a recording: a line of JSON for each change of what its staging folder holds.

The first line says what is recorded. Each further line adds a shard, adds a piece to a *lane* (the
pieces of an episode that goes on while those of other environments end), or ends a lane and adds
its shards to the others. A line counts if it ends, and if the files that it names are whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from minari_core.columns import Schema, schema_from_json
from minari_core.errors import DatasetDamagedError
from minari_core.files import make_read_error, may_not_read
from minari_core.formats.shards.entry import ShardEntry, read_entry
from minari_core.json_values import JsonObject, from_json_text, to_json_text

JOURNAL_NAME = "journal.jsonl"

Beginning: TypeAlias = tuple[int | None, object]
"""Seed and options of a reset."""


@dataclass(slots=True)
class StagedShards:
    """The shards of a recording, or the pieces of a lane."""

    schemas: list[Schema] = field(default_factory=list)
    """Their different schemas."""
    entries: list[ShardEntry] = field(default_factory=list)
    """Each shard; its schema is an index into ``schemas``."""
    unfinished: Beginning = (None, None)
    """The seed and options of the episode that goes on after the last one, if one does."""


@dataclass(frozen=True, slots=True)
class Journal:
    """The contents of a journal."""

    metadata: JsonObject
    """The metadata of the staged shards."""
    uid: str
    """Tells a dataset that the episodes are committed to which recording they are of."""
    started: str
    """The time at which the recording began, in ISO 8601."""
    shards: StagedShards
    """The shards of the recording."""
    lanes: Sequence[StagedShards]
    """The pieces of episodes that were going on beside those that ended."""


class JournalWriter:
    """Write the journal of a recording. Where the file system refuses, it stays as it was."""

    def __init__(self, folder: Path, metadata: JsonObject, uid: str, started: str) -> None:
        """Create the journal, which makes the folder a recording; see `Journal`."""
        self._path = folder / JOURNAL_NAME
        with open(self._path, "xb") as file:
            file.write(_to_line({"metadata": metadata, "uid": uid, "started": started}))

    def add_shard(
        self, entry: ShardEntry, new_schemas: Sequence[Schema], unfinished: Beginning | None
    ) -> None:
        """Add a shard, with the schemas that no earlier one has."""
        lines: list[JsonObject] = [{"schema": schema.to_json()} for schema in new_schemas]
        lines.append({"shard": entry.to_json(), "unfinished": _beginning_to_json(unfinished)})
        self._append(*lines)

    def add_piece(
        self, lane: int, entry: ShardEntry, schema: Schema, unfinished: Beginning
    ) -> None:
        """Add a piece to a lane."""
        self._append(
            {
                "piece": replace(entry, schema=0).to_json(),
                "schema": schema.to_json(),
                "lane": lane,
                "unfinished": _beginning_to_json(unfinished),
            }
        )

    def close_lane(
        self, lane: int, entries: Sequence[ShardEntry], new_schemas: Sequence[Schema]
    ) -> None:
        """End a lane, and add its shards to the others."""
        # One line, so that the episode is never both whole and in pieces.
        self._append(
            {
                "schemas": [schema.to_json() for schema in new_schemas],
                "shards": [entry.to_json() for entry in entries],
                "lane": lane,
            }
        )

    def _append(self, *lines: JsonObject) -> None:
        with open(self._path, "ab", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            text = b"".join(map(_to_line, lines))
            try:
                if file.write(text) != len(text):
                    raise OSError(f"{file.name} could not be written to its end")
            except OSError:
                file.truncate(end)
                raise


def read_journal(folder: Path) -> Journal:
    """Read the journal of a recording.

    After a power cut, a file may be missing though the journal names it. Such a shard and those
    after it are left out, because they would not be of the same episodes.

    Args:
        folder: The staging folder.

    Raises:
        DatasetDamagedError: It cannot be read.
    """
    path = folder / JOURNAL_NAME
    try:
        # A last line that was cut short by the end of the process is of no shard that counts.
        lines = [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
        if not lines or not all(isinstance(line, dict) for line in lines):
            raise ValueError("it is not a list of objects")
        header = lines[0]
        shards, lanes = _read_shards(folder, lines[1:])
        return Journal(
            _get_object(header, "metadata"),
            str(header["uid"]),
            str(header["started"]),
            shards,
            lanes,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        if may_not_read(error):
            raise make_read_error(path, error) from error
        raise DatasetDamagedError(f"{path} is damaged: {error}") from error


def _read_shards(
    folder: Path, lines: Sequence[JsonObject]
) -> tuple[StagedShards, list[StagedShards]]:
    shards = StagedShards()
    lanes: dict[object, StagedShards] = {}
    cut_lanes: set[object] = set()
    for line in lines:
        if "piece" in line:
            lane = lanes.setdefault(line["lane"], StagedShards())
            if line["lane"] in cut_lanes or not _read_piece(folder, line, lane):
                cut_lanes.add(line["lane"])
        elif not _read_line(folder, line, shards):
            break
        elif "shards" in line:
            del lanes[line["lane"]]
            cut_lanes.discard(line["lane"])
    return shards, list(lanes.values())


def _read_piece(folder: Path, line: JsonObject, lane: StagedShards) -> bool:
    """Add the piece of a line, if its file is there."""
    schema = schema_from_json(line["schema"])
    entry = read_entry(_get_object(line, "piece"), [len(schema.arrays)])
    if not _is_whole(folder, entry):
        return False
    if schema not in lane.schemas:
        lane.schemas.append(schema)
    lane.entries.append(replace(entry, schema=lane.schemas.index(schema)))
    lane.unfinished = _beginning_from_json(line["unfinished"])
    return True


def _read_line(folder: Path, line: JsonObject, shards: StagedShards) -> bool:
    """Add the schemas and shards of a line, if all files are there."""
    schemas = line["schemas"] if "schemas" in line else [line.get("schema")]
    if isinstance(schemas, list):
        shards.schemas += [schema_from_json(schema) for schema in schemas if schema]
    array_counts = [len(schema.arrays) for schema in shards.schemas]
    listed = line["shards"] if "shards" in line else [line.get("shard")]
    entries = [
        read_entry(entry, array_counts)
        for entry in (listed if isinstance(listed, list) else [])
        if isinstance(entry, dict)
    ]
    if not all(_is_whole(folder, entry) for entry in entries):
        return False
    if entries:
        shards.entries += entries
        shards.unfinished = _beginning_from_json(line.get("unfinished"))
    return True


def _is_whole(folder: Path, entry: ShardEntry) -> bool:
    try:
        return (folder / entry.file).stat().st_size == entry.nbytes
    except OSError:
        return False


def _get_object(holder: JsonObject, key: str) -> JsonObject:
    value = holder[key]
    if not isinstance(value, dict):
        raise TypeError(f"{key} is not an object")
    return value


def _to_line(content: JsonObject) -> bytes:
    return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"


def _beginning_to_json(beginning: Beginning | None) -> JsonObject | None:
    if beginning is None:
        return None
    seed, options = beginning
    return {"seed": seed, "options": to_json_text(options, "options")}


def _beginning_from_json(value: object) -> Beginning:
    if not isinstance(value, dict):
        return None, None
    seed, options = value["seed"], from_json_text(str(value["options"]))
    return seed if isinstance(seed, int) else None, options if isinstance(options, dict) else None
