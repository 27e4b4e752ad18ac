"""Columns of a view as they are held in memory or on a device, for `ResidentData`.

The steps of a view lie one after another; the observations of its episodes too, one more for each.
So a step's observation and the next one are neighbours, and are stored once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from minari_core.datasets.dataset import MinariDataset
from minari_core.errors import SamplingError
from minari_core.random_stream import RandomStream
from minari_core.sampling.gathering.binding import find_gatherer
from minari_core.sampling.gathering.gatherers import FixedGatherer
from minari_core.sampling.gathering.selection import Selection
from minari_core.sampling.orders.rank_index import Positions
from minari_core.sampling.steps.episode_steps import EMPTY, EpisodeSteps

STEP_COLUMNS = ("actions", "rewards", "terminations", "truncations")

_NBYTES_AT_ONCE = 1 << 24

Held = TypeVar("Held")


@dataclass(frozen=True, slots=True, eq=False)
class ResidentLayout:
    """Where the steps of a view lie in its columns, and what reads these."""

    rows: Positions
    """The row of the observation before each step, shape (steps,)."""
    ends: Positions
    """The step behind the last of each step's episode, shape (steps,)."""
    _stored: dict[str, Positions]
    _dataset: MinariDataset

    def iterate_blocks(self, column: str) -> Iterator[tuple[int, Any]]:
        """Yield the rows of a column in blocks, each with the number of its first row.

        Args:
            column: ``observations`` or one of `STEP_COLUMNS`.

        Raises:
            SamplingError: Not all of its values are arrays of one shape.
        """
        gatherer = find_gatherer(self._dataset._find_columns(), column)
        leaves = [leaf for _, leaf in gatherer.leaves(column)]
        probe = gatherer.take(Selection(self._stored[column][:1]))
        if _count_leaves(probe) != len(leaves) or not all(
            isinstance(leaf, FixedGatherer) for leaf in leaves
        ):
            raise SamplingError(
                f"{column} have values that are no arrays of one shape, which no device holds; "
                "use batches and to_tensors"
            )
        rows = self._stored[column]
        at_once = max(1, _NBYTES_AT_ONCE // max(1, sum(_row_nbytes(leaf) for leaf in leaves)))
        for start in range(0, len(rows), at_once):
            yield start, gatherer.take(Selection(rows[start : start + at_once]))

    def count_nbytes(self) -> int:
        """Return how many bytes all columns and the layout take."""
        storage = self._dataset._find_columns()
        total = self.rows.nbytes + self.ends.nbytes
        for column, rows in self._stored.items():
            for _, leaf in find_gatherer(storage, column).leaves(column):
                total += _row_nbytes(leaf) * len(rows)
        return total


def lay_out(dataset: MinariDataset) -> ResidentLayout:
    """Lay out the steps of a dataset or view, numbered as its transitions are.

    Raises:
        SamplingError: There is no step, or the datasets of a mixture have weights.
    """
    if dataset._default_weights is not None:
        raise SamplingError(
            "all steps on a device are equally likely, and the datasets of this mixture have "
            "weights; mix them without, or put each of them on the device by itself"
        )
    storage = dataset._find_columns()
    steps = EpisodeSteps(storage, dataset._indices, cut_at_ends=True)
    if steps.total == 0:
        raise SamplingError(f"there is no step to sample: {EMPTY}")
    held = np.flatnonzero(steps.counts)
    counts = steps.counts[held]
    stops = np.cumsum(counts)
    numbers = np.repeat(np.arange(len(held)), counts)
    steps_of_view = np.arange(steps.total)
    rows = steps_of_view + numbers
    stored_steps = steps_of_view + (steps.first_steps[held] - (stops - counts))[numbers]
    first_rows = steps.rows(held, steps.first_steps[held])
    shifts = first_rows - (stops - counts + np.arange(len(held)))
    stored_rows = np.arange(steps.total + len(held)) + np.repeat(shifts, counts + 1)
    stored = {"observations": stored_rows, **dict.fromkeys(STEP_COLUMNS, stored_steps)}
    return ResidentLayout(rows, stops[numbers], stored, dataset)


def split_to_fit(dataset: MinariDataset, nbytes: int, max_nbytes: int) -> list[MinariDataset]:
    """Split a dataset into parts of whole episodes, two of which fit at once.

    Args:
        dataset: The dataset or view.
        nbytes: How many bytes its columns take.
        max_nbytes: How many there may be.

    Raises:
        SamplingError: A single episode does not fit.
    """
    episodes = len(dataset)
    count = min(episodes, -(-2 * nbytes // max_nbytes))
    while True:
        borders = np.linspace(0, episodes, count + 1).astype(int).tolist()
        parts = [dataset[a:b] for a, b in pairwise(borders)]
        largest = max(lay_out(part).count_nbytes() for part in parts)
        if 2 * largest <= max_nbytes:
            return parts
        if count == episodes:
            raise SamplingError(
                f"an episode takes {largest} bytes, and two at a time must fit into {max_nbytes}"
            )
        count = min(episodes, 2 * count)


def take_turns(
    parts: list[MinariDataset],
    load: Callable[[MinariDataset], Held],
    stream: RandomStream,
) -> Iterator[Held]:
    """Yield parts without end as they are held, each time in another order, one loaded ahead."""
    with ThreadPoolExecutor(1, "minari-resident") as pool:
        ahead: Future[Held] | None = None
        while True:
            for number in stream.generator.permutation(len(parts)).tolist():
                loading = pool.submit(load, parts[number])
                if ahead is not None:
                    yield ahead.result()
                ahead = loading


def _count_leaves(value: Any) -> int:
    if isinstance(value, dict):
        return sum(map(_count_leaves, value.values()))
    if isinstance(value, tuple):
        return sum(map(_count_leaves, value))
    return 1


def _row_nbytes(leaf: Any) -> int:
    return int(np.prod(leaf.row_shape, dtype=np.int64)) * int(leaf.dtype.itemsize)
