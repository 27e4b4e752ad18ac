"""A data format as small as can be: all shards in one ``shards.npz``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from minari_core.columns import schema_from_json
from minari_core.environments.given_spaces import NONE_GIVEN, GivenSpaces, read_space
from minari_core.episodes.shard_data import ShardData
from minari_core.formats.columnar.manifest import Manifest, read_metadata, write_manifest
from minari_core.formats.columnar.memory import MemoryStorage
from minari_core.json_values import JsonValue

DATA_FILE = "shards.npz"


class ToyStorage(MemoryStorage):
    """Shards in memory that `save` writes into one file."""

    data_format: ClassVar[str] = "toy"

    def __init__(
        self, folder: Path, metadata: Mapping[str, JsonValue], given_spaces: GivenSpaces
    ) -> None:
        observations, actions = (
            read_space(str(metadata[key]), key, given_spaces)
            for key in ("observation_space", "action_space")
        )
        super().__init__(observations, actions, metadata)
        self._folder = folder

    @classmethod
    def create(
        cls,
        folder: Path,
        metadata: Mapping[str, JsonValue],
        given_spaces: GivenSpaces = NONE_GIVEN,
    ) -> ToyStorage:
        return cls(folder, metadata, given_spaces)

    @classmethod
    def open(cls, folder: Path, given_spaces: GivenSpaces = NONE_GIVEN) -> ToyStorage:
        storage = cls(folder, read_metadata(folder), given_spaces)
        with np.load(folder / DATA_FILE) as arrays:
            storage.add(_read_shards(arrays))
        return storage

    @property
    def data_path(self) -> Path:
        return self._folder

    def append_episodes(self, episodes: Iterable[Any]) -> range:
        added = super().append_episodes(episodes)
        self.save()
        return added

    def save(self) -> None:
        arrays: dict[str, Any] = {}
        for index, shard in enumerate(self._shards):
            counts = [shard.rows, shard.steps, shard.episodes]
            head = json.dumps([shard.schema.to_json(), len(shard.pieces), counts])
            arrays[f"{index}"] = np.frombuffer(head.encode(), np.uint8)
            arrays |= {f"{index}.{i}": pieces[0] for i, pieces in enumerate(shard.pieces)}
        np.savez(self._folder / DATA_FILE, **arrays)
        write_manifest(self._folder, Manifest(self.metadata))


def _read_shards(arrays: Any) -> Iterable[ShardData]:
    for index in (name for name in arrays.files if "." not in name):
        schema, count, counts = json.loads(bytes(arrays[index]))
        pieces = [[arrays[f"{index}.{i}"]] for i in range(count)]
        yield ShardData(schema_from_json(schema), pieces, *counts)
