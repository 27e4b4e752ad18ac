"""The rows that a recorder of one environment holds in memory.

Rows are observations. Step s leads from row s to row s + 1, so the columns of steps share the rows'
numbers. Which rows make episodes is for the recorder to say.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from minari_collect.buffers.base import Buffer, ColumnGroup, RowMask, encode_flags
from minari_collect.buffers.fixed import FixedBuffer
from minari_collect.buffers.infos import InfoBuffer
from minari_collect.buffers.nested import make_buffer


class EpisodeRows:
    """A buffer for each column group, and the flags of the steps."""

    def __init__(
        self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any], capacity: int
    ) -> None:
        """Start with empty buffers.

        Args:
            observation_space: The space of the observations.
            action_space: The space of the actions.
            capacity: How many rows there is room for.
        """
        self.capacity = capacity
        self.observations = make_buffer(observation_space, "observation", capacity)
        self.actions = make_buffer(action_space, "action", capacity)
        scalar = spaces.Box(-np.inf, np.inf, (), np.float64)
        self.rewards = FixedBuffer(scalar, "reward", capacity, np.dtype(np.float64))
        self.infos = InfoBuffer("infos")
        self.extras = InfoBuffer("extras")
        self.flags = np.zeros((2, capacity), dtype=bool)
        """Terminations and truncations, shape (2, rows)."""

    @property
    def row_nbytes(self) -> int:
        """Approximate size of a row in bytes; 0 before the first value."""
        return self.observations.row_nbytes + self.actions.row_nbytes

    def grow(self, capacity: int) -> None:
        """Make room for more rows, keeping those that are there."""
        for buffer in (self.observations, self.actions, self.rewards):
            buffer.grow(capacity)
        flags = np.zeros((2, capacity), dtype=bool)
        flags[:, : self.capacity] = self.flags
        self.flags = flags
        self.capacity = capacity

    def move(self, start: int, stop: int) -> None:
        """Move some rows to the front and drop all others."""
        for buffer in (self.observations, self.actions, self.rewards, self.infos, self.extras):
            buffer.move(start, stop)
        self.flags[:, : stop - start] = self.flags[:, start:stop].copy()

    def clear(self) -> None:
        """Drop all rows."""
        for buffer in (self.infos, self.extras):
            buffer.move(0, 0)

    def copy_observation(self, source: int, target: int) -> None:
        """Copy the observation of a row, with its info and extras, to another."""
        for buffer in (self.observations, self.infos, self.extras):
            buffer.copy_row(source, target)

    def drop_infos(self, start: int) -> None:
        """Drop the infos and extras of the rows from one on."""
        self.infos.truncate(start)
        self.extras.truncate(start)

    def encode(
        self, rows: tuple[int, int], step_stop: int, keep: RowMask
    ) -> dict[str, ColumnGroup]:
        """Encode the column groups of some rows and the first steps.

        Args:
            rows: The first row, and one past the last.
            step_stop: One past the last step.
            keep: Which of the steps are wanted; all if None.
        """
        flags = self.flags[:, :step_stop]
        flags = flags if keep is None else flags[:, keep]
        return {
            "observations": self.observations.take(*rows),
            "actions": self.actions.take(0, step_stop, keep),
            "rewards": self.rewards.take(0, step_stop, keep),
            "terminations": encode_flags(flags[0]),
            "truncations": encode_flags(flags[1]),
            "infos": self.infos.take(*rows),
            "extras": self.extras.take(*rows),
        }

    def read(self, group: str, start: int, stop: int) -> object:
        """Copy some rows of a column group."""
        if group in ("terminations", "truncations"):
            return self.flags[int(group == "truncations"), start:stop].copy()
        buffer: Buffer | InfoBuffer = getattr(self, group)
        return buffer.read(start, stop)
