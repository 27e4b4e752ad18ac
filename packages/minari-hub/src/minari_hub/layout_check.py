"""Which files a layout of the public Minari has, and whether a folder has all of them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from minari_core.columns import JsonValue
from minari_core.errors import DatasetDamagedError
from minari_core.formats import BEFORE_NAMED, MAIN_FILE

_FOLDERS = {"arrow": b"ARROW1", "parquet": b"PAR1"}
"""The formats with a folder for each episode, and how a file of data ends."""

EPISODE_METADATA = "metadata.json"
"""What is said of an episode, in its folder."""

_BESIDE_DATA = frozenset({EPISODE_METADATA, "_minari_core.npz"})
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


def belongs(name: str, metadata: Mapping[str, JsonValue]) -> bool:
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
        and not is_behind_the_last(name, metadata)
        and "/" not in file
        and (is_data or file in _BESIDE_DATA)
    )


def is_behind_the_last(name: str, metadata: Mapping[str, JsonValue]) -> bool:
    """Whether a file is of an episode that the metadata does not count.

    An append, or another upload, that was cut short leaves such files.
    """
    folder = name.partition("/")[0]
    return (
        metadata.get("data_format") in _FOLDERS
        and _NUMBER.fullmatch(folder) is not None
        and int(folder) >= _total(metadata)
    )


def check_layout(folder: Path, metadata: Mapping[str, JsonValue], where: str) -> None:
    """Raise unless every episode that the metadata counts is there, and every file has its end.

    Args:
        folder: The folder that the files lie in.
        metadata: What the dataset's manifest says.
        where: The dataset, for an error message.

    Raises:
        DatasetDamagedError: A file is missing or cut.
    """
    data_format = metadata.get("data_format", BEFORE_NAMED)
    if data_format == BEFORE_NAMED:
        _check_main_file(folder / MAIN_FILE, _total(metadata), where)
    elif isinstance(data_format, str) and data_format in _FOLDERS:
        for number in range(_total(metadata)):
            _check_episode(folder / str(number), _FOLDERS[data_format], where)


def _total(metadata: Mapping[str, JsonValue]) -> int:
    total = metadata.get("total_episodes")
    return total if isinstance(total, int) else 0


def _check_main_file(path: Path, episodes: int, where: str) -> None:
    from minari_core.public_formats.hdf5_file import Hdf5File  # listing needs no HDF5

    if not path.is_file():
        raise DatasetDamagedError(f"{where} has no {path.name}, which all its episodes lie in")
    try:
        with Hdf5File(path) as file:
            links = file.root.links
            numbers = range(episodes)
            missing = next((n for n in numbers if not links.exists(f"episode_{n}".encode())), None)
    except DatasetDamagedError as error:
        raise DatasetDamagedError(f"{path.name} of {where} is cut or damaged: {error}") from error
    if missing is not None:
        raise DatasetDamagedError(
            f"{path.name} of {where} has no episode {missing}, and its metadata counts {episodes}"
        )


def _check_episode(folder: Path, end: bytes, where: str) -> None:
    try:
        files = [path for path in folder.iterdir() if not path.name.startswith(("_", "."))]
    except OSError:
        files = []
    data = [path for path in files if path.name != EPISODE_METADATA]
    if not data or len(data) == len(files):
        missing = "data" if not data else EPISODE_METADATA
        raise DatasetDamagedError(
            f"{where} has no {missing} of episode {folder.name}, which its metadata counts"
        )
    for path in data:
        if not _ends_in(path, end):
            raise DatasetDamagedError(f"{folder.name}/{path.name} of {where} is cut or damaged")


def _ends_in(path: Path, end: bytes) -> bool:
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - len(end)))
        return file.read() == end
