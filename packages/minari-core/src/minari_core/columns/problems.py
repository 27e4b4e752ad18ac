"""Find what is wrong with the arrays of a column, as far as several kinds of column share it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from minari_core.columns.base import Array, ArraySpec, ColumnProblem, NamedArray
from minari_core.errors import DatasetDamagedError

_MOST_ROWS_NAMED = 5


def take_plain(arrays: Iterator[NamedArray]) -> tuple[ArraySpec, Array | None]:
    """Take an array of offsets, masks or values off the iterator; they are never compressed."""
    spec, array = next(arrays)
    return spec, array if isinstance(array, np.ndarray) else None


def find_count_problems(
    spec: ArraySpec, found: int, expected: int | None
) -> Iterator[ColumnProblem]:
    """Compare the rows of an array with those that belong there; None if nobody knows."""
    if expected is not None and found != expected:
        yield ColumnProblem(spec.path, f"it has {found} rows where {expected} belong")


def find_flag_problems(spec: ArraySpec, flags: Array) -> Iterator[ColumnProblem]:
    """Check that the bytes of booleans are 0 or 1."""
    values = flags.view(np.uint8)
    if values.size and int(values.max()) > 1:
        yield ColumnProblem(spec.path, "it has values that are neither true nor false")


def find_offset_problems(
    path: str, offsets: Array, rows: int | None, elements: int | None, *, located: bool
) -> Iterator[ColumnProblem]:
    """Check that offsets begin at 0, never fall, and end at the number of elements."""
    if rows is not None and len(offsets) != rows + 1:
        yield ColumnProblem(path, f"there are {len(offsets)} offsets where {rows + 1} belong")
        return
    if len(offsets) == 0:
        yield ColumnProblem(path, "there are no offsets, not even the first")
        return
    if offsets[0] != 0:
        yield ColumnProblem(path, f"the offsets begin at {offsets[0]}, not at 0")
    yield from name_rows(
        path,
        np.flatnonzero(np.less(offsets[1:], offsets[:-1])).tolist(),
        lambda row: f"the offsets fall from {offsets[row]} to {offsets[row + 1]} at row {row}",
        "the offsets fall at {} rows in all",
        located=located,
    )
    if elements is not None and offsets[-1] != elements:
        yield ColumnProblem(path, f"the offsets end at {offsets[-1]}, but there are {elements}")


def name_rows(
    path: str,
    rows: Sequence[int],
    describe: Callable[[int], str],
    total: str,
    *,
    located: bool,
) -> Iterator[ColumnProblem]:
    """Describe the first few of the rows that are wrong, and count them if there are more.

    Args:
        path: The array.
        rows: The rows that are wrong.
        describe: Says what is wrong with one of them.
        total: The sentence that counts them, with ``{}`` for the count.
        located: Whether they are rows of the column group, and not elements inside them.
    """
    for row in rows[:_MOST_ROWS_NAMED]:
        yield ColumnProblem(path, describe(row), row if located else None)
    if len(rows) > _MOST_ROWS_NAMED:
        yield ColumnProblem(path, total.format(len(rows)))


def read_error(read: Callable[[int, int], object], start: int, stop: int) -> str:
    """Read rows, and return why they cannot be read; ``""`` if they can."""
    try:
        read(start, stop)
    except DatasetDamagedError as error:
        return str(error)
    return ""
