"""The manifest of a dataset: ``metadata.json``.

It holds the metadata of the dataset under the public Minari's keys and, for the columnar format,
the offset of every array of every shard. It is only ever replaced as a whole.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minari_core.columns import Schema, schema_from_json
from minari_core.errors import (
    DatasetDamagedError,
    DatasetNotFoundError,
    FormatError,
    MetadataError,
)
from minari_core.files import (
    MANIFEST_NAME,
    check_plain,
    make_read_error,
    make_write_error,
    replace_file,
)
from minari_core.formats.shards.entry import (
    FORMAT_VERSION,
    Counts,
    ShardEntries,
    ShardEntry,
)
from minari_core.json_values import JsonObject, JsonValue, to_plain_json

STATISTICS_NAME = ".statistics.json"
"""The name of the file beside the manifest that caches the statistics of columns."""

SNAPSHOT_KEY = "columnar"
"""The key of the manifest under which the shards are listed; also the name of the format."""

_LARGEST_NBYTES = 1 << 30
# So many entries are read at once, so that what is wrong with one is said when it is opened.
_READ_AT_ONCE = 256
_TOTALS = ("total_episodes", "total_steps")
_DESCRIBED = ("observation_space", "action_space")
"""The keys of the metadata that say what values the data has."""
_DESCRIBED_CHECKSUM = "described_crc32"
_FIXED_KEYS = frozenset(
    {
        "dataset_id",
        "observation_space",
        "action_space",
        "env_spec",
        "data_format",
        "minari_version",
        *_TOTALS,
    }
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The shards of a columnar dataset, and the schemas that they share."""

    schemas: tuple[Schema, ...] = ()
    """Each schema once."""
    shards: Sequence[ShardEntry] = ()
    """The shards, in the order of their rows."""
    uid: str = ""
    """Random text that tells this dataset from another that later takes its id."""
    recordings: tuple[str, ...] = ()
    """The `uid` of each of the last recordings that were committed to it, so that one whose
    process was killed just then is not recovered into a second dataset."""

    @property
    def total_episodes(self) -> int:
        """The number of episodes."""
        return sum(episodes for _, _, episodes in self.list_counts())

    @property
    def total_steps(self) -> int:
        """The number of steps."""
        return sum(steps for _, steps, _ in self.list_counts())

    def list_counts(self) -> Sequence[Counts]:
        """List the numbers of rows, steps and episodes of each shard."""
        if isinstance(self.shards, ShardEntries):
            return self.shards.counts
        return [(shard.rows, shard.steps, shard.episodes) for shard in self.shards]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The contents of ``metadata.json``."""

    metadata: Mapping[str, JsonValue]
    """Id, spaces as JSON text, author, and whatever else was given."""
    snapshot: Snapshot = field(default_factory=Snapshot)
    """The shards; empty for formats that have none."""


def get_data_format(metadata: Mapping[str, JsonValue]) -> str:
    """Return the format that metadata names, or ``"hdf5"``: before 0.5 it was the only one."""
    data_format = metadata.get("data_format")
    return "hdf5" if data_format is None else str(data_format)


def normalize_metadata(metadata: Mapping[str, object]) -> dict[str, JsonValue]:
    """Convert metadata to plain JSON values, numpy scalars included.

    Raises:
        MetadataError: A key is not text, or a value is not JSON; the message names it.
    """
    checked: dict[str, JsonValue] = {}
    for key, value in metadata.items():
        if not isinstance(key, str):
            raise MetadataError(f"metadata key {key!r} is a {type(key).__name__}, not text")
        if key == SNAPSHOT_KEY:
            raise MetadataError(f"metadata key {key!r} is the format's own")
        try:
            # A float that JSON cannot say is refused by `to_plain_json`, so what is left is JSON.
            checked[key] = json.loads(json.dumps(to_plain_json(value, key), allow_nan=False))
        except (ValueError, RecursionError) as error:
            raise MetadataError(
                f"metadata {error}; metadata are text, numbers, booleans, lists or dicts"
            ) from error
    return checked


def check_updatable(
    metadata: Mapping[str, JsonValue],
    changes: Mapping[str, object],
    fixed_too: frozenset[str] = frozenset(),
) -> None:
    """Raise if a change touches a key that the stored data depends on.

    Args:
        metadata: The metadata that is changed. A storage without ``dataset_id`` may be given one.
        changes: The new values.
        fixed_too: Further keys that cannot be changed.

    Raises:
        MetadataError: It does; the message names the keys.
    """
    fixed = (_FIXED_KEYS | fixed_too).intersection(changes)
    if not metadata.get("dataset_id") and isinstance(changes.get("dataset_id"), str):
        fixed -= {"dataset_id"}
    if fixed:
        raise MetadataError(
            f"You are not allowed to update values for {', '.join(sorted(fixed))}: the data "
            "depends on them"
        )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest of a dataset in one step that outlives a power cut.

    Raises:
        DatasetWriteError: The file system refused; the old manifest is still in place.
    """
    replace_manifest(folder, encode_manifest(manifest))


