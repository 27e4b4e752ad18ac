"""Spaces as rows of a table, one for each leaf."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from gymnasium import spaces

_MOST_ROWS = 40


def list_leaves(name: str, space: spaces.Space[Any]) -> list[tuple[str, str]]:
    """List the leaves of a space, each by its path and in words.

    Args:
        name: What the space is of.
        space: The space.

    Example:
        >>> list_leaves("action", spaces.Dict({"go": spaces.Discrete(2)}))
        [('action / go', 'Discrete(2)')]
    """
    rows = list(islice(_walk(name, space), _MOST_ROWS + 1))
    return rows if len(rows) <= _MOST_ROWS else [*rows[:_MOST_ROWS], ("…", "…")]


def _walk(name: str, space: spaces.Space[Any]) -> Iterator[tuple[str, str]]:
    if isinstance(space, spaces.Dict):
        for key, inner in space.spaces.items():
            yield from _walk(f"{name} / {key}", inner)
    elif isinstance(space, spaces.Tuple):
        for index, inner in enumerate(space.spaces):
            yield from _walk(f"{name} / {index}", inner)
    else:
        yield name, _describe(space)


def _describe(space: spaces.Space[Any]) -> str:
    if isinstance(space, spaces.Box):
        name = f"Box({space.shape}, {space.dtype})"
        if not space.low.size:
            return name
        return f"{name} from {float(space.low.min()):g} to {float(space.high.max()):g}"
    if isinstance(space, spaces.Discrete):
        return f"Discrete({space.n})" + (f" from {space.start}" if space.start else "")
    if isinstance(space, spaces.MultiDiscrete | spaces.MultiBinary):
        return f"{type(space).__name__}({space.shape})"
    return type(space).__name__
