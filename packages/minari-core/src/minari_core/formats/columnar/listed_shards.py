"""Shards that a manifest lists, wherever their files are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import ClassVar

from gymnasium import spaces

from minari_core.columns import Schema
from minari_core.environments.given_spaces import GivenSpaces, read_space
from minari_core.errors import DatasetDamagedError, SpaceError, UnknownSpaceError
from minari_core.formats.columnar.manifest import Manifest, Snapshot
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.json_values import JsonValue


class ListedShards(ShardedStorage):
    """A storage whose shards, metadata and spaces are those that a manifest lists."""

    data_format: ClassVar[str] = "columnar"

    def __init__(self, manifest: Manifest, where: str, given_spaces: GivenSpaces) -> None:
        """Read nothing but the manifest.

        Args:
            manifest: Lists the shards.
            where: The folder or address of the dataset, for error messages.
            given_spaces: The spaces that stand for those whose types are unknown.
        """
        super().__init__()
        self._where = where
        self._given_spaces = given_spaces
        self._list(manifest)

    def _list(self, manifest: Manifest) -> None:
        """Take another manifest of the same dataset; a subclass opens other shards."""
        self._manifest = manifest
        self._counts = manifest.snapshot.list_counts()
        self._forget_index()

    @property
    def uid(self) -> str:
        """What tells the dataset from all others, whatever its id."""
        return self.snapshot.uid

    @property
    def snapshot(self) -> Snapshot:
        """The shards and their schemas."""
        return self._manifest.snapshot

    @property
    def metadata(self) -> Mapping[str, JsonValue]:
        """The metadata of the dataset, as plain JSON values."""
        return {
            **self._manifest.metadata,
            "total_episodes": self.total_episodes,
            "total_steps": self.total_steps,
        }

    @cached_property
    def observation_space(self) -> spaces.Space[object]:
        """The space of the observations."""
        return self._space("observation_space")

    @cached_property
    def action_space(self) -> spaces.Space[object]:
        """The space of the actions."""
        return self._space("action_space")

    @property
    def given_spaces(self) -> GivenSpaces:
        """The spaces that stand for those whose types are unknown."""
        return self._given_spaces

    def _space(self, key: str) -> spaces.Space[object]:
        text = self._manifest.metadata.get(key)
        if not isinstance(text, str):
            raise DatasetDamagedError(f"{self._where}: metadata has no {key}")
        try:
            return read_space(text, key, self._given_spaces)
        except UnknownSpaceError as error:
            raise UnknownSpaceError(f"{self._where}: {error}") from error
        except SpaceError as error:
            raise DatasetDamagedError(f"{self._where}: {error}") from error

    @property
    def nbytes(self) -> int:
        """The size of the shards in bytes; a shard that is listed twice counts once."""
        return sum({shard.file: shard.nbytes for shard in self.snapshot.shards}.values())

    def shard_counts(self) -> Sequence[tuple[int, int, int]]:
        """Return the rows, steps and episodes of each shard."""
        return self._counts

    def schemas(self) -> Sequence[Schema]:
        """Return every schema that a shard has."""
        return self.snapshot.schemas
