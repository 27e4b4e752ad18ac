"""Detect environments whose last observation is gone before it can be recorded.

An environment that returns one array for all observations, and is reset within the step that ends
an episode, has overwritten the last observation by the time the step returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minari_core.messages import warn_caller


class ReusedArrayCheck:
    """Warn once if last observations are those of the resets after them."""

    def __init__(self, name: str) -> None:
        """Name the environment for the warning."""
        self._name = name
        self._is_settled = False

    def check(self, final: Any, first: Any) -> None:
        """Compare the last observation of an episode with the one of the reset after it."""
        if self._is_settled:
            return
        self._is_settled = True
        if _holds_array(first) and _is_equal(final, first):
            warn_caller(
                f"the last observation of an episode of {self._name} is the same as the one of the "
                "reset after it: the environment seems to return one array for all observations, "
                "so that last observations are lost when it is reset within the same step; return "
                "copies, or use autoreset in the next step"
            )


def _holds_array(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_array, value.values()))
    if isinstance(value, tuple | list):
        return any(map(_holds_array, value))
    return isinstance(value, np.ndarray) and value.ndim > 0 and value.size > 0


def _is_equal(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_is_equal(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(_is_equal, one, other))
    if isinstance(one, np.ndarray | np.generic | int | float | bool):
        return bool(np.array_equal(one, other))
    return bool(one == other)
