"""Read episodes from shards, whether the shards are on disk or in memory."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby, repeat
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from minari_core.columns import (
    AXES,
    Column,
    Schema,
    StructColumn,
    fill_missing_keys,
    join_pieces,
    merge_columns,
)
from minari_core.episodes.episode import EpisodeData, EpisodeMetadata
from minari_core.episodes.fit import STRICT_GROUPS
from minari_core.errors import DataError, DatasetChangedError, DatasetDamagedError
from minari_core.formats.columnar.episode_ends import (
    FLAGS,
    find_early_ends,
    find_unknown_finals,
    may_have_unknown_finals,
)
from minari_core.formats.columnar.episode_entry import decode_entry
from minari_core.formats.columnar.episode_index import EpisodeIndex, Piece, ShardBorders
from minari_core.formats.columnar.episode_reading import EpisodeReader, bind_episodes
from minari_core.formats.shards.joining import GROUPS_WITH_KEYS
from minari_core.formats.shards.reader import OpenShards, ShardReader
from minari_core.storage.base import Storage, check_episode_index

ENTRIES_READ_AT_ONCE = 1024
_FEWEST_LOCATED_AT_ONCE = 4
_MOST_LOCATED_AT_ONCE = 1024
_Read = TypeVar("_Read")


class ShardedStorage(Storage):
    """A storage of shards; a subclass opens and adds them."""

    def __init__(self) -> None:
        """Start without reading anything."""
        self._index: EpisodeIndex | None = None
        self._borders: ShardBorders | None = None
        self._early_ends: tuple[EpisodeIndex, npt.NDArray[np.int64]] | None = None
        self._unions: dict[str, StructColumn] | None = None
        self._wider: dict[str, Column | None] = {}
        self._same_columns: bool | None = None

    @abstractmethod
    def shard_counts(self) -> Sequence[tuple[int, int, int]]:
        """Return the rows, steps and episodes of each shard."""

    @property
    @abstractmethod
    def open_shards(self) -> OpenShards:
        """The readers of the shards by their indices; it refers to no storage."""

    def shard(self, number: int) -> ShardReader:
        """Return the reader of a shard."""
        return self.open_shards[number]

    @property
    def fetches_rows(self) -> bool:
        """Whether rows are read from a remote, so that it saves time to fetch many at once."""
        return False

    @property
    def is_at_hand(self) -> bool:
        """Whether nothing has to be fetched any more, as far as is known."""
        return True

    @property
    def url(self) -> str | None:
        """The address of the data folder on a remote; None if it is on this machine."""
        return None

    def fetch_rows(
        self, paths: Sequence[str], rows: Sequence[Piece], steps: Sequence[Piece]
    ) -> None:
        """Fetch rows of columns, all at once, before they are read one after the other.

        Args:
            paths: Column groups, or columns inside them.
            rows: A shard, the first row and the last + 1 of each run, for groups that have rows.
            steps: The same for groups that have steps.
        """

    @abstractmethod
    def schemas(self) -> Sequence[Schema]:
        """Return every schema that a shard has."""

    def check_column(self, name: str) -> None:
        """Raise if a column cannot be sampled; a mixture has columns that its datasets differ in.

        Args:
            name: A column group, or a column inside it.

        Raises:
            IncompatibleDatasetsError: The datasets store it in different ways.
        """

    @property
    def dataset_starts(self) -> npt.NDArray[np.int64] | None:
        """The first episode of each dataset of a mixture, and the number of all; else None."""
        return None

    @property
    def total_episodes(self) -> int:
        """The number of episodes."""
        return sum(episodes for _, _, episodes in self.shard_counts())

    @property
    def total_steps(self) -> int:
        """The number of steps of all episodes."""
        return sum(steps for _, steps, _ in self.shard_counts())

    @property
    def borders(self) -> ShardBorders:
        """The first row, step and episode of each shard; nothing of these is read for it."""
        if self._borders is None:
            self._borders = ShardBorders(self.shard_counts())
        return self._borders

    @property
    def index(self) -> EpisodeIndex:
        """The index of the episodes; built at first use."""
        if self._index is None:
            self._index = self.read_current(self._read_index)
        return self._index

    def read_current(self, read: Callable[[], _Read]) -> _Read:
        """Read from shards; as often as others join these meanwhile, from those that there are.

        Episodes, rows and steps keep their numbers through that, which shards do not.

        Args:
            read: Reads what does not depend on numbers of shards that were found before.

        Raises:
            DatasetChangedError: The dataset was rewritten in another way.
        """
        while True:
            before = self._index
            try:
                found = read()
            except DatasetChangedError:
                if not self.refresh():
                    raise
            else:
                if before is None or self._index is before:
                    return found

    def _read_index(self) -> EpisodeIndex:
        counts = self.shard_counts()
        lengths = [
            self._read_lengths(number, episodes)
            for number, (_, _, episodes) in enumerate(counts)
            if episodes
        ]
        joined = np.concatenate(lengths) if lengths else np.zeros(0, dtype=np.int64)
        joined.flags.writeable = False
        unknown = None
        if any(map(may_have_unknown_finals, self.schemas())):
            found = [find_unknown_finals(self.shard(number)) for number in range(len(counts))]
            unknown = np.concatenate(found) if any(part.any() for part in found) else None
        try:
            return EpisodeIndex(joined, counts, unknown)
        except DatasetDamagedError as error:
            where = self.data_path or self.data_format
            raise DatasetDamagedError(f"{where}: {error}") from error

    def _read_lengths(self, number: int, episodes: int) -> npt.NDArray[np.int64]:
        lengths: npt.NDArray[np.int64] = self._entries(number, 0, episodes)["length"]
        return lengths

    def early_ends(self) -> npt.NDArray[np.int64]:
        """Return the steps that ended an episode although more steps of it follow.

        Earlier releases stored such episodes. All flags are read, once.

        Returns:
            The steps, counted through all shards, in ascending order.
        """
        if self._early_ends is None or self._early_ends[0] is not self.index:
            self._early_ends = self.read_current(self._find_early_ends)
        return self._early_ends[1]

    def _find_early_ends(self) -> tuple[EpisodeIndex, npt.NDArray[np.int64]]:
        index = self.index
        flags = [
            (int(first), self.shard(number).array(name))
            for name in FLAGS
            for number, first in enumerate(self.borders["steps"][:-1])
        ]
        return index, find_early_ends(index.starts, flags)

    def episode_lengths(self) -> npt.NDArray[np.int64]:
        """Return the number of steps of each episode, shape (total_episodes,); read-only."""
        return self.index.lengths

    def read_episodes(self, indices: Iterable[int], *, copy: bool = True) -> Iterator[EpisodeData]:
        """Read episodes in the order of their indices; see `Storage.read_episodes`."""
        if isinstance(indices, np.ndarray):
            indices = indices.tolist()
        if not isinstance(indices, Sequence) or len(indices) < _FEWEST_LOCATED_AT_ONCE:
            # Which episode an iterator asks for next may depend on those that were read.
            yield from (self._read_one(episode, copy) for episode in indices)
            return
        for start in range(0, len(indices), _MOST_LOCATED_AT_ONCE):
            yield from self._read_many(indices[start : start + _MOST_LOCATED_AT_ONCE], copy)

    def _read_many(self, indices: Sequence[int], copy: bool) -> Iterator[EpisodeData]:
        """Read episodes that are located all at once, if each lies in one shard, as nearly all."""
        index, located = self.index, self._locate_many(indices)
        count = opened = 0
        read: EpisodeReader | None = None
        for number, shard, row, step, entry, length, is_unknown in located:
            if read is None or shard != opened:
                if self._index is not index:
                    break  # shards were added or joined meanwhile, and have other numbers
                try:
                    reader = self.shard(shard)
                    read, opened = bind_episodes(reader, reader, copy=copy), shard
                except DatasetChangedError:
                    break
            yield read(number, row, step, entry, length, is_unknown)
            count += 1
        for number in indices[count:]:
            yield self._read_one(number, copy)

    def _locate_many(
        self, indices: Sequence[int]
    ) -> Iterable[tuple[int, int, int, int, int, int, bool]]:
        """Return the index of each episode, its shard, and what its reader is given.

        Returns:
            Nothing if they are to be looked at one by one.
        """
        index = self.index
        if set(map(type, indices)) != {int} or not self._has_same_columns():
            return ()
        if min(indices) < 0 or max(indices) >= len(index):
            return ()
        numbers = np.array(indices, dtype=np.int64)
        located = index.locate_whole(numbers)
        if located is None:
            return ()
        unknown = index.unknown_finals
        are_unknown = repeat(False) if unknown is None else unknown.take(numbers).tolist()
        return zip(indices, *(column.tolist() for column in located), are_unknown, strict=False)

    def _read_one(self, episode: int, copy: bool) -> EpisodeData:
        number = check_episode_index(episode, len(self.index))
        return self.read_current(partial(self._read_episode, number, copy))

    def _read_episode(self, number: int, copy: bool) -> EpisodeData:
        index = self.index
        rows, steps = index.locate(number)
        shard, entry = index.entry(number)
        is_unknown = index.unknown_finals is not None and bool(index.unknown_finals[number])
        is_together = len(rows) == len(steps) == 1 and rows[0][0] == steps[0][0]
        if not is_together or not self._has_same_columns():
            try:
                return EpisodeData(
                    number,
                    self._read("observations", _leave_last_out(rows) if is_unknown else rows, copy),
                    self._read("actions", steps, copy),
                    self._read("rewards", steps, copy),
                    self._read("terminations", steps, copy),
                    self._read("truncations", steps, copy),
                    self._read("infos", rows, copy),
                    *decode_entry(self._entries(shard, entry, entry + 1), 0),
                    self._read("extras", rows, copy),
                )
            except DataError as error:
                raise DataError(f"episode {number}: {error}") from error
        # Nearly all episodes lie in one shard, so there is nothing to concatenate.
        (holder, row, _), (_, step, step_stop) = rows[0], steps[0]
        # An entry that was changed lies in a shard after that of the rows.
        read = bind_episodes(self.shard(holder), self.shard(shard), copy=copy)
        return read(number, row, step, entry, step_stop - step, is_unknown)

    def read_rows(
        self, index: int, group: str, start: int, stop: int, *, copy: bool = True
    ) -> object:
        """Read some rows of one column group of an episode; see `Storage.read_rows`."""
        number = check_episode_index(index, self.total_episodes)
        return self.read_current(
            lambda: self._read(group, self._locate_rows(number, group, start, stop), copy)
        )

    def _locate_rows(self, number: int, group: str, start: int, stop: int) -> list[Piece]:
        rows, steps = self.index.locate(number)
        pieces = rows if AXES[group] == "rows" else steps
        unknown = self.index.unknown_finals
        if group == "observations" and unknown is not None and unknown[number]:
            pieces = _leave_last_out(pieces)
        return limit_pieces(pieces, start, stop)

    def _has_same_columns(self) -> bool:
        """Return whether all shards have the same columns, but for those of entries."""
        if self._same_columns is None:
            schemas = self.schemas()
            self._same_columns = all(
                name == "episodes" or column == schemas[0].groups[name]
                for schema in schemas[1:]
                for name, column in schema.groups.items()
            )
        return self._same_columns

    def read_episode_metadata(self, indices: Iterable[int]) -> Iterator[EpisodeMetadata]:
        """Read what is stored about episodes without reading their steps."""
        index = self.index
        numbers = [check_episode_index(episode, len(index)) for episode in indices]
        lengths = index.lengths
        # Neighbours in one shard are decoded together, which speeds up reading all of them.
        for _, run in groupby(enumerate(numbers), key=lambda item: item[1] - item[0]):
            wanted = [number for _, number in run]
            while wanted:
                shard, first = index.entry(wanted[0])
                count = min(self.shard_counts()[shard][2] - first, ENTRIES_READ_AT_ONCE)
                taken, wanted = wanted[:count], wanted[count:]
                try:
                    entries = self._entries(shard, first, first + len(taken))
                except DatasetChangedError:
                    if not self.refresh():
                        raise
                    index, wanted = self.index, taken + wanted
                    continue
                for row, number in enumerate(taken):
                    entry = decode_entry(entries, row)
                    yield EpisodeMetadata(number, int(lengths[number]), *entry)

    def _read(self, group: str, pieces: list[Piece], copy: bool) -> Any:
        values = []
        for shard, start, stop in pieces:
            value = self.shard(shard).read(group, start, stop, copy=copy)
            if group in GROUPS_WITH_KEYS and len(self.schemas()) > 1:
                value = fill_missing_keys(value, self._union(group), stop - start)
            values.append(value)
        if group in STRICT_GROUPS and len(self.schemas()) > 1:
            wider = self._find_wider(group)
            if wider is not None:
                try:
                    values = [wider.cast_value(value, group) for value in values]
                except DataError:
                    self._cast_each(wider, group, pieces)
                    raise
        counts = [stop - start for _, start, stop in pieces]
        return values[0] if len(values) == 1 else join_pieces(values, counts)

    def check_casts(self, wider: Schema, first: int = 0) -> None:
        """Check that wider columns hold all observations and actions exactly.

        Args:
            wider: The columns.
            first: The number that errors give the first episode.

        Raises:
            DataError: A number is not held; the message names its episode and step.
        """
        for episode in range(len(self.index)):
            rows, steps = self.index.locate(episode)
            try:
                for group, pieces in (("observations", rows), ("actions", steps)):
                    self._check_cast(wider.groups[group], group, pieces)
            except DataError as error:
                raise DataError(f"episode {first + episode}: {error}") from error

    def _check_cast(self, wider: Column, group: str, pieces: list[Piece]) -> None:
        try:
            for shard, start, stop in pieces:
                wider.cast_value(self.shard(shard).read(group, start, stop, copy=False), group)
        except DataError:
            self._cast_each(wider, group, pieces)
            raise

    def _cast_each(self, wider: Column, group: str, pieces: list[Piece]) -> None:
        """Cast row by row, so that the error for a number that changes names its step."""
        rows = ((shard, row) for shard, start, stop in pieces for row in range(start, stop))
        for step, (shard, row) in enumerate(rows):
            value = self.shard(shard).read(group, row, row + 1, copy=False)
            wider.cast_value(value, f"{group} of step {step}")

    def _find_wider(self, group: str) -> Column | None:
        """Return the column that holds the values of all shards, if they have different ones.

        Only a recording has, until a dataset is made of it.
        """
        if group not in self._wider:
            columns = [schema.groups[group] for schema in self.schemas()]
            wider = columns[0]
            for column in columns:
                wider = wider.find_wider(column) or wider
            is_same = all(column == wider for column in columns)
            self._wider[group] = None if is_same else wider
        return self._wider[group]

    def _entries(self, shard: int, start: int, stop: int) -> dict[str, Any]:
        entries: dict[str, Any] = self.shard(shard).read("episodes", start, stop, copy=False)
        return entries

    def _union(self, group: str) -> StructColumn:
        """Return all keys that any shard has in a column group whose keys may differ."""
        if self._unions is None:
            self._unions = {
                name: merge_columns([schema.groups[name] for schema in self.schemas()])
                for name in GROUPS_WITH_KEYS
            }
        return self._unions[group]

    def _forget_index(self) -> None:
        """Rebuild the index at its next use, because shards were added."""
        self._index = None
        self._borders = None
        self._unions = None
        self._wider = {}
        self._same_columns = None


def limit_pieces(pieces: list[Piece], start: int, stop: int) -> list[Piece]:
    """Keep the rows of an episode from ``start`` to ``stop - 1``; one empty piece if none."""
    limited: list[Piece] = []
    before = 0
    for shard, first, last in pieces:
        inside = max(first, first + start - before), min(last, first + stop - before)
        if inside[0] < inside[1]:
            limited.append((shard, *inside))
        before += last - first
    shard, first, _ = pieces[0]
    return limited or [(shard, first, first)]


def _leave_last_out(pieces: list[Piece]) -> list[Piece]:
    """Leave the last row out, which a placeholder stands in."""
    *others, (shard, start, stop) = pieces
    return [*others, (shard, start, stop - 1)] if stop - start > 1 else others
