"""Encode whole episodes as the flat arrays of a shard, a column at a time over all episodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium import spaces

from minari_core.columns import Array, FixedColumn, Schema
from minari_core.columns.fixed import as_numeric_array
from minari_core.episodes.blocks import Encoded, as_uniform_arrays, check_row_count, encode_blocks
from minari_core.episodes.entries import Episode, EpisodeTable, count_steps, encode_entries
from minari_core.episodes.final_observation import (
    FINAL_OBSERVATION,
    add_placeholder,
    is_final_observation_known,
)
from minari_core.episodes.infos import encode_infos
from minari_core.episodes.shard_data import ShardData
from minari_core.errors import DataError

_REWARD_DTYPE = np.dtype("<f8")
_FLAG_DTYPE = np.dtype("?")


def encode_episodes(
    episodes: Sequence[Episode],
    observation_space: spaces.Space[object],
    action_space: spaces.Space[object],
    dropped: dict[str, str],
) -> ShardData:
    """Encode whole episodes.

    Args:
        episodes: At least one episode.
        observation_space: The space that gives the structure of the observations.
        action_space: The space that gives the structure of the actions.
        dropped: Gets the names of infos that no column can hold, with the reason.

    Raises:
        DataError: An episode's columns disagree in length, dtype or shape; the message names
            the episode (counted from 0 in ``episodes``) and the column.
    """
    table = episodes if isinstance(episodes, EpisodeTable) else EpisodeTable(episodes)
    lengths = count_steps(table)
    rows = [length + 1 for length in lengths]
    groups: dict[str, Encoded] = {
        "observations": _encode_observations(table, observation_space, rows),
        "actions": encode_blocks(action_space, table.list_field("actions"), lengths, "actions"),
        "rewards": _encode_rewards(table, lengths),
        "terminations": _encode_flags(table, lengths, "terminations"),
        "truncations": _encode_flags(table, lengths, "truncations"),
        "infos": encode_infos(table.list_field("infos"), rows, "infos", dropped),
        "extras": encode_infos(table.list_field("extras"), rows, "extras", dropped),
        "episodes": encode_entries(
            lengths,
            table.list_field("seed"),
            table.list_field("options"),
            table.list_field("metadata"),
            dropped,
        ),
    }
    return ShardData(
        schema=Schema({name: column for name, (column, _) in groups.items()}),
        pieces=[pieces for _, part in groups.values() for pieces in part],
        rows=sum(rows),
        steps=sum(lengths),
        episodes=len(episodes),
        has_whole_episodes=True,
    )


def _encode_observations(
    episodes: EpisodeTable, space: spaces.Space[object], rows: Sequence[int]
) -> Encoded:
    """Encode the T+1 observations of each episode; the last one may be a placeholder."""
    name = "observations"
    blocks: list[object] = episodes.list_field(name)
    joined = episodes.join_field(name)
    for index, metadata in enumerate(episodes.list_field("metadata")):
        # Asking first for the key keeps this cheap for all the others.
        if metadata and FINAL_OBSERVATION in metadata and not is_final_observation_known(metadata):
            if blocks is episodes.list_field(name):
                blocks, joined = list(blocks), None
            blocks[index] = add_placeholder(space, blocks[index], rows[index] - 1, index)
    return encode_blocks(space, blocks, rows, name, joined)


def _encode_rewards(episodes: EpisodeTable, counts: Sequence[int]) -> Encoded:
    blocks = episodes.list_field("rewards")
    ready = as_uniform_arrays(blocks, counts, episodes.join_field("rewards"))
    if ready is not None and ready[0].dtype == _REWARD_DTYPE:
        return FixedColumn(_REWARD_DTYPE, ready[0].shape[1:]), [ready]
    pieces: list[Array] = []
    for index, (block, count) in enumerate(zip(blocks, counts, strict=True)):
        array = as_numeric_array(block, f"episode {index}: rewards")
        if array.dtype.kind == "b":
            array = array.astype(_REWARD_DTYPE)
        if array.dtype != _REWARD_DTYPE:
            array = FixedColumn(_REWARD_DTYPE, array.shape).convert(
                array, f"episode {index}: rewards"
            )
        check_row_count(len(array), count, "rewards", index)
        pieces.append(array)
    shapes = {piece.shape[1:] for piece in pieces}
    if len(shapes) > 1:
        raise DataError(f"rewards have different shapes a step: {sorted(shapes)}")
    return FixedColumn(_REWARD_DTYPE, pieces[0].shape[1:]), [pieces]


def _encode_flags(episodes: EpisodeTable, counts: Sequence[int], where: str) -> Encoded:
    blocks = episodes.list_field(where)
    ready = as_uniform_arrays(blocks, counts, episodes.join_field(where))
    if ready is not None and ready[0].dtype == _FLAG_DTYPE and ready[0].ndim == 1:
        return FixedColumn(_FLAG_DTYPE), [ready]
    pieces: list[Array] = []
    for index, (block, count) in enumerate(zip(blocks, counts, strict=True)):
        # True beside 1 is no loss here, where only two values are allowed.
        array = as_numeric_array(block, f"episode {index}: {where}", mixed=True)
        if array.ndim != 1:
            raise DataError(f"episode {index}: {where} has shape {array.shape}, not ({count},)")
        check_row_count(len(array), count, where, index)
        if array.dtype != _FLAG_DTYPE:
            if not np.isin(array, (0, 1)).all():
                raise DataError(f"episode {index}: {where} has values other than 0 and 1")
            array = array.astype(_FLAG_DTYPE)
        pieces.append(array)
    return FixedColumn(_FLAG_DTYPE), [pieces]
