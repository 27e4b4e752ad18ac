"""Shards as files in one folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from minari_core.columns import Schema
from minari_core.environments.space_json import space_from_json
from minari_core.episodes import Episode
from minari_core.episodes.fit import check_shapes
from minari_core.episodes.shard_data import ShardData
from minari_core.episodes.stream import shards_of
from minari_core.errors import DatasetDamagedError, SpaceError
from minari_core.formats.columnar.manifest import (
    Manifest,
    Snapshot,
    check_updatable,
    normalize_metadata,
    write_manifest,
)
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.formats.columnar.transaction import Transaction
from minari_core.formats.shards.entry import ShardEntry
from minari_core.formats.shards.reader import ShardReader, open_shard
from minari_core.json_values import JsonValue
from minari_core.storage.base import Storage, check_spaces


class ShardFolder(ShardedStorage):
    """Shards that lie as files in one folder, as a manifest in memory says.

    Only this object knows of what is added, until somebody links it into a dataset.
    """

    data_format: ClassVar[str] = "columnar"
    is_recording: ClassVar[bool] = True
    """Whether the folder is somebody's recording, and not a dataset that others know of."""

    def __init__(self, folder: Path, manifest: Manifest, *, durable: bool = False) -> None:
        """Read from a folder.

        Args:
            folder: Where the shards are.
            manifest: What they are.
            durable: Whether shards that are added must outlive a power cut at once.
        """
        super().__init__()
        self._durable = durable
        self._folder = folder
        self._manifest = manifest
        self._counts = [(s.rows, s.steps, s.episodes) for s in manifest.snapshot.shards]
        self._readers: dict[int, ShardReader] = {}

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as the folder and the manifest, without anything read."""
        return type(self), (self._folder, self._manifest)

    @property
    def snapshot(self) -> Snapshot:
        """Where the arrays of the shards lie."""
        return self._manifest.snapshot

    @property
    def metadata(self) -> Mapping[str, JsonValue]:
        """What the dataset is, as plain JSON values."""
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

    def _space(self, key: str) -> spaces.Space[object]:
        text = self._manifest.metadata.get(key)
        if not isinstance(text, str):
            raise DatasetDamagedError(f"{self._folder}: metadata has no {key}")
        try:
            return space_from_json(text, key)
        except SpaceError as error:
            raise DatasetDamagedError(f"{self._folder}: {error}") from error

    @property
    def data_path(self) -> Path:
        """The folder that the shards lie in."""
        return self._folder

    @property
    def nbytes(self) -> int:
        """The size of the shards; one that lies twice in the dataset counts once."""
        return sum({shard.file: shard.nbytes for shard in self.snapshot.shards}.values())

    def shard_counts(self) -> Sequence[tuple[int, int, int]]:
        """The rows, steps and episodes of each shard."""
        return self._counts

    def schemas(self) -> Sequence[Schema]:
        """Every schema that a shard has."""
        return self.snapshot.schemas

    def shard(self, number: int) -> ShardReader:
        """A shard that is ready to be read; its file is mapped at its first use."""
        reader = self._readers.get(number)
        if reader is None:
            entry = self.snapshot.shards[number]
            reader = open_shard(self._folder, entry, self.snapshot.schemas[entry.schema])
            self._readers[number] = reader
        return reader

    def _take(self, manifest: Manifest) -> None:
        """Go on with another manifest of the same dataset."""
        kept = len(self._counts)
        if manifest.snapshot.shards[:kept] != self.snapshot.shards:
            self._readers = {}
        self._manifest = manifest
        self._counts = [(s.rows, s.steps, s.episodes) for s in manifest.snapshot.shards]
        self._forget_index()

    def append_episodes(self, episodes: Iterable[Episode]) -> range:
        """Add episodes, all or none; see `Storage.append_episodes`."""
        observations, actions = self.observation_space, self.action_space
        shards = shards_of(episodes, observations, actions)
        return self.add(check_shapes(shards, observations, actions))

    def add(self, shards: Iterable[ShardData]) -> range:
        """Add shards, all or none.

        Args:
            shards: Shards whose rows follow one another; each is written when it is taken.

        Returns:
            The indices of the episodes that end in them.
        """
        with self._adding() as transaction:
            first = transaction.total_episodes
            for data in shards:
                transaction.write(data)
        return range(first, transaction.total_episodes)

    def adopt(self, snapshot: Snapshot) -> range:
        """Add shards that lie in this folder already, where another object has put them.

        Args:
            snapshot: The shards, which follow one another.

        Returns:
            The indices of the episodes that end in them.
        """
        with self._adding() as transaction:
            first = transaction.total_episodes
            transaction.adopt(snapshot)
        return range(first, transaction.total_episodes)

    def append_linked(self, sources: Iterable[ShardFolder]) -> range:
        """Add all episodes of other folders, all or none; every shard is linked as it is.

        Nothing of their data is read, however small the shards are, so that shards of many
        writers become one dataset for the price of their names.

        Args:
            sources: The folders, in the order of their episodes; their writers have flushed the
                shards to the disk.

        Returns:
            The indices of the added episodes.

        Raises:
            IncompatibleDatasetsError: The spaces differ.
            DataError: A column has another dtype or shape than in the shards before it.
            DatasetWriteError: The file system refused.
        """
        with self._adding() as transaction:
            first = transaction.total_episodes
            for source in sources:
                check_spaces(self, source)
                transaction.link(source)
        return range(first, transaction.total_episodes)

    def append_storage(self, source: Storage, indices: Sequence[int] | None = None) -> range:
        """Add episodes of another storage, all or none; whole shards are linked, not copied."""
        if not isinstance(source, ShardFolder):
            return super().append_storage(source, indices)
        check_spaces(self, source)
        chosen = np.arange(source.total_episodes) if indices is None else np.asarray(indices)
        with self._adding() as transaction:
            if source.is_recording:
                transaction.note_recording(source.snapshot.uid)
            first_new = transaction.total_episodes
            for whole, first, stop in source.runs(chosen):
                if whole:
                    transaction.take_over(source, first, stop)
                else:
                    episodes = source.read_episodes(chosen[first:stop], copy=False)
                    for data in shards_of(episodes, self.observation_space, self.action_space):
                        transaction.write(data)
        return range(first_new, transaction.total_episodes)

    def runs(self, indices: npt.NDArray[np.int64]) -> Iterator[tuple[bool, int, int]]:
        """Cut a list of episodes into whole shards and the rest.

        Yields:
            ``(True, first, stop)`` for shards whose episodes are all wanted, in their order;
            ``(False, first, stop)`` for places in ``indices`` whose episodes must be copied.
        """
        groups = {
            first_episode: (shard, shard_stop, stop_episode)
            for shard, shard_stop, first_episode, stop_episode in self.index.whole_shards()
        }
        place = copied = 0
        shards: tuple[int, int] | None = None
        while place < len(indices):
            episode = int(indices[place])
            group = groups.get(episode)
            size = group[2] - episode if group else 0
            is_whole = group is not None and _counts_up(indices[place : place + size], size)
            if shards is not None and not (is_whole and group and group[0] == shards[1]):
                yield True, *shards
                shards = None
            if group is None or not is_whole:
                place += 1
                continue
            if copied < place:
                yield False, copied, place
            shards = group[:2] if shards is None else (shards[0], group[1])
            place += size
            copied = place
        if shards is not None:
            yield True, *shards
        if copied < place:
            yield False, copied, place

    def truncate(self, shards: int) -> None:
        """Forget all but the first shards, and remove the files of the others."""
        removed = self.snapshot.shards[shards:]
        snapshot = replace(self.snapshot, shards=self.snapshot.shards[:shards])
        self._take(replace(self._manifest, snapshot=snapshot))
        self._remove(removed)

    def update_metadata(self, changes: Mapping[str, object]) -> None:
        """Replace some keys of the metadata; see `Storage.update_metadata`."""
        check_updatable(changes)
        metadata = {**self._manifest.metadata, **normalize_metadata(changes)}
        self._take(replace(self._manifest, metadata=metadata))

    def compact(self) -> None:
        """Join all shards that can be; episodes keep their indices.

        Shards stay apart only where a column appears that the shards before do not have.
        """
        with self._adding(keep=False) as transaction:
            transaction.join(self, range(len(self.snapshot.shards)))

    def fingerprint(self) -> str:
        """Text that changes whenever the stored episodes do."""
        shards = [(shard.file, shard.crc32, shard.rows) for shard in self.snapshot.shards]
        return f"{self.snapshot.uid} {shards}"

    def refresh(self) -> bool:
        """False: nothing else adds to it."""
        return False

    def save(self) -> None:
        """Write the manifest, so that others can open the folder as a dataset."""
        write_manifest(self._folder, self._manifest)

    @contextmanager
    def _adding(self, *, keep: bool = True) -> Iterator[Transaction]:
        """Collect an transaction, and take it over if the block succeeds.

        Args:
            keep: Whether it comes behind the shards that are there, or in their place.
        """
        start = self.snapshot if keep else replace(self.snapshot, shards=(), schemas=())
        transaction = Transaction(self._folder, start, durable=self._durable)
        try:
            yield transaction
            transaction.finish()
        except BaseException:
            transaction.discard()
            raise
        replaced = () if keep else self.snapshot.shards
        self._take(replace(self._manifest, snapshot=transaction.snapshot))
        self._remove(replaced)

    def _remove(self, shards: Iterable[ShardEntry]) -> None:
        for shard in shards:
            # Windows does not remove what a process has mapped; it is swept up the next time.
            with suppress(OSError):
                (self._folder / shard.file).unlink(missing_ok=True)


def _counts_up(indices: npt.NDArray[np.int64], size: int) -> bool:
    if len(indices) != size or indices[-1] - indices[0] != size - 1:
        return False
    return bool(np.all(np.diff(indices) == 1))
