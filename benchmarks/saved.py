"""Columns in files, for contenders in other processes; needs only numpy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Columns = dict[str, npt.NDArray[Any]]


def save_columns(columns: Mapping[str, npt.NDArray[Any]], folder: Path) -> None:
    """Save each column as ``<name>.npy``."""
    folder.mkdir()
    for name, column in columns.items():
        np.save(folder / f"{name}.npy", column)


def saved_columns(folder: str | Path) -> Columns:
    """The columns that `save_columns` saved."""
    return {path.stem: np.load(path) for path in Path(folder).glob("*.npy")}
