"""Gather rows of columns whose bytes are fetched first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from minari_core.columns import FixedColumn, StoredArray
from minari_core.columns.fixed import ROWS_PER_CHUNK
from minari_core.formats.streamed.arrays import StreamedArray, StreamedImages
from minari_core.ranges.blocks import BLOCK_NBYTES
from minari_core.ranges.generation import Generation
from minari_core.ranges.stream import Stream
from minari_core.sampling.gathering.gatherers import FixedGatherer, Gatherer, Pair
from minari_core.sampling.gathering.segments import Segments
from minari_core.sampling.gathering.selection import Rows, Selection
from minari_core.sampling.gathering.spanning import can_span

_SHIFT = BLOCK_NBYTES.bit_length() - 1
_UNKNOWN = np.iinfo(np.int64).min
# So many neighbouring rows are known to be at hand together, and so many of these are looked for
# together, in at most so many places at a time.
_GROUP_SHIFT, _PLACE_SHIFT, _MOST_PLACES = 4, 9, 8
_LARGEST_ROW_NBYTES = BLOCK_NBYTES >> _GROUP_SHIFT


class StreamedGatherer(FixedGatherer):
    """Rows of one dtype and shape, from a stream.

    All of a batch that is not at hand is fetched at once. Then its rows are gathered as those of
    mapped files are, for that is what the cache has.
    """

    def __init__(
        self,
        stream: Stream,
        segments: Segments[StoredArray | None],
        column: FixedColumn,
        may_assemble: Callable[[int], bool],
        *,
        is_plain: bool,
        is_decoded: bool,
    ) -> None:
        """Take the arrays of one column; see `FixedGatherer`.

        Args:
            stream: The files that the arrays are in.
            segments: As for `FixedGatherer`.
            column: As for `FixedGatherer`.
            may_assemble: As for `FixedGatherer`; asked when all of the stream is at hand.
            is_plain: As for `FixedGatherer`.
            is_decoded: As for `FixedGatherer`.
        """
        self.dtype = column.dtype
        self.row_shape = column.shape
        is_spanned = is_plain and len(segments.filled) > 1 and can_span(column)
        self.gains_from_pairs = is_decoded or is_spanned
        self.stream = stream
        """The files that the arrays are in."""
        self._segments = segments
        self.firsts = segments.firsts
        """The first row of each shard, and the number of all."""
        self._column = column
        self._may_assemble = may_assemble
        self._is_plain = is_plain
        self._is_decoded = is_decoded
        self._row_nbytes = column.dtype.itemsize * int(np.prod(column.shape, dtype=np.int64))
        # The first byte of row 0 in the stream, if all rows lay as those of each shard do.
        self._bases = np.full(len(segments), _UNKNOWN)
        self._bound: tuple[Generation, bool, FixedGatherer] | None = None

    def take(self, selection: Selection, out: Any = None) -> Any:
        return self._bind(self._fetch(selection)).take(selection, out)

    def take_pairs(self, before: Selection, after: Selection, *, outs: Pair = (None, None)) -> Pair:
        generation = self._fetch(before, after)
        return self._bind(generation).take_pairs(before, after, outs=outs)

    @property
    def can_be_together(self) -> bool:
        """Whether `ReadTogether` can look for rows of it: they are neither large nor compressed."""
        return self._is_plain and 0 < self._row_nbytes <= _LARGEST_ROW_NBYTES

    def _bind(self, generation: Generation) -> FixedGatherer:
        """Return what gathers from the files that a generation has mapped."""
        bound, is_whole = self._bound, generation.is_whole
        if bound is None or bound[0] is not generation or bound[1] is not is_whole:
            mapped = Segments(
                self._segments,
                partial(_map_array, generation),
                self.firsts,
                opened_at_once=0,
            )
            gatherer = FixedGatherer(
                mapped,
                self._column,
                self._may_assemble if is_whole else lambda _: False,
                is_plain=self._is_plain,
                is_decoded=self._is_decoded,
            )
            bound = self._bound = generation, is_whole, gatherer
        return bound[2]

    def _fetch(self, *selections: Selection) -> Generation:
        """Fetch what is not at hand of the rows; compressed ones are when they are decoded."""
        known = {selection.at_hand.get(self) for selection in selections}
        found = known.pop()
        if found is not None and not known:
            return found
        whole = self.stream.find_whole()
        if whole is not None:
            return whole
        blocks = [np.zeros(0, np.int64)]
        for selection in selections:
            if self._is_plain:
                blocks += self.find_blocks(selection)
            else:
                blocks += self._find_blocks_by_shard(selection)
        return self.stream.ensure(np.concatenate(blocks))

    def find_blocks(self, selection: Selection) -> list[Rows]:
        """Return the blocks that rows are in, if none is compressed."""
        if not selection.rows.size or not self._row_nbytes:
            return []
        numbers = selection.numbers(self.firsts)
        bases = self._bases.take(numbers)
        if (missing := bases == _UNKNOWN).any():
            for number in np.unique(numbers[missing]).tolist():
                array = cast("StreamedArray", self._segments[number])
                first = int(self.stream.layout.firsts[array.file.number]) * BLOCK_NBYTES
                before = int(self.firsts[number]) * self._row_nbytes
                self._bases[number] = first + array.offset - before
            bases = self._bases.take(numbers)
        starts = (bases + selection.rows * self._row_nbytes).reshape(-1)
        firsts, lasts = starts >> _SHIFT, (starts + (self._row_nbytes - 1)) >> _SHIFT
        # Larger rows have blocks between the first and the last.
        between = range(1, self._row_nbytes // BLOCK_NBYTES + 1)
        return [firsts, lasts, *(np.minimum(firsts + step, lasts) for step in between)]

    def are_at_hand(
        self, generation: Generation, numbers: Rows, firsts: Rows, stops: Rows
    ) -> npt.NDArray[np.bool_]:
        """Return which runs of rows are known to be at hand, each at most a block long.

        Args:
            generation: The generation to look in.
            numbers: The shard of each run.
            firsts: Its first row.
            stops: Its last row + 1.
        """
        bases = self._bases.take(numbers)
        is_known: npt.NDArray[np.bool_] = bases != _UNKNOWN
        for places in (firsts * self._row_nbytes, stops * self._row_nbytes - 1):
            blocks = np.where(is_known, bases + places, 0) >> _SHIFT
            is_known = is_known & generation.find(blocks)
        return is_known

    def _find_blocks_by_shard(self, selection: Selection) -> list[Rows]:
        blocks: list[Rows] = []
        images: list[tuple[StreamedImages, list[int]]] = []
        for number, _, rows in selection.groups(self.firsts):
            array = self._segments[number]
            if isinstance(array, StreamedArray):
                spans = [array.find_span(row, row + 1) for row in np.unique(rows).tolist()]
                blocks.append(array.file.find_blocks(spans))
            elif isinstance(array, StreamedImages):
                chunks = array.list_encoded(np.unique(rows // ROWS_PER_CHUNK).tolist())
                if chunks:
                    images.append((array, chunks))
        # Of all shards at once; and threads would take longer to start than this, if all is there.
        if not images:
            return blocks
        tables = [array.table.file.find_blocks(array.find_places(each)) for array, each in images]
        self.stream.ensure(np.concatenate([np.zeros(0, np.int64), *tables]))
        return blocks + [
            array.table.file.find_blocks(array.find_chunks(each)) for array, each in images
        ]


class ReadTogether:
    """Columns that batches read at the same rows: what lacks of them is fetched at once.

    Most batches lack nothing, which is looked for once for all columns that share a selection, and
    in a table of groups of rows. Thread-safe.
    """

    def __init__(self, places: Iterable[tuple[int, Gatherer]]) -> None:
        """Take the columns; those that are not of a stream, or compressed, are left alone.

        Args:
            places: The index of a selection, and a column that is read there.
        """
        found: dict[int, dict[StreamedGatherer, None]] = {}
        for place, gatherer in places:
            for _, leaf in gatherer.leaves(""):
                if isinstance(leaf, StreamedGatherer) and leaf.can_be_together:
                    found.setdefault(place, {})[leaf] = None
        self._places = [(place, _SameRows(list(leaves))) for place, leaves in found.items()]

    def fetch(self, selections: Sequence[Selection]) -> None:
        """Fetch what lacks, and note in the selections what is at hand.

        Args:
            selections: Those of a batch, each in its place.
        """
        if not self._places:
            return
        stream = self._places[0][1].stream
        generation = stream.generation
        if generation.is_whole:
            return
        lacking = [
            (columns, selections[place])
            for place, columns in self._places
            if not columns.are_at_hand(generation, selections[place].rows)
        ]
        blocks = [np.zeros(0, np.int64)]
        for columns, selection in lacking:
            for leaf in columns.leaves:
                blocks += leaf.find_blocks(selection)
        if stream.ensure(np.concatenate(blocks)) is not generation:
            return  # each column looks for itself
        for place, columns in self._places:
            selections[place].at_hand.update(dict.fromkeys(columns.leaves, generation))


class _SameRows:
    """Columns that are read at the same rows, and a table of what is at hand of all of them."""

    def __init__(self, leaves: Sequence[StreamedGatherer]) -> None:
        self.leaves = leaves
        self.stream = leaves[0].stream
        self._firsts = leaves[0].firsts
        self._known: tuple[Generation | None, npt.NDArray[np.bool_]] = None, np.zeros(0, np.bool_)

    def are_at_hand(self, generation: Generation, rows: Rows) -> bool:
        """Return whether all columns are known to have the rows at hand."""
        if self._known[0] is not generation:
            count = (int(self._firsts[-1]) >> _GROUP_SHIFT) + 1
            self._known = generation, np.zeros(count, dtype=np.bool_)
        known, table = self._known
        if known is not generation:  # another thread was here
            return False
        groups = rows >> _GROUP_SHIFT
        is_known = table.take(groups)
        if is_known.all():
            return True
        self._look(generation, table, groups[~is_known])
        return bool(table.take(groups).all())

    def _look(self, generation: Generation, table: npt.NDArray[np.bool_], groups: Rows) -> None:
        """Find out which groups of rows are at hand around some of them."""
        places = np.unique(groups >> _PLACE_SHIFT)[:_MOST_PLACES, None] << _PLACE_SHIFT
        near = (places + np.arange(1 << _PLACE_SHIFT)).reshape(-1)
        near = near[near < len(table)]
        firsts = near << _GROUP_SHIFT
        stops = np.minimum(firsts + (1 << _GROUP_SHIFT), self._firsts[-1])
        numbers = np.searchsorted(self._firsts, firsts, side="right") - 1
        # What two shards have a part of is looked for row by row.
        is_inside = (firsts < stops) & (stops <= self._firsts.take(numbers + 1, mode="clip"))
        near, numbers = near[is_inside], numbers[is_inside]
        firsts, stops = firsts[is_inside], stops[is_inside]
        found = np.ones(len(near), dtype=np.bool_)
        for leaf in self.leaves:
            found &= leaf.are_at_hand(generation, numbers, firsts, stops)
        table[near[found]] = True


def _map_array(generation: Generation, array: StoredArray | None, count: int) -> StoredArray | None:
    return array.map(generation) if isinstance(array, StreamedArray) else array
