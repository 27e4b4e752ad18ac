"""The entry of an episode in the index of a shard: its seed, options and metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from minari_core.episodes import encode_entries
from minari_core.episodes.blocks import Encoded
from minari_core.episodes.episode import EpisodeMetadata
from minari_core.formats.shards.entries_apart import ENTRIES
from minari_core.formats.shards.reader import ShardReader

Entry: TypeAlias = tuple[int | None, dict[str, Any] | None, dict[str, Any]]
"""The seed, options and metadata of an episode."""


def decode_entry(entries: Mapping[str, object], row: int) -> Entry:
    """Return the seed, options and metadata of one episode.

    Args:
        entries: Rows of the column group ``episodes``, by field.
        row: The index of the episode among these rows.
    """
    seed = _read_cell(entries["seed"], row) if "seed" in entries else None
    options = _read_cell(entries["options"], row) if "options" in entries else None
    metadata = _read_cell(entries["metadata"], row) if "metadata" in entries else None
    return (
        seed if isinstance(seed, int) else None,
        options if isinstance(options, dict) else None,
        metadata if isinstance(metadata, dict) else {},
    )


def normalize_entry(episode: EpisodeMetadata) -> EpisodeMetadata:
    """Return what is said of an episode as it is when it was stored and read again."""
    column, pieces = encode_entries(
        [episode.total_steps], [episode.seed], [episode.options], [episode.metadata], {}
    )
    read = column.bind(iter([piece for (piece,) in pieces]), 1, copy=True)
    seed, options, metadata = decode_entry(read(0, 1), 0)
    return replace(episode, seed=seed, options=options, metadata=metadata)


def encode_entries_anew(shards: Sequence[ShardReader]) -> Encoded:
    """Encode the entries of several shards together, in columns that hold what all of them say."""
    lengths: list[int] = []
    entries: list[Entry] = []
    for shard in shards:
        count = shard.counts[2]
        read = shard.read(ENTRIES, 0, count, copy=False)
        lengths += read["length"].tolist()
        entries += (decode_entry(read, row) for row in range(count))
    seeds, options, metadata = zip(*entries, strict=True)
    return encode_entries(lengths, seeds, options, metadata)


def _read_cell(column: object, row: int) -> object:
    """Return one row of a column, numbers as Python's own; None where it is missing."""
    if isinstance(column, np.ndarray):
        cell = column[row]
        if cell is np.ma.masked:
            return None
        if isinstance(cell, np.generic):
            return cell.item()
        return None if np.ma.getmaskarray(cell).all() and np.ma.isMA(cell) else np.array(cell)
    if isinstance(column, Mapping):
        cells = {key: _read_cell(field, row) for key, field in column.items()}
        return {key: cell for key, cell in cells.items() if cell is not None}
    return column[row] if isinstance(column, list) else None
