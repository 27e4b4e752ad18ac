"""Shards as files in one folder, and how files are added to it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from minari_core.appending import check_fit, check_shapes, shards_of
from minari_core.columns import JsonValue, Schema
from minari_core.encoding import Episode
from minari_core.errors import DatasetDamagedError, DatasetWriteError, SpaceError
from minari_core.manifest import (
    Layout,
    Manifest,
    ShardEntry,
    check_updatable,
    checked_metadata,
    sync_file,
    write_manifest,
)
from minari_core.shard_data import ShardData
from minari_core.shard_joining import joinable_runs, joined
from minari_core.shard_reader import ShardReader, open_shard
from minari_core.sharded_storage import ShardedStorage
from minari_core.space_json import space_from_json
from minari_core.storage import Storage, check_spaces

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

_SMALL_SHARD_NBYTES = 1 << 20
_MOST_SMALL_SHARDS = 16


class Addition:
    """Shards on their way into a folder; nobody reads them before a manifest names them."""

    def __init__(self, folder: Path, layout: Layout, *, durable: bool) -> None:
        """Start from what the folder has.

        Args:
            folder: Where the shards go.
            layout: The shards before this addition.
            durable: Whether they must outlive a power cut.
        """
        self._folder = folder
        self._uid = layout.uid
        self._schemas = list(layout.schemas)
        self._shards = list(layout.shards)
        self._files = {shard.file for shard in layout.shards}
        self._episodes = layout.total_episodes
        self._created: list[Path] = []
        # Flushing a shard takes as long as writing it, so the next one is made meanwhile.
        self._flusher = _flusher() if durable else None
        self._flushed: list[Future[None]] = []

    @property
    def layout(self) -> Layout:
        """The shards before this addition, and those that were added."""
        return Layout(tuple(self._schemas), tuple(self._shards), self._uid)

    @property
    def total_episodes(self) -> int:
        """The episodes before this addition, and those that were added."""
        return self._episodes

    def write(self, data: ShardData) -> None:
        """Write a new shard.

        Raises:
            DataError: It does not fit the shards before it.
            DatasetWriteError: The file system refused.
        """
        # HDF5 takes long to import, and who only reads does without it.
        from minari_core.shard_file import write_shard

        schema = self._schema_index(data.schema)
        entry = write_shard(self._folder, data, schema, self._flush)
        self._created.append(self._folder / entry.file)
        self._append(entry)

    def take_over(self, source: ShardFolder, first: int, stop: int) -> None:
        """Take over shards ``first`` to ``stop`` of another folder without copying their data.

        Where there are many small ones among them, those are joined.

        Raises:
            DataError: They do not fit the shards before them.
            DatasetWriteError: The file system refused.
        """
        shards = source.layout.shards[first:stop]
        is_small = [shard.nbytes < _SMALL_SHARD_NBYTES for shard in shards]
        if sum(is_small) <= _MOST_SMALL_SHARDS:
            is_small = [False] * len(shards)
        for small, places in groupby(range(len(shards)), key=is_small.__getitem__):
            numbers = [first + place for place in places]
            if small:
                self.join(source, numbers)
                continue
            for number in numbers:
                self._link(source, source.layout.shards[number])

    def join(self, source: ShardFolder, numbers: Sequence[int]) -> None:
        """Write shards of another folder as one, or as few as their columns allow.

        Raises:
            DatasetWriteError: The file system refused.
        """
        layout = source.layout
        entries = [layout.shards[number] for number in numbers]
        described = [(layout.schemas[entry.schema], entry.episodes) for entry in entries]
        for run in joinable_runs(described):
            self.write(joined([source.shard(numbers[place]) for place in run]))

    def _link(self, source: ShardFolder, entry: ShardEntry) -> None:
        number = self._schema_index(source.layout.schemas[entry.schema])
        target = self._folder / entry.file
        # A shard may be there already, when a dataset is combined with itself.
        if entry.file not in self._files:
            try:
                _link_or_copy(source.data_path / entry.file, target)
                self._created.append(target)
                self._flush(target)
            except OSError as error:
                raise DatasetWriteError(f"could not put {target} in place: {error}") from error
        self._append(replace(entry, schema=number))

    def adopt(self, layout: Layout) -> None:
        """Add shards that lie in this folder already.

        Raises:
            DataError: They do not fit the shards before them.
        """
        for entry in layout.shards:
            number = self._schema_index(layout.schemas[entry.schema])
            self._append(replace(entry, schema=number))

    def finish(self) -> None:
        """Return when everything that was added outlives a power cut, if it has to.

        Raises:
            DatasetWriteError: The disk refused.
        """
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
        """Remove the files that were added."""
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
        if self._shards:
            check_fit(self._schemas[self._shards[0].schema], schema)
        if schema not in self._schemas:
            self._schemas.append(schema)
        return self._schemas.index(schema)


class ShardFolder(ShardedStorage):
    """Shards that lie as files in one folder, as a manifest in memory says.

    Only this object knows of what is added, until somebody links it into a dataset.
    """

    data_format: ClassVar[str] = "columnar"

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
        self._counts = [(s.rows, s.steps, s.episodes) for s in manifest.layout.shards]
        self._readers: dict[int, ShardReader] = {}

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as the folder and the manifest, without anything read."""
        return type(self), (self._folder, self._manifest)

    @property
    def layout(self) -> Layout:
        """Where the arrays of the shards lie."""
        return self._manifest.layout

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
        return sum({shard.file: shard.nbytes for shard in self.layout.shards}.values())

    def shard_counts(self) -> Sequence[tuple[int, int, int]]:
        """The rows, steps and episodes of each shard."""
        return self._counts

    def schemas(self) -> Sequence[Schema]:
        """Every schema that a shard has."""
        return self.layout.schemas

    def shard(self, number: int) -> ShardReader:
        """A shard that is ready to be read; its file is mapped at its first use."""
        reader = self._readers.get(number)
        if reader is None:
            entry = self.layout.shards[number]
            reader = open_shard(self._folder, entry, self.layout.schemas[entry.schema])
            self._readers[number] = reader
        return reader

    def _take(self, manifest: Manifest) -> None:
        """Go on with another manifest of the same dataset."""
        kept = len(self._counts)
        if manifest.layout.shards[:kept] != self.layout.shards:
            self._readers = {}
        self._manifest = manifest
        self._counts = [(s.rows, s.steps, s.episodes) for s in manifest.layout.shards]
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
        with self._adding() as addition:
            first = addition.total_episodes
            for data in shards:
                addition.write(data)
        return range(first, addition.total_episodes)

    def adopt(self, layout: Layout) -> range:
        """Add shards that lie in this folder already, where another object has put them.

        Args:
            layout: The shards, which follow one another.

        Returns:
            The indices of the episodes that end in them.
        """
        with self._adding() as addition:
            first = addition.total_episodes
            addition.adopt(layout)
        return range(first, addition.total_episodes)

    def append_storage(self, source: Storage, indices: Sequence[int] | None = None) -> range:
        """Add episodes of another storage, all or none; whole shards are linked, not copied."""
        if not isinstance(source, ShardFolder):
            return super().append_storage(source, indices)
        check_spaces(self, source)
        chosen = np.arange(source.total_episodes) if indices is None else np.asarray(indices)
        with self._adding() as addition:
            first_new = addition.total_episodes
            for whole, first, stop in source.runs(chosen):
                if whole:
                    addition.take_over(source, first, stop)
                else:
                    episodes = source.read_episodes(chosen[first:stop], copy=False)
                    for data in shards_of(episodes, self.observation_space, self.action_space):
                        addition.write(data)
        return range(first_new, addition.total_episodes)

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
        removed = self.layout.shards[shards:]
        layout = replace(self.layout, shards=self.layout.shards[:shards])
        self._take(replace(self._manifest, layout=layout))
        self._remove(removed)

    def update_metadata(self, changes: Mapping[str, object]) -> None:
        """Replace some keys of the metadata; see `Storage.update_metadata`."""
        check_updatable(changes)
        metadata = {**self._manifest.metadata, **checked_metadata(changes)}
        self._take(replace(self._manifest, metadata=metadata))

    def compact(self) -> None:
        """Join all shards that can be; episodes keep their indices.

        Shards stay apart only where a column appears that the shards before do not have.
        """
        with self._adding(keep=False) as addition:
            addition.join(self, range(len(self.layout.shards)))

    def fingerprint(self) -> str:
        """Text that changes whenever the stored episodes do."""
        shards = [(shard.file, shard.crc32, shard.rows) for shard in self.layout.shards]
        return f"{self.layout.uid} {shards}"

    def refresh(self) -> bool:
        """False: nothing else adds to it."""
        return False

    def save(self) -> None:
        """Write the manifest, so that others can open the folder as a dataset."""
        write_manifest(self._folder, self._manifest)

    @contextmanager
    def _adding(self, *, keep: bool = True) -> Iterator[Addition]:
        """Collect an addition, and take it over if the block succeeds.

        Args:
            keep: Whether it comes behind the shards that are there, or in their place.
        """
        start = self.layout if keep else replace(self.layout, shards=(), schemas=())
        addition = Addition(self._folder, start, durable=self._durable)
        try:
            yield addition
            addition.finish()
        except BaseException:
            addition.discard()
            raise
        replaced = () if keep else self.layout.shards
        self._take(replace(self._manifest, layout=addition.layout))
        self._remove(replaced)

    def _remove(self, shards: Iterable[ShardEntry]) -> None:
        for shard in shards:
            # Windows does not remove what a process has mapped; it is swept up the next time.
            with suppress(OSError):
                (self._folder / shard.file).unlink(missing_ok=True)


def _flusher() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # slow to import, for writers only

    return ThreadPoolExecutor(1)


def _counts_up(indices: npt.NDArray[np.int64], size: int) -> bool:
    if len(indices) != size or indices[-1] - indices[0] != size - 1:
        return False
    return bool(np.all(np.diff(indices) == 1))


def _link_or_copy(source: Path, target: Path) -> None:
    """Hard-link a shard, or copy it where the file system has no links; never half a file."""
    try:
        os.link(source, target)
        return
    except FileExistsError:
        # Left by a process that died before a manifest named it.
        if os.path.samefile(source, target):
            return
        target.unlink()
    except OSError:
        pass
    try:
        shutil.copyfile(source, target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
