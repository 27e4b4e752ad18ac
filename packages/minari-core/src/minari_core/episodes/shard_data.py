"""The contents of one shard, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from minari_core.columns import Array, Schema


@dataclass(frozen=True, slots=True)
class ShardData:
    """Flat arrays of a number of steps, and the entries of the episodes that end among them.

    An episode may begin in an earlier shard. Its entry, with its full length, is in the shard
    of its last step.
    """

    schema: Schema
    """The columns."""
    pieces: Sequence[Sequence[Array]]
    """For each array of the schema that is not derived, the pieces to be concatenated."""
    rows: int
    """Rows of observations and infos."""
    steps: int
    """Rows of actions, rewards and flags."""
    episodes: int
    """Entries of episodes."""
    has_whole_episodes: bool = False
    """Whether it is known that each of its steps is of an episode that lies in it as a whole."""

    @property
    def nbytes(self) -> int:
        """The raw size of all arrays."""
        return sum(piece.nbytes for pieces in self.pieces for piece in pieces)
