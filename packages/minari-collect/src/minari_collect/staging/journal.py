"""The journal of a recording: what a staging folder says of the shards that lie in it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from minari_core.columns import Array, Column, Schema, schema_from_json
from minari_core.environments.env_specs import env_spec_from_json
from minari_core.episodes import ShardData, encode_entries
from minari_core.errors import (
    DatasetDamagedError,
)
from minari_core.formats.columnar.manifest import Manifest, Snapshot
from minari_core.formats.columnar.shard_folder import ShardFolder
from minari_core.formats.shards.entry import ShardEntry, read_entry
from minari_core.json_values import JsonObject, from_json_text, to_json_text


@dataclass(frozen=True, slots=True)
class RecoverableRecording:
    """Episodes that a collector had written to its temporary folder when its process ended."""

    id: str
    """What `recover` and `discard` take."""
    started: str
    """When the first of its buffers was written, in ISO 8601."""
    env_id: str | None
    """The environment that was recorded."""
    total_episodes: int
    """How many episodes it has, the last one perhaps cut short."""
    total_steps: int
    """How many steps they have."""
    nbytes: int
    """How much disk it takes."""


class _Unended:
    """Shards whose last steps may be of an episode without an entry."""

    def __init__(self, folder: Path, metadata: JsonObject, uid: str) -> None:
        self.metadata = metadata
        self.uid = uid
        """Tells a dataset that the episodes are committed to which recording they are of."""
        self._folder = folder
        self._schemas: list[Schema] = []
        self._shards: list[ShardEntry] = []
        self._unfinished: JsonObject | None = None

    def add(self, entry: ShardEntry, unfinished: object) -> None:
        """Take in the next shard."""
        self._shards.append(entry)
        self._unfinished = unfinished if isinstance(unfinished, dict) else None

    @cached_property
    def storage(self) -> ShardFolder:
        """All of them, once they are complete."""
        snapshot = Snapshot(tuple(self._schemas), tuple(self._shards), self.uid)
        return ShardFolder(self._folder, Manifest(self.metadata, snapshot))

    def steps_of_unfinished(self) -> int:
        """The steps behind those of the finished episodes."""
        storage = self.storage
        finished = 0
        for number, (_, _, episodes) in enumerate(storage.shard_counts()):
            if episodes:
                entries = storage.shard(number).readers(copy=False)["episodes"](0, episodes)
                if isinstance(entries, dict):
                    finished += int(np.sum(entries["length"]))
        return storage.total_steps - finished

    def enter_unfinished(self) -> None:
        """Add an entry for the episode that was going on, so that it can be read."""
        steps = self.steps_of_unfinished()
        if steps == 0:
            return
        known = self._unfinished or {"seed": None, "options": "null"}
        seed = known["seed"]
        options = from_json_text(str(known["options"]))
        entries, pieces = encode_entries(
            [steps],
            [seed if isinstance(seed, int) else None],
            [options if isinstance(options, dict) else None],
            [None],
            {},
        )
        parts: dict[str, Column] = dict(self.storage.snapshot.schemas[-1].groups)
        arrays: list[list[Array]] = []
        for name, column in parts.items():
            if name == "episodes":
                arrays += pieces
            else:
                arrays += [[array] for array in column.encode([], name)]
        parts["episodes"] = entries
        self.storage.add([ShardData(Schema(parts), arrays, rows=0, steps=0, episodes=1)])


class _Lane(_Unended):
    """The pieces of one episode that went on while those of other environments ended."""

    def __init__(self, folder: Path, metadata: JsonObject, uid: str) -> None:
        super().__init__(folder, metadata, uid)
        self._is_cut = False

    def add_piece(self, line: JsonObject) -> None:
        """Take in the next piece."""
        entry = self._entry(_object(line, "piece"), schema_from_json(line["schema"]))
        if entry is not None:
            self.add(entry, line["unfinished"])

    def _entry(self, described: JsonObject, schema: Schema) -> ShardEntry | None:
        entry = read_entry(described, [len(schema.arrays)])
        # After a power cut a piece may be missing, and the ones behind it are of no use then.
        if self._is_cut or not _is_whole(self._folder / entry.file, entry.nbytes):
            self._is_cut = True
            return None
        if schema not in self._schemas:
            self._schemas.append(schema)
        return replace(entry, schema=self._schemas.index(schema))


class _Journal(_Unended):
    """What a recording's journal says."""

    def __init__(self, folder: Path, lines: list[JsonObject]) -> None:
        header, *rest = lines
        super().__init__(folder, _object(header, "metadata"), str(header["uid"]))
        self.started = str(header["started"])
        lanes: dict[object, _Lane] = {}
        for line in rest:
            if "piece" in line:
                lane = lanes.setdefault(line["lane"], _Lane(folder, self.metadata, self.uid))
                lane.add_piece(line)
            elif not self._take_line(line):
                # After a power cut; what comes behind it would not be of the same episodes.
                break
            elif "shards" in line:
                del lanes[line["lane"]]
        self.lanes = [lane for lane in lanes.values() if lane.steps_of_unfinished()]
        """Episodes of a vector environment that were going on beside those that ended."""

    def _take_line(self, line: JsonObject) -> bool:
        """Take in the shards of a line, if all are there."""
        schemas = line["schemas"] if "schemas" in line else [line.get("schema")]
        if isinstance(schemas, list):
            self._schemas += [schema_from_json(schema) for schema in schemas if schema]
        arrays_of = [len(schema.arrays) for schema in self._schemas]
        described = line["shards"] if "shards" in line else [line.get("shard")]
        entries = [
            read_entry(entry, arrays_of)
            for entry in (described if isinstance(described, list) else [])
            if isinstance(entry, dict)
        ]
        if not all(_is_whole(self._folder / entry.file, entry.nbytes) for entry in entries):
            return False
        for entry in entries:
            self.add(entry, line.get("unfinished"))
        return True

    def described(self, recording_id: str) -> RecoverableRecording:
        """What there is to recover."""
        spec = self.metadata.get("env_spec")
        snapshots = [self.storage.snapshot, *(lane.storage.snapshot for lane in self.lanes)]
        unfinished = (self.steps_of_unfinished() > 0) + len(self.lanes)
        return RecoverableRecording(
            id=recording_id,
            started=self.started,
            env_id=env_spec_from_json(spec).id if isinstance(spec, str) else None,
            total_episodes=snapshots[0].total_episodes + unfinished,
            total_steps=sum(snapshot.total_steps for snapshot in snapshots),
            nbytes=sum(shard.nbytes for snapshot in snapshots for shard in snapshot.shards),
        )


def _read_journal(folder: Path) -> _Journal:
    path = folder / JOURNAL_NAME
    try:
        # A last line that was cut short by the end of the process is of no shard that counts.
        whole = path.read_bytes().split(b"\n")[:-1]
        lines = [json.loads(line) for line in whole]
        if not lines or not all(isinstance(line, dict) for line in lines):
            raise ValueError("it is not a list of objects")
        return _Journal(folder, lines)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetDamagedError(f"{path} is damaged: {error}") from error


def _is_whole(path: Path, nbytes: int) -> bool:
    try:
        return path.stat().st_size == nbytes
    except OSError:
        return False


def _object(holder: JsonObject, key: str) -> JsonObject:
    value = holder[key]
    if not isinstance(value, dict):
        raise TypeError(f"{key} is not an object")
    return value


JOURNAL_NAME = "journal.jsonl"


def _line(content: JsonObject) -> bytes:
    return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"


def _described(unfinished: tuple[int | None, object] | None) -> JsonObject | None:
    if unfinished is None:
        return None
    seed, options = unfinished
    return {"seed": seed, "options": to_json_text(options, "options")}
