"""A columnar dataset that is read from a source of byte ranges, and never written to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from minari_core.columns import AXES, read_whole
from minari_core.environments.given_spaces import (
    NONE_GIVEN,
    GivenSpaces,
    check_given,
    select_needed,
)
from minari_core.episodes.episode import EpisodeData, EpisodeMetadata
from minari_core.errors import (
    DatasetChangedError,
    DatasetDamagedError,
    DatasetWriteError,
    FormatError,
)
from minari_core.files import MANIFEST_NAME
from minari_core.formats.columnar.episode_entry import decode_entry
from minari_core.formats.columnar.episode_index import Piece
from minari_core.formats.columnar.episode_reading import bind_episodes
from minari_core.formats.columnar.listed_shards import ListedShards
from minari_core.formats.columnar.manifest import (
    SNAPSHOT_KEY,
    Manifest,
    Snapshot,
    get_data_format,
    parse_manifest,
)
from minari_core.formats.columnar.reading import ENTRIES_READ_AT_ONCE, limit_pieces
from minari_core.formats.shards.entries_apart import ENTRIES
from minari_core.formats.shards.entry import LENGTHS
from minari_core.formats.shards.reader import OpenShards, ShardReader
from minari_core.formats.shards.trailer import read_block_checksums
from minari_core.formats.streamed.arrays import StreamedFile
from minari_core.formats.streamed.episode_runs import find_runs
from minari_core.formats.streamed.shard import StreamedShard
from minari_core.ranges.cached_objects import read_once
from minari_core.ranges.source import RangeSource
from minari_core.ranges.statistics import StreamStatistics
from minari_core.ranges.stream import Stream
from minari_core.ranges.threads import read_ahead, run_each
from minari_core.storage.base import check_episode_index
from minari_core.storage.read_only import ReadOnlyStorage

_LARGEST_MANIFEST = 1 << 30
# So much is read together and held in memory, and so often at once.
_RUN_NBYTES = 2 << 20
_AHEAD_NBYTES, _MOST_AHEAD = 64 << 20, 8


class StreamStorage(ReadOnlyStorage, ListedShards):
    """A published dataset that somebody else may add to, read through the cache of streams."""

    def __init__(
        self,
        source: RangeSource,
        manifest_text: bytes,
        cache_nbytes: int,
        given_spaces: GivenSpaces = NONE_GIVEN,
    ) -> None:
        """Open a dataset whose manifest was read; see `open_stream_storage`."""
        self._source = source
        self._text = manifest_text
        self._cache_nbytes = cache_nbytes
        super().__init__(_parse(source, manifest_text), source.url, given_spaces)
        self._open(self.snapshot)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the source and the manifest, so that who unpickles reads the same."""
        arguments = self._source, self._text, self._cache_nbytes, self._given_spaces
        return type(self), arguments

    def _open(self, snapshot: Snapshot) -> None:
        sizes = [(shard.file, shard.nbytes) for shard in snapshot.shards]
        check = partial(_check_unchanged, self._source, snapshot)
        self._stream = Stream(
            self._source, snapshot.uid, sizes, self._cache_nbytes, check, read_block_checksums
        )
        self._open_shards = OpenShards(partial(_open_shard, self._stream, snapshot))

    @property
    def url(self) -> str:
        """The address of the data folder on its remote."""
        return self._source.url

    @property
    def is_at_hand(self) -> bool:
        """Whether all of it is known to be in the cache."""
        return self._stream.generation.is_whole

    @property
    def stream(self) -> Stream:
        """The files of the shards, in their order."""
        return self._stream

    @property
    def open_shards(self) -> OpenShards:
        """The readers of the shards."""
        return self._open_shards

    @property
    def data_path(self) -> None:
        """None: the dataset is not on this machine's disk."""
        return None

    def read_statistics(self) -> StreamStatistics:
        """Return what was asked of the source in this process."""
        return self._stream.read_statistics()

    def refresh(self) -> bool:
        """Load the episodes that others have added, and return whether there were any.

        Raises:
            DatasetChangedError: Another dataset has taken this one's place.
        """
        text = _read_manifest_text(self._source)
        if text == self._text:
            return False
        manifest = _parse(self._source, text)
        _check_uid(self._source, manifest, self.uid)
        self._text = text
        self._list(manifest)
        self._open(manifest.snapshot)
        return True

    def newer_episodes(self) -> int:
        """Return the number of episodes that others have added and `refresh` would load."""
        manifest = _parse(self._source, _read_manifest_text(self._source))
        _check_uid(self._source, manifest, self.uid)
        return manifest.snapshot.total_episodes - self.total_episodes

    def fingerprint(self) -> str:
        """Return text that changes whenever the steps that are stored do."""
        shards = [(shard.file, shard.crc32, shard.rows) for shard in self.snapshot.shards]
        return f"{self.uid} {[shard for shard in shards if shard[2]]}"

    def _read_lengths(self, number: int, episodes: int) -> npt.NDArray[np.int64]:
        lengths = read_whole(self.shard(number).array(LENGTHS))
        if lengths is None or lengths.shape != (episodes,) or lengths.dtype.kind not in "iu":
            raise DatasetDamagedError(f"{self.shard(number).name} has no lengths of its episodes")
        return lengths.astype(np.int64)

    def _read_index(self):  # type: ignore[no-untyped-def]  # as in the base
        counts = self.shard_counts()
        run_each(
            lambda number: read_whole(self.shard(number).array(LENGTHS)),
            [number for number, (_, _, episodes) in enumerate(counts) if episodes],
        )
        return super()._read_index()

    @property
    def fetches_rows(self) -> bool:
        """True."""
        return True

    def fetch_rows(
        self, paths: Sequence[str], rows: Sequence[Piece], steps: Sequence[Piece]
    ) -> None:
        """Fetch rows of columns, all at once; see `ShardedStorage.fetch_rows`."""
        runs: dict[int, list[tuple[int, int]]] = {}
        for axis, pieces in enumerate((rows, steps)):
            for shard, start, stop in pieces:
                runs.setdefault(shard, [(0, 0), (0, 0)])[axis] = start, stop

        def fetch(number: int) -> None:
            shard = self.shard(number)
            if isinstance(shard, StreamedShard):
                shard.fetch(paths, *runs[number])

        run_each(fetch, list(runs))

    def read_episodes(self, indices: Iterable[int], *, copy: bool = True) -> Iterator[EpisodeData]:
        """Read episodes in the order of their indices, some of them ahead."""
        if isinstance(indices, np.ndarray):
            indices = indices.tolist()
        if not isinstance(indices, Sequence) or len(indices) < 2:
            # Which episode an iterator asks for next may depend on those that were read.
            for episode in indices:
                yield from self._read_run(episode, episode, copy)
            return
        mean_nbytes = max(self._estimate_episode(), 1)
        runs = _find_runs(indices, max(_RUN_NBYTES // mean_nbytes, 1))
        ahead = min(max(_AHEAD_NBYTES // mean_nbytes, 1), _MOST_AHEAD)
        for run in read_ahead(lambda run: self._read_run(run[0], run[-1], copy), runs, ahead):
            yield from run

    def _estimate_episode(self) -> int:
        """Return about how many bytes an episode has in memory."""
        rows = self.borders["rows"][-1] / max(self.total_episodes, 1)
        arrays = (spec for schema in self.schemas()[:1] for spec in schema.arrays)
        return int(rows * sum(spec.dtype.itemsize * math.prod(spec.row_shape) for spec in arrays))

    def _read_run(self, first: int, last: int, copy: bool) -> list[EpisodeData]:
        """Read episodes that follow each other, whose bytes are fetched together."""
        first, last = (check_episode_index(each, self.total_episodes) for each in (first, last))
        return self.read_current(partial(self._read_located, first, last, copy))

    def _read_located(self, first: int, last: int, copy: bool) -> list[EpisodeData]:
        runs = find_runs(self, first, last) if self._has_same_columns() else None
        if runs is None:
            self.fetch_rows(list(AXES), *self.index.locate_run(first, last))
            return [self._read_episode(number, copy) for number in range(first, last + 1)]
        found: list[EpisodeData] = []
        for run in runs:
            shard = self.shard(run.shard)
            if isinstance(shard, StreamedShard):
                shard.fetch(list(AXES), run.rows, run.steps, run.entries)
            read = bind_episodes(shard, shard, copy=copy)
            for place in run.list_episodes(shard):
                found.append(read(first + len(found), *place))
        return found

    def read_episode_metadata(self, indices: Iterable[int]) -> Iterator[EpisodeMetadata]:
        """Read what is stored about episodes without reading their steps, some of it ahead."""
        numbers = [check_episode_index(episode, self.total_episodes) for episode in indices]
        runs = _find_runs(numbers, ENTRIES_READ_AT_ONCE)

        def read(run: range) -> list[EpisodeMetadata]:
            return self.read_current(lambda: self._read_entries(run))

        for found in read_ahead(read, runs, _MOST_AHEAD):
            yield from found

    def _read_entries(self, run: range) -> list[EpisodeMetadata]:
        found: list[EpisodeMetadata] = []
        for number, start, stop in self.borders.split("episodes", run.start, run.stop):
            shard = self.shard(number)
            if isinstance(shard, StreamedShard):
                shard.fetch([ENTRIES], (0, 0), (0, 0), (start, stop))
            entries = self._entries(number, start, stop)
            for row, length in enumerate(entries["length"].tolist()):
                entry = decode_entry(entries, row)
                found.append(EpisodeMetadata(run.start + len(found), length, *entry))
        return found

    def _locate_rows(self, number: int, group: str, start: int, stop: int) -> list[Piece]:
        runs = find_runs(self, number, number)
        if runs is None:
            return super()._locate_rows(number, group, start, stop)
        (run,) = runs
        first, last = run.rows if AXES[group] == "rows" else run.steps
        if group == "observations":
            (is_unknown,) = run.find_unknown_finals(self.shard(run.shard))
            last -= is_unknown
        return limit_pieces([(run.shard, first, last)], start, stop)

    def _read(self, group: str, pieces: list[Piece], copy: bool) -> Any:
        is_of_rows = AXES[group] == "rows"
        self.fetch_rows([group], pieces if is_of_rows else [], [] if is_of_rows else pieces)
        return super()._read(group, pieces, copy)

    def _refuse(self) -> NoReturn:
        raise DatasetWriteError(
            f"{self._source.url} is streamed, which only reads; download the dataset to change it"
        )


def open_stream_storage(
    source: RangeSource, cache_nbytes: int, given_spaces: GivenSpaces = NONE_GIVEN
) -> StreamStorage:
    """Open a dataset of a source; nothing but its manifest is read.

    Args:
        source: Its data folder.
        cache_nbytes: The bytes that all streams may have on disk together.
        given_spaces: The spaces that a caller gives, for those whose types are unknown.

    Raises:
        RemoteObjectNotFoundError: The source has no manifest.
        DatasetDamagedError: It is malformed.
        FormatError: It is of another format than the columnar one, or of a newer version.
        SpaceError: A space that is given is not the one that the manifest says.
    """
    text = _read_manifest_text(source, may_cache=cache_nbytes > 0)
    needed = given_spaces and select_needed(given_spaces, _parse(source, text).metadata)
    storage = StreamStorage(source, text, cache_nbytes, needed)
    check_given(given_spaces, storage)
    return storage


def _find_runs(indices: Sequence[int], most: int) -> Iterator[range]:
    """Split indices into runs that count up, each of at most so many."""
    start = 0
    for stop in range(1, len(indices) + 1):
        is_end = stop == len(indices) or indices[stop] != indices[stop - 1] + 1
        if is_end or stop - start == most:
            yield range(indices[start], indices[stop - 1] + 1)
            start = stop


def _read_manifest_text(source: RangeSource, *, may_cache: bool = False) -> bytes:
    version = source.version(MANIFEST_NAME)
    if not 0 < version.size <= _LARGEST_MANIFEST:
        raise DatasetDamagedError(f"{source.url}/{MANIFEST_NAME} has {version.size} bytes")

    def read() -> bytes:
        step = max(source.range_nbytes, 1 << 20)
        ranges = [(at, min(at + step, version.size)) for at in range(0, version.size, step)]
        pieces = dict(source.read_ranges(MANIFEST_NAME, ranges, version=version))
        return b"".join(pieces[index] for index in range(len(ranges)))

    return read_once(f"{source.url}/{MANIFEST_NAME}", version, read) if may_cache else read()


def _parse(source: RangeSource, text: bytes) -> Manifest:
    manifest = parse_manifest(text, f"{source.url}/{MANIFEST_NAME}")
    data_format = get_data_format(manifest.metadata)
    if data_format != SNAPSHOT_KEY:
        raise FormatError(
            f"{source.url} is of the format {data_format!r}, which has no index of its bytes; "
            "give download=True to download it, or convert it to the columnar format and publish "
            "that"
        )
    return manifest


def _check_uid(source: RangeSource, manifest: Manifest, uid: str) -> None:
    if manifest.snapshot.uid != uid:
        raise DatasetChangedError(
            f"{source.url} is another dataset than the one that was opened; load it again"
        )


def _check_unchanged(source: RangeSource, snapshot: Snapshot, number: int) -> None:
    """Raise unless a shard of a dataset is still listed there as it was."""
    manifest = _parse(source, _read_manifest_text(source))
    _check_uid(source, manifest, snapshot.uid)
    if snapshot.shards[number] not in manifest.snapshot.shards:
        raise DatasetChangedError(
            f"{source.url}: shard {snapshot.shards[number].file} was replaced while this object "
            "was in use; load the dataset again"
        )


def _open_shard(stream: Stream, snapshot: Snapshot, number: int) -> ShardReader:
    entry = snapshot.shards[number]
    file = StreamedFile(stream, number)
    return StreamedShard(file, entry, snapshot.schemas[entry.schema], stream.describe(number))
