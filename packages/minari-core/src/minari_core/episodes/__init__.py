"""Episodes, and how they are encoded as the flat columns of a shard."""

from __future__ import annotations

from minari_core.episodes.encoding import encode_episodes
from minari_core.episodes.entries import Episode, check_seed, encode_entries
from minari_core.episodes.fit import describe_differences, widen_schema
from minari_core.episodes.reward_metadata import describe_rewards
from minari_core.episodes.shard_data import ShardData

__all__ = [
    "Episode",
    "ShardData",
    "check_seed",
    "describe_differences",
    "describe_rewards",
    "encode_entries",
    "encode_episodes",
    "widen_schema",
]
