"""Find the episodes of a shard whose final observation is not known, without their metadata."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from minari_core.columns import Column, FixedColumn, MaskedColumn, Schema, StructColumn
from minari_core.episodes.final_observation import FINAL_OBSERVATION, is_final_observation_known
from minari_core.formats.columnar.episode_entry import decode_entry
from minari_core.formats.shards.reader import ShardReader

_PATH = f"episodes/metadata/{FINAL_OBSERVATION}"
_FLAG = FixedColumn(np.dtype(bool))


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
        known = shard.array(_PATH if column == _FLAG else f"{_PATH}/value")
        present = shard.array(f"{_PATH}/present")
        if isinstance(known, np.ndarray) and known.shape == (episodes,):
            unknown: npt.NDArray[np.bool_] = np.logical_not(known)
            if isinstance(present, np.ndarray) and present.shape == (episodes,):
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
