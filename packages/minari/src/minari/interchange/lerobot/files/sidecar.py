"""What LeRobot has no place for, in files of its own beside the metadata."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from minari.interchange.files import find_file
from minari.interchange.lerobot.files.features import Feature, is_valid_shape, write_mapping
from minari.interchange.lerobot.files.paths import open_writer
from minari_core.errors import DataError, DatasetDamagedError, DatasetWriteError
from minari_core.json_values import JsonValue
from minari_core.storage.base import Storage
from minari_core.storage.copied_metadata import metadata_for_copy
from minari_core.tables.arrow import make_table, unite_tables
from minari_core.tables.gathering import Columns
from minari_core.tables.parquet import write_parquet

CARD, STEPS, EPISODES = (
    "meta/minari.json",
    "meta/minari.steps.parquet",
    "meta/minari.episodes.parquet",
)
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What was written beside a dataset of LeRobot."""

    metadata: Mapping[str, JsonValue]
    """The metadata of the dataset that was written."""
    columns: Mapping[str, tuple[str, tuple[int, ...]]]
    """The column that a feature was, and the shape of its rows."""
    steps: Path
    """The table of what LeRobot does not have of steps."""
    episodes: Path
    """The table of episodes."""


def write_sidecar(
    root: Path,
    storage: Storage,
    indices: Sequence[int],
    features: Sequence[Feature],
    chunks: Iterator[Columns],
) -> None:
    """Write a sidecar.

    Args:
        root: The folder of the dataset.
        storage: The storage.
        indices: The indices of the episodes, in order.
        features: What LeRobot has.
        chunks: The columns of all steps.

    Raises:
        DatasetWriteError: The file system refused.
    """
    held = {each.column for each in features if each.is_exact or each.dtype == "video"}
    tables = unite_tables(
        make_table(_leave_out(columns, held), {}, as_json=True) for columns in chunks
    )
    path = root / STEPS
    try:
        first = next(tables)
        with open_writer(path, first.schema) as writer:
            for table in chain([first], tables):
                writer.write_table(table, row_group_size=max(len(table), 1))
    except (pa.ArrowException, OSError) as error:
        raise DatasetWriteError(f"{path} could not be written: {error}") from error
    write_parquet(storage, indices, root / EPISODES, "episodes", as_json=True)
    said = {
        "version": _VERSION,
        "columns": write_mapping(features),
        "metadata": metadata_for_copy(storage, indices),
    }
    (root / CARD).write_text(json.dumps(said), encoding="utf-8")


def read_sidecar(root: Path) -> Sidecar | None:
    """Read a sidecar, if there is one.

    Raises:
        DatasetDamagedError: It cannot be read.
        DataError: It is of a later version, or leads out of the folder.
    """
    if not (root / CARD).exists():
        return None
    path = find_file(root, CARD)
    try:
        said: Any = json.loads(path.read_text(encoding="utf-8"))
        version, metadata = said["version"], said["metadata"]
        columns = {
            str(name): (entry["column"], tuple(entry["shape"]))
            for name, entry in said["columns"].items()
            if is_valid_shape(entry["shape"]) and isinstance(entry["column"], str)
        }
        is_whole = isinstance(metadata, dict) and len(columns) == len(said["columns"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DatasetDamagedError(f"{path} cannot be read: {error!r}") from error
    if version != _VERSION:
        raise DataError(
            f"{path} is of version {version!r}, and this release reads {_VERSION}; update Minari, "
            "or give sidecar=False"
        )
    if not is_whole:
        raise DatasetDamagedError(f"{path} does not say what its columns are")
    return Sidecar(metadata, columns, find_file(root, STEPS), find_file(root, EPISODES))


def _leave_out(columns: Columns, held: Collection[str]) -> Columns:
    own = ("episode_id", "step", "truncated")
    return {name: leaf for name, leaf in columns.items() if name not in held and name not in own}
