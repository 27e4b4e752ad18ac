"""The names of the files that a dataset in a public format consists of.

The manifest of such a dataset counts its episodes and lists no files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from minari_core.errors import DatasetDamagedError
from minari_core.files import MANIFEST_NAME, make_read_error
from minari_core.formats.columnar.manifest import get_data_format
from minari_core.json_values import JsonValue

EPISODE_METADATA = "metadata.json"
"""The file with the metadata of an episode, in the folder of the episode."""

SIDECAR_FILE = "_minari_core.npz"
"""The sidecar of an episode, in its folder; the public Minari opens no file named ``_…``."""

OWN_KEY = "minari_core"
"""The key of ``metadata.json``, and the group of an HDF5 episode, that only this project reads."""

FILE_FORMAT = "hdf5"
"""The format with one file for all episodes."""

STAGE_PREFIX = ".update-"
"""How the folder begins that holds files until they take the place of others, all or none."""

FOLDER_FORMATS = {"arrow": b"ARROW1", "parquet": b"PAR1"}
"""The formats with a folder for each episode, and the last bytes of their data files."""

_EPISODE_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


def has_staged_files(metadata: Mapping[str, JsonValue]) -> bool:
    """Return whether files of a dataset wait to be moved to where they belong."""
    own = metadata.get(OWN_KEY)
    return isinstance(own, dict) and bool(own.get("staged"))


def count_episodes(metadata: Mapping[str, JsonValue]) -> int:
    """Return the number of episodes that metadata counts; 0 if it counts none."""
    total = metadata.get("total_episodes")
    return total if isinstance(total, int) else 0


def parse_episode_number(name: str) -> int | None:
    """Return the index of the episode that a folder is named after, or None."""
    return int(name) if _EPISODE_NUMBER.fullmatch(name) else None


def list_files(folder: Path, metadata: Mapping[str, JsonValue]) -> list[str]:
    """List the files of a dataset besides its manifest; the metadata of episodes come last.

    Args:
        folder: The ``data`` folder of the dataset.
        metadata: The metadata in its manifest.

    Returns:
        Names relative to the folder. No other dataset has the very file that the first one names.

    Raises:
        DatasetDamagedError: A link is where one of the files belongs.
    """
    names = _walk_files(folder, metadata)
    return sorted(names, key=lambda name: name.endswith(f"/{EPISODE_METADATA}"))


def _walk_files(folder: Path, metadata: Mapping[str, JsonValue]) -> Iterator[str]:
    for parent, folders, files in os.walk(folder, onerror=_tell_unlisted):
        folders.sort()
        for found in sorted(files) + [f"{name}/" for name in folders]:
            path = Path(parent, found)
            name = path.relative_to(folder).as_posix()
            if path.is_symlink():
                # Of a link to a folder, any name in it.
                inside = f"{name}/{EPISODE_METADATA}" if found.endswith("/") else name
                if belongs_to_dataset(inside, metadata):
                    raise DatasetDamagedError(
                        f"{path} is a link, and only what lies in the dataset's own folder is "
                        "uploaded; put a copy in its place"
                    )
            elif path.is_file() and belongs_to_dataset(name, metadata):
                yield name


def _tell_unlisted(error: OSError) -> None:
    raise make_read_error(str(error.filename), error) from error


def belongs_to_dataset(name: str, metadata: Mapping[str, JsonValue]) -> bool:
    """Return whether a file is one of those that a dataset's metadata implies.

    In a format that has no rule here, that is every file but the manifest and hidden files.

    Args:
        name: The name of the file relative to the ``data`` folder.
        metadata: The metadata in the dataset's manifest.
    """
    data_format = get_data_format(metadata)
    folder, _, file = name.partition("/")
    if data_format == FILE_FORMAT:
        # Combinations of before 0.5 link to files beside the main one.
        return not file and name.endswith(".hdf5")
    if data_format not in FOLDER_FORMATS:
        return name != MANIFEST_NAME and not any(part[:1] == "." for part in name.split("/"))
    is_data = file.endswith(f".{data_format}") and is_episode_data(file)
    return (
        _EPISODE_NUMBER.fullmatch(folder) is not None
        and not is_beyond_last_episode(name, metadata)
        and "/" not in file
        and (is_data or file in (EPISODE_METADATA, SIDECAR_FILE))
    )


def is_beyond_last_episode(name: str, metadata: Mapping[str, JsonValue]) -> bool:
    """Return whether a file is of an episode that the metadata does not count.

    An interrupted append, or an interrupted upload of another dataset, leaves such files.
    """
    folder = name.partition("/")[0]
    return (
        metadata.get("data_format") in FOLDER_FORMATS
        and _EPISODE_NUMBER.fullmatch(folder) is not None
        and int(folder) >= count_episodes(metadata)
    )


def is_episode_data(name: str) -> bool:
    """Return whether a file in an episode's folder is one that the public Minari reads as data."""
    return name != EPISODE_METADATA and not name.startswith(("_", "."))
