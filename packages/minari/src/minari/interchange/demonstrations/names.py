"""Observations as named arrays: what Dict and Tuple spaces are called in a flat list of names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from minari_core.errors import DataError
from minari_core.leaves import Keys, find_leaves

WHOLE = "flat"
"""What observations that are one array are called, as robomimic's own conversions do."""


def name_arrays(value: object, what: str) -> dict[str, np.ndarray[Any, Any]]:
    """Name the arrays of a value by the keys that lead to them.

    Raises:
        DataError: It has values that are no arrays, or two arrays get one name.
    """
    named: dict[str, np.ndarray[Any, Any]] = {}
    for keys, leaf in find_leaves(value):
        name = _join(keys)
        if not isinstance(leaf, np.ndarray):
            raise DataError(f"{what} {name!r} has values that are no array, such as text or graphs")
        if name in named or "/" in name:
            raise DataError(f"{what} cannot be called {name!r} here; rename that key")
        named[name] = leaf
    return named


def restore_structure(named: object, space: spaces.Space[Any], where: str, keys: Keys = ()) -> Any:
    """Put named arrays back into the structure of a space; a single array is its own.

    Raises:
        DataError: An array is missing; the message names it.
    """
    if not isinstance(named, Mapping):
        return named
    if isinstance(space, spaces.Dict):
        return {
            key: restore_structure(named, inner, where, (*keys, key))
            for key, inner in space.spaces.items()
        }
    if isinstance(space, spaces.Tuple):
        return tuple(
            restore_structure(named, inner, where, (*keys, index))
            for index, inner in enumerate(space.spaces)
        )
    name = _join(keys)
    if name not in named:
        raise DataError(f"{where} has no {name!r}, which its observation space has")
    return named[name]


def _join(keys: Keys) -> str:
    return ".".join(map(str, keys)) or WHOLE
