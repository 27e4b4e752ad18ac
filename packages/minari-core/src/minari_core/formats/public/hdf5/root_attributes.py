"""Metadata of before 0.5: the root attributes of ``main_data.hdf5``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from minari_core.errors import DatasetDamagedError, DatasetNotFoundError
from minari_core.files import MAIN_FILE, name_damage
from minari_core.formats.public.hdf5.file import Hdf5File

_COUNTS = ("total_episodes", "total_steps")


def read_root_metadata(folder: Path) -> dict[str, Any]:
    """Read the root attributes of a dataset of 0.2 to 0.4 as the metadata that later releases have.

    Raises:
        DatasetNotFoundError: The folder has no ``main_data.hdf5``.
        DatasetDamagedError: That is no HDF5 file, or an attribute is missing or malformed.
    """
    main = folder / MAIN_FILE
    if not main.is_file():
        raise DatasetNotFoundError(f"No data found in data path {folder}: {main.name} is missing")
    with Hdf5File(main) as file, name_damage(str(main)):
        found = file.read_attributes(file.root)
    metadata: dict[str, Any] = {}
    for key, value in found.items():
        metadata[key] = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    if "dataset_name" in metadata:
        metadata.setdefault("dataset_id", metadata.pop("dataset_name"))
    for key in (*_COUNTS, "dataset_id"):
        if key not in metadata:
            raise DatasetDamagedError(f"{main}: the root attribute {key!r} is missing")
    for key in _COUNTS:
        if not isinstance(metadata[key], int) or metadata[key] < 0:
            raise DatasetDamagedError(f"{main}: {key!r} is {metadata[key]!r}, not a count")
    metadata["data_format"] = "hdf5"
    return metadata
