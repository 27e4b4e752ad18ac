"""Check that the files of a dataset in a public format are those that its metadata names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from minari_core.errors import DatasetDamagedError
from minari_core.formats.public.files import (
    _FOLDERS,
    BEFORE_NAMED,
    EPISODE_METADATA,
    MAIN_FILE,
    _total,
)
from minari_core.json_values import JsonValue


def check_episode_files(folder: Path, metadata: Mapping[str, JsonValue], where: str) -> None:
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


def _check_main_file(path: Path, episodes: int, where: str) -> None:
    from minari_core.formats.public.hdf5.file import Hdf5File  # listing needs no HDF5

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
