"""Joining shards into one, as flat arrays; no value is decoded for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from minari_core.columns import Array, Column, Schema, StoredArray
from minari_core.columns.base import as_plain_array
from minari_core.episodes.shard_data import ShardData
from minari_core.formats.shards.reader import ShardReader


def find_joinable_runs(shards: Sequence[tuple[Schema, int]]) -> Iterator[range]:
    """Cut a list of shards into the longest runs that `join_shards` takes.

    Args:
        shards: The schema and the number of episodes of each shard.
    """
    first = 0
    columns: dict[str, Column] = {}
    for place, (schema, episodes) in enumerate(shards):
        # The entries of a shard in which no episode ends are of no column that matters.
        mine = {name: part for name, part in schema.groups.items() if name != "episodes"}
        if episodes:
            mine["episodes"] = schema.groups["episodes"]
        if any(columns.get(name, part) != part for name, part in mine.items()):
            yield range(first, place)
            first, columns = place, {}
        columns.update(mine)
    if first < len(shards):
        yield range(first, len(shards))


def join_shards(shards: Sequence[ShardReader]) -> ShardData:
    """What several shards hold, one behind the other.

    The pieces are views of the shards, so that nothing but offsets is held in memory.

    Args:
        shards: Shards of one of the runs of `find_joinable_runs`.
    """
    with_entries = [shard for shard in shards if shard.counts[2]] or [shards[0]]
    parts: dict[str, Column] = {}
    pieces: list[Sequence[Array]] = []
    for name in shards[0].schema.groups:
        members = with_entries if name == "episodes" else shards
        column = parts[name] = members[0].schema.groups[name]
        specs = [spec for spec in column.arrays(name) if not spec.derived]
        arrays_of = [shard.arrays_of(name) for shard in members]
        for spec, arrays in zip(specs, zip(*arrays_of, strict=True), strict=True):
            if spec.offsets:
                pieces.append(_joined_offsets(arrays))
            else:
                pieces.append([piece for array in arrays for piece in _pieces(array)])
    rows, steps, episodes = (sum(c) for c in zip(*(shard.counts for shard in shards), strict=True))
    return ShardData(Schema(parts), pieces, rows, steps, episodes)


def _pieces(array: StoredArray) -> Sequence[Array]:
    return [array] if isinstance(array, np.ndarray) else array.blocks()


def _joined_offsets(arrays: Sequence[StoredArray]) -> list[Array]:
    pieces: list[Array] = []
    base = 0
    for array in arrays:
        offsets = as_plain_array(array).astype(np.int64)
        pieces.append(offsets[1:] + base if pieces else offsets)
        base += int(offsets[-1])
    return pieces
