"""Hide gathered rows that have no value, although something is stored there."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def hide_rows(value: Any, hidden: npt.NDArray[np.bool_]) -> Any:
    """Hide rows of what a gatherer gave: masked in arrays, None in lists.

    Args:
        value: Arrays or lists of rows, in dicts and tuples; arrays are changed in place.
        hidden: Which rows to hide, in the shape of the axes before those of a row.
    """
    if isinstance(value, dict):
        return {key: hide_rows(part, hidden) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(hide_rows(part, hidden) for part in value)
    if isinstance(value, np.ndarray):
        data, mask = np.ma.getdata(value), np.ma.getmaskarray(value)
        data[hidden] = 0
        mask[hidden] = True
        return np.ma.MaskedArray(data, mask=mask)
    if hidden.ndim > 1:
        return [hide_rows(rows, within) for rows, within in zip(value, hidden, strict=True)]
    return [None if absent else row for row, absent in zip(value, hidden.tolist(), strict=True)]


def bare_arrays(value: Any) -> Any:
    """Return the arrays under what `hide_rows` gave, to be filled again."""
    if isinstance(value, dict):
        return {key: bare_arrays(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(bare_arrays(part) for part in value)
    return value.data if isinstance(value, np.ma.MaskedArray) else value
