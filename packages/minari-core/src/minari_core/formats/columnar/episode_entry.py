"""The entry of an episode in the index of a shard: its seed, options and metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

Entry: TypeAlias = tuple[int | None, dict[str, Any] | None, dict[str, Any]]
"""The seed, options and metadata of an episode."""


def decode_entry(entries: Mapping[str, object], row: int) -> Entry:
    """Return the seed, options and metadata of one episode.

    Args:
        entries: Rows of the column group ``episodes``, by field.
        row: The index of the episode among these rows.
    """
    seed = _read_cell(entries["seed"], row) if "seed" in entries else None
    options = _read_cell(entries["options"], row) if "options" in entries else None
    metadata = _read_cell(entries["metadata"], row) if "metadata" in entries else None
    return (
        seed if isinstance(seed, int) else None,
        options if isinstance(options, dict) else None,
        metadata if isinstance(metadata, dict) else {},
    )


def _read_cell(column: object, row: int) -> object:
    """Return one row of a column, numbers as Python's own; None where it is missing."""
    if isinstance(column, np.ndarray):
        cell = column[row]
        if cell is np.ma.masked:
            return None
        if isinstance(cell, np.generic):
            return cell.item()
        return None if np.ma.getmaskarray(cell).all() and np.ma.isMA(cell) else np.array(cell)
    if isinstance(column, Mapping):
        cells = {key: _read_cell(field, row) for key, field in column.items()}
        return {key: cell for key, cell in cells.items() if cell is not None}
    return column[row] if isinstance(column, list) else None
