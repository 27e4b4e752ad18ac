"""Detect environments whose last observation is gone before it can be recorded.

An environment that returns one array for all observations, and is reset within the step that ends
an episode, has overwritten the last observation by the time the step returns. It looks as if the
step had led to where the reset leads. That may also be so by chance, or because the value never
changes, so that it takes more than one look, or the array itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from minari_core.messages import warn_caller

# So many ends in a row are no chance, where it cannot be seen whether an array is the same.
_ENOUGH_ENDS = 3

_Path: TypeAlias = tuple[object, ...]
_Key: TypeAlias = tuple[int, _Path]


class ReusedArrayCheck:
    """Warn once if last observations, or leaves of them, are those of the resets after them."""

    def __init__(self, name: str, *, sees_arrays: bool) -> None:
        """Name the environment for the warning.

        Args:
            name: The name of the environment.
            sees_arrays: Whether last observations are the very arrays that the environment
                returned, and not copies of them.
        """
        self._name = name
        self._sees_arrays = sees_arrays
        # So many ends were those of the resets after them, and no other has been seen.
        self._whole_ends = 0
        self._has_seen_other = False
        self._known: dict[_Key, npt.NDArray[Any]] = {}
        self._ends: dict[_Key, int] = {}
        self.is_settled = False
        """Whether the warning has been given, so that there is nothing to check any more."""

    def check(self, env: int, final: Any, first: Any, find_before: Callable[[], Any]) -> None:
        """Compare the last observation of an episode with the one of the reset after it.

        Args:
            env: Which environment.
            final: The last observation, as the environment returned it.
            first: The observation of the reset.
            find_before: Finds the observation before the last one, as it was then; None if that
                is not known.
        """
        if self.is_settled:
            return
        pairs = _pair_leaves(final, first)
        equal = [pair for pair in pairs if _is_equal(pair[1], pair[2])]
        if not self._sees_arrays and self._ends:
            for path in {path for path, _, _ in pairs} - {path for path, _, _ in equal}:
                self._ends.pop((env, path), None)
        if len(equal) < len(pairs):
            self._has_seen_other = True
        if not equal:
            return
        before = find_before()
        # What has not changed in the last step, either, is not known to be lost.
        lost = [pair for pair in equal if not _is_equal(_get_leaf(before, pair[0]), pair[2])]
        sure = [path for path, last, reset in lost if self._is_reused((env, path), last, reset)]
        if lost and not self._sees_arrays and not self._has_seen_other:
            # The ends of all environments, as they were up to here.
            self._whole_ends += 1
            if self._whole_ends >= _ENOUGH_ENDS:
                sure = [path for path, _, _ in lost]
        if sure:
            self._warn([] if len(sure) == len(pairs) else sure)

    def _is_reused(self, key: _Key, array: npt.NDArray[Any], reset: Any) -> bool:
        """Return whether an array that looks overwritten is one of earlier, or likely to be."""
        known = self._known.get(key)
        if np.may_share_memory(array, reset) or np.may_share_memory(array, known):
            return True
        # While it is kept, no other array gets its memory.
        self._known[key] = array
        self._ends[key] = self._ends.get(key, 0) + 1
        return not self._sees_arrays and self._ends[key] >= _ENOUGH_ENDS

    def _warn(self, leaves: list[_Path]) -> None:
        """Warn of some leaves of observations; of whole ones if there are none."""
        self.is_settled = True
        names = sorted("observation" + "".join(f"[{key!r}]" for key in path) for path in leaves)
        part = f"{', '.join(names)} in " if any(leaves) else ""
        warn_caller(
            f"{part}the last observation of an episode of {self._name} is the same as "
            f"{'in ' if part else ''}the one of the reset after it: the environment seems to "
            "return one array for all observations, so that last observations are lost when it is "
            "reset within the same step; return copies, or use autoreset in the next step"
        )


def _pair_leaves(value: Any, reset: Any, path: _Path = ()) -> list[tuple[_Path, Any, Any]]:
    """Pair the arrays in an observation with what the other has there, each with its path."""
    if isinstance(value, np.ndarray):
        return [(path, value, reset)] if value.size and value.dtype != object else []
    if isinstance(value, Mapping):
        keys: Any = value.keys() & reset.keys()
    elif isinstance(value, tuple | list) and len(value) == len(reset):
        keys = range(len(value))
    else:
        return []
    pairs = (_pair_leaves(value[key], reset[key], (*path, key)) for key in keys)
    return [pair for each in pairs for pair in each]


def _get_leaf(value: Any, path: _Path) -> Any:
    """Get a leaf of an observation; None if it is not known."""
    try:
        for key in path:
            value = value[key]
    except (IndexError, KeyError, TypeError):
        return None  # values of some spaces have another structure each time
    return value


def _is_equal(value: Any, reset: Any) -> bool:
    """Return whether a value is that of the reset, in the dtype that a batch has."""
    if value is None:
        return False
    wanted = np.asarray(reset)
    if value.shape != wanted.shape:
        return False
    if value.dtype == wanted.dtype:
        # Nearly always, one element tells. NaN differs from itself.
        one, other = value.item(0), wanted.item(0)
        if one != other and one == one:
            return False
    else:
        value = value.astype(wanted.dtype)
    return bool(value.tobytes() == wanted.tobytes())
