"""The rows that a recorder of many environments holds in memory.

The buffers are time-major, ``[rows, envs, …]``, with the flags of the steps beside them. Which of
their cells make episodes is for the recorder to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from minari_collect.buffers.base import ColumnGroup, encode_flags
from minari_collect.vector_buffers.base import Cells
from minari_collect.vector_buffers.fixed import VectorFixedBuffer
from minari_collect.vector_buffers.infos import VectorInfoBuffer
from minari_collect.vector_buffers.nested import make_vector_buffer
from minari_collect.vector_buffers.segments import Segments, list_row_cells, list_step_cells

Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
NO_INDICES: Indices = np.zeros(0, dtype=np.int64)


class VectorRows:
    """A buffer for each column group, the flags of the steps, and the final values beside them."""

    def __init__(
        self,
        num_envs: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        capacity: int,
    ) -> None:
        """Start with empty buffers.

        Args:
            num_envs: How many environments there are.
            observation_space: The space of the observations of one environment.
            action_space: The space of its actions.
            capacity: How many rows there is room for.
        """
        self.num_envs = num_envs
        self.capacity = capacity
        self.observations = make_vector_buffer(observation_space, "observation", num_envs, capacity)
        self.actions = make_vector_buffer(action_space, "action", num_envs, capacity)
        scalar = spaces.Box(-np.inf, np.inf, (), np.float64)
        dtype = np.dtype(np.float64)
        self.rewards = VectorFixedBuffer(scalar, "reward", num_envs, capacity, dtype)
        self.infos = VectorInfoBuffer("infos", num_envs)
        self.extras = VectorInfoBuffer("extras", num_envs)
        self.final_numbers: dict[int, int] = {}
        """The number of the final value of each cell that has one."""
        self._set_flags(np.zeros((4, capacity, num_envs), dtype=bool))

    def _set_flags(self, flags: Flags) -> None:
        self.flags = flags
        """Terminations, truncations, gaps and cuts, shape (4, rows, envs)."""
        self.terminations, self.truncations, self.gaps, self.cuts = flags

    @property
    def row_nbytes(self) -> int:
        """Approximate size of a row in bytes; 0 before the first value."""
        return self.observations.row_nbytes + self.actions.row_nbytes

    def find_ends(self, steps: int | slice) -> Flags:
        """Find which episodes end with a step, or with each of several."""
        ends: Flags = self.terminations[steps] | self.truncations[steps]
        return ends

    def grow(self, capacity: int) -> None:
        """Make room for more rows, keeping those that are there."""
        for buffer in (self.observations, self.actions, self.rewards):
            buffer.grow(capacity)
        flags = np.zeros((4, capacity, self.num_envs), dtype=bool)
        flags[:, : self.capacity] = self.flags
        self._set_flags(flags)
        self.capacity = capacity

    def move(self, start: int, stop: int) -> None:
        """Move some rows to the front; those after them have no gaps and no cuts any more."""
        for buffer in (self.observations, self.actions, self.rewards, self.infos, self.extras):
            buffer.move(start, stop)
        self.flags[:, : stop - start] = self.flags[:, start:stop].copy()
        self.flags[2:, stop - start :] = False

    def clear(self) -> None:
        """Drop all rows and final values."""
        self.flags[2:] = False
        self.keep_finals({})
        for buffer in (self.infos, self.extras):
            buffer.move(0, 0)

    def add_final_cell(self, cell: int) -> None:
        """Keep a copy of what a cell holds as its final value."""
        row, env = divmod(cell, self.num_envs)
        for buffer in (self.observations, self.infos, self.extras):
            buffer.add_final_cell(row, env)
        self.final_numbers[cell] = len(self.final_numbers)

    def keep_finals(self, kept: Mapping[int, int]) -> None:
        """Drop all final values but some.

        Args:
            kept: For each cell, the number that its final value has so far.
        """
        numbers = list(kept.values())
        for buffer in (self.observations, self.infos, self.extras):
            buffer.keep_finals(numbers)
        self.final_numbers = {cell: number for number, cell in enumerate(kept)}

    def find_step_cells(self, episodes: Segments) -> Cells:
        """Find the cells of the steps of some episodes."""
        return make_plain_cells(list_step_cells(episodes, self.num_envs))

    def find_row_cells(self, episodes: Segments, *, without_first: bool = False) -> Cells:
        """Find the cells of the rows of some episodes; their last ones may be final values."""
        cells = list_row_cells(episodes, self.num_envs)
        positions, numbers = NO_INDICES, NO_INDICES
        if self.final_numbers:
            ends = np.cumsum(episodes.last - episodes.first + 2) - 1
            known = [self.final_numbers.get(cell, -1) for cell in cells[ends].tolist()]
            numbers = np.array(known, dtype=np.int64)
            positions, numbers = ends[numbers >= 0], numbers[numbers >= 0]
        if without_first:
            cells, positions = cells[1:], positions - 1
        return Cells(cells, positions, numbers)

    def encode(self, rows: Cells, steps: Cells) -> dict[str, ColumnGroup]:
        """Encode the column groups of some rows and steps."""
        flags = self.flags[:2].reshape(2, -1).take(steps.cells, axis=1)
        return {
            "observations": self.observations.take(rows),
            "actions": self.actions.take(steps),
            "rewards": self.rewards.take(steps),
            "terminations": encode_flags(flags[0]),
            "truncations": encode_flags(flags[1]),
            "infos": self.infos.take(rows),
            "extras": self.extras.take(rows),
        }

    def read(self, env: int, last_row: int, group: str, start: int, stop: int) -> object:
        """Copy some rows of a column group of one environment.

        Args:
            env: The environment.
            last_row: The last row of the episode, which may have a final value.
            group: The column group.
            start: The first row.
            stop: One past the last row.
        """
        cells = np.arange(start, stop) * self.num_envs + env
        if group in ("terminations", "truncations"):
            return self.flags[int(group == "truncations")].reshape(-1)[cells]
        wanted = make_plain_cells(cells)
        if group in ("actions", "rewards"):
            return (self.actions if group == "actions" else self.rewards).read(wanted)
        final = self.final_numbers.get(last_row * self.num_envs + env)
        if final is not None and start <= last_row < stop:
            wanted = Cells(cells, np.array([last_row - start]), np.array([final]))
        if group == "observations":
            return self.observations.read(wanted)
        return (self.infos if group == "infos" else self.extras).read(wanted)


def make_plain_cells(cells: Indices) -> Cells:
    """Make cells of which none is a final value."""
    return Cells(cells, NO_INDICES, NO_INDICES)
