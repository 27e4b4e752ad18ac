"""Read a shard whose bytes are fetched before they are looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from minari_core.columns import AXES, ArraySpec, Axis, Schema, StoredArray
from minari_core.columns.fixed import ROWS_PER_CHUNK
from minari_core.errors import DatasetDamagedError
from minari_core.formats.shards.entry import LENGTHS, ShardEntry
from minari_core.formats.shards.reader import ShardReader
from minari_core.formats.shards.trailer import EPISODES_PER_START, EpisodeStarts
from minari_core.formats.streamed.arrays import Span, StreamedArray, StreamedFile, StreamedImages
from minari_core.ranges.blocks import Blocks


class StreamedShard(ShardReader):
    """A shard in a streamed file."""

    __slots__ = ("_file",)

    def __init__(self, file: StreamedFile, entry: ShardEntry, schema: Schema, name: str) -> None:
        """Locate its arrays.

        Args:
            file: The file.
            entry: The entry of the shard in the manifest.
            schema: The schema that the entry names.
            name: The name of the shard for error messages.

        Raises:
            DatasetDamagedError: An array would lie outside the file.
        """
        self._file = file
        arrays: list[StoredArray] = []
        for index, spec in enumerate(schema.arrays):
            if spec.derived:
                continue
            rows = entry.arrays[index][1]
            if spec.rows_per_chunk:
                table = _locate_array(file, schema, entry, index + 1, name)
                arrays.append(StreamedImages(table, spec, rows, f"{name}: {spec.path}"))
            else:
                arrays.append(_locate_array(file, schema, entry, index, name))
        super().__init__(name, schema, arrays, (entry.rows, entry.steps, entry.episodes), file)

    def fetch(self, paths: Sequence[str], rows: Span, steps: Span, entries: Span = (0, 0)) -> None:
        """Fetch rows of columns, all at once, so that reading them does not wait for each.

        This saves time and nothing else: whatever is read later is fetched if it is not at hand.

        Args:
            paths: Column groups, or columns inside them.
            rows: The first row and the last + 1, for the groups that have rows.
            steps: The same for those that have steps.
            entries: The same for the entries of episodes.
        """
        spans = {"rows": rows, "steps": steps, "episodes": entries}
        blocks = [self._file.find_blocks([])]
        # What lies where is said by tables and offsets, which come first.
        later: list[Callable[[], list[Span] | Blocks]] = []
        for spec, array, before, axis in self._list_inside(paths):
            start, stop = spans[axis]
            if start == stop:
                continue
            if isinstance(array, StreamedImages):
                chunks = range(start // ROWS_PER_CHUNK, -(-stop // ROWS_PER_CHUNK))
                blocks.append(
                    self._file.find_blocks([array.table.find_span(chunks.start, chunks.stop)])
                )
                later.append(partial(array.find_chunks, chunks))
            elif len(array) == self._counts[axis] + spec.offsets:
                span = array.find_span(start, stop + spec.offsets)
                blocks.append(self._file.find_blocks([span]))
                if spec.offsets and before is not None:
                    later.append(partial(_find_values, array, before, start, stop))
        stream = self._file.stream
        stream.ensure(np.concatenate(blocks))
        if later:
            stream.ensure(np.concatenate([self._file.find_blocks(find()) for find in later]))

    def read_episode_starts(self) -> EpisodeStarts | None:
        """Read the index of its episodes; see `ShardReader.read_episode_starts`.

        Their lengths, with which it is compared, are fetched together with it.
        """
        lengths, size = self.array(LENGTHS), len(self._file)
        if isinstance(lengths, StreamedArray):
            self._file.ensure([lengths.find_span(0, len(lengths)), (size - 1, size)])
        return super().read_episode_starts()

    def find_starts(self, start: int, stop: int) -> npt.NDArray[np.int64] | None:
        """Find where episodes begin, by the index of every 64th and the lengths of a few.

        Args:
            start: The first entry.
            stop: The last + 1.

        Returns:
            The first step of each in the shard, and at the end the step behind the last; None if
            the shard has no index, or does not hold whole episodes only.

        Raises:
            DatasetDamagedError: The index and the lengths do not fit each other.
        """
        lengths, size = self.array(LENGTHS), len(self._file)
        if not isinstance(lengths, StreamedArray) or lengths.dtype.kind not in "iu":
            return None
        # What is nearly always needed is fetched together with the index that says so.
        near = range(len(lengths))[start : stop + EPISODES_PER_START]
        self._file.ensure([lengths.find_span(near.start, near.stop), (size - 1, size)])
        index = super().read_episode_starts()
        if index is None:
            return None
        group, last_group = start // index.every, -(-stop // index.every)
        first = group * index.every
        known = index.starts[group : last_group + 1]
        some = lengths[first : min(last_group * index.every, len(lengths))].astype(np.int64)
        starts = np.concatenate((known[:1], known[0] + np.cumsum(some)))
        borders = np.append(starts[: len(some) : index.every], starts[-1])
        if some.min(initial=1) < 1 or not np.array_equal(borders, known):
            raise DatasetDamagedError(
                f"{self.name}: its episodes from {first} on do not have the lengths that its "
                "trailer says"
            )
        return starts[start - first : stop - first + 1]

    def _list_inside(
        self, paths: Sequence[str]
    ) -> Iterator[tuple[ArraySpec, StreamedImages | StreamedArray, StreamedArray | None, Axis]]:
        """List arrays in columns, and the array before each."""
        specs = [spec for spec in self.schema.arrays if not spec.derived]
        before: StoredArray | None = None
        for spec, array in zip(specs, self._arrays, strict=True):
            axis = AXES[spec.path.partition("/")[0]]
            is_wanted = any(f"{spec.path}/".startswith(f"{path}/") for path in paths)
            if is_wanted and isinstance(array, StreamedImages | StreamedArray):
                yield spec, array, before if isinstance(before, StreamedArray) else None, axis
            before = array


def _find_values(
    offsets: StreamedArray, values: StreamedArray, start: int, stop: int
) -> list[Span]:
    bounds = offsets[start : stop + 1]
    first, last = int(bounds[0]), int(bounds[-1])
    return [values.find_span(first, last)] if 0 <= first <= last <= len(values) else []


def _locate_array(
    file: StreamedFile, schema: Schema, entry: ShardEntry, index: int, name: str
) -> StreamedArray:
    spec, (offset, rows) = schema.arrays[index], entry.arrays[index]
    array = StreamedArray(file, offset, spec.dtype, (rows, *spec.row_shape))
    _, stop = array.find_span(0, rows)
    if offset < 0 or stop > len(file):
        raise DatasetDamagedError(
            f"{name}: {spec.path} should lie at bytes {offset} to {stop} of {len(file)}"
        )
    return array
