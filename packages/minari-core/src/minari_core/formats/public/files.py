"""Which files a layout of the public Minari has, and whether a folder has all of them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from minari_core.json_values import JsonValue

_FOLDERS = {"arrow": b"ARROW1", "parquet": b"PAR1"}
"""The formats with a folder for each episode, and how a file of data ends."""

EPISODE_METADATA = "metadata.json"
"""What is said of an episode, in its folder."""

_BESIDE_DATA = frozenset({EPISODE_METADATA, "_minari_core.npz"})
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


def belongs_to_dataset(name: str, metadata: Mapping[str, JsonValue]) -> bool:
    """Whether a dataset in a layout of the public Minari has a file of this name.

    Args:
        name: Its name in the data folder.
        metadata: What the dataset's manifest says.
    """
    data_format = metadata.get("data_format", BEFORE_NAMED)
    if data_format == BEFORE_NAMED:
        # Combinations of before 0.5 link to files beside the main one.
        return "/" not in name and name.endswith(".hdf5")
    folder, _, file = name.partition("/")
    is_data = file.endswith(f".{data_format}") and not file.startswith(("_", "."))
    return (
        _NUMBER.fullmatch(folder) is not None
        and not is_beyond_last_episode(name, metadata)
        and "/" not in file
        and (is_data or file in _BESIDE_DATA)
    )


def is_beyond_last_episode(name: str, metadata: Mapping[str, JsonValue]) -> bool:
    """Whether a file is of an episode that the metadata does not count.

    An append, or another upload, that was cut short leaves such files.
    """
    folder = name.partition("/")[0]
    return (
        metadata.get("data_format") in _FOLDERS
        and _NUMBER.fullmatch(folder) is not None
        and int(folder) >= _total(metadata)
    )


def _total(metadata: Mapping[str, JsonValue]) -> int:
    total = metadata.get("total_episodes")
    return total if isinstance(total, int) else 0


BEFORE_NAMED = "hdf5"
"""The only format there was while metadata did not name one."""


JPEG_FORMATS = ("hdf5", "arrow", "parquet")
"""The formats that can store images as JPEG."""


MAIN_FILE = "main_data.hdf5"
"""The file of the public Minari's HDF5 layout."""
