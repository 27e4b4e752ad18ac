"""Keep the entries of episodes apart from their rows, so that entries can change and rows need not.

The rows of a shard stay where they are, and the manifest leaves its entries out: it says that it
has none. The entries follow in a shard of their own, which has no rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from minari_core.columns import Array, ArraySpec, Schema
from minari_core.episodes import ShardData, encode_entries
from minari_core.episodes.episode import EpisodeMetadata
from minari_core.formats.shards.entry import ShardEntry

ENTRIES = "episodes"
"""The column group of the entries."""


def leave_entries_out(shard: ShardEntry, schema: Schema) -> ShardEntry:
    """Return what the manifest says of a shard whose file has entries that do not count.

    Args:
        shard: The entry of the shard in the manifest.
        schema: The schema that it names.
    """
    arrays = tuple(
        (offset, int(spec.offsets) if is_of_entries(spec) else rows)
        for spec, (offset, rows) in zip(schema.arrays, shard.arrays, strict=True)
    )
    return replace(shard, episodes=0, arrays=arrays)


def make_entries_shard(schema: Schema, episodes: Sequence[EpisodeMetadata]) -> ShardData:
    """Encode the entries of episodes as a shard without rows.

    Args:
        schema: The columns of their rows, which lie in the shards before it.
        episodes: What the entries say.
    """
    column, entries = encode_entries(
        [episode.total_steps for episode in episodes],
        [episode.seed for episode in episodes],
        [episode.options for episode in episodes],
        [episode.metadata for episode in episodes],
    )
    whole = Schema({**schema.groups, ENTRIES: column})
    encoded = iter(entries)
    pieces = [
        next(encoded) if is_of_entries(spec) else [_make_empty(spec)]
        for spec in whole.arrays
        if not spec.derived
    ]
    return ShardData(whole, pieces, rows=0, steps=0, episodes=len(episodes))


def _make_empty(spec: ArraySpec) -> Array:
    """Make the array of a column without rows; there is one offset more than rows."""
    return np.zeros((int(spec.offsets), *spec.row_shape), spec.dtype)


def is_of_entries(spec: ArraySpec) -> bool:
    """Return whether an array is one of the entries of episodes."""
    return spec.path == ENTRIES or spec.path.startswith(f"{ENTRIES}/")
