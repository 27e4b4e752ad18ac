"""Assemble a shard from encoded buffers and the entries of its episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from minari_collect.buffers.base import ColumnGroup
from minari_collect.recording.sinks import Beginning
from minari_core.columns import Schema
from minari_core.episodes import ShardData, encode_entries


def encode_episodes(
    lengths: Sequence[int],
    beginnings: Sequence[Beginning],
    metadata: Sequence[Mapping[str, object] | None],
    dropped: dict[str, str],
) -> ColumnGroup:
    """Encode the entries of the episodes that end in a shard.

    Args:
        lengths: The number of steps of each episode.
        beginnings: The seed and options of each episode.
        metadata: The metadata of each episode.
        dropped: Takes the names of what cannot be stored, each with the reason.
    """
    seeds = [seed for seed, _ in beginnings]
    options = [options for _, options in beginnings]
    column, pieces = encode_entries(lengths, seeds, options, metadata, dropped)
    return column, [array for arrays in pieces for array in arrays]


def assemble_shard(
    groups: Mapping[str, ColumnGroup],
    *,
    rows: int,
    steps: int,
    episodes: int,
    has_whole_episodes: bool,
) -> ShardData:
    """Assemble a shard.

    Args:
        groups: The column groups of a shard, in their order.
        rows: The number of observations.
        steps: The number of steps.
        episodes: The number of episodes that end in it.
        has_whole_episodes: Whether each step is of an episode that lies in it as a whole.
    """
    return ShardData(
        schema=Schema({name: column for name, (column, _) in groups.items()}),
        pieces=[[array] for _, arrays in groups.values() for array in arrays],
        rows=rows,
        steps=steps,
        episodes=episodes,
        has_whole_episodes=has_whole_episodes,
    )
