"""Tell whether the files of a dataset are those that they were, without reading their data."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from minari_core.environments.space_json import space_to_json
from minari_core.errors import SpaceError
from minari_core.files import LOCK_FILES, MANIFEST_NAME, make_read_error
from minari_core.formats.columnar.manifest import STATISTICS_NAME, read_metadata
from minari_core.formats.public.files import OWN_KEY
from minari_core.formats.registry import read_dataset_metadata
from minari_core.json_values import JsonValue
from minari_core.storage.base import Storage

# Raised whenever a twin of the same files is another one.
_VERSION = 1
# What only describes a dataset may change without its data.
_DESCRIPTIONS = frozenset(
    {
        "dataset_id",
        "algorithm_name",
        "author",
        "author_email",
        "code_permalink",
        "dataset_size",
        "description",
        "env_spec",
        "eval_env_spec",
        "num_episodes_average_score",
        "ref_max_score",
        "ref_min_score",
        "requirements",
    }
)
_OWN_KEYS = ("uid", "infos", "extras", "checksums")


@dataclass(frozen=True, slots=True)
class DatasetFiles:
    """The files of a dataset at some time."""

    key: str
    """Text that changes with their names, sizes and times, and with the metadata of the data."""
    nbytes: int
    """Their size together."""


def look_at_files(storage: Storage, folder: Path) -> DatasetFiles:
    """Look at the files of a dataset.

    Args:
        storage: Its storage, which may know spaces that the files do not tell.
        folder: Its folder.

    Raises:
        DatasetNotFoundError: It is gone.
        DatasetBusyError: No more files can be opened.
        DatasetDamagedError: Its metadata, or one of its files, cannot be read.
    """
    digest = hashlib.sha256()
    told = _read_what_tells_of_data(folder)
    stored = os.path.realpath(folder), storage.total_episodes
    for part in (_VERSION, stored, told, _describe_given(storage)):
        digest.update(json.dumps(part, sort_keys=True).encode("ascii") + b"\n")
    nbytes = 0
    try:
        files = sorted(_list_files(str(folder), ""))
    except OSError as error:
        raise make_read_error(folder, error) from error
    for name, size, changed in files:
        digest.update(f"{name!r} {size} {changed}\n".encode("utf-8", "surrogateescape"))
        nbytes += size
    return DatasetFiles(digest.hexdigest()[:32], nbytes)


def _read_what_tells_of_data(folder: Path) -> dict[str, JsonValue]:
    metadata = read_dataset_metadata(folder)
    told = {key: value for key, value in metadata.items() if key not in _DESCRIPTIONS}
    own = read_metadata(folder).get(OWN_KEY) if (folder / MANIFEST_NAME).exists() else None
    if isinstance(own, dict):
        told[OWN_KEY] = {key: own.get(key) for key in _OWN_KEYS}
    return told


def _list_files(folder: str, prefix: str) -> Iterator[tuple[str, int, int]]:
    """Yield name, size and time of every file but those that say nothing of the data."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not prefix and (
                entry.name in (MANIFEST_NAME, STATISTICS_NAME, *LOCK_FILES) or entry.name[0] == "."
            ):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _list_files(entry.path, f"{prefix}{entry.name}/")
            else:
                found = entry.stat()
                yield f"{prefix}{entry.name}", found.st_size, found.st_mtime_ns


def _describe_given(storage: Storage) -> list[str]:
    described = []
    for name, space in sorted(storage.given_spaces.items()):
        try:
            described.append(space_to_json(space, name))
        except SpaceError:  # of a type that nobody can write
            described.append(repr(space))
    return described
