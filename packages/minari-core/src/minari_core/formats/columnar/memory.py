"""A storage in memory, for tests and for data that needs no file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from gymnasium import spaces

from minari_core.columns import Schema
from minari_core.environments.space_json import space_to_json
from minari_core.episodes import Episode
from minari_core.episodes.episode import EpisodeMetadata
from minari_core.episodes.fit import check_schema_fits, check_shapes
from minari_core.episodes.shard_data import ShardData
from minari_core.episodes.stream import encode_shards
from minari_core.formats.columnar.manifest import check_updatable, normalize_metadata
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.formats.shards.reader import OpenShards, ShardReader
from minari_core.json_values import JsonValue
from minari_core.storage.metadata_changes import Change, merge_change


class MemoryStorage(ShardedStorage):
    """Shards as arrays in this process."""

    data_format: ClassVar[str] = "memory"

    def __init__(
        self,
        observation_space: spaces.Space[object],
        action_space: spaces.Space[object],
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Start empty.

        Args:
            observation_space: The space of the observations.
            action_space: The space of the actions.
            metadata: The metadata; ``dataset_id`` is ``"memory-v0"`` if not given.
        """
        super().__init__()
        self._observation_space = observation_space
        self._action_space = action_space
        self._metadata = normalize_metadata({"dataset_id": "memory-v0", **(metadata or {})})
        self._use_shards(())

    def __getstate__(self) -> dict[str, object]:
        """Pickle everything but the readers and the index."""
        return {
            **self.__dict__,
            "_open_shards": None,
            "_index": None,
            "_borders": None,
            "_early_ends": None,
        }

    def __setstate__(self, state: dict[str, object]) -> None:
        """Open the shards anew."""
        self.__dict__.update(state)
        self._use_shards(self._shards)

    def _use_shards(self, shards: tuple[ShardData, ...]) -> None:
        self._shards = shards
        self._open_shards = OpenShards(partial(_open_shard, shards))

    @property
    def metadata(self) -> Mapping[str, JsonValue]:
        """The metadata of the dataset, as plain JSON values."""
        return {
            **self._metadata,
            "data_format": self.data_format,
            "observation_space": space_to_json(self._observation_space),
            "action_space": space_to_json(self._action_space),
            "total_episodes": self.total_episodes,
            "total_steps": self.total_steps,
        }

    @property
    def observation_space(self) -> spaces.Space[object]:
        """The space of the observations."""
        return self._observation_space

    @property
    def action_space(self) -> spaces.Space[object]:
        """The space of the actions."""
        return self._action_space

    @property
    def data_path(self) -> Path | None:
        """None: the data is not on disk."""
        return None

    @property
    def nbytes(self) -> int:
        """The size of the arrays in bytes."""
        return sum(shard.nbytes for shard in self._shards)

    def shard_counts(self) -> Sequence[tuple[int, int, int]]:
        """Return the rows, steps and episodes of each shard."""
        return [(shard.rows, shard.steps, shard.episodes) for shard in self._shards]

    def schemas(self) -> Sequence[Schema]:
        """Return the schema of each shard."""
        return [shard.schema for shard in self._shards]

    @property
    def open_shards(self) -> OpenShards:
        """The readers of the shards."""
        return self._open_shards

    def add(self, shards: Iterable[ShardData]) -> range:
        """Add shards whose episodes are whole, all or none."""
        added: list[ShardData] = []
        first = self.total_episodes
        established = self._shards[0].schema if self._shards else None
        for data in shards:
            check_schema_fits(established, data.schema)
            established = established or data.schema
            whole = [[np.concatenate(pieces, dtype=pieces[0].dtype)] for pieces in data.pieces]
            for (array,) in whole:
                array.flags.writeable = False
            added.append(ShardData(data.schema, whole, data.rows, data.steps, data.episodes))
        self._use_shards((*self._shards, *added))
        self._forget_index()
        return range(first, self.total_episodes)

    def append_episodes(self, episodes: Iterable[Episode]) -> range:
        """Add episodes, all or none; see `Storage.append_episodes`."""
        observations, actions = self._observation_space, self._action_space
        return self.add(
            check_shapes(encode_shards(episodes, observations, actions), observations, actions)
        )

    def update_metadata(self, changes: Mapping[str, object]) -> None:
        """Replace some keys of the metadata; see `Storage.update_metadata`."""
        check_updatable(self._metadata, changes)
        self._metadata.update(normalize_metadata(changes))

    def _merge_metadata(self, changes: Mapping[int, Change]) -> None:
        entries = {
            entry.id: merge_change(entry, changes[entry.id])
            for entry in self.read_episode_metadata(changes)
        }
        self._rewrite(entries)

    def compact(self) -> None:
        """Join all shards to one; episodes keep their indices."""
        self._rewrite({})

    def _rewrite(self, entries: Mapping[int, EpisodeMetadata]) -> None:
        episodes = list(self.read_episodes(range(self.total_episodes), copy=False))
        for number, entry in entries.items():
            episodes[number] = replace(
                episodes[number], seed=entry.seed, options=entry.options, metadata=entry.metadata
            )
        before = self._shards
        self._use_shards(())
        try:
            self.append_episodes(episodes)
        except BaseException:
            self._use_shards(before)
            raise

    def fingerprint(self) -> str:
        """Return text that changes whenever the steps that are stored do."""
        return f"memory {id(self)} {self.total_episodes} {self.total_steps}"

    def refresh(self) -> bool:
        """Return False: nothing else can add to it."""
        return False

    def save(self) -> None:
        """Do nothing: there is nothing to outlive the process."""


def _open_shard(shards: Sequence[ShardData], number: int) -> ShardReader:
    data = shards[number]
    arrays = [pieces[0] for pieces in data.pieces]
    counts = (data.rows, data.steps, data.episodes)
    return ShardReader(f"shard {number}", data.schema, arrays, counts)
