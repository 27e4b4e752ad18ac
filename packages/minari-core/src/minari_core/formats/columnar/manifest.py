"""The manifest of a dataset: ``metadata.json``.

It says what the dataset is (the public Minari's keys) and, for the columnar format, where every
array of every shard lies. It is only ever replaced as a whole.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minari_core.columns import Schema, schema_from_json
from minari_core.errors import (
    DatasetDamagedError,
    DatasetNotFoundError,
    DatasetWriteError,
    FormatError,
    MetadataError,
)
from minari_core.files import check_plain, replace_file
from minari_core.formats.shards.entry import (
    _AXIS_OF_ARRAY,
    _LARGEST,
    FORMAT_VERSION,
    ShardEntry,
    read_entry,
)
from minari_core.json_values import JsonObject, JsonValue, plain

MANIFEST_NAME = "metadata.json"


_LAYOUT_KEY = "columnar"
_FIXED_KEYS = frozenset(
    {
        "dataset_id",
        "observation_space",
        "action_space",
        "env_spec",
        "data_format",
        "minari_version",
        "total_episodes",
        "total_steps",
    }
)
_TOTALS = ("total_episodes", "total_steps")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The shards of a columnar dataset, and the schemas that they share."""

    schemas: tuple[Schema, ...] = ()
    """Each schema once."""
    shards: tuple[ShardEntry, ...] = ()
    """The shards, in the order of their rows."""
    uid: str = ""
    """Random text that tells this dataset from another that later takes its id."""
    recordings: tuple[str, ...] = ()
    """The `uid` of each of the last recordings that were committed to it, so that one whose
    process was killed just then is not recovered into a second dataset."""

    @property
    def total_episodes(self) -> int:
        """The number of episodes."""
        return sum(shard.episodes for shard in self.shards)

    @property
    def total_steps(self) -> int:
        """The number of steps."""
        return sum(shard.steps for shard in self.shards)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The contents of ``metadata.json``."""

    metadata: Mapping[str, JsonValue]
    """What the dataset is: its id, spaces as JSON text, author, and whatever else was given."""
    snapshot: Snapshot = field(default_factory=Snapshot)
    """Where its arrays lie; empty for formats that need none."""


def normalize_metadata(metadata: Mapping[str, object]) -> dict[str, JsonValue]:
    """Metadata as plain JSON, numpy scalars converted.

    Raises:
        MetadataError: A key is not text, or a value is not JSON; the message names it.
    """
    checked: dict[str, JsonValue] = {}
    for key, value in metadata.items():
        if not isinstance(key, str):
            raise MetadataError(f"metadata key {key!r} is a {type(key).__name__}, not text")
        if key == _LAYOUT_KEY:
            raise MetadataError(f"metadata key {key!r} is the format's own")
        try:
            # A float that JSON cannot say is refused by `plain`, so what is left is JSON.
            checked[key] = json.loads(json.dumps(plain(value, key), allow_nan=False))
        except (ValueError, RecursionError) as error:
            raise MetadataError(
                f"metadata {error}; give text, numbers, booleans, lists or dicts"
            ) from error
    return checked


def check_updatable(changes: Mapping[str, object]) -> None:
    """Raise if a change touches a key that the stored data depends on.

    Raises:
        MetadataError: It does; the message names the keys.
    """
    fixed = sorted(_FIXED_KEYS.intersection(changes))
    if fixed:
        raise MetadataError(f"metadata {', '.join(fixed)} cannot be changed after creation")


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest of a dataset in one step that outlives a power cut.

    Raises:
        DatasetWriteError: The file system refused; the old manifest is still in place.
    """
    content: JsonObject = {
        **manifest.metadata,
        "total_episodes": manifest.metadata.get("total_episodes", 0),
        "total_steps": manifest.metadata.get("total_steps", 0),
    }
    if manifest.metadata.get("data_format") == _LAYOUT_KEY:
        snapshot = manifest.snapshot
        content["total_episodes"] = snapshot.total_episodes
        content["total_steps"] = snapshot.total_steps
        described: JsonObject = {
            "version": FORMAT_VERSION,
            "features": [],
            "uid": snapshot.uid,
            "recordings": list(snapshot.recordings),
            "schemas": [schema.to_json() for schema in snapshot.schemas],
            "shards": [shard.to_json() for shard in snapshot.shards],
        }
        content[_LAYOUT_KEY] = {**described, "crc32": snapshot_checksum(described)}
    text = json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")
    target = folder / MANIFEST_NAME
    before = target.read_bytes() if target.exists() else None
    try:
        replace_file(target, text)
    except OSError as error:
        # The new manifest may already be in place when its folder cannot be flushed.
        if before is not None and target.read_bytes() != before:
            with suppress(OSError):
                replace_file(target, before)
        raise DatasetWriteError(f"could not write {target}: {error}") from error


def snapshot_checksum(described: Mapping[str, object]) -> int:
    """The CRC-32 of the text of a snapshot as JSON without white space, but for its own key."""
    others = {key: value for key, value in described.items() if key != "crc32"}
    return zlib.crc32(json.dumps(others, separators=(",", ":")).encode("ascii"))