def replace_manifest(folder: Path, text: bytes) -> None:
    """Replace the text of a manifest in one step that outlives a power cut.

    Raises:
        DatasetWriteError: The file system refused; the old manifest is still in place.
    """
    target = folder / MANIFEST_NAME
    before = target.read_bytes() if target.exists() else None
    try:
        replace_file(target, text)
    except OSError as error:
        # The new manifest may already be in place when its folder cannot be flushed.
        if before is not None and target.read_bytes() != before:
            with suppress(OSError):
                replace_file(target, before)
        raise make_write_error(f"could not write {target}", error) from error


def encode_manifest(manifest: Manifest) -> bytes:
    """Write a manifest as the contents of its file."""
    content: JsonObject = dict(manifest.metadata)
    for key in _TOTALS:
        content.setdefault(key, 0)
    if manifest.metadata.get("data_format") == SNAPSHOT_KEY:
        snapshot = manifest.snapshot
        content["total_episodes"] = snapshot.total_episodes
        content["total_steps"] = snapshot.total_steps
        listing: JsonObject = {
            "version": FORMAT_VERSION,
            "features": [],
            "uid": snapshot.uid,
            "recordings": list(snapshot.recordings),
            "schemas": [schema.to_json() for schema in snapshot.schemas],
            "shards": [shard.to_json() for shard in snapshot.shards],
            _DESCRIBED_CHECKSUM: _compute_described_checksum(content),
        }
        content[SNAPSHOT_KEY] = {**listing, "crc32": compute_snapshot_checksum(listing)}
    return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def compute_snapshot_checksum(listing: Mapping[str, object]) -> int:
    """Compute the CRC-32 of a snapshot's JSON text without white space and its own ``crc32``."""
    others = {key: value for key, value in listing.items() if key != "crc32"}
    return zlib.crc32(json.dumps(others, separators=(",", ":")).encode("ascii"))


def _compute_described_checksum(content: Mapping[str, JsonValue]) -> int:
    return zlib.crc32(json.dumps([content.get(key) for key in _DESCRIBED]).encode("ascii"))


def read_manifest(
    folder: Path, on_contradiction: Callable[[str], object] | None = None
) -> Manifest:
    """Read the manifest of a dataset.

    Args:
        folder: The dataset's folder.
        on_contradiction: Called with each contradiction inside the manifest, to read it
            nevertheless; if None, a contradiction is an error.

    Raises:
        DatasetNotFoundError: The folder has none.
        DatasetDamagedError: It is malformed; the message names the file.
        FormatError: It is of a newer version of the columnar format.
    """
    path = folder / MANIFEST_NAME
    return parse_manifest(_read_text(path), str(path), on_contradiction)


def parse_manifest(
    text: bytes, path: str, on_contradiction: Callable[[str], object] | None = None
) -> Manifest:
    """Read a manifest from its text.

    Args:
        text: The contents of its file.
        path: Where that is, for error messages.
        on_contradiction: See `read_manifest`.

    Raises:
        DatasetDamagedError: It is malformed; the message names the file.
        FormatError: It is of a newer version of the columnar format.
    """
    content = _parse(path, text)
    listing = content.pop(SNAPSHOT_KEY, None)
    if listing is None and content.get("data_format") != SNAPSHOT_KEY:
        return Manifest(content)
    try:
        if not isinstance(listing, dict):
            found = str(listing)[:40]
            raise TypeError(f"it does not list the shards; {SNAPSHOT_KEY!r} is {found}")
        # Whoever reads on nevertheless compares each array by itself.
        snapshot = _read_snapshot(listing, path, check_rows=on_contradiction is None)
        contradictions = list(_find_contradictions(content, listing, snapshot, text))
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error
    except (DatasetDamagedError, KeyError, TypeError, ValueError) as error:
        if path in str(error):
            raise
        raise DatasetDamagedError(f"{path} is damaged: {error}") from error
    if contradictions and on_contradiction is None:
        raise DatasetDamagedError(f"{path} is damaged: {'; '.join(contradictions)}")
    for contradiction in contradictions:
        if on_contradiction is not None:
            on_contradiction(contradiction)
    # The snapshot counts; numbers beside it would only grow old.
    return Manifest({k: v for k, v in content.items() if k not in _TOTALS}, snapshot)


