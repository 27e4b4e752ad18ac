"""Checks of single elements of observations and actions: constant, clipped, doubled, not finite."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from minari.checks.blocks import Column, EpisodeBlock
from minari.checks.finding import Check, Examples, Finding

_MOST_ELEMENTS = 4096
_LEAST_ROWS = 100
_LEAST_DISTINCT = 20
_CLIPPED_SHARE = 0.05
_State = TypeVar("_State")


class ElementCheck(Check, Generic[_State]):
    """A check that keeps something for each column of numbers; large rows, as images, are none."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._states: dict[str, _State] = {}

    def see(self, block: EpisodeBlock) -> None:
        """Take in the columns of observations and actions that are real numbers."""
        for path, column in block.columns.items():
            elements = column.rows[0].size
            is_number = column.low is not None and column.rows.dtype.kind != "b"
            if is_number and elements <= _MOST_ELEMENTS:
                rows = column.rows.reshape(len(column.rows), elements)
                self._states[path] = self.add(self._states.get(path), rows, column)

    @abstractmethod
    def add(self, state: _State | None, rows: npt.NDArray[Any], column: Column) -> _State:
        """Take in rows of a column, shape (rows, elements), and return its new state."""


@dataclass(slots=True)
class _Range:
    """Counts of the rows of a column, and of those at each end of its range."""

    rows: int
    low: npt.NDArray[Any]
    high: npt.NDArray[Any]
    at_low: npt.NDArray[np.int64]
    at_high: npt.NDArray[np.int64]


class RangeCheck(ElementCheck[_Range]):
    """Elements that are constant, or often at one end of their range."""

    name = "range"
    sentence = "An element of observations or actions is constant, or clipped."

    def add(self, state: _Range | None, rows: npt.NDArray[Any], column: Column) -> _Range:
        """Keep the ends of the range, and count what is at them."""
        if column.is_finite:
            low, high = np.reshape([column.low, column.high], (2, -1))
        else:
            low, high = np.fmin.reduce(rows, axis=0), np.fmax.reduce(rows, axis=0)
        if state is None:
            zeros = np.zeros((2, len(low)), dtype=np.int64)
            state = _Range(0, low, high, zeros[0], zeros[1])
        state.rows += len(rows)
        for counts, known, ends, farther in (
            (state.at_low, state.low, low, np.fmin(state.low, low)),
            (state.at_high, state.high, high, np.fmax(state.high, high)),
        ):
            counts[farther != known] = 0
            # Few blocks reach an end, so that few values are compared.
            for element in np.flatnonzero(ends == farther):
                counts[element] += np.count_nonzero(rows[:, element] == ends[element])
            known[:] = farther
        return state

    def finish(self) -> Iterator[Finding]:
        """Say which elements are constant or clipped."""
        for path, state in self._states.items():
            if state.rows < _LEAST_ROWS:
                continue
            constant = state.low == state.high
            for element in np.flatnonzero(constant):
                yield Finding(
                    check="constant",
                    severity="note",
                    column=path,
                    element=int(element),
                    sentence=f"is {state.low[element]} in all {state.rows:,} rows",
                )
            if state.low.dtype.kind != "f":
                continue
            for end, counts, value in (
                ("lowest", state.at_low, state.low),
                ("highest", state.at_high, state.high),
            ):
                shares = counts / state.rows
                for element in np.flatnonzero((shares >= _CLIPPED_SHARE) & ~constant):
                    yield Finding(
                        check="clipped",
                        severity="note",
                        column=path,
                        element=int(element),
                        sentence=f"has its {end} value, {value[element]}, in "
                        f"{shares[element]:.0%} of the rows",
                    )


@dataclass(slots=True)
class _Doubles:
    """The pairs of elements that have had the same values so far."""

    group: npt.NDArray[np.int64]
    distinct: npt.NDArray[np.int64]
    """Number of values that each had in the first block."""


class DuplicateElementCheck(ElementCheck[_Doubles]):
    """Elements of a row that always have the same value as another."""

    name = "duplicated"
    sentence = "Two elements of an observation or action are always equal."

    def add(self, state: _Doubles | None, rows: npt.NDArray[Any], column: Column) -> _Doubles:
        """Part the groups of elements that were equal up to here."""
        if state is None:
            distinct = [len(np.unique(column)) for column in rows.T]
            state = _Doubles(np.zeros(rows.shape[1], dtype=np.int64), np.array(distinct))
        sizes = np.bincount(state.group)
        groups: dict[tuple[int, bytes], int] = {}
        for element in np.flatnonzero(sizes[state.group] > 1):
            values = np.ascontiguousarray(rows[:, element]).tobytes()
            key = int(state.group[element]), values
            state.group[element] = groups.setdefault(key, len(sizes) + len(groups))
        state.group = np.unique(state.group, return_inverse=True)[1].reshape(-1)
        return state

    def finish(self) -> Iterator[Finding]:
        """Say which elements are equal; those of few values may be so by chance."""
        for path, state in self._states.items():
            _, first, counts = np.unique(state.group, return_index=True, return_counts=True)
            for element in first[counts > 1]:
                same = np.flatnonzero(state.group == state.group[element])
                if state.distinct[element] >= _LEAST_DISTINCT:
                    yield Finding(
                        check=self.name,
                        severity="warning",
                        column=path,
                        element=int(element),
                        sentence=f"always equals {', '.join(f'[{each}]' for each in same[1:])}",
                    )


class FiniteCheck(Check):
    """NaN and infinities in observations, actions and rewards."""

    name = "not-finite"
    sentence = "A value is NaN or infinite."

    def __init__(self) -> None:
        """Start with nothing."""
        self._found: dict[str, Examples] = {}

    def see(self, block: EpisodeBlock) -> None:
        """Look at the extremes, and at all values where these are not finite."""
        for path, column in block.columns.items():
            if not column.is_finite:
                self._add(path, block, column.rows, column.counts)
        if not np.isfinite(block.rewards).all():
            self._add("rewards", block, block.rewards, block.lengths)

    def _add(
        self,
        path: str,
        block: EpisodeBlock,
        rows: npt.NDArray[Any],
        counts: npt.NDArray[np.int64],
    ) -> None:
        examples = self._found.setdefault(path, Examples())
        examples.add(block.find_episodes(~np.isfinite(rows), counts))

    def finish(self) -> Iterator[Finding]:
        """Say which columns have such values."""
        for path, examples in self._found.items():
            yield Finding(
                check=self.name,
                severity="warning",
                column=path,
                sentence="has values that are NaN or infinite",
                episodes=examples.count,
                examples=tuple(examples.ids),
            )
