"""Spaces as lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gymnasium import spaces

from minari.command_line.show.histogram import short_number
from minari_hub.command_line.terminal import one_line

_MOST_LINES = 40
_LONGEST_LINE = 120


def space_lines(space: spaces.Space[Any]) -> list[str]:
    """A space, one line for each space in it, those inside others indented.

    Example:
        >>> space_lines(spaces.Dict({"go": spaces.Discrete(2)}))
        ['Dict', '  go: Discrete(2)']
    """
    lines: list[str] = []
    for line in _lines(space, "", 0):
        if len(lines) == _MOST_LINES:
            lines.append("…")
            break
        lines.append(line)
    return lines


def _lines(space: spaces.Space[Any], name: str, depth: int) -> Iterator[str]:
    label = "  " * depth + (f"{one_line(name)}: " if name else "")
    parts: list[tuple[str, spaces.Space[Any]]] = []
    if isinstance(space, spaces.Dict):
        parts = [(str(key), part) for key, part in space.spaces.items()]
    elif isinstance(space, spaces.Tuple) or type(space).__name__ == "OneOf":
        # OneOf is newer than the oldest Gymnasium that is supported.
        parts = [(str(index), part) for index, part in enumerate(getattr(space, "spaces", ()))]
    elif isinstance(space, spaces.Sequence):
        parts = [("each", space.feature_space)]
    elif isinstance(space, spaces.Graph):
        parts = [("node", space.node_space)]
        if space.edge_space is not None:
            parts.append(("edge", space.edge_space))
    elif isinstance(space, spaces.Text):
        characters = len(space.character_set)
        yield (f"{label}Text({space.min_length} to {space.max_length} of {characters} characters)")
        return
    else:
        yield label + _leaf(space)
        return
    yield label + type(space).__name__
    for key, part in parts:
        yield from _lines(part, key, depth + 1)


def _leaf(space: spaces.Space[Any]) -> str:
    text = one_line(space)
    if len(text) <= _LONGEST_LINE:
        return text
    if isinstance(space, spaces.Box):
        low, high = short_number(float(space.low.min())), short_number(float(space.high.max()))
        return f"Box(bounds that differ, {low} to {high} in all, {space.shape}, {space.dtype})"
    return f"{text[:_LONGEST_LINE]}…"
