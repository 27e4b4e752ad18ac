"""A columnar dataset that is read from a source of byte ranges, and never written to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from minari_core.columns import AXES, read_whole
from minari_core.environments.given_spaces import (
    NONE_GIVEN,
    GivenSpaces,
    check_given,
    select_needed,
)
from minari_core.episodes import Episode
from minari_core.episodes.episode import EpisodeData
from minari_core.errors import (
    DatasetChangedError,
    DatasetDamagedError,
    DatasetWriteError,
    FormatError,
)
from minari_core.files import MANIFEST_NAME
from minari_core.formats.columnar.episode_index import Piece
from minari_core.formats.columnar.listed_shards import ListedShards
from minari_core.formats.columnar.manifest import (
    SNAPSHOT_KEY,
    Manifest,
    Snapshot,
    get_data_format,
    parse_manifest,
)
from minari_core.formats.shards.entry import LENGTHS
from minari_core.formats.shards.reader import OpenShards, ShardReader
from minari_core.formats.shards.trailer import read_block_checksums
from minari_core.formats.streamed.arrays import StreamedFile
from minari_core.formats.streamed.shard import StreamedShard
from minari_core.ranges.source import RangeSource
from minari_core.ranges.statistics import StreamStatistics
from minari_core.ranges.stream import Stream
from minari_core.ranges.threads import read_ahead, run_each
from minari_core.storage.base import Storage, check_episode_index
from minari_core.storage.metadata_changes import Change

_LARGEST_MANIFEST = 1 << 30
# So much is read together and held in memory, and so often at once.
_RUN_NBYTES = 2 << 20
_MOST_AHEAD = 8


class StreamStorage(ListedShards):
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
            yield from (self._read_one(episode, copy) for episode in indices)
            return
        mean_nbytes = max(self.nbytes // max(self.total_episodes, 1), 1)
        runs = _find_runs(indices, max(_RUN_NBYTES // mean_nbytes, 1))
        for run in read_ahead(lambda run: self._read_run(run, copy), runs, _MOST_AHEAD):
            yield from run

    def _read_run(self, run: range, copy: bool) -> list[EpisodeData]:
        """Read episodes that follow each other, whose bytes are fetched together."""
        first, last = (check_episode_index(each, len(self.index)) for each in (run[0], run[-1]))
        self.fetch_rows(list(AXES), *self.index.locate_run(first, last))
        return [self._read_one(episode, copy) for episode in run]

    def _read_episode(self, number: int, copy: bool) -> EpisodeData:
        rows, steps = self.index.locate(number)
        self.fetch_rows(list(AXES), rows, steps)
        return super()._read_episode(number, copy)

    def _refuse(self) -> NoReturn:
        raise DatasetWriteError(
            f"{self._source.url} is streamed, which only reads; download the dataset to change it"
        )

    def append_episodes(self, episodes: Iterable[Episode]) -> range:
        """Raise a `DatasetWriteError`: a stream is read-only."""
        self._refuse()

    def append_storage(self, source: Storage, indices: Sequence[int] | None = None) -> range:
        """Raise a `DatasetWriteError`: a stream is read-only."""
        self._refuse()

    def update_metadata(self, changes: Mapping[str, object]) -> None:
        """Raise a `DatasetWriteError`: a stream is read-only."""
        self._refuse()

    def _merge_metadata(self, changes: Mapping[int, Change]) -> None:
        self._refuse()

    def compact(self) -> None:
        """Raise a `DatasetWriteError`: a stream is read-only."""
        self._refuse()

    def save(self) -> None:
        """Do nothing: there is nothing to save."""


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
    text = _read_manifest_text(source)
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


def _read_manifest_text(source: RangeSource) -> bytes:
    version = source.version(MANIFEST_NAME)
    if not 0 < version.size <= _LARGEST_MANIFEST:
        raise DatasetDamagedError(f"{source.url}/{MANIFEST_NAME} has {version.size} bytes")
    step = max(source.range_nbytes, 1 << 20)
    ranges = [(at, min(at + step, version.size)) for at in range(0, version.size, step)]
    pieces = dict(source.read_ranges(MANIFEST_NAME, ranges, version=version))
    return b"".join(pieces[index] for index in range(len(ranges)))


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
