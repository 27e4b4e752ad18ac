"""Read a shard by row, from a map of its file or from arrays in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minari_core.columns import AXES, Array, ArraySpec, Reader, Schema, StoredArray
from minari_core.errors import DatasetDamagedError
from minari_core.files import check_plain, make_read_error, may_not_read
from minari_core.formats.shards.compression import CompressedRows
from minari_core.formats.shards.entry import ShardEntry
from minari_core.formats.shards.trailer import EpisodeStarts, read_episode_starts
from minari_core.storage.file_map import Contents, expect_random_reads, map_file

MOST_MAPPED = 1 << 14
"""The most shards that a storage keeps mapped; a process may have some 65,000 maps in all."""


class ShardReader:
    """Read the column groups of a shard by row.

    Thread-safe: it holds no position, and its arrays are never written to.
    """

    __slots__ = ("_arrays", "_contents", "_counts", "_readers", "name", "schema")

    def __init__(
        self,
        name: str,
        schema: Schema,
        arrays: Sequence[StoredArray],
        counts: tuple[int, int, int],
        contents: Contents | None = None,
    ) -> None:
        """Read from the arrays of a shard.

        Args:
            name: The name of the shard for error messages.
            schema: Its columns.
            arrays: One for each array of the schema that is not derived.
            counts: The number of its rows, steps and episodes.
            contents: All bytes of its file, if it has one.
        """
        self.schema = schema
        self.name = name
        """The name of the shard for error messages."""
        self._arrays = arrays
        self._contents = contents
        self._counts = dict(zip(("rows", "steps", "episodes"), counts, strict=True))
        self._readers: dict[bool, dict[str, Reader]] = {}

    def list_arrays(self, path: str) -> list[StoredArray]:
        """List the arrays at or below a path of the schema that are not derived, in their order."""
        specs = [spec for spec in self.schema.arrays if not spec.derived]
        inside = f"{path}/"
        return [
            array
            for spec, array in zip(specs, self._arrays, strict=True)
            if spec.path == path or spec.path.startswith(inside)
        ]

    def rearrange(self, schema: Schema, arrays: Sequence[StoredArray]) -> ShardReader:
        """Return a reader of the same shard whose arrays are those of other columns.

        Args:
            schema: The columns.
            arrays: One for each array of the schema that is not derived.
        """
        return ShardReader(self.name, schema, arrays, self.counts, self._contents)

    def read_episode_starts(self) -> EpisodeStarts | None:
        """Read the index of its episodes; None if it has none, or some may lie in other shards too.

        Raises:
            DatasetDamagedError: The index is damaged; the message names the shard.
        """
        _, steps, episodes = self.counts
        if self._contents is None:
            return None
        index = read_episode_starts(self._contents, episodes, self.name)
        return index if index is not None and index.starts[-1] == steps else None

    def expect_random_reads(self) -> None:
        """Tell the system that rows here and there are read, and not those behind them."""
        if isinstance(self._contents, memoryview):
            expect_random_reads(self._contents)

    @property
    def has_whole_episodes(self) -> bool:
        """Whether it is known that no episode of it lies in other shards, too."""
        return self.read_episode_starts() is not None

    @property
    def counts(self) -> tuple[int, int, int]:
        """The number of rows, steps and episodes."""
        return self._counts["rows"], self._counts["steps"], self._counts["episodes"]

    def array(self, path: str) -> StoredArray | None:
        """Return the array at a path, or None if the shard has no such array."""
        specs = (spec for spec in self.schema.arrays if not spec.derived)
        for spec, array in zip(specs, self._arrays, strict=True):
            if spec.path == path:
                return array
        return None

    def read(self, group: str, start: int, stop: int, *, copy: bool) -> Any:
        """Read rows of a column group; see `readers`.

        Raises:
            DatasetDamagedError: They cannot be read; the message names the shard.
        """
        try:
            return self.readers(copy=copy)[group](start, stop)
        except DatasetDamagedError as error:
            if self.name in str(error):
                raise
            raise DatasetDamagedError(f"{self.name}: {group}: {error}") from error

    def readers(self, *, copy: bool) -> dict[str, Reader]:
        """Return the reader of each column group.

        Args:
            copy: Return readers that give fresh arrays rather than views of the shard.

        Raises:
            DatasetDamagedError: The arrays do not fit the columns; the message names the shard.
        """
        if copy not in self._readers:
            arrays = iter(self._arrays)
            bound: dict[str, Reader] = {}
            for group, column in self.schema.groups.items():
                try:
                    bound[group] = column.bind(arrays, self._counts[AXES[group]], copy=copy)
                except DatasetDamagedError as error:
                    raise DatasetDamagedError(f"{self.name}: {group}: {error}") from error
            self._readers[copy] = bound
        return self._readers[copy]


class OpenShards:
    """The readers of shards, opened at first use, at most `MOST_MAPPED` of them at once.

    What is read from a shard stays mapped for as long as anybody holds it. Thread-safe: two
    threads that need the same shard may both open it, and both read the same.
    """

    __slots__ = ("_open", "_readers", "era")

    def __init__(
        self,
        open_shard: Callable[[int], ShardReader],
        known: Mapping[int, ShardReader] | None = None,
    ) -> None:
        """Start with those that are open already.

        Args:
            open_shard: Opens a shard by its index.
            known: The readers of some by their indices.
        """
        self._open = open_shard
        self._readers: dict[int, ShardReader] = dict(known or {})
        self.era = 0
        """Counts how often all were forgotten; whoever holds what was read before lets it go."""

    def __getitem__(self, number: int) -> ShardReader:
        """Return the reader of a shard."""
        reader = self._readers.get(number)
        if reader is None:
            reader = self._open(number)
            if len(self._readers) >= MOST_MAPPED:
                self._readers = {}
                self.era += 1
            self._readers[number] = reader
        return reader

    def list_open(self) -> Mapping[int, ShardReader]:
        """List the readers of those that are open, by their indices."""
        return dict(self._readers)


def open_shard(folder: Path, entry: ShardEntry, schema: Schema) -> ShardReader:
    """Map a shard's file, without HDF5 and without leaving a file open.

    Args:
        folder: The dataset's folder.
        entry: The entry of the shard in the manifest.
        schema: The schema that the entry names.

    Raises:
        FileNotFoundError: The file is missing.
        DatasetDamagedError: The file has another size than the manifest says, or an array would
            lie outside it.
        DatasetBusyError: The process has as many open files or maps as it may have.
    """
    path = folder / entry.file
    try:
        check_plain(path)
        with open(path, "rb") as file:
            found = os.fstat(file.fileno()).st_size
            if found != entry.nbytes:
                raise DatasetDamagedError(
                    f"{path} has {found} bytes, not the {entry.nbytes} that its manifest says; "
                    "it is damaged or was cut short"
                )
            contents = map_file(file)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        if isinstance(error, DatasetDamagedError):
            raise
        if may_not_read(error):
            raise make_read_error(path, error) from error
        raise DatasetDamagedError(f"{path} cannot be mapped: {error}") from error
    name = str(path)
    arrays = [
        view_array(contents, entry, schema, index, name, f"{name}: {spec.path}")
        for index, spec in enumerate(schema.arrays)
        if not spec.derived
    ]
    counts = entry.rows, entry.steps, entry.episodes
    return ShardReader(name, schema, arrays, counts, contents)


def view_array(
    contents: memoryview, entry: ShardEntry, schema: Schema, index: int, shard: str, name: str
) -> StoredArray:
    """View one array of a shard.

    Args:
        contents: All bytes of the shard's file.
        entry: The entry of the shard in the manifest.
        schema: The schema that the entry names.
        index: The index of the array in the schema; it is not a derived one.
        shard: The name of the shard for error messages.
        name: The name of the array for error messages.

    Raises:
        DatasetDamagedError: It would lie outside the file.
    """
    spec, (offset, rows) = schema.arrays[index], entry.arrays[index]
    if not spec.rows_per_chunk:
        return _view_contiguous(contents, spec, offset, rows, shard)
    # The table of its chunks is the next array.
    table_spec, (table_offset, chunks) = schema.arrays[index + 1], entry.arrays[index + 1]
    table = _view_contiguous(contents, table_spec, table_offset, chunks, shard)
    return CompressedRows(contents, table, rows, spec.dtype, spec.row_shape, name)


def _view_contiguous(
    contents: memoryview, spec: ArraySpec, offset: int, rows: int, shard: str
) -> Array:
    elements = rows
    for size in spec.row_shape:
        elements *= size
    end = offset + elements * spec.dtype.itemsize
    if offset < 0 or end > len(contents):
        raise DatasetDamagedError(
            f"{shard}: {spec.path} should lie at bytes {offset} to {end} of {len(contents)}"
        )
    flat = np.frombuffer(contents, dtype=spec.dtype, count=elements, offset=offset)
    return flat.reshape(rows, *spec.row_shape)
