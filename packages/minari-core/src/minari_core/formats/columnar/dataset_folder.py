"""The native format: immutable shards of flat columns, and the manifest that lists them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from minari_core.environments.given_spaces import NONE_GIVEN, GivenSpaces
from minari_core.errors import DatasetChangedError, DatasetDamagedError
from minari_core.files import MANIFEST_NAME, lock_dataset, make_write_error, sync_folder
from minari_core.formats.columnar.manifest import (
    Manifest,
    Snapshot,
    check_updatable,
    normalize_metadata,
    read_manifest,
    write_manifest,
)
from minari_core.formats.columnar.shard_folder import ShardFolder
from minari_core.formats.columnar.transaction import Transaction
from minari_core.formats.shards.reader import ShardReader, open_shard
from minari_core.json_values import JsonValue
from minari_core.storage.base import check_not_replaced


class ColumnarStorage(ShardFolder):
    """A published dataset; other processes may read it and add to it at the same time.

    A writer holds the dataset's lock, writes shards that no manifest lists yet, and then replaces
    the manifest. A reader keeps the manifest that it has read until `refresh`.
    """

    is_recording = False
    _is_swept = False

    @staticmethod
    def create(
        folder: Path,
        metadata: Mapping[str, JsonValue],
        given_spaces: GivenSpaces = NONE_GIVEN,
    ) -> ShardFolder:
        """Create an empty dataset in an empty folder, for one process to fill and then save.

        Args:
            folder: An existing folder.
            metadata: The metadata of the dataset; the spaces as JSON text.
            given_spaces: The spaces that stand for those whose types are unknown.
        """
        metadata = {**metadata, "data_format": ColumnarStorage.data_format}
        manifest = Manifest(metadata, Snapshot(uid=uuid.uuid4().hex))
        return ShardFolder(folder, manifest, given_spaces, durable=True)

    @classmethod
    def open(cls, folder: Path, given_spaces: GivenSpaces = NONE_GIVEN) -> ColumnarStorage:
        """Open a dataset; nothing but its manifest is read.

        Raises:
            DatasetNotFoundError: The folder holds no dataset.
            DatasetDamagedError: Its manifest is malformed.
            FormatError: It is of a newer version of the format.
        """
        return cls(folder, read_manifest(folder), given_spaces)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as the folder, and the spaces that were given."""
        return _reopen, (type(self), self._folder, self._given_spaces)

    def _make_opener(self, snapshot: Snapshot) -> Callable[[int], ShardReader]:
        return partial(_open_published, self._folder, snapshot)

    def refresh(self) -> bool:
        """Load the episodes that other processes added, and return whether there were any.

        Raises:
            DatasetChangedError: Another dataset has taken this one's place.
        """
        manifest = self._read_current()
        if manifest == self._manifest:
            return False
        self._use_manifest(manifest)
        return True

    def newer_episodes(self) -> int:
        """Return the number of episodes that others have added and `refresh` would load."""
        return self._read_current().snapshot.total_episodes - self.total_episodes

    def save(self) -> None:
        """Do nothing: whatever is added is saved at once."""

    def update_metadata(self, changes: Mapping[str, object]) -> None:
        """Replace some keys of the metadata in one step; see `Storage.update_metadata`."""
        check_updatable(self._manifest.metadata, changes)
        checked = normalize_metadata(changes)
        with lock_dataset(self._folder):
            manifest = self._read_current()
            manifest = replace(manifest, metadata={**manifest.metadata, **checked})
            write_manifest(self._folder, manifest)
            self._use_manifest(manifest)

    def _read_current(self) -> Manifest:
        manifest = read_manifest(self._folder)
        check_not_replaced(self._folder, is_same=manifest.snapshot.uid == self.snapshot.uid)
        return manifest

    @contextmanager
    def _open_transaction(self, *, keep: bool = True) -> Iterator[Transaction]:
        with lock_dataset(self._folder):
            self._use_manifest(self._read_current())
            start = self.snapshot if keep else replace(self.snapshot, shards=(), schemas=())
            transaction = Transaction(
                self._folder,
                start,
                durable=True,
                widening=self._widening,
                is_published=True,
                kept_apart=self._kept_apart,
            )
            try:
                yield transaction
                self._finish(transaction)
                manifest = replace(self._manifest, snapshot=transaction.snapshot)
                with _as_write_error(self._folder):
                    sync_folder(self._folder)
                write_manifest(self._folder, manifest)
            except BaseException:
                transaction.discard()
                raise
            self._use_manifest(manifest)
            if not keep or not self._is_swept:
                self._sweep()
            else:
                self._remove(transaction.replaced)

    def _sweep(self) -> None:
        """Remove the files that killed processes have left: shards that no manifest lists.

        No other process adds shards while the lock is held.
        """
        named = {shard.file for shard in self.snapshot.shards}
        left = (*self._folder.glob("shard-*.h5"), *self._folder.glob(f".{MANIFEST_NAME}.*"))
        for path in left:
            if path.name not in named:
                # Windows does not remove what a process has mapped.
                with suppress(OSError):
                    path.unlink()
        self._is_swept = True


def _open_published(folder: Path, snapshot: Snapshot, number: int) -> ShardReader:
    """Open a shard of a dataset.

    Raises:
        DatasetChangedError: The shard was removed when the dataset was rewritten meanwhile.
        DatasetDamagedError: The shard is missing, or damaged.
    """
    entry = snapshot.shards[number]
    try:
        return open_shard(folder, entry, snapshot.schemas[entry.schema])
    except FileNotFoundError as error:
        if entry not in read_manifest(folder).snapshot.shards:
            raise DatasetChangedError(
                f"{folder}: shard {entry.file} was replaced while this object was in use; load "
                "the dataset again"
            ) from error
        raise DatasetDamagedError(
            f"{folder / entry.file} is missing, though its manifest names it"
        ) from error


def _reopen(
    kind: type[ColumnarStorage], folder: Path, given_spaces: GivenSpaces
) -> ColumnarStorage:
    # A bound method would be pickled by way of its class, which some picklers follow for ever.
    return kind.open(folder, given_spaces)


@contextmanager
def _as_write_error(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise make_write_error(f"{folder} could not be flushed to the disk", error) from error
