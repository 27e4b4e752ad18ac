"""The leaves of what was recorded: arrays and lists with one row a step, in dicts and tuples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

Keys: TypeAlias = tuple[str | int, ...]
"""The keys of dicts and indices of tuples that lead to a leaf."""


def find_leaves(value: object, keys: Keys = ()) -> Iterator[tuple[Keys, object]]:
    """Find the leaves of a value.

    Args:
        value: A column group of an episode, such as its observations.
        keys: What has led to it.

    Yields:
        The keys that lead to a leaf, and the leaf.

    Example:
        >>> list(find_leaves({"x": [1], "y": ([2], [3])}))
        [(('x',), [1]), (('y', 0), [2]), (('y', 1), [3])]
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from find_leaves(inner, (*keys, key))
    elif isinstance(value, tuple):
        for index, inner in enumerate(value):
            yield from find_leaves(inner, (*keys, index))
    else:
        yield keys, value


def join_path(group: str, keys: Keys) -> str:
    """Return the name of a leaf, such as ``observations/camera``."""
    return "/".join(map(str, (group, *keys)))
