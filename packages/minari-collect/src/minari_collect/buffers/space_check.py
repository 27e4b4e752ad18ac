"""Check recorded values against their space: whole buffers at once, not single steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

_COMPARED_AT_ONCE = 4096


def find_array_problem(space: spaces.Space[Any], rows: npt.NDArray[Any]) -> str | None:
    """Describe what is wrong with rows of a space whose values have one dtype and shape.

    Args:
        space: The space of a row.
        rows: Shape (rows, …).

    Returns:
        The first row that is outside the space, in words, or None.
    """
    if len(rows) == 0:
        return None
    if rows.shape[1:] != tuple(space.shape or ()):
        return f"shape {rows.shape[1:]} is not the {space.shape} of {space}"
    if isinstance(space, spaces.Box):
        return _find_box_problem(space, rows)
    if not isinstance(space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        problems = (find_value_problem(space, row) for row in rows)
        return next((problem for problem in problems if problem is not None), None)
    if rows.dtype.kind not in "iub":
        return f"dtype {rows.dtype} is not that of {space}"
    if isinstance(space, spaces.Discrete):
        inside = (rows >= space.start) & (rows < space.start + space.n)
    elif isinstance(space, spaces.MultiDiscrete):
        start = getattr(space, "start", 0)
        inside = (rows >= start) & (rows < start + space.nvec)
    else:
        inside = (rows == 0) | (rows == 1)
    return _find_first_outside(space, rows, inside)


def find_value_problem(space: spaces.Space[Any], value: object) -> str | None:
    """Describe what is wrong with one value of any space, or return None."""
    try:
        inside = space.contains(value)
    except Exception as error:  # spaces raise all kinds of errors for values of other types
        return f"{value!r} is not in {space} ({error})"
    return None if inside else f"{value!r} is not in {space}"


def _find_box_problem(space: spaces.Box, rows: npt.NDArray[Any]) -> str | None:
    if not np.can_cast(rows.dtype, space.dtype):
        return f"dtype {rows.dtype} does not fit the {space.dtype} of {space}"
    if rows.dtype.kind in "iu" and rows.dtype == space.dtype:
        limits = np.iinfo(rows.dtype)
        # Images use the whole range of their dtype, so that nothing can be outside it.
        if (space.low == limits.min).all() and (space.high == limits.max).all():
            return None
    if _is_inside(rows, space.low, space.high):
        return None
    return _find_first_outside(space, rows, (rows >= space.low) & (rows <= space.high))


def _is_inside(rows: npt.NDArray[Any], low: npt.NDArray[Any], high: npt.NDArray[Any]) -> bool:
    """Return whether all rows are inside a box; many short rows are compared at a time."""
    at_once = max(_COMPARED_AT_ONCE // max(low.size, 1), 1)
    whole = len(rows) // at_once * at_once
    for block, count in ((rows[:whole], at_once), (rows[whole:], len(rows) - whole)):
        if len(block) == 0 or low.size == 0:
            continue
        lines = block.reshape(-1, count * low.size)
        lowest, highest = np.tile(low.reshape(-1), count), np.tile(high.reshape(-1), count)
        if not ((lines >= lowest).all() and (lines <= highest).all()):
            return False
    return True


def _find_first_outside(
    space: spaces.Space[Any], rows: npt.NDArray[Any], inside: Any
) -> str | None:
    if inside.all():
        return None
    row = int(np.argmin(inside.reshape(len(rows), -1).all(axis=1)))
    return f"{rows[row]!r} is not in {space}"
