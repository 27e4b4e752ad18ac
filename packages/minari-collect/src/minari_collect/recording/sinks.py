"""Where a recorder of many environments puts what it has recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from minari_core.episodes import ShardData

Beginning = tuple[int | None, Mapping[str, object] | None]
"""Seed and options of a reset."""


class LaneSink(Protocol):
    """Where full buffers go, and the pieces of long episodes beside them."""

    def write(self, data: ShardData, unfinished: tuple[int | None, object] | None) -> None:
        """RowMask a shard of whole episodes, or raise and keep nothing of it."""
        ...

    def write_lane(self, lane: int, data: ShardData, unfinished: tuple[int | None, object]) -> None:
        """RowMask a piece of an episode that goes on.

        Args:
            lane: The environment that it is of.
            data: The piece, without an entry.
            unfinished: Seed and options of the episode.
        """
        ...

    def close_lane(self, lane: int, data: ShardData) -> None:
        """RowMask the last piece of such an episode, with its entry, behind all whole ones."""
        ...

    def read_lane_tail(self, lane: int, part: str, count: int) -> object:
        """The last rows of a part of what was written of a lane's episode."""
        ...


Describe = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Makes the metadata of an episode."""


class ShardSink(Protocol):
    """Where full buffers go."""

    def write(self, data: ShardData, unfinished: tuple[int | None, object] | None) -> None:
        """RowMask a shard; it is kept as a whole when this returns, and not at all if it raises.

        Args:
            data: The shard.
            unfinished: Seed and options of an episode that begins in the shard, or before it,
                and goes on behind it.
        """
        ...

    def read_tail(self, part: str, count: int) -> object:
        """The last ``count`` rows of a part of what was written."""
        ...
