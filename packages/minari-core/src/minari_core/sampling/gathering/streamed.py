"""Gather rows of columns whose bytes are fetched first."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np

from minari_core.columns import FixedColumn, StoredArray
from minari_core.columns.fixed import ROWS_PER_CHUNK
from minari_core.formats.streamed.arrays import StreamedArray, StreamedImages
from minari_core.ranges.blocks import BLOCK_NBYTES
from minari_core.ranges.generation import Generation
from minari_core.ranges.stream import Stream
from minari_core.sampling.gathering.gatherers import FixedGatherer, Pair
from minari_core.sampling.gathering.segments import Segments
from minari_core.sampling.gathering.selection import Rows, Selection
from minari_core.sampling.gathering.spanning import can_span

_SHIFT = BLOCK_NBYTES.bit_length() - 1
_UNKNOWN = np.iinfo(np.int64).min


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
        self._stream = stream
        self._segments = segments
        self._firsts = segments.firsts
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

    def _bind(self, generation: Generation) -> FixedGatherer:
        """Return what gathers from the files that a generation has mapped."""
        bound, is_whole = self._bound, generation.is_whole
        if bound is None or bound[0] is not generation or bound[1] is not is_whole:
            mapped = Segments(
                self._segments,
                partial(_map_array, generation),
                self._firsts,
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
        whole = self._stream.find_whole()
        if whole is not None:
            return whole
        blocks = [np.zeros(0, np.int64)]
        for selection in selections:
            if self._is_plain:
                blocks += self._find_blocks(selection)
            else:
                blocks += self._find_blocks_by_shard(selection)
        return self._stream.ensure(np.concatenate(blocks))

    def _find_blocks(self, selection: Selection) -> list[Rows]:
        if not selection.rows.size or not self._row_nbytes:
            return []
        numbers = selection.numbers(self._firsts)
        bases = self._bases.take(numbers)
        if (missing := bases == _UNKNOWN).any():
            for number in np.unique(numbers[missing]).tolist():
                array = cast("StreamedArray", self._segments[number])
                first = int(self._stream.layout.firsts[array.file.number]) * BLOCK_NBYTES
                before = int(self._firsts[number]) * self._row_nbytes
                self._bases[number] = first + array.offset - before
            bases = self._bases.take(numbers)
        starts = (bases + selection.rows * self._row_nbytes).reshape(-1)
        firsts, lasts = starts >> _SHIFT, (starts + (self._row_nbytes - 1)) >> _SHIFT
        # Larger rows have blocks between the first and the last.
        between = range(1, self._row_nbytes // BLOCK_NBYTES + 1)
        return [firsts, lasts, *(np.minimum(firsts + step, lasts) for step in between)]

    def _find_blocks_by_shard(self, selection: Selection) -> list[Rows]:
        blocks: list[Rows] = []
        images: list[tuple[StreamedImages, list[int]]] = []
        for number, _, rows in selection.groups(self._firsts):
            array = self._segments[number]
            if isinstance(array, StreamedArray):
                spans = [array.find_span(row, row + 1) for row in np.unique(rows).tolist()]
                blocks.append(array.file.find_blocks(spans))
            elif isinstance(array, StreamedImages):
                images.append((array, np.unique(rows // ROWS_PER_CHUNK).tolist()))
        # Of all shards at once; and threads would take longer to start than this, if all is there.
        tables = [array.table.file.find_blocks(array.find_places(each)) for array, each in images]
        self._stream.ensure(np.concatenate([np.zeros(0, np.int64), *tables]))
        return blocks + [
            array.table.file.find_blocks(array.find_chunks(each)) for array, each in images
        ]


def _map_array(generation: Generation, array: StoredArray | None, count: int) -> StoredArray | None:
    return array.map(generation) if isinstance(array, StreamedArray) else array
