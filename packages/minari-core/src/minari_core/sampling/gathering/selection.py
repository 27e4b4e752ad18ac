"""Selections of the rows to gather, and the shards that they lie in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from minari_core.ranges.generation import Generation

Rows = npt.NDArray[np.int64]


class ShardNumbers(ABC):
    """The shards of some episodes, which the rows of these episodes lie in."""

    @abstractmethod
    def numbers(self) -> Rows | None:
        """Return the shard of each episode, shape (B,); None if one lies in several."""


class Selection:
    """Rows along one axis to gather, and the shards that they lie in.

    Many columns share one, so that the shards are looked up once.
    """

    __slots__ = ("_groups", "_numbers", "_of_episodes", "are_runs", "at_hand", "rows")

    def __init__(
        self, rows: Rows, of_episodes: ShardNumbers | None = None, *, are_runs: bool = False
    ) -> None:
        """Select rows.

        Args:
            rows: Indices of rows, counted through all shards, of shape (B, …).
            of_episodes: The shards of the B episodes that they belong to, if that is known.
            are_runs: Whether they are of shape (B, L), each L of them one behind the other.
        """
        self.rows = rows
        self.are_runs = are_runs
        self.at_hand: dict[object, Generation] = {}
        """Columns of which the rows were fetched, and where they are then."""
        self._of_episodes = of_episodes
        self._numbers: Rows | None = None
        self._groups: list[tuple[int, Rows, Rows]] | None = None

    def numbers_of_episodes(self) -> Rows | None:
        """Return the shard of each row, as `numbers` does, if that of its episode tells it.

        Returns:
            None if the episodes are not known, or one lies in more than one shard.
        """
        known = None if self._of_episodes is None else self._of_episodes.numbers()
        if known is None or self.rows.ndim == 1:
            return known
        return known.reshape(-1, *(1,) * (self.rows.ndim - 1))

    def numbers(self, firsts: Rows) -> Rows:
        """Return the shard of each row, in a shape that broadcasts to that of the rows.

        Args:
            firsts: The first row of each shard, and the number of all.
        """
        if self._numbers is None:
            self._numbers = self.numbers_of_episodes()
        if self._numbers is None:
            self._numbers = np.searchsorted(firsts, self.rows, side="right") - 1
        return self._numbers

    def groups(self, firsts: Rows) -> list[tuple[int, Rows, Rows]]:
        """Group the rows by shard.

        Args:
            firsts: As for `numbers`.

        Returns:
            For each shard with rows: its index, the positions of the rows in the selection,
            flattened, and their indices in the shard.
        """
        if self._groups is None:
            flat = self.rows.reshape(-1)
            numbers = np.broadcast_to(self.numbers(firsts), self.rows.shape).reshape(-1)
            order = np.argsort(numbers, kind="stable")
            borders = np.flatnonzero(np.diff(numbers[order], prepend=-1, append=-1))
            self._groups = []
            for start, stop in pairwise(borders.tolist()):
                positions = order[start:stop]
                number = int(numbers[positions[0]])
                self._groups.append((number, positions, flat[positions] - firsts[number]))
        return self._groups
