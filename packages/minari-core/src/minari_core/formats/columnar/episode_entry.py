"""The entry of one episode in the index of a shard, as metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def decode_entry(
    entries: dict[str, Any], row: int
) -> tuple[int | None, dict[str, object] | None, dict[str, object]]:
    """Seed, options and metadata of one of the episodes in some entries."""
    seed = _cell(entries["seed"], row) if "seed" in entries else None
    options = _cell(entries["options"], row) if "options" in entries else None
    metadata = _cell(entries["metadata"], row) if "metadata" in entries else None
    return (
        seed if isinstance(seed, int) else None,
        options if isinstance(options, dict) else None,
        metadata if isinstance(metadata, dict) else {},
    )


def _cell(column: object, row: int) -> object:
    """One row of a column that was read, numbers as Python's own; None where it is missing."""
    if isinstance(column, np.ndarray):
        cell = column[row]
        if cell is np.ma.masked:
            return None
        if isinstance(cell, np.generic):
            return cell.item()
        return None if np.ma.getmaskarray(cell).all() and np.ma.isMA(cell) else np.array(cell)
    if isinstance(column, Mapping):
        cells = {key: _cell(part, row) for key, part in column.items()}
        return {key: cell for key, cell in cells.items() if cell is not None}
    return column[row] if isinstance(column, list) else None
