"""Which rows and steps the reading of some positions needs, so that they can be fetched before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from minari_core.sampling.gathering.info_rows import GROUPS
from minari_core.sampling.gathering.selection import Rows

Run = tuple[int, int]
"""The first of some neighbours, and the last + 1."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What some positions are read from."""

    columns: tuple[str, ...]
    """Column groups as they are stored, or columns inside them."""
    rows: Sequence[Run]
    """Rows, counted through all shards, for the columns that have rows."""
    steps: Sequence[Run]
    """Steps, counted through all shards, for the columns that have steps."""


class _Numbers(Protocol):
    def take(self, indices: Rows) -> Rows: ...


class StepsOfView(Protocol):
    """The steps of a view, as samplers have them."""

    @property
    def are_consecutive(self) -> bool:
        """Whether steps that follow each other in the view do so in the storage."""
        ...

    @property
    def first_steps(self) -> _Numbers:
        """The first step of each episode, counted through the storage."""
        ...

    @property
    def lengths(self) -> _Numbers:
        """The number of steps of each episode."""
        ...

    def locate(self, positions: Rows) -> tuple[Rows, Rows]:
        """Return the index in the view of each position's episode, and its step."""
        ...

    def rows(self, indices: Rows, steps: Rows) -> Rows:
        """Return the row of the observation before each step."""
        ...


def find_needs(
    steps: StepsOfView,
    positions: Rows,
    columns: Sequence[str],
    *,
    back: int,
    ahead: int,
) -> Needs:
    """Return what is read with some steps, and with those around them in their episodes.

    Args:
        steps: The steps of a view.
        positions: Steps of the view, ascending, shape (n,).
        columns: The columns that are read, by the names that samplers have for them.
        back: How many steps before each are read with it.
        ahead: How many steps after each are read with it.
    """
    if steps.are_consecutive:
        # What is between the first and the last is read with them.
        positions = positions[[0, -1]]
    indices, numbers = steps.locate(positions)
    first = steps.first_steps.take(indices)
    # Nothing is subtracted that could be beyond the range of numbers.
    lowest = numbers - np.minimum(numbers - first, back)
    last = first + steps.lengths.take(indices) - 1
    highest = numbers + np.minimum(last - numbers, ahead)
    stored = tuple(dict.fromkeys(map(name_stored, columns)))
    # The observation after a step is the row after that of the step.
    first_rows, stop_rows = steps.rows(indices, lowest), steps.rows(indices, highest) + 2
    if steps.are_consecutive:
        rows = [(int(first_rows[0]), int(stop_rows[-1]))]
        return Needs(stored, rows, [(int(lowest[0]), int(highest[-1]) + 1)])
    return Needs(stored, join_runs(first_rows, stop_rows), join_runs(lowest, highest + 1))


def name_stored(name: str) -> str:
    """Return the name of the stored column that a column of samplers is read from."""
    group, slash, rest = name.partition("/")
    return f"{GROUPS.get(group, group)}{slash}{rest}"


def join_runs(starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]) -> list[Run]:
    """Join runs that touch or overlap."""
    order = np.argsort(starts, kind="stable")
    starts, stops = starts[order], np.maximum.accumulate(stops[order])
    begins = np.flatnonzero(np.concatenate(([True], starts[1:] > stops[:-1])))
    ends = np.append(begins[1:], len(starts)) - 1
    return list(zip(starts[begins].tolist(), stops[ends].tolist(), strict=True))