def _find_contradictions(
    content: Mapping[str, JsonValue],
    listing: Mapping[str, object],
    snapshot: Snapshot,
    text: bytes,
) -> Iterator[str]:
    for key, count in zip(_TOTALS, (snapshot.total_episodes, snapshot.total_steps), strict=True):
        if content.get(key) != count:
            yield f"its {key} is {content.get(key)}, but its shards have {count}"
    # The text that this package writes need not be written again to be summed up.
    checksum = listing["crc32"]
    if checksum != _sum_up_text(text) and checksum != compute_snapshot_checksum(listing):
        yield f"the checksum of {SNAPSHOT_KEY!r} is not that of its text"
    # Earlier releases have not written it.
    described = listing.get(_DESCRIBED_CHECKSUM)
    if described is not None and described != _compute_described_checksum(content):
        yield f"{', '.join(_DESCRIBED)} are not those that their checksum was made of"


def _sum_up_text(text: bytes) -> int:
    """Compute the checksum of a snapshot whose text ends a manifest, with its own checksum last."""
    start = text.rfind(b'"columnar":{') + len(b'"columnar":')
    stop = max(text.rfind(b',"crc32":'), start)
    return zlib.crc32(b"}", zlib.crc32(memoryview(text)[start:stop]))


def read_metadata(folder: str | Path) -> dict[str, JsonValue]:
    """Read the metadata alone, without building the snapshot; as `read_manifest` otherwise.

    Returns:
        The metadata; with ``dataset_size``, the size of the shards in megabytes, as the public
        formats store it.
    """
    path = os.path.join(folder, MANIFEST_NAME)
    content = _parse(path, _read_text(path))
    listing = content.pop(SNAPSHOT_KEY, None)
    if isinstance(listing, dict):
        # Who opens the dataset is told what is wrong with its list.
        with suppress(KeyError, TypeError, OverflowError):
            sizes = {shard["file"]: shard["bytes"] for shard in listing["shards"]}
            content["dataset_size"] = round(sum(sizes.values()) / 1e6, 1)
    return content


def _read_text(path: str | Path) -> bytes:
    try:
        check_plain(path, may_be_link=True)
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size > _LARGEST_NBYTES:
                raise DatasetDamagedError(f"{path} is larger than {_LARGEST_NBYTES} bytes")
            return file.read()
    except FileNotFoundError as error:
        folder, name = os.path.split(path)
        found = f"No data found in data path {folder}: {name} is missing"
        gone = f"The data path {folder} doesn't exist, so that it holds no dataset"
        raise DatasetNotFoundError(found if os.path.isdir(folder) else gone) from error
    except OSError as error:
        if isinstance(error, DatasetDamagedError):
            raise
        raise make_read_error(path, error) from error


def _parse(path: str | Path, text: bytes) -> JsonObject:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DatasetDamagedError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise DatasetDamagedError(f"{path} is not a JSON object")
    for key, kind in (("dataset_id", str), ("data_format", str)):
        if not isinstance(content.get(key, ""), kind):
            raise DatasetDamagedError(f"{path}: {key!r} is {content[key]!r}, not text")
    for key in _TOTALS:
        value = content.get(key, 0)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise DatasetDamagedError(f"{path}: {key!r} is {value!r}, not a count")
    return content


def _read_snapshot(listing: Mapping[str, Any], where: str, *, check_rows: bool) -> Snapshot:
    version = listing["version"]
    if type(version) is not int or version < 1:
        raise ValueError(f"format version {version!r}")
    if version > FORMAT_VERSION:
        needed = ", ".join(map(str, listing.get("features", []))) or "unnamed"
        raise FormatError(
            f"columnar format version {version} is newer than {FORMAT_VERSION}, the newest that "
            f"this minari-core reads (features it needs: {needed}); upgrade minari-core"
        )
    for key in ("recordings", "schemas", "shards"):
        if not isinstance(listing[key], list):
            raise TypeError(f"{key!r} is not a list")
    schemas = tuple(schema_from_json(schema) for schema in listing["schemas"])
    entries = ShardEntries(listing["shards"], schemas, where, check_rows=check_rows)
    shards = tuple(entries) if len(entries) <= _READ_AT_ONCE or not check_rows else entries
    recordings = tuple(str(recording) for recording in listing["recordings"])
    return Snapshot(schemas, shards, str(listing["uid"]), recordings)
