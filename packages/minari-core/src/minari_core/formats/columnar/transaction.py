"""A transaction: shards are added to a folder, all or none."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from minari_core.columns import Schema
from minari_core.episodes.episode import EpisodeMetadata
from minari_core.episodes.fit import STRICT_GROUPS, check_schema_fits, widen_schema
from minari_core.episodes.shard_data import ShardData
from minari_core.errors import MinariError
from minari_core.files import link_or_copy, make_write_error, sync_file
from minari_core.formats.columnar.episode_entry import encode_entries_anew
from minari_core.formats.columnar.manifest import Snapshot
from minari_core.formats.columnar.small_shards import find_runs
from minari_core.formats.shards.entries_apart import leave_entries_out, make_entries_shard
from minari_core.formats.shards.entry import ShardEntry
from minari_core.formats.shards.file_check import read_shard
from minari_core.formats.shards.joining import find_joinable_runs, join_shards, widen_shard
from minari_core.formats.shards.levels import choose_joins, choose_runs
from minari_core.formats.shards.reader import ShardReader, open_shard
from minari_core.messages import warn_caller

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

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
        kept_apart: set[str] | None = None,
    ) -> None:
        """Begin a transaction.

        Args:
            folder: The folder that the shards are added to.
            snapshot: The shards before this transaction.
            durable: Flush added shards to the disk, so that they survive a power cut.
            widening: What happens to shards with another dtype.
            is_published: Whether the folder is a dataset, whose shards are not widened unsaid.
            kept_apart: The files of shards that could not be joined; others are added.
        """
        self._kept_apart = set() if kept_apart is None else kept_apart
        self._is_durable = durable
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
        self._added = 0
        self._files = {shard.file for shard in snapshot.shards}
        # Where shards lie that are linked at the end, unless they are joined before.
        self._waiting: dict[str, Path] = {}
        self._unflushed: set[str] = set()
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
        """Link shards ``first`` to ``stop - 1`` of another folder.

        Raises:
            DataError: They do not fit the shards before them.
        """
        for entry in source.snapshot.shards[first:stop]:
            self._link(source, entry)

    def link_all(self, source: ShardSource) -> None:
        """Link all shards of another folder, whose writers have flushed them to the disk.

        The name that a link adds survives a power cut together with the manifest, when the folder
        is flushed.

        Raises:
            DataError: They do not fit the shards before them.
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
        # A dataset that is combined with itself has the shard already.
        if entry.file not in self._files:
            self._waiting[entry.file] = source.data_path
            if not is_flushed:
                self._unflushed.add(entry.file)
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
        """Join small shards, link the others, and wait until all is flushed that has to be.

        Raises:
            DataError: A column cannot be widened without changing a number.
            DatasetWriteError: The disk refused.
        """
        if self._widening is Widening.NOW:
            self._widen_shards()
        if self._is_durable and self._added:
            self._join_small_shards()
        self.link_waiting()
        try:
            for flushed in self._flushed:
                flushed.result()
        except OSError as error:
            raise make_write_error(
                f"could not flush shards in {self._folder} to the disk", error
            ) from error
        if self._flusher is not None:
            self._flusher.shutdown()

    def link_waiting(self) -> None:
        """Link the shards of other folders that are to be linked.

        Raises:
            DatasetWriteError: The file system refused.
        """
        for file in dict.fromkeys(shard.file for shard in self._shards):
            source = self._waiting.pop(file, None)
            if source is None:
                continue
            target = self._folder / file
            try:
                is_linked = link_or_copy(source / file, target)
                self._created.append(target)
                if not is_linked or file in self._unflushed:
                    self._flush(target)
            except OSError as error:
                raise make_write_error(f"could not put {target} in place", error) from error

    def _join_small_shards(self) -> None:
        choose = choose_joins if self._is_published else choose_runs
        for run in find_runs(self._shards, self._schemas, self._added, choose, self._kept_apart):
            self._try_to_join(run)
        self._drop_unused_schemas()

    def _try_to_join(self, numbers: range) -> None:
        """Join shards that follow one another; if that fails, keep them apart from now on.

        What is added is committed without it, and nothing is made of a damaged shard that looks
        sound.
        """
        from minari_core.formats.shards.writer import write_shard

        shards = self._shards[numbers.start : numbers.stop]
        try:
            readers = [
                read_shard(self._locate(shard), shard, self._schemas[shard.schema])
                for shard in shards
            ]
            data = join_shards(readers, encode_entries_anew)
            joined = write_shard(self._folder, data, self._add_schema(data.schema))
            self._created.append(self._folder / joined.file)
            sync_file(self._folder / joined.file)
        except (MinariError, OSError):
            self._kept_apart.update(shard.file for shard in shards)
            return
        self._shards[numbers.start : numbers.stop] = [joined]
        self.replaced += shards

    def _locate(self, shard: ShardEntry) -> Path:
        """Return the folder that the file of a shard lies in."""
        return self._waiting.get(shard.file, self._folder)

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
        self._added += 1
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
            reader = open_shard(self._locate(shard), shard, self._schemas[shard.schema])
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
