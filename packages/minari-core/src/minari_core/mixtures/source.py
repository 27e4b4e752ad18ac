"""One of the datasets in a mixture, with its columns by the names that the mixture has for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from gymnasium import spaces

from minari_core.columns import Column, FixedColumn, MaskedColumn, Schema
from minari_core.errors import IncompatibleDatasetsError
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.formats.shards.reader import OpenShards, ShardReader
from minari_core.mixtures.renaming import (
    Names,
    list_leaves,
    rename_schema,
    rename_shard,
    rename_space,
    split_column,
)
from minari_core.sampling.gathering.info_rows import read_step_infos
from minari_core.storage.base import Storage
from minari_core.twins.finding import find_columns

Stored = Mapping[str, frozenset[str]]
"""The paths of columns, and what shards store in each."""


class MixedSource:
    """A dataset as a mixture reads it. It keeps to the shards that it had at its last `reopen`."""

    def __init__(self, storage: Storage, names: Names) -> None:
        """Find the columns of a storage.

        Args:
            storage: The storage of the dataset.
            names: The other names of its columns.

        Raises:
            IncompatibleDatasetsError: It is streamed, or there is no column of a name.
        """
        self.storage = storage
        """The storage of the dataset."""
        self.names = names
        """The other names of its columns."""
        self.id = str(storage.metadata.get("dataset_id", ""))
        """The id of the dataset."""
        if isinstance(storage, ShardedStorage) and storage.fetches_rows:
            raise IncompatibleDatasetsError(
                f"{self.id!r} is streamed, and a mixture reads datasets on this machine; download "
                "it before"
            )
        self.columns = find_columns(storage)
        """The storage that holds the columns."""
        self.spaces: dict[str, spaces.Space[object]] = {
            "observations": rename_space(storage.observation_space, names, "observations", self.id),
            "actions": rename_space(storage.action_space, names, "actions", self.id),
        }
        """The spaces of observations and actions, by other names."""
        self.step_infos = [
            new.partition("/")[2]
            for key in read_step_infos(storage.metadata)
            if (new := names.get(f"infos/{key}", f"infos/{key}")) is not None
        ]
        """The infos whose row t belongs to step t, by other names."""
        self.reopen()

    def reopen(self) -> None:
        """Take the shards that there are by now."""
        self.opened: OpenShards = self.columns.open_shards
        self.counts = list(self.columns.shard_counts())
        """The rows, steps and episodes of each shard."""
        self.schemas: list[Schema] = [
            rename_schema(schema, self.names, self.id)[0] for schema in self.columns.schemas()
        ]
        """Every schema that a shard has, by other names."""

    @property
    def is_current(self) -> bool:
        """Whether the shards are those that there are by now."""
        return self.opened is self.columns.open_shards

    def make_opener(self) -> Callable[[int], ShardReader]:
        """Return what opens a shard by its index; it refers to no storage."""
        return partial(_open, self.opened, self.names, self.id)

    def list_stored(self, name: str) -> Stored:
        """Return the columns at or below a name, and what the shards store in each.

        Args:
            name: A column group, or a column inside it.
        """
        group = name.partition("/")[0]
        stored: dict[str, set[str]] = {}
        for schema in self.schemas:
            for path, column in list_leaves(schema.groups[group], split_column).items():
                full = "/".join([group, *path])
                if full == name or full.startswith(f"{name}/"):
                    stored.setdefault(full, set()).add(_describe(column))
        return {path: frozenset(kinds) for path, kinds in stored.items()}


def _open(opened: OpenShards, names: Names, dataset_id: str, number: int) -> ShardReader:
    return rename_shard(opened[number], names, dataset_id)


def _describe(column: Column) -> str:
    inner = column.value if isinstance(column, MaskedColumn) else column
    if isinstance(inner, FixedColumn):
        return f"{inner.dtype} of shape {inner.shape}"
    return inner.kind
