"""Whether values are the same to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.spaces import GraphInstance

FIXED = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


def assert_same(found: Any, wanted: Any, where: str = "value") -> None:
    """Compare values, dtypes, shapes, masks and structure; NaN equals NaN."""
    if isinstance(wanted, np.ma.MaskedArray):
        assert isinstance(found, np.ma.MaskedArray), f"{where}: {found!r} has no mask"
        mask = np.ma.getmaskarray(wanted)
        assert_same(np.ma.getmaskarray(found), mask, f"{where} mask")
        assert_same(found.data[~mask], wanted.data[~mask], where)
    elif isinstance(wanted, np.ndarray):
        assert isinstance(found, np.ndarray), f"{where}: {found!r} is no array"
        assert not isinstance(found, np.ma.MaskedArray), f"{where}: {found!r} has a mask"
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape), where
        assert found.tobytes() == wanted.tobytes(), f"{where}: {found!r} is not {wanted!r}"
    elif isinstance(wanted, GraphInstance):
        assert isinstance(found, GraphInstance)
        for name in ("nodes", "edges", "edge_links"):
            assert_same(getattr(found, name), getattr(wanted, name), f"{where}.{name}")
    elif isinstance(wanted, Mapping):
        assert isinstance(found, Mapping), f"{where}: {found!r} is no dict"
        assert set(found) == set(wanted), f"{where}: {list(found)} is not {list(wanted)}"
        for key in wanted:
            assert_same(found[key], wanted[key], f"{where}[{key!r}]")
    elif isinstance(wanted, list | tuple):
        assert isinstance(found, list | tuple), f"{where}: {found!r} is no sequence"
        assert len(found) == len(wanted), f"{where}: {len(found)} is not {len(wanted)}"
        for index, (one, other) in enumerate(zip(found, wanted, strict=True)):
            assert_same(one, other, f"{where}[{index}]")
    elif isinstance(wanted, float | np.floating) and np.isnan(wanted):
        assert np.isnan(found), where
    else:
        assert found == wanted, f"{where}: {found!r} is not {wanted!r}"


def stacked(space: spaces.Space[Any], values: list[Any]) -> Any:
    """Rows of one space as an episode shows them."""
    if isinstance(space, spaces.Dict):
        return {
            key: stacked(part, [value[key] for value in values])
            for key, part in space.spaces.items()
        }
    if isinstance(space, spaces.Tuple):
        columns = zip(*values, strict=True)
        return tuple(
            stacked(part, list(column)) for part, column in zip(space.spaces, columns, strict=True)
        )
    if isinstance(space, FIXED):
        return np.array(values)
    return values
