"""Before 0.5 the metadata lay in the root attributes of ``main_data.hdf5``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from minari_core.errors import DatasetDamagedError, DatasetNotFoundError
from minari_core.formats.public.hdf5.file import Hdf5File, damage_named, read_attributes
from minari_core.formats.public.metadata_file import Description, read_description

_COUNTS = ("total_episodes", "total_steps")


def read_root_attributes(folder: Path, main: Path) -> Description:
    """Read what a dataset of 0.2 to 0.4 is.

    Raises:
        DatasetNotFoundError: There is no such file.
        DatasetDamagedError: An attribute is missing or of the wrong type.
    """
    return read_description(root_metadata(folder, main), folder)


def root_metadata(folder: Path, main: Path) -> dict[str, Any]:
    """The root attributes as the metadata that later releases have.

    Raises:
        DatasetNotFoundError: There is no such file.
        DatasetDamagedError: It is no HDF5 file, or lacks what a dataset says of itself.
    """
    if not main.is_file():
        raise DatasetNotFoundError(f"{folder} holds no dataset: {main.name} is missing")
    with Hdf5File(main) as file, damage_named(str(main)):
        found = read_attributes(file.root)
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