def read_manifest(
    folder: Path, on_contradiction: Callable[[str], object] | None = None
) -> Manifest:
    """Read the manifest of a dataset.

    Args:
        folder: The dataset's folder.
        on_contradiction: Called with what the manifest says against itself, for whoever wants to
            read on; if None, that is an error.

    Raises:
        DatasetNotFoundError: The folder has none.
        DatasetDamagedError: It is malformed; the message names the file.
        FormatError: It is of a newer version of the columnar format.
    """
    path = folder / MANIFEST_NAME
    content = _read_json(path)
    described = content.pop(_LAYOUT_KEY, None)
    if described is None and content.get("data_format") != _LAYOUT_KEY:
        return Manifest(content)
    try:
        if not isinstance(described, dict):
            found = str(described)[:40]
            raise TypeError(f"it does not list the shards; {_LAYOUT_KEY!r} is {found}")
        snapshot = _read_snapshot(described)
        contradictions = list(_contradictions(content, described, snapshot))
        if on_contradiction is None:
            # Whoever reads on compares each array by itself.
            contradictions += _counts_without_arrays(snapshot)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error
    except (DatasetDamagedError, KeyError, TypeError, ValueError) as error:
        raise DatasetDamagedError(f"{path} is damaged: {error}") from error
    if contradictions and on_contradiction is None:
        raise DatasetDamagedError(f"{path} is damaged: {'; '.join(contradictions)}")
    for contradiction in contradictions:
        if on_contradiction is not None:
            on_contradiction(contradiction)
    # The snapshot counts; numbers beside it would only grow old.
    return Manifest({k: v for k, v in content.items() if k not in _TOTALS}, snapshot)


def _contradictions(
    content: Mapping[str, JsonValue], described: Mapping[str, object], snapshot: Snapshot
) -> Iterator[str]:
    for key, count in zip(_TOTALS, (snapshot.total_episodes, snapshot.total_steps), strict=True):
        if content.get(key) != count:
            yield f"its {key} is {content.get(key)}, but its shards have {count}"
    if described["crc32"] != snapshot_checksum(described):
        yield f"the checksum of {_LAYOUT_KEY!r} is not that of its text"


def _counts_without_arrays(snapshot: Snapshot) -> Iterator[str]:
    """Where a shard is said to have another number of rows than its arrays."""
    counted = [
        [
            (place, spec.path, _AXIS_OF_ARRAY[spec.path])
            for place, spec in enumerate(schema.arrays())
            if spec.path in _AXIS_OF_ARRAY
        ]
        for schema in snapshot.schemas
    ]
    for shard in snapshot.shards:
        counts = {"rows": shard.rows, "steps": shard.steps, "episodes": shard.episodes}
        for place, path, axis in counted[shard.schema]:
            _, rows = shard.arrays[place]
            if rows != counts[axis]:
                yield (
                    f"shard {shard.file} is said to have {counts[axis]} {axis}, but its array "
                    f"{path!r} has {rows}"
                )


def read_metadata(folder: Path) -> dict[str, JsonValue]:
    """The metadata alone, without building the snapshot; as `read_manifest` otherwise."""
    content = _read_json(folder / MANIFEST_NAME)
    content.pop(_LAYOUT_KEY, None)
    return content


def _read_json(path: Path) -> JsonObject:
    try:
        check_plain(path, may_be_link=True)
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size > _LARGEST:
                raise DatasetDamagedError(f"{path} is larger than {_LARGEST} bytes")
            text = file.read()
    except FileNotFoundError as error:
        raise DatasetNotFoundError(
            f"{path.parent} holds no dataset: {path.name} is missing"
        ) from error
    except OSError as error:
        if isinstance(error, DatasetDamagedError):
            raise
        raise DatasetDamagedError(f"{path} cannot be read: {error}") from error
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DatasetDamagedError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise DatasetDamagedError(f"{path} is not a JSON object")
    for key, kind in (("dataset_id", str), ("data_format", str)):
        if not isinstance(content.get(key, ""), kind):
            raise DatasetDamagedError(f"{path}: {key!r} is {content[key]!r}, not text")
    for key in ("total_episodes", "total_steps"):
        value = content.get(key, 0)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise DatasetDamagedError(f"{path}: {key!r} is {value!r}, not a count")
    return content


def _read_snapshot(described: Mapping[str, Any]) -> Snapshot:
    version = described["version"]
    if type(version) is not int or version < 1:
        raise ValueError(f"format version {version!r}")
    if version > FORMAT_VERSION:
        needed = ", ".join(map(str, described.get("features", []))) or "unnamed"
        raise FormatError(
            f"columnar format version {version} is newer than {FORMAT_VERSION}, the newest that "
            f"this minari-core reads (features it needs: {needed}); upgrade minari-core"
        )
    for key in ("recordings", "schemas", "shards"):
        if not isinstance(described[key], list):
            raise TypeError(f"{key!r} is not a list")
    schemas = tuple(schema_from_json(schema) for schema in described["schemas"])
    arrays_of = [sum(1 for _ in schema.arrays()) for schema in schemas]
    shards = tuple(read_entry(entry, arrays_of) for entry in described["shards"])
    recordings = tuple(str(recording) for recording in described["recordings"])
    return Snapshot(schemas, shards, str(described["uid"]), recordings)
