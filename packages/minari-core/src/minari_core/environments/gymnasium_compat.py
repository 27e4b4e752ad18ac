"""Hide what differs between Gymnasium's releases, from 0.29.1 on.

No other module asks which release is installed.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.spaces.text import alphanumeric

from minari_core.errors import SpaceError

ONE_OF: type[spaces.Space[Any]] | None = getattr(spaces, "OneOf", None)
"""Gymnasium's ``OneOf``, which 0.29.1 does not have."""

DISCRETE_HAS_DTYPE = "dtype" in inspect.signature(spaces.Discrete.__init__).parameters
"""Whether a ``Discrete`` can be of another dtype than int64."""

DICT_HAS_SORT_KEYS = "sort_keys" in inspect.signature(spaces.Dict.__init__).parameters
"""Whether a ``Dict`` can be told not to sort its keys."""

# 0.29.1 keeps the order in which a set happens to iterate, another one in every process.
_TEXT_ORDER_IS_STABLE = spaces.Text(1).character_list == tuple(sorted(alphanumeric))


def make_discrete(count: int, start: int, dtype: np.dtype[Any]) -> spaces.Discrete:
    """Make a ``Discrete``, whose dtype is always int64 where Gymnasium knows no other."""
    if DISCRETE_HAS_DTYPE:
        return spaces.Discrete(count, start=start, dtype=dtype)
    return spaces.Discrete(count, start=start)


def make_dict(subspaces: OrderedDict[str, spaces.Space[Any]], sort_keys: bool) -> spaces.Dict:
    """Make a ``Dict`` that keeps the order of its keys, and ``sort_keys`` where it has that."""
    if DICT_HAS_SORT_KEYS:
        return spaces.Dict(subspaces, sort_keys=sort_keys)
    return spaces.Dict(subspaces)


def make_one_of(subspaces: Iterable[spaces.Space[Any]], where: str) -> spaces.Space[Any]:
    """Make a ``OneOf``.

    Raises:
        SpaceError: The installed Gymnasium has none.
    """
    if ONE_OF is None:
        raise SpaceError(
            f"{where}: Gymnasium {gymnasium.__version__} has no OneOf space; install Gymnasium 1.0 "
            "or newer to open this dataset"
        )
    make: Any = ONE_OF
    space: spaces.Space[Any] = make(tuple(subspaces))
    return space


def text_characters(space: spaces.Text) -> list[str]:
    """Return a Text space's characters, each once, in their order where it is well defined."""
    characters = list(dict.fromkeys(space.character_list))
    return characters if _TEXT_ORDER_IS_STABLE else sorted(characters)
