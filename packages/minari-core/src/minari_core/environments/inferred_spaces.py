"""Spaces inferred from the dtypes and shapes of values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from minari_core.errors import DataError


def infer_space(column: Any, *, discrete: bool) -> spaces.Space[Any]:
    """Return the widest space that the values of a column can come from.

    Args:
        column: A column.
        discrete: Whether integers, one a row, are of a `Discrete` space.
    """
    if isinstance(column, Mapping):
        return spaces.Dict({k: infer_space(leaf, discrete=discrete) for k, leaf in column.items()})
    if isinstance(column, tuple):
        return spaces.Tuple([infer_space(leaf, discrete=discrete) for leaf in column])
    dtype, shape = column.dtype, tuple(column.shape[1:])
    if dtype.kind in "iu" and not shape and discrete:
        values = np.asarray(column[:])
        lowest, highest = int(values.min()), int(values.max())
        return spaces.Discrete(highest - min(lowest, 0) + 1, start=min(lowest, 0))
    if dtype.kind == "f":
        return spaces.Box(-np.inf, np.inf, shape, dtype.type)
    if dtype.kind == "b":
        return spaces.Box(0, 1, shape, np.bool_)
    if dtype.kind not in "iu":
        raise DataError(f"a column of dtype {dtype} is not numeric")
    limits = np.iinfo(dtype)
    return spaces.Box(limits.min, limits.max, shape, dtype.type)
