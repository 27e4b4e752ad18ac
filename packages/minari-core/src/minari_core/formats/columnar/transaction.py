"""A transaction: shards are added to a folder, all or none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from minari_core.columns import Schema
from minari_core.episodes.episode import EpisodeMetadata
from minari_core.episodes.fit import STRICT_GROUPS, check_schema_fits, widen_schema
from minari_core.episodes.shard_data import ShardData
from minari_core.errors import DatasetWriteError
from minari_core.files import sync_file
from minari_core.formats.columnar.episode_entry import encode_entries_anew
from minari_core.formats.columnar.manifest import Snapshot
from minari_core.formats.shards.entries_apart import leave_entries_out, make_entries_shard
from minari_core.formats.shards.entry import ShardEntry
from minari_core.formats.shards.joining import find_joinable_runs, join_shards, widen_shard
from minari_core.formats.shards.reader import ShardReader, open_shard
from minari_core.messages import warn_caller

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

_SMALL_SHARD_NBYTES = 1 << 20
_MOST_SMALL_SHARDS = 16
_MOST_ENTRIES = 1 << 16
RECORDINGS_KEPT = 64
"""How many recordings a dataset remembers to have been committed to it."""


class ShardSource(Protocol):
    """A folder of shards that a transaction can take some from."""

    @property
    def data_path(self) -> Path:
        """The folder of the shards."""

    @property
    def snapshot(self) -> Snapshot:
        """The shards and their schemas."""

    def shard(self, number: int) -> ShardReader:
        """Open a shard for reading."""


class Widening(Enum):
    """The treatment of shards of another dtype than earlier ones, where a wider one holds both."""

    REFUSED = "refused"
    """They are an error."""
    LATER = "later"
    """They are added as they are; whoever takes them from here widens them."""
    NOW = "now"
    """Shards with a narrower dtype are written anew."""


class Transaction:
    """Shards that are added to a folder; nobody reads them before a manifest lists them."""

    def __init__(
        self,
        folder: Path,
        snapshot: Snapshot,
        *,
        durable: bool,
        widening: Widening = Widening.REFUSED,
        is_published: bool = False,
    ) -> None:
        """Begin a transaction.

        Args:
            folder: The folder that the shards are added to.
            snapshot: The shards before this transaction.
            durable: Flush added shards to the disk, so that they survive a power cut.
            widening: What happens to shards with another dtype.
            is_published: Whether the folder is a dataset, whose shards are not widened unsaid.
        """
        self._widening = widening
        self._widest: Schema | None = None
        self._is_published = is_published
        self.replaced: list[ShardEntry] = []
        """Shards that others have taken the place of."""
        self._folder = folder
        self._uid = snapshot.uid
        self._recordings = list(snapshot.recordings)
        self._schemas = list(snapshot.schemas)
        self._shards = list(snapshot.shards)
        self._files = {shard.file for shard in snapshot.shards}
        self._episodes = snapshot.total_episodes
        self._created: list[Path] = []
        # Flushing a shard takes as long as writing it, so the next one is written meanwhile.
        self._flusher = _flusher() if durable else None
        self._flushed: list[Future[None]] = []

    @property
    def snapshot(self) -> Snapshot:
        """The shards before this transaction, and those that were added."""
        recordings = tuple(self._recordings[-RECORDINGS_KEPT:])
        return Snapshot(tuple(self._schemas), tuple(self._shards), self._uid, recordings)

    @property
    def total_episodes(self) -> int:
        """The episodes before this transaction, and those that were added."""
        return self._episodes

    def allow_widening(self) -> None:
        """Rewrite shards with a narrower dtype where shards with a wider one are added."""
        if self._widening is Widening.REFUSED:
            self._widening = Widening.NOW

    def note_recording(self, uid: str) -> None:
        """Note the `uid` of a recording whose episodes are committed by this transaction."""
        if uid not in self._recordings:
            self._recordings.append(uid)

    def write(self, data: ShardData) -> None:
        """Write a new shard.

        Raises:
            DataError: It does not fit the shards before it.
            DatasetWriteError: The file system refused.
        """
        # HDF5 takes long to import, and reading needs none of it.
        from minari_core.formats.shards.writer import write_shard

        schema = self._schema_index(data.schema)
        entry = write_shard(self._folder, data, schema, self._flush)
        self._created.append(self._folder / entry.file)
        self._append(entry)

    def link_range(self, source: ShardSource, first: int, stop: int) -> None:
        """Link shards ``first`` to ``stop - 1`` of another folder; join them where many are small.

        Raises:
            DataError: They do not fit the shards before them.
            DatasetWriteError: The file system refused.
        """
        shards = source.snapshot.shards[first:stop]
        is_small = [shard.nbytes < _SMALL_SHARD_NBYTES for shard in shards]
        if sum(is_small) <= _MOST_SMALL_SHARDS:
            is_small = [False] * len(shards)
        for small, run in groupby(range(len(shards)), key=is_small.__getitem__):
            if small:
                self.join(source, [first + index for index in run])
            else:
                for index in run:
                    self._link(source, shards[index])

    def link_all(self, source: ShardSource) -> None:
        """Link all shards of another folder as they are, however small.

        Their writers have flushed them to the disk. The name that a link adds survives a power cut
        together with the manifest, when the folder is flushed.

        Raises:
            DataError: They do not fit the shards before them.
            DatasetWriteError: The file system refused.
        """
        for entry in source.snapshot.shards:
            self._link(source, entry, is_flushed=True)

    def join(self, source: ShardSource, numbers: Sequence[int]) -> None:
        """Write shards of another folder as one, or as few as their schemas allow.

        Raises:
            DatasetWriteError: The file system refused.
        """
        snapshot = source.snapshot
        entries = [snapshot.shards[number] for number in numbers]
        schemas = [snapshot.schemas[entry.schema] for entry in entries]
        for run in find_joinable_runs(schemas):
            shards = [source.shard(numbers[index]) for index in run]
            self.write(join_shards(shards, encode_entries_anew))

    def _link(self, source: ShardSource, entry: ShardEntry, *, is_flushed: bool = False) -> None:
        number = self._schema_index(source.snapshot.schemas[entry.schema])
        target = self._folder / entry.file
        # A dataset that is combined with itself has the shard already.
        if entry.file not in self._files:
            try:
                is_linked = _link_or_copy(source.data_path / entry.file, target)
                self._created.append(target)
                if not (is_linked and is_flushed):
                    self._flush(target)
            except OSError as error:
                raise DatasetWriteError(f"could not put {target} in place: {error}") from error
        self._append(replace(entry, schema=number))

    def adopt(self, snapshot: Snapshot) -> None:
        """Add shards that are already in this folder.

        Raises:
            DataError: They do not fit the shards before them.
        """
        for entry in snapshot.shards:
            number = self._schema_index(snapshot.schemas[entry.schema])
            self._append(replace(entry, schema=number))

    def replace_entries(self, number: int, episodes: Sequence[EpisodeMetadata]) -> None:
        """Replace the entries of the episodes that end in a shard, whose rows stay as they are.

        Args:
            number: The index of the shard.
            episodes: What the entries are to say, in their order.

        Raises:
            DatasetWriteError: The file system refused.
        """
        from minari_core.formats.shards.writer import write_shard

        shard = self._shards[number]
        schema = self._schemas[shard.schema]
        new: list[ShardEntry] = []
        if shard.rows or shard.steps:
            new.append(leave_entries_out(shard, schema))
        else:
            self.replaced.append(shard)
        for first in range(0, len(episodes), _MOST_ENTRIES):
            data = make_entries_shard(schema, episodes[first : first + _MOST_ENTRIES])
            new.append(
                write_shard(self._folder, data, self._schema_index(data.schema), self._flush)
            )
            self._created.append(self._folder / new[-1].file)
        self._shards[number : number + 1] = new
        self._files.update(entry.file for entry in new)
        self._drop_unused_schemas()

    def finish(self) -> None:
        """Wait until all added shards are flushed to the disk, if they have to be.

        Raises:
            DataError: A column cannot be widened without changing a number.
            DatasetWriteError: The disk refused.
        """
        if self._widening is Widening.NOW:
            self._widen_shards()
        try:
            for flushed in self._flushed:
                flushed.result()
        except OSError as error:
            raise DatasetWriteError(
                f"could not flush shards in {self._folder} to the disk: {error}"
            ) from error
        if self._flusher is not None:
            self._flusher.shutdown()

    def discard(self) -> None:
        """Delete the files that were added."""
        if self._flusher is not None:
            self._flusher.shutdown(cancel_futures=True)
        for path in self._created:
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def _flush(self, path: Path) -> None:
        if self._flusher is not None:
            self._flushed.append(self._flusher.submit(sync_file, path))

    def _append(self, entry: ShardEntry) -> None:
        self._shards.append(entry)
        self._files.add(entry.file)
        self._episodes += entry.episodes

    def _schema_index(self, schema: Schema) -> int:
        widest = self._find_widest()
        if widest is not None:
            wider = widen_schema(widest, schema)
            if wider is None or self._widening is Widening.REFUSED:
                check_schema_fits(widest, schema)
            widest = wider
        self._widest = widest or schema
        return self._add_schema(schema)

    def _find_widest(self) -> Schema | None:
        """Find the schema that holds the values of all shards; None if there is no shard."""
        if self._widest is None and self._shards:
            used = [self._schemas[number] for number in {s.schema for s in self._shards}]
            widest = self._schemas[self._shards[0].schema]
            for schema in used:
                widest = widen_schema(widest, schema) or widest
            self._widest = widest
        return self._widest

    def _add_schema(self, schema: Schema) -> int:
        if schema not in self._schemas:
            self._schemas.append(schema)
        return self._schemas.index(schema)

    def _widen_shards(self) -> None:
        """Rewrite the shards whose columns are narrower than those of others."""
        from minari_core.formats.shards.writer import write_shard

        widest = self._find_widest()
        if widest is None:
            return
        wider = [widen_schema(schema, widest) or schema for schema in self._schemas]
        narrow = dict.fromkeys(
            shard
            for shard in self._shards
            if wider[shard.schema] is not self._schemas[shard.schema]
        )
        if not narrow:
            return
        if self._is_published:
            self._warn_widened(list(narrow), wider)
        new: dict[ShardEntry, ShardEntry] = {}
        for shard in narrow:
            reader = open_shard(self._folder, shard, self._schemas[shard.schema])
            data = widen_shard(join_shards([reader], encode_entries_anew), wider[shard.schema])
            number = self._add_schema(data.schema)
            new[shard] = write_shard(self._folder, data, number, self._flush)
            self._created.append(self._folder / new[shard].file)
        self._shards = [new.get(shard, shard) for shard in self._shards]
        self.replaced += narrow
        self._drop_unused_schemas()

    def _drop_unused_schemas(self) -> None:
        used = sorted({shard.schema for shard in self._shards})
        self._schemas = [self._schemas[number] for number in used]
        self._shards = [replace(shard, schema=used.index(shard.schema)) for shard in self._shards]

    def _warn_widened(self, narrow: Sequence[ShardEntry], wider: Sequence[Schema]) -> None:
        columns = dict.fromkeys(
            text
            for number in dict.fromkeys(shard.schema for shard in narrow)
            for group in STRICT_GROUPS
            for text in self._schemas[number]
            .groups[group]
            .list_widened(wider[number].groups[group], group)
        )
        nbytes = sum(shard.nbytes for shard in narrow)
        warn_caller(
            f"{', '.join(columns)}: the dataset in {self._folder} and what is added to it differ, "
            f"and the wider dtype holds all numbers exactly; {nbytes} bytes are written anew"
        )


def _flusher() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # slow to import, for writers only

    return ThreadPoolExecutor(1)


def _link_or_copy(source: Path, target: Path) -> bool:
    """Hard-link a shard, or copy it where the file system has no links; never half a file.

    Returns:
        Whether the shard was linked rather than copied.
    """
    try:
        os.link(source, target)
        return True
    except FileExistsError:
        # A process that died before a manifest listed it has left it.
        if os.path.samefile(source, target):
            return True
        target.unlink()
    except OSError:
        pass
    try:
        shutil.copyfile(source, target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return False
