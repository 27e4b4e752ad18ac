"""Format spaces as lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gymnasium import spaces

from minari.command_line.show.histogram import format_number
from minari_hub.command_line.terminal import to_one_line

_MOST_LINES = 40
_LONGEST_LINE = 120


def format_space(space: spaces.Space[Any]) -> list[str]:
    """Format a space, one line for each space in it, nested ones indented.

    Example:
        >>> format_space(spaces.Dict({"go": spaces.Discrete(2)}))
        ['Dict', '  go: Discrete(2)']
    """
    lines: list[str] = []
    for line in _format_lines(space, "", 0):
        if len(lines) == _MOST_LINES:
            lines.append("…")
            break
        lines.append(line)
    return lines


def _format_lines(space: spaces.Space[Any], name: str, depth: int) -> Iterator[str]:
    label = "  " * depth + (f"{to_one_line(name)}: " if name else "")
    inner: list[tuple[str, spaces.Space[Any]]] = []
    if isinstance(space, spaces.Dict):
        inner = [(str(key), subspace) for key, subspace in space.spaces.items()]
    elif isinstance(space, spaces.Tuple) or type(space).__name__ == "OneOf":
        # OneOf is newer than the oldest Gymnasium that is supported.
        inner = [
            (str(index), subspace) for index, subspace in enumerate(getattr(space, "spaces", ()))
        ]
    elif isinstance(space, spaces.Sequence):
        inner = [("each", space.feature_space)]
    elif isinstance(space, spaces.Graph):
        inner = [("node", space.node_space)]
        if space.edge_space is not None:
            inner.append(("edge", space.edge_space))
    elif isinstance(space, spaces.Text):
        characters = len(space.character_set)
        yield (f"{label}Text({space.min_length} to {space.max_length} of {characters} characters)")
        return
    else:
        yield label + _format_leaf(space)
        return
    yield label + type(space).__name__
    for key, subspace in inner:
        yield from _format_lines(subspace, key, depth + 1)


def _format_leaf(space: spaces.Space[Any]) -> str:
    text = to_one_line(space)
    if len(text) <= _LONGEST_LINE:
        return text
    if isinstance(space, spaces.Box):
        low, high = format_number(float(space.low.min())), format_number(float(space.high.max()))
        return f"Box(bounds that differ, {low} to {high} in all, {space.shape}, {space.dtype})"
    return f"{text[:_LONGEST_LINE]}…"
