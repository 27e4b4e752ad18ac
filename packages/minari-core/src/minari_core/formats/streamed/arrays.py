"""Arrays in a file whose bytes are fetched before they are looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from minari_core.columns import Array, ArraySpec
from minari_core.formats.shards.compression import CompressedRows
from minari_core.ranges.blocks import Blocks
from minari_core.ranges.generation import Generation
from minari_core.ranges.stream import Stream

_PIECE_NBYTES = 64 << 20

Span: TypeAlias = "tuple[int, int]"
"""The first of some bytes or rows, and the last + 1."""


class StreamedFile:
    """The bytes of one file of a stream, which slices fetch."""

    __slots__ = ("number", "stream")

    def __init__(self, stream: Stream, number: int) -> None:
        """Fetch nothing yet.

        Args:
            stream: Its objects are the files.
            number: The index of this one.
        """
        self.stream = stream
        """The stream that the file is of."""
        self.number = number
        """Its index among the objects of the stream."""

    def __len__(self) -> int:
        """The size of the file."""
        return int(self.stream.layout.sizes[self.number])

    def __getitem__(self, key: slice) -> memoryview:
        """Return bytes; they stay as they are for as long as anybody holds them."""
        start, stop, _ = key.indices(len(self))
        generation = self.ensure([(start, stop)])
        return generation.get_contents(self.number)[start:stop]

    def ensure(self, spans: Sequence[Span] | Blocks) -> Generation:
        """Fetch what is not at hand of some bytes, all at once; see `Stream.ensure`.

        Args:
            spans: The first byte and the last + 1 of each run of bytes.
        """
        return self.stream.ensure(self.find_blocks(spans))

    def find_blocks(self, spans: Sequence[Span] | Blocks) -> Blocks:
        """Return the blocks of some bytes, counted through the stream."""
        return self.stream.layout.find(self.number, spans)


class StreamedArray:
    """Rows of a contiguous array in a streamed file.

    It is read as an array of numpy is by slices and numbers, and as a whole by `numpy.asarray`.
    """

    __slots__ = ("_row_nbytes", "dtype", "file", "offset", "shape")

    def __init__(
        self, file: StreamedFile, offset: int, dtype: np.dtype[np.generic], shape: tuple[int, ...]
    ) -> None:
        """Locate the array.

        Args:
            file: The file that it is in.
            offset: Its first byte.
            dtype: The type of an element.
            shape: The number of rows, and the shape of a row.
        """
        self.file = file
        """The file that it is in."""
        self.offset = offset
        """Its first byte in the file."""
        self.dtype = dtype
        """The type of an element."""
        self.shape = shape
        """The number of rows, and the shape of a row."""
        self._row_nbytes = dtype.itemsize * math.prod(shape[1:])

    def __len__(self) -> int:
        """The number of rows."""
        return self.shape[0]

    def find_span(self, start: int, stop: int) -> Span:
        """Return the bytes of rows ``start`` to ``stop - 1``."""
        return self.offset + start * self._row_nbytes, self.offset + stop * self._row_nbytes

    def map(self, generation: Generation) -> Array:
        """View all rows, of which only those that were ensured mean anything."""
        contents = generation.get_contents(self.file.number)
        flat = np.frombuffer(contents, self.dtype, math.prod(self.shape), self.offset)
        return flat.reshape(self.shape)

    def __getitem__(self, key: int | slice) -> Any:
        """Return a row, or rows that follow each other, as a view that nobody may write to."""
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step != 1:
                raise IndexError(f"rows in steps of {step} are not read")
            return self.map(self.file.ensure([self.find_span(start, max(start, stop))]))[key]
        row = range(len(self))[key]
        return self[row : row + 1][0]

    def read(self, start: int, stop: int) -> Array:
        """Read rows ``start`` to ``stop - 1`` into a fresh array."""
        rows: Array = self[start:stop].copy()
        return rows

    def take(self, rows: npt.NDArray[np.int64], axis: int = 0) -> Array:
        """Read single rows into a fresh array."""
        spans = [self.find_span(row, row + 1) for row in np.unique(rows).tolist()]
        return self.map(self.file.ensure(spans)).take(rows, axis=0)

    def blocks(self) -> list[Any]:
        """Return all rows as pieces that are fetched only when numpy reads them."""
        step = max(_PIECE_NBYTES // max(self._row_nbytes, 1), 1)
        return [
            StreamedArray(
                self.file,
                self.find_span(start, start)[0],
                self.dtype,
                (min(step, len(self) - start), *self.shape[1:]),
            )
            for start in range(0, len(self), step)
        ]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Read all rows."""
        rows: Array = self[:]
        return rows if dtype is None and not copy else np.array(rows, dtype=dtype)


class StreamedImages(CompressedRows):
    """Compressed rows in a streamed file, whose table of chunks is fetched when it is needed."""

    __slots__ = ("table",)

    # What 32 windows of 2 MB have, a part of which are in each batch, and what follows them.
    cached_nbytes = 96 << 20

    def __init__(self, table: StreamedArray, spec: ArraySpec, rows: int, name: str) -> None:
        """Fetch nothing yet; see `CompressedRows`.

        Args:
            table: The offset and the size of each chunk.
            spec: The array that is compressed.
            rows: The number of its rows.
            name: The file and column, for error messages.
        """
        self.table = table
        """The offset and the size of each chunk."""
        places = cast("Array", table)  # read as an array is
        super().__init__(table.file, places, rows, spec.dtype, spec.row_shape, name)

    def _check(self, chunks: Array) -> None:
        if isinstance(chunks, np.ndarray):  # and not the table, of which nothing is at hand
            super()._check(chunks)

    def find_places(self, indices: Sequence[int] | range) -> Blocks:
        """Return the bytes of the table that say where chunks are, shape (n, 2)."""
        start, stop = self.table.find_span(0, 1)
        starts = start + np.array(indices, dtype=np.int64) * (stop - start)
        return np.stack((starts, starts + (stop - start)), axis=1)

    def find_chunks(self, indices: Sequence[int] | range) -> Blocks:
        """Return the bytes of chunks, for which their part of the table is fetched, shape (n, 2).

        Raises:
            DatasetDamagedError: They do not fit the file.
        """
        table = self.table
        generation = table.file.ensure(self.find_places(indices))
        places = table.map(generation)[list(indices)]
        self._check(places)
        return np.cumsum(places, axis=1, dtype=np.int64)

    def fetch(self, indices: Sequence[int]) -> None:
        """Fetch those chunks that are not decoded already, all at once."""
        lacking = self.list_encoded(indices)
        if lacking:
            self.table.file.ensure(self.find_chunks(lacking))

    def _find_chunk(self, index: int) -> Span:
        place = self.table[index : index + 1]
        self._check(place)
        offset, size = place[0].tolist()
        return offset, offset + size
