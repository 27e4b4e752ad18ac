"""The values of some ranks among many, for each element of rows that come in blocks."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

LEVELS = (0.01, 0.1, 0.5, 0.9, 0.99)
"""The ranks that are looked for, as shares of the last one."""

# By how many standard deviations of its rank a value may lie elsewhere than others tell.
_DEVIATIONS = 4
# So many values are ordered at once; of more, the neighbourhoods of ranks are looked for.
_FEW = 1 << 10

Counts = npt.NDArray[np.int64]
Pairs = npt.NDArray[np.float64]


class OrderStatistics(ABC):
    """Keeps of rows what says which values have some ranks; only finite ones count."""

    count = 0
    """How many rows were added."""

    @abstractmethod
    def add(self, rows: npt.NDArray[Any]) -> None:
        """Add rows, of shape (n, size)."""

    @abstractmethod
    def finish(self) -> tuple[Pairs, Counts] | None:
        """Return the values whose ranks are at or before `LEVELS`, and those that follow them.

        Returns:
            Pairs of shape (size, levels, 2), NaN where no value is finite, and how many are, of
            shape (size,). None if a value was not kept.
        """


class AllValues(OrderStatistics):
    """Keeps all values, those of an element side by side, and orders them where they lie."""

    def __init__(self, size: int, room: int, dtype: np.dtype[Any]) -> None:
        """Make room for so many rows."""
        self._kept = np.empty((size, room), dtype)

    def add(self, rows: npt.NDArray[Any]) -> None:
        end = self.count + len(rows)
        self._kept[:, self.count : end] = rows.T
        self.count = end

    def finish(self) -> tuple[Pairs, Counts]:
        values = self._kept[:, : self.count]
        counts = np.full(len(values), self.count)
        if values.dtype.kind == "f":
            counts = np.count_nonzero(np.isfinite(values), axis=1)
        pairs = np.full((len(values), len(LEVELS), 2), np.nan)
        known = np.flatnonzero(counts)
        ranks = find_ranks(counts)
        if values.itemsize == 1 or self.count <= _FEW:
            # A radix sort of bytes is the fastest of all.
            values.sort(axis=1, kind="stable" if values.itemsize == 1 else None)
            firsts = np.count_nonzero(values == -np.inf, axis=1)
            pairs[known] = values[known[:, None, None], firsts[known, None, None] + ranks[known]]
        else:
            for element in known.tolist():
                finite = values[element]
                if counts[element] < self.count:
                    finite = finite[np.isfinite(finite)]
                pairs[element] = [find_pair(finite, *pair) for pair in ranks[element].tolist()]
        return pairs, counts


class NearValues(OrderStatistics):
    """Keeps the values around where the ranks are among others, and the tails.

    Five comparisons take a tenth of the time of ordering all. That tails are kept whole saves more.
    """

    def __init__(self, seen: npt.NDArray[Any]) -> None:
        """Choose what to keep.

        Args:
            seen: Some of the rows, at random, of shape (n, size).
        """
        values = np.sort(seen.T, axis=1)
        counts = np.count_nonzero(np.isfinite(values), axis=1)[:, None, None]
        firsts = np.count_nonzero(values == -np.inf, axis=1)[:, None, None]
        levels = np.array(LEVELS)[:, None]
        spread = _DEVIATIONS * np.sqrt(counts * levels * (1 - levels)) + 1
        ranks = (counts * levels + spread * [-1, 1]).astype(np.int64)
        at = np.clip(firsts + ranks, 0, values.shape[1] - 1).reshape(len(values), -1)
        edges = np.take_along_axis(values, at, axis=1).reshape(ranks.shape)
        info: Any = np.finfo if values.dtype.kind == "f" else np.iinfo
        edges[ranks < 0] = info(values.dtype).min
        edges[ranks >= counts] = info(values.dtype).max
        # The least and the largest value that matter for each level, of shape (size, levels, 2).
        self._edges = edges
        self._kept: list[tuple[npt.NDArray[Any], Counts]] = []
        self._below = np.zeros(len(values), np.int64)
        self._finite = np.zeros(len(values), np.int64)

    def add(self, rows: npt.NDArray[Any]) -> None:
        values = np.ascontiguousarray(rows.T)
        size, count = values.shape
        below = values < self._edges[:, 2, 0, None]
        self._below += [np.count_nonzero(row) for row in below]
        wanted = values <= self._edges[:, 2, 1, None]
        wanted ^= below
        wanted |= values <= self._edges[:, 1, 1, None]
        wanted |= values >= self._edges[:, 3, 0, None]
        at = np.flatnonzero(wanted)
        borders = np.searchsorted(at, np.arange(size + 1) * count)
        self._kept.append((values.reshape(-1).take(at), borders))
        self._finite += count
        if values.dtype.kind == "f":
            with np.errstate(all="ignore"):
                # What is not finite shows in the sums, so that most blocks are looked at once.
                if not np.isfinite(values.sum(axis=1)).all():
                    self._finite -= np.count_nonzero(~np.isfinite(values), axis=1)
        self.count += count

    def finish(self) -> tuple[Pairs, Counts] | None:
        pairs = np.full((len(self._below), len(LEVELS), 2), np.nan)
        all_ranks = find_ranks(self._finite)
        for element in np.flatnonzero(self._finite).tolist():
            kept = np.concatenate(
                [values[borders[element] : borders[element + 1]] for values, borders in self._kept]
            )
            edges = self._edges[element]
            # So many values were left out before those in the middle, and before the upper tail.
            before = self._below[element] - np.count_nonzero(kept < edges[2, 0])
            if self._finite[element] < self.count:
                kept = kept[np.isfinite(kept)]
            behind = self._finite[element] - len(kept)
            ranks = all_ranks[element] - np.array([0, 0, before, behind, behind])[:, None]
            for number, (least, most) in enumerate(edges):
                below = kept < least
                near = kept.take(np.flatnonzero((kept <= most) ^ below))
                rank, following = (ranks[number] - np.count_nonzero(below)).tolist()
                if not 0 <= rank <= following < len(near):
                    return None
                pairs[element, number] = find_pair(near, rank, following)
        return pairs, self._finite


def find_ranks(counts: Counts) -> Counts:
    """Return the ranks at or before `LEVELS` among so many values, and those that follow them.

    Args:
        counts: The numbers of values, shape (n,).

    Returns:
        Shape (n, levels, 2).
    """
    last = counts[:, None] - 1
    floors = (last * np.array(LEVELS)).astype(np.int64)
    return np.stack([floors, np.minimum(floors + 1, last)], axis=2)


def find_pair(values: npt.NDArray[Any], rank: int, following: int) -> tuple[Any, Any]:
    """Return the values of two neighbouring ranks.

    Some values tell about where they are, so that few others remain (Floyd and Rivest, 1975,
    "Expected time bounds for selection").

    Args:
        values: Finite numbers, at least one.
        rank: The rank of the first.
        following: The next one, or the same if there is none.
    """
    while len(values) > _FEW:
        count = len(values)
        some = np.sort(values[:: round(count ** (1 / 3))])
        at = (rank + 0.5) / count * len(some)
        spread = _DEVIATIONS * math.sqrt(at * (1 - at / len(some))) + 1
        least = some[max(int(at - spread), 0)]
        most = some[min(int(at + spread), len(some) - 1)]
        below = values < least
        near = values.take(np.flatnonzero((values <= most) ^ below))
        skipped = int(np.count_nonzero(below))
        if not skipped <= rank <= following < skipped + len(near) or len(near) == count:
            break  # they were unlike the others, or tell nothing
        values, rank, following = near, rank - skipped, following - skipped
        if least == most:
            break
    ordered = np.partition(values, (rank, following))
    return ordered[rank], ordered[following]
