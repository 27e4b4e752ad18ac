"""Shards as files in one folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from minari_core.environments.given_spaces import NONE_GIVEN, GivenSpaces
from minari_core.episodes import Episode
from minari_core.episodes.fit import check_shapes
from minari_core.episodes.shard_data import ShardData
from minari_core.episodes.stream import encode_each_dtype, encode_shards
from minari_core.errors import (
    DataError,
    DatasetChangedError,
    DatasetWriteError,
)
from minari_core.formats.columnar.listed_shards import ListedShards
from minari_core.formats.columnar.manifest import (
    Manifest,
    Snapshot,
    check_updatable,
    normalize_metadata,
    write_manifest,
)
from minari_core.formats.columnar.transaction import Transaction, Widening
from minari_core.formats.shards.entry import ShardEntry
from minari_core.formats.shards.reader import OpenShards, ShardReader, open_shard
from minari_core.storage.base import Storage, check_spaces
from minari_core.storage.metadata_changes import Change, merge_change


@dataclass(frozen=True, slots=True)
class WholeShards:
    """Shards ``first`` to ``stop - 1``, whose episodes are all selected, in their order."""

    first: int
    stop: int


@dataclass(frozen=True, slots=True)
class CopiedEpisodes:
    """Positions ``first`` to ``stop - 1`` of a selection, whose episodes must be copied."""

    first: int
    stop: int


class ShardFolder(ListedShards):
    """Shards stored as files in one folder and listed by a manifest in memory.

    What is added is known to this object alone until it is linked into a dataset.
    """

    is_recording: ClassVar[bool] = True
    """Whether the folder is a recording in progress rather than a published dataset."""

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        given_spaces: GivenSpaces = NONE_GIVEN,
        *,
        durable: bool = False,
        keeps_dtypes: bool = False,
    ) -> None:
        """Open a folder without reading anything from it.

        Args:
            folder: The folder of the shards.
            manifest: Lists the shards.
            given_spaces: The spaces that stand for those whose types are unknown.
            durable: Flush each added shard to the disk, so that it survives a power cut.
            keeps_dtypes: Add shards with another dtype as they are, if a wider one holds both;
                whoever takes them from here widens them.
        """
        super().__init__(manifest, str(folder), given_spaces)
        self._widening = Widening.LATER if keeps_dtypes else Widening.REFUSED
        self._durable = durable
        self._folder = folder
        self._open_shards = OpenShards(self._make_opener(manifest.snapshot))
        # Files of shards that could not be joined with others.
        self._kept_apart: set[str] = set()

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle what it was opened with, and nothing that was read."""
        return type(self), (self._folder, self._manifest, self._given_spaces)

    def allow_widening(self) -> None:
        """Rewrite shards with a narrower dtype where episodes with a wider one are added."""
        self._widening = Widening.NOW

    @property
    def data_path(self) -> Path:
        """The folder that the shards lie in."""
        return self._folder

    @property
    def open_shards(self) -> OpenShards:
        """The readers of the shards; a file is mapped at first use."""
        return self._open_shards

    def _make_opener(self, snapshot: Snapshot) -> Callable[[int], ShardReader]:
        """Return what opens a shard of a snapshot by its index, and refers to no storage."""
        return partial(_open_listed, self._folder, snapshot)

    def _use_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest by another one of the same dataset."""
        pairs = enumerate(zip(manifest.snapshot.shards, self.snapshot.shards, strict=False))
        same = next((number for number, (new, old) in pairs if new != old), len(self._counts))
        known = {n: reader for n, reader in self._open_shards.list_open().items() if n < same}
        self._open_shards = OpenShards(self._make_opener(manifest.snapshot), known)
        self._list(manifest)

    def append_episodes(self, episodes: Iterable[Episode]) -> range:
        """Add episodes, all or none; see `Storage.append_episodes`."""
        observations, actions = self.observation_space, self.action_space
        if self._widening is Widening.NOW:
            shards = encode_each_dtype(episodes, observations, actions)
        else:
            shards = encode_shards(episodes, observations, actions)
        return self.add(check_shapes(shards, observations, actions))

    def add(self, shards: Iterable[ShardData]) -> range:
        """Add shards, all or none.

        Args:
            shards: Shards whose rows follow one another; each is written when it is taken.

        Returns:
            The indices of the episodes that end in them.
        """
        with self._open_transaction() as transaction:
            first = transaction.total_episodes
            for data in shards:
                transaction.write(data)
        return range(first, transaction.total_episodes)

    def adopt(self, snapshot: Snapshot) -> range:
        """Add shards that are already in this folder, where another object has put them.

        Args:
            snapshot: The shards, which follow one another.

        Returns:
            The indices of the episodes that end in them.
        """
        with self._open_transaction() as transaction:
            first = transaction.total_episodes
            transaction.adopt(snapshot)
        return range(first, transaction.total_episodes)

    def append_linked(self, sources: Iterable[ShardFolder]) -> range:
        """Add all episodes of other folders, all or none; shards are linked.

        So shards of many writers become one dataset for the price of their names. Only small
        ones are written once more, where there are many: they are joined.

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
        with self._open_transaction() as transaction:
            first = transaction.total_episodes
            transaction.allow_widening()
            for source in sources:
                check_spaces(self, source)
                transaction.link_all(source)
        return range(first, transaction.total_episodes)

    def append_storage(self, source: Storage, indices: Sequence[int] | None = None) -> range:
        """Add episodes of another storage, all or none; whole shards are linked, not copied."""
        if not isinstance(source, ShardFolder):
            return super().append_storage(source, indices)
        check_spaces(self, source)
        chosen = np.arange(source.total_episodes) if indices is None else np.asarray(indices)
        while True:
            try:
                return self._append_selection(source, chosen)
            except (DatasetChangedError, DatasetWriteError) as error:
                # Somebody may have joined shards of the source, whose files are gone.
                is_gone = isinstance(error.__cause__, FileNotFoundError)
                if not is_gone or not source.refresh():
                    raise

    def _append_selection(self, source: ShardFolder, chosen: npt.NDArray[np.int64]) -> range:
        with self._open_transaction() as transaction:
            if source.is_recording:
                transaction.note_recording(source.snapshot.uid)
                transaction.allow_widening()
            first_new = transaction.total_episodes
            for run in source.split_selection(chosen):
                if isinstance(run, WholeShards):
                    transaction.link_range(source, run.first, run.stop)
                else:
                    episodes = source.read_episodes(chosen[run.first : run.stop], copy=False)
                    for data in encode_shards(episodes, self.observation_space, self.action_space):
                        transaction.write(data)
        return range(first_new, transaction.total_episodes)

    def split_selection(
        self, indices: npt.NDArray[np.int64]
    ) -> Iterator[WholeShards | CopiedEpisodes]:
        """Split a selection of episodes into whole shards and the rest, in its order.

        Args:
            indices: The indices of the selected episodes, shape (selected,).
        """
        groups = {
            first_episode: (WholeShards(first_shard, stop_shard), stop_episode - first_episode)
            for first_shard, stop_shard, first_episode, stop_episode in self.index.whole_shards()
        }
        position = copied = 0
        shards: WholeShards | None = None
        while position < len(indices):
            group, size = groups.get(int(indices[position]), (None, 0))
            if group is not None and not _counts_up(indices[position : position + size], size):
                group = None
            if shards is not None and (group is None or group.first != shards.stop):
                yield shards
                shards = None
            if group is None:
                position += 1
                continue
            if copied < position:
                yield CopiedEpisodes(copied, position)
            shards = group if shards is None else WholeShards(shards.first, group.stop)
            position += size
            copied = position
        if shards is not None:
            yield shards
        if copied < position:
            yield CopiedEpisodes(copied, position)

    def truncate(self, shards: int) -> None:
        """Keep the first ``shards`` shards, and delete the others with their files."""
        kept, removed = self.snapshot.shards[:shards], self.snapshot.shards[shards:]
        # Those of the others alone go with them: a journal would never hear of them.
        schemas = self.snapshot.schemas[: max((shard.schema for shard in kept), default=-1) + 1]
        snapshot = replace(self.snapshot, shards=kept, schemas=schemas)
        self._use_manifest(replace(self._manifest, snapshot=snapshot))
        self._remove(removed)

    def update_metadata(self, changes: Mapping[str, object]) -> None:
        """Replace some keys of the metadata; see `Storage.update_metadata`."""
        check_updatable(self._manifest.metadata, changes)
        metadata = {**self._manifest.metadata, **normalize_metadata(changes)}
        self._use_manifest(replace(self._manifest, metadata=metadata))

    def _merge_metadata(self, changes: Mapping[int, Change]) -> None:
        with self._open_transaction() as transaction:
            numbers = {self.index.entry(episode)[0] for episode in changes}
            firsts = self.borders["episodes"]
            # From the last on, so that the numbers of those before stay.
            for number in sorted(numbers, reverse=True):
                stored = self.read_episode_metadata(range(firsts[number], firsts[number + 1]))
                transaction.replace_entries(
                    number, [merge_change(entry, changes.get(entry.id, {})) for entry in stored]
                )

    def compact(self) -> None:
        """Join all shards that can be joined; episodes keep their indices.

        Shards stay apart only where an info has another dtype than in the shards before them.
        """
        with self._open_transaction(keep=False) as transaction:
            transaction.join(self, range(len(self.snapshot.shards)))

    def fingerprint(self) -> str:
        """Return text that changes whenever the steps that are stored do."""
        # Shards without rows hold what is said of episodes, which may change.
        with_rows = [shard for shard in self.snapshot.shards if shard.rows]
        shards = [(shard.file, shard.crc32, shard.rows) for shard in with_rows]
        return f"{self.snapshot.uid} {shards}"

    def refresh(self) -> bool:
        """Return False: nothing else adds to it."""
        return False

    def save(self) -> None:
        """Write the manifest, so that others can open the folder as a dataset."""
        write_manifest(self._folder, self._manifest)

    @contextmanager
    def _open_transaction(self, *, keep: bool = True) -> Iterator[Transaction]:
        """Open a transaction that is committed if the block succeeds.

        Args:
            keep: Add to the present shards; if False, replace them.
        """
        start = self.snapshot if keep else replace(self.snapshot, shards=(), schemas=())
        transaction = Transaction(
            self._folder, start, durable=self._durable, widening=self._widening
        )
        try:
            yield transaction
            self._finish(transaction)
        except BaseException:
            transaction.discard()
            raise
        replaced = transaction.replaced if keep else self.snapshot.shards
        self._use_manifest(replace(self._manifest, snapshot=transaction.snapshot))
        self._remove(replaced)

    def _finish(self, transaction: Transaction) -> None:
        try:
            transaction.finish()
        except DataError:
            transaction.link_waiting()
            # Read as recordings are, the episode with the number that no dtype holds says so.
            added = Manifest({}, transaction.snapshot)
            whole = ShardFolder(self._folder, added, keeps_dtypes=True)
            for _ in whole.read_episodes(range(whole.total_episodes), copy=False):
                pass
            raise

    def _remove(self, shards: Iterable[ShardEntry]) -> None:
        """Delete the files of shards that are no longer listed."""
        listed = {shard.file for shard in self.snapshot.shards}
        for shard in shards:
            if shard.file in listed:
                continue
            # Windows does not remove what a process has mapped; it is swept up the next time.
            with suppress(OSError):
                (self._folder / shard.file).unlink(missing_ok=True)


def _open_listed(folder: Path, snapshot: Snapshot, number: int) -> ShardReader:
    entry = snapshot.shards[number]
    return open_shard(folder, entry, snapshot.schemas[entry.schema])


def _counts_up(indices: npt.NDArray[np.int64], size: int) -> bool:
    if len(indices) != size or indices[-1] - indices[0] != size - 1:
        return False
    return bool(np.all(np.diff(indices) == 1))
