"""What a buffer encodes, as single values again."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces

from minari_collect.buffers.base import ColumnGroup
from minari_core.testing.expectations import split_space_rows


def decode(space: spaces.Space[Any], group: ColumnGroup, count: int) -> list[Any]:
    """Read a column group of a space as single values, from its arrays alone."""
    column, arrays = group
    return split_space_rows(space, column.bind(iter(arrays), count, copy=True)(0, count), count)


def decode_infos(group: ColumnGroup, count: int) -> dict[str, Any]:
    """Read a column group of infos as an episode shows it."""
    column, arrays = group
    shown: dict[str, Any] = column.bind(iter(arrays), count, copy=True)(0, count)
    return shown
