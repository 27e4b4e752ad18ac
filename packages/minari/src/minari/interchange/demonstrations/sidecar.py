"""What files of demonstrations have no place for, in a group ``minari`` beside the episodes.

The libraries that read these files look at other groups alone. The text ``minari/description``
says what the dataset is; ``minari/episodes/demo_0`` has arrays of the episode, and in ``facts``
what is no array.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minari.interchange.demonstrations.groups import (
    File,
    GroupReader,
    find_group,
    open_group,
)
from minari.interchange.demonstrations.trajectory import Trajectory
from minari.interchange.facts import replace_missing
from minari_core import EpisodeData
from minari_core.errors import DatasetDamagedError
from minari_core.json_values import JsonValue, from_json_text, to_json_text
from minari_core.metadata.splits import SPLITS
from minari_core.storage.base import Storage
from minari_core.storage.copied_metadata import metadata_for_copy

GROUP = "minari"
_EPISODES = "episodes"


class SidecarWriter:
    """Writes the group, and counts what lies in it for want of another place."""

    def __init__(self, layout: str, storage: Storage, indices: Sequence[int]) -> None:
        metadata = metadata_for_copy(storage, indices)
        metadata.pop(SPLITS, None)
        self._description = json.dumps({"layout": layout, **metadata})
        self.kept: dict[str, int] = {}
        """What lies in the group, and of how many episodes."""

    def begin(self, file: File) -> None:
        """Write what is said of all episodes."""
        group = file.create_group(GROUP)
        group.create_dataset("description", data=self._description)
        group.create_group(_EPISODES)

    def write(self, file: File, name: str, episode: EpisodeData, arrays: Mapping[str, Any]) -> None:
        """Write what the layout has no place for of an episode.

        Args:
            file: The file.
            name: What the episode is called in the file.
            episode: The episode.
            arrays: Its flags and the like, by name.
        """
        group = file[GROUP][_EPISODES].create_group(name)
        for key, array in arrays.items():
            group.create_dataset(key, data=array)
            self._count(key)
        facts: dict[str, Any] = {"infos": {}, "extras": {}}
        for key, value in (
            ("seed", episode.seed),
            ("options", episode.options),
            ("metadata", episode.metadata or None),
        ):
            if value is not None:
                facts[key] = value
                self._count(key)
        for kind in ("infos", "extras"):
            for key, column in getattr(episode, kind).items():
                self._count(f"{kind}/{key}")
                if _is_array(column) and "/" not in key and key != ".":
                    group.create_dataset(f"{kind}/{key}", data=column)
                else:
                    facts[kind][key] = replace_missing(column)
        group.create_dataset("facts", data=to_json_text(facts, f"episode {episode.id}"))

    def _count(self, key: str) -> None:
        self.kept[key] = self.kept.get(key, 0) + 1


class SidecarReader:
    """Reads the group, if a file has it."""

    def __init__(self, file: File) -> None:
        self.description: dict[str, JsonValue] = {}
        """What the group says of the dataset; empty if there is none."""
        self._file = file
        self._names: frozenset[str] = frozenset()
        group = find_group(file, GROUP)
        if group is None:
            return
        text = group.read("description")
        try:
            said = json.loads(text[0])
        except (ValueError, RecursionError, IndexError) as error:
            raise DatasetDamagedError(f"{file.filename}: /{GROUP}/description: {error}") from error
        if not isinstance(said, dict):
            raise DatasetDamagedError(f"{file.filename}: /{GROUP}/description is no object")
        self.description = said
        self._names = frozenset(open_group(file, f"{GROUP}/{_EPISODES}") or ())

    def add(self, name: str, trajectory: Trajectory) -> None:
        """Add to an episode what the group has of it.

        Raises:
            DatasetDamagedError: What it has is malformed.
        """
        if name not in self._names:
            return
        reader = GroupReader(self._file, f"{GROUP}/{_EPISODES}/{name}")
        facts = _read_facts(reader)
        seed, options, metadata = (facts.get(key) for key in ("seed", "options", "metadata"))
        if isinstance(seed, int):
            trajectory.seed = seed
        if isinstance(options, dict):
            trajectory.options = options
        if isinstance(metadata, dict):
            trajectory.metadata = {**trajectory.metadata, **metadata}
        for kind, into in (("infos", trajectory.infos), ("extras", trajectory.extras)):
            into.update(reader.read(kind) if kind in reader else {})
            columns = facts.get(kind)
            into.update(columns if isinstance(columns, dict) else {})
        for flags in ("terminated", "truncated"):
            if flags in reader:
                setattr(trajectory, flags, np.asarray(reader.read(flags), dtype=np.bool_))


def _read_facts(reader: GroupReader) -> dict[str, Any]:
    text = reader.read("facts")
    try:
        facts = from_json_text(text[0])
    except (ValueError, IndexError, TypeError) as error:
        raise DatasetDamagedError(f"{reader.where}: facts: {error}") from error
    if not isinstance(facts, dict):
        raise DatasetDamagedError(f"{reader.where}: facts is no object")
    return facts


def _is_array(column: object) -> bool:
    return (
        isinstance(column, np.ndarray)
        and not isinstance(column, np.ma.MaskedArray)
        and column.dtype.kind in "biuf"
    )
