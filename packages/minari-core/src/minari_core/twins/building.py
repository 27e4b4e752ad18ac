"""Put the columns of whole episodes into shards, in memory or in a folder."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import reduce
from pathlib import Path

from minari_core.columns import Column, FixedColumn, MaskedColumn, Schema, StructColumn, TupleColumn
from minari_core.environments.space_json import space_to_json
from minari_core.episodes import Episode
from minari_core.episodes.final_observation import FINAL_OBSERVATION
from minari_core.episodes.fit import check_schema_fits, check_shapes, widen_schema
from minari_core.episodes.shard_data import ShardData
from minari_core.episodes.stream import TARGET_SHARD_NBYTES, encode_each_dtype, encode_shards
from minari_core.errors import DataError
from minari_core.files import MANIFEST_NAME
from minari_core.formats.columnar.dataset_folder import ColumnarStorage
from minari_core.formats.columnar.manifest import Manifest, Snapshot, encode_manifest
from minari_core.formats.columnar.memory import MemoryStorage
from minari_core.formats.columnar.shard_folder import ShardFolder
from minari_core.formats.shards.entry import ShardEntry
from minari_core.formats.shards.joining import widen_shard
from minari_core.json_values import JsonValue
from minari_core.storage.base import Storage

# They describe how the episodes were stored.
_NOT_KEPT = frozenset(
    {"data_format", "total_episodes", "total_steps", "dataset_size", "jpeg_encoding"}
)
_PART_NBYTES = 8 << 20


def build_in_memory(source: Storage) -> MemoryStorage:
    """Put all episodes of a storage into one in memory.

    Raises:
        DataError: Dtypes differ from episode to episode, and none holds the values of all.
    """
    spaces = source.observation_space, source.action_space
    twin = MemoryStorage(*spaces, _describe(source))
    try:
        twin.append_episodes(_read_all(source))
    except DataError:
        shards = list(encode_each_dtype(_read_all(source), *spaces))
        widest = reduce(
            lambda known, schema: widen_schema(known, schema) or known,
            (shard.schema for shard in shards),
        )
        wider = [widen_schema(shard.schema, widest) or shard.schema for shard in shards]
        twin.add(check_shapes(map(widen_shard, shards, wider), *spaces))
    return twin


def build_in_folder(source: Storage, folder: Path, *, compresses: bool) -> None:
    """Put all episodes of a storage into an empty folder, as a columnar dataset.

    Args:
        source: The storage.
        folder: The folder; nothing in it is flushed to the disk.
        compresses: Compress images as a columnar dataset does; that can take longer than to read
            them.

    Raises:
        DataError: Dtypes differ from episode to episode, and none holds the values of all.
        DatasetWriteError: The file system refused.
    """
    metadata = {**_describe(source), "data_format": ColumnarStorage.data_format}
    manifest = Manifest(metadata, Snapshot(uid=uuid.uuid4().hex))
    snapshot: Snapshot | None = None
    with suppress(DataError):
        snapshot = _write_one_shard(source, folder, compresses=compresses)
    try:
        snapshot = snapshot or _write_shards(source, folder, compresses=compresses)
    except DataError:
        for path in folder.iterdir():
            path.unlink()
        target = ShardFolder(folder, manifest, source.given_spaces)
        target.allow_widening()
        target.append_episodes(_read_all(source))
        snapshot = target.snapshot
    complete = replace(manifest, snapshot=replace(snapshot, uid=manifest.snapshot.uid))
    (folder / MANIFEST_NAME).write_bytes(encode_manifest(complete))


def _write_one_shard(source: Storage, folder: Path, *, compresses: bool) -> Snapshot | None:
    """Write all episodes into one shard, a few at a time.

    Returns:
        None, with nothing in the folder, if only several shards can hold them.

    Raises:
        DataError: The dtypes of two episodes differ, so that one shard cannot hold both.
        DatasetWriteError: The file system refused.
    """
    from minari_core.formats.shards.writer import GrowingShard  # HDF5 takes long to import

    counts = source.total_steps + source.total_episodes, source.total_steps, source.total_episodes
    shard: GrowingShard | None = None
    schema: Schema | None = None
    snapshot: Snapshot | None = None
    written: Future[None] | None = None
    try:
        # The next episodes are read while some are written.
        with ThreadPoolExecutor(1, thread_name_prefix="minari-twin") as writer:
            for encoded in _encode(source, _PART_NBYTES):
                data = encoded if compresses else _leave_uncompressed(encoded)
                if shard is None and all(map(_has_a_row_each, data.schema.groups.values())):
                    schema, shard = data.schema, GrowingShard(folder, data.schema, counts)
                if shard is None or data.schema != schema:
                    return None
                if written is not None:
                    written.result()
                written = writer.submit(shard.write, data)
        if shard is not None and schema is not None and written is not None:
            written.result()
            snapshot = Snapshot((schema,), (shard.finish(),))
        return snapshot
    finally:
        if shard is not None and snapshot is None:
            shard.discard()


def _write_shards(source: Storage, folder: Path, *, compresses: bool) -> Snapshot:
    """Write all episodes into shards, whose schemas may differ in their infos."""
    from minari_core.formats.shards.writer import write_shard

    established: Schema | None = None
    schemas: list[Schema] = []
    entries: list[ShardEntry] = []
    for encoded in _encode(source, TARGET_SHARD_NBYTES):
        check_schema_fits(established, encoded.schema)
        established = established or encoded.schema
        data = encoded if compresses else _leave_uncompressed(encoded)
        if data.schema not in schemas:
            schemas.append(data.schema)
        entries.append(write_shard(folder, data, schemas.index(data.schema), has_checksum=False))
    return Snapshot(tuple(schemas), tuple(entries))


def _encode(source: Storage, nbytes: int) -> Iterator[ShardData]:
    spaces = source.observation_space, source.action_space
    return check_shapes(encode_shards(_read_all(source), *spaces, nbytes), *spaces)


def _read_all(source: Storage) -> Iterator[Episode]:
    for episode in source.read_for_copying(range(source.total_episodes)):
        # Of the entries, sampling needs this alone; all have it, so that all have one schema.
        metadata = {FINAL_OBSERVATION: episode.final_observation_known}
        yield replace(episode, seed=None, options=None, metadata=metadata)


def _has_a_row_each(column: Column) -> bool:
    """Return whether each array of a column has one row for each of its rows, as they are."""
    if isinstance(column, FixedColumn):
        return not column.compressed
    if isinstance(column, MaskedColumn):
        return _has_a_row_each(column.value)
    if isinstance(column, StructColumn):
        return all(map(_has_a_row_each, column.fields.values()))
    return isinstance(column, TupleColumn) and all(map(_has_a_row_each, column.items))


def _describe(source: Storage) -> dict[str, JsonValue]:
    described = {key: value for key, value in source.metadata.items() if key not in _NOT_KEPT}
    for name in ("observation_space", "action_space"):
        if name not in source.given_spaces:
            described[name] = space_to_json(getattr(source, name), name)
    return described


def _leave_uncompressed(data: ShardData) -> ShardData:
    groups = {name: _without_compression(column) for name, column in data.schema.groups.items()}
    return replace(data, schema=Schema(groups))


def _without_compression(column: Column) -> Column:
    if isinstance(column, FixedColumn):
        return replace(column, compressed=False)
    if isinstance(column, MaskedColumn):
        return MaskedColumn(_without_compression(column.value))
    if isinstance(column, StructColumn):
        return StructColumn({key: _without_compression(c) for key, c in column.fields.items()})
    if isinstance(column, TupleColumn):
        return TupleColumn(tuple(map(_without_compression, column.items)))
    return column
