"""Join shards into one by concatenating their flat arrays; no value of a step is decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from minari_core.columns import Array, Column, Schema, StoredArray
from minari_core.columns.base import as_plain_array
from minari_core.episodes.blocks import Encoded
from minari_core.episodes.shard_data import ShardData
from minari_core.formats.shards.entries_apart import ENTRIES
from minari_core.formats.shards.reader import ShardReader
from minari_core.formats.shards.unions import find_union, fit_arrays

GROUPS_WITH_KEYS = ("infos", "extras")
"""The column groups whose keys may differ from shard to shard."""


def find_joinable_runs(schemas: Sequence[Schema]) -> Iterator[range]:
    """Split a list of shards into the longest runs that `join_shards` can join.

    Args:
        schemas: The schema of each shard.
    """
    first = 0
    united: dict[str, Column] = {}
    seen: set[int] = set()
    for index, schema in enumerate(schemas):
        if id(schema) in seen:
            continue
        groups = {
            name: _find_union(name, united.get(name, column), column)
            for name, column in schema.groups.items()
        }
        if None in groups.values():
            yield range(first, index)
            first, seen = index, set()
            groups = {**schema.groups}
        united = {name: column for name, column in groups.items() if column is not None}
        seen.add(id(schema))
    if first < len(schemas):
        yield range(first, len(schemas))


def join_shards(
    shards: Sequence[ShardReader], encode: Callable[[Sequence[ShardReader]], Encoded]
) -> ShardData:
    """Concatenate the contents of several shards.

    The pieces are views of the shards, so that only offsets are held in memory, and the rows of
    keys that a shard does not have.

    Args:
        shards: Shards of one of the runs of `find_joinable_runs`.
        encode: Encodes the entries of shards anew, whose columns of entries differ.
    """
    # In a shard in which no episode ends, the columns of entries do not matter.
    with_entries = [shard for shard in shards if shard.counts[2]] or [shards[0]]
    groups: dict[str, Column] = {}
    pieces: list[Sequence[Array]] = []
    for name in shards[0].schema.groups:
        members = with_entries if name == ENTRIES else shards
        columns = [shard.schema.groups[name] for shard in members]
        column = columns[0]
        if name == ENTRIES and any(other != column for other in columns):
            groups[name], encoded = encode(members)
            pieces += encoded
            continue
        for other in columns:
            column = _find_union(name, column, other) or column
        groups[name] = column
        specs = [spec for spec in column.arrays(name) if not spec.derived]
        arrays_by_shard = [
            fit_arrays(of_shard, column, shard.list_arrays(name), shard.counts[0])
            for of_shard, shard in zip(columns, members, strict=True)
        ]
        for spec, arrays in zip(specs, zip(*arrays_by_shard, strict=True), strict=True):
            if spec.offsets:
                pieces.append(_join_offsets(arrays))
            else:
                pieces.append([piece for array in arrays for piece in _split_pieces(array)])
    rows, steps, episodes = (sum(c) for c in zip(*(shard.counts for shard in shards), strict=True))
    is_whole = all(shard.has_whole_episodes for shard in shards if shard.counts[1])
    return ShardData(Schema(groups), pieces, rows, steps, episodes, has_whole_episodes=is_whole)


def _find_union(name: str, one: Column, other: Column) -> Column | None:
    """Find the column of a group that holds the rows of both; None if there is none."""
    if name == ENTRIES or one == other:
        return one
    return find_union(one, other) if name in GROUPS_WITH_KEYS else None


def widen_shard(data: ShardData, schema: Schema) -> ShardData:
    """Return the contents of a shard in columns that hold its values and wider ones.

    Args:
        data: The contents.
        schema: A schema of the same structure, with wider dtypes.

    Raises:
        DataError: When the pieces are read: casting would change a number.
    """
    pieces = iter(data.pieces)
    widened = [
        some
        for name, column in data.schema.groups.items()
        for some in column.widen_pieces(schema.groups[name], pieces, name)
    ]
    return replace(data, schema=schema, pieces=widened)


def _split_pieces(array: StoredArray) -> Sequence[Array]:
    return [array] if isinstance(array, np.ndarray) else array.blocks()


def _join_offsets(arrays: Sequence[StoredArray]) -> list[Array]:
    pieces: list[Array] = []
    base = 0
    for array in arrays:
        offsets = as_plain_array(array).astype(np.int64)
        pieces.append(offsets[1:] + base if pieces else offsets)
        base += int(offsets[-1])
    return pieces
