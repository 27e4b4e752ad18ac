"""Find how episodes end, without their metadata: early, or with an observation nobody knows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from minari_core.columns import (
    Column,
    FixedColumn,
    MaskedColumn,
    Schema,
    StoredArray,
    StructColumn,
    read_whole,
)
from minari_core.episodes.final_observation import FINAL_OBSERVATION, is_final_observation_known
from minari_core.formats.columnar.episode_entry import decode_entry
from minari_core.formats.shards.reader import ShardReader

FLAGS = ("terminations", "truncations")
_PATH = f"episodes/metadata/{FINAL_OBSERVATION}"
_FLAG = FixedColumn(np.dtype(bool))


def find_early_ends(
    starts: npt.NDArray[np.int64], flags: Iterable[tuple[int, StoredArray | None]]
) -> npt.NDArray[np.int64]:
    """Find the flagged steps that are not the last of their episodes; there should be none.

    Args:
        starts: The first step of each episode, and the total at the end.
        flags: Arrays of terminations or truncations, and the number of the first step of each.

    Returns:
        The steps, counted through all shards, in ascending order.
    """
    read = ((first, read_whole(array)) for first, array in flags)
    found = [np.flatnonzero(array) + first for first, array in read if array is not None]
    ended = np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)
    ended = ended[ended < starts[-1]]
    after = starts.take(np.searchsorted(starts, ended, side="right"))
    early: npt.NDArray[np.int64] = ended[ended + 1 < after].astype(np.int64)
    return early


def may_have_unknown_finals(schema: Schema) -> bool:
    """Return whether an episode in a shard of this schema may lack its final observation.

    Data in which every one is known has no such column, so that nothing of it is read.
    """
    return _metadata_column(schema) is not None


def find_unknown_finals(shard: ShardReader) -> npt.NDArray[np.bool_]:
    """Find the episodes of a shard whose final observation is not known.

    Returns:
        Whether that of each episode is not, shape (episodes,).

    Raises:
        DatasetDamagedError: The metadata of the episodes cannot be read.
    """
    column, (_, _, episodes) = _metadata_column(shard.schema), shard.counts
    if column is None or episodes == 0:
        return np.zeros(episodes, dtype=np.bool_)
    if column == _FLAG or (isinstance(column, MaskedColumn) and column.value == _FLAG):
        known = read_whole(shard.array(_PATH if column == _FLAG else f"{_PATH}/value"))
        present = read_whole(shard.array(f"{_PATH}/present"))
        if known is not None and known.shape == (episodes,):
            unknown: npt.NDArray[np.bool_] = np.logical_not(known)
            if present is not None and present.shape == (episodes,):
                unknown &= present.astype(np.bool_)
            return unknown
    entries = shard.read("episodes", 0, episodes, copy=False)
    return np.array(
        [not is_final_observation_known(decode_entry(entries, row)[2]) for row in range(episodes)]
    )


def _metadata_column(schema: Schema) -> Column | None:
    """Return the column that says it; that of all metadata if this cannot be told apart."""
    entries = schema.groups["episodes"]
    metadata = entries.fields.get("metadata") if isinstance(entries, StructColumn) else None
    if isinstance(metadata, StructColumn):
        return metadata.fields.get(FINAL_OBSERVATION)
    return metadata
