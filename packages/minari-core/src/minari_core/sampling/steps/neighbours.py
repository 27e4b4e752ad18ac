"""Columns of the step before or after another in its episode, where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core.sampling.gathering.gatherers import Gatherer
from minari_core.sampling.gathering.hiding import bare_arrays, hide_rows
from minari_core.sampling.gathering.info_rows import is_of_neighbour
from minari_core.sampling.gathering.selection import Selection
from minari_core.sampling.orders.rank_index import Positions
from minari_core.sampling.steps.episode_steps import EpisodeSteps, ShardsOfSteps
from minari_core.sampling.steps.large_steps import LargeSteps


class NeighbourColumns:
    """The columns of a batch that are of the steps before or after its own."""

    __slots__ = ("_after", "_before")

    def __init__(self, bound: dict[str, Gatherer]) -> None:
        """Take those among the columns of a batch.

        Args:
            bound: The gatherers of all columns by their names; these are taken out.
        """
        names = [name for name in bound if is_of_neighbour(name)]
        taken = [(name, bound.pop(name)) for name in names]
        self._after = [pair for pair in taken if pair[0].startswith("next_")]
        self._before = [pair for pair in taken if pair[0].startswith("previous_")]

    def __len__(self) -> int:
        """How many they are."""
        return len(self._after) + len(self._before)

    def __iter__(self) -> Iterator[str]:
        """Their names."""
        return (name for name, _ in (*self._after, *self._before))

    @property
    def ahead(self) -> int:
        """How many steps after each are read with it."""
        return int(bool(self._after))

    @property
    def back(self) -> int:
        """How many steps before each are read with it."""
        return int(bool(self._before))

    def read(
        self,
        columns: dict[str, Any],
        steps: EpisodeSteps | LargeSteps,
        indices: Positions,
        first: Positions,
        last: Positions,
        shards: ShardsOfSteps | None,
        scale: float,
    ) -> None:
        """Read the columns: actions masked (None in lists), all others 0 where there is no step.

        Args:
            columns: Where to put them; arrays that are there are filled again.
            steps: The steps of a view.
            indices: The index in the view of each episode, of shape (B,) or that of the steps.
            first: Steps of these episodes, before which there are others, of shape (B, …).
            last: Steps of these episodes, after which there are others, of the same shape.
            shards: The shards of the episodes, if there is one for each of the B.
            scale: The factor of rewards.
        """
        extra = (1,) * (first.ndim - indices.ndim)
        begins = steps.first_steps.take(indices).reshape(*indices.shape, *extra)
        if self._before:
            before = Selection(np.maximum(first - 1, begins), shards)
            self._take(self._before, columns, before, first <= begins, scale)
        if self._after:
            ends = begins + steps.lengths.take(indices).reshape(*indices.shape, *extra) - 1
            after = Selection(np.minimum(last + 1, ends), shards)
            self._take(self._after, columns, after, last >= ends, scale)

    @staticmethod
    def _take(
        names: list[tuple[str, Gatherer]],
        columns: dict[str, Any],
        selection: Selection,
        is_absent: npt.NDArray[np.bool_],
        scale: float,
    ) -> None:
        for name, gatherer in names:
            value = gatherer.take(selection, bare_arrays(columns.get(name)))
            if name.partition("/")[0].endswith("_actions"):
                columns[name] = hide_rows(value, is_absent)
                continue
            if name == "previous_rewards" and scale != 1:
                value *= scale
            value[is_absent] = 0
            columns[name] = value
