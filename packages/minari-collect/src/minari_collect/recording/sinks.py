"""The interface of what recorders hand their shards to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from minari_core.episodes import ShardData

Beginning: TypeAlias = tuple[int | None, Mapping[str, object] | None]
"""Seed and options of a reset."""

NO_BEGINNING: Beginning = (None, None)
"""Those of an episode that its environment has begun itself."""

Describe: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Makes the metadata of an episode."""


class ShardSink(Protocol):
    """A receiver of full buffers."""

    @property
    def total_episodes(self) -> int:
        """Number of episodes kept since the last dataset was created."""
        ...

    def write(self, data: ShardData, unfinished: Beginning | None) -> None:
        """Keep a shard; it is kept as a whole when this returns, and not at all if it raises.

        Args:
            data: The shard.
            unfinished: Seed and options of an episode that begins in the shard, or before it,
                and goes on after it.
        """
        ...

    def read_tail(self, group: str, count: int) -> object:
        """Read the last ``count`` rows of a column group of what was written."""
        ...


class LaneSink(ShardSink, Protocol):
    """A receiver of full buffers, and of the pieces of long episodes beside them."""

    def write_lane(self, lane: int, data: ShardData, unfinished: Beginning) -> None:
        """Keep a piece of an unfinished episode.

        Args:
            lane: The environment that it is of.
            data: The piece, without an entry.
            unfinished: Seed and options of the episode.
        """
        ...

    def close_lane(self, lane: int, data: ShardData) -> None:
        """Keep the last piece of such an episode, with its entry, after all whole ones."""
        ...

    def read_lane_tail(self, lane: int, group: str, count: int) -> object:
        """Read the last rows of a column group of what was written of a lane's episode."""
        ...
