"""Check that a dataset in a public format has all its files, without reading episodes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from minari_core.errors import DatasetDamagedError
from minari_core.files import MAIN_FILE, make_read_error, may_not_read
from minari_core.formats.columnar.manifest import get_data_format
from minari_core.formats.public.files import (
    EPISODE_METADATA,
    FILE_FORMAT,
    FOLDER_FORMATS,
    count_episodes,
    is_episode_data,
)
from minari_core.json_values import JsonValue


def check_episode_files(folder: Path, metadata: Mapping[str, JsonValue], where: str) -> None:
    """Raise unless every counted episode has its files, and no file is cut short.

    Args:
        folder: The ``data`` folder.
        metadata: The metadata in the dataset's manifest.
        where: The dataset, for an error message.

    Raises:
        DatasetDamagedError: A file is missing or cut.
    """
    data_format, episodes = get_data_format(metadata), count_episodes(metadata)
    if data_format == FILE_FORMAT:
        _check_main_file(folder / MAIN_FILE, episodes, where)
    elif data_format in FOLDER_FORMATS:
        for number in range(episodes):
            _check_episode(folder / str(number), FOLDER_FORMATS[data_format], where)


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
        paths = list(folder.iterdir())
    except OSError as error:
        if may_not_read(error):
            raise make_read_error(folder, error) from error
        paths = []
    data = [path for path in paths if is_episode_data(path.name)]
    if not data or folder / EPISODE_METADATA not in paths:
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
