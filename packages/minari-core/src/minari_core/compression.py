"""Rows of images in zstd chunks: HDF5's registered filter 32015, decoded without HDF5."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import zstandard

from minari_core.columns import Array
from minari_core.columns.fixed import ROWS_PER_CHUNK
from minari_core.errors import DatasetDamagedError

ZSTD_FILTER = 32015
ZSTD_LEVEL = 3
# A zstd block of 4 bytes stands for 128 KiB at most, so a frame grows by less than 2**15.
_MOST_EXPANDED = 15

_ROWS_PER_BLOCK = 64

# zstandard's compressors and decompressors are not safe to share between threads.
_per_thread = threading.local()


def compressed_chunks(pieces: Sequence[Array]) -> Iterator[bytes]:
    """Compress rows that lie in several pieces, `ROWS_PER_CHUNK` at a time.

    Args:
        pieces: Arrays of rows of one dtype and shape.

    Yields:
        One zstd frame a chunk; the last chunk is filled up with zeros, as HDF5 wants it.
    """
    compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True)
    chunk = np.zeros((ROWS_PER_CHUNK, *pieces[0].shape[1:]), dtype=pieces[0].dtype)
    filled = 0
    for piece in pieces:
        taken = 0
        rows = np.asarray(piece)
        while taken < len(rows):
            count = min(ROWS_PER_CHUNK - filled, len(rows) - taken)
            chunk[filled : filled + count] = rows[taken : taken + count]
            filled += count
            taken += count
            if filled == ROWS_PER_CHUNK:
                yield compressor.compress(chunk.data.cast("B"))
                filled = 0
    if filled:
        chunk[filled:] = 0
        yield compressor.compress(chunk.data.cast("B"))


class CompressedRows:
    """Rows that lie in zstd chunks of a mapped file; they are decoded as they are read."""

    __slots__ = ("_chunk_nbytes", "_chunks", "_dtype", "_file", "_name", "_rows", "_shape")

    def __init__(
        self,
        file: memoryview,
        chunks: Array,
        rows: int,
        dtype: np.dtype[np.generic],
        shape: tuple[int, ...],
        name: str,
    ) -> None:
        """Describe where the rows are.

        Args:
            file: The bytes of the whole file.
            chunks: Shape (chunks, 2): the offset and the size of each chunk in the file.
            rows: The number of rows.
            dtype: The type of an element.
            shape: The shape of a row.
            name: The file and column, for error messages.

        Raises:
            DatasetDamagedError: The table of chunks does not fit the rows or the file.
        """
        self._file = file
        self._rows = rows
        self._dtype = dtype
        self._shape = shape
        self._name = name
        self._chunk_nbytes = ROWS_PER_CHUNK * int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        self._chunks = chunks
        if len(chunks) != -(-rows // ROWS_PER_CHUNK):
            raise DatasetDamagedError(f"{name} has {len(chunks)} chunks for {rows} rows")
        if len(chunks) and int(chunks.max()) >= 2**62:
            raise DatasetDamagedError(f"{name} has a chunk that no file can hold")
        if len(chunks) and int(chunks.sum(axis=1).max()) > len(file):
            raise DatasetDamagedError(f"{name} has a chunk beyond the end of its file")
        # What a file says must not choose how much memory is taken before a chunk is decoded.
        if len(chunks) and self._chunk_nbytes > (int(chunks[:, 1].min()) + 8) << _MOST_EXPANDED:
            raise DatasetDamagedError(f"{name} has a chunk that is too small for its rows")

    def __len__(self) -> int:
        """The number of rows."""
        return self._rows

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of a row."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The type of an element."""
        return self._dtype

    def read(self, start: int, stop: int) -> Array:
        """Decode rows ``start`` to ``stop`` into a fresh array.

        Raises:
            DatasetDamagedError: A chunk is not what was written.
        """
        stop = min(stop, self._rows)
        rows = np.empty((max(stop - start, 0), *self._shape), dtype=self._dtype)
        for index in range(start // ROWS_PER_CHUNK, -(-stop // ROWS_PER_CHUNK)):
            first = index * ROWS_PER_CHUNK
            begin, end = max(start, first), min(stop, first + ROWS_PER_CHUNK)
            rows[begin - start : end - start] = self._chunk(index)[begin - first : end - first]
        return rows

    def take(self, rows: npt.NDArray[np.int64]) -> Array:
        """Decode single rows into a fresh array; neighbours that share a chunk cost one."""
        taken = np.empty((len(rows), *self._shape), dtype=self._dtype)
        known, chunk = -1, taken
        for place in np.argsort(rows, kind="stable").tolist():
            index, row = divmod(int(rows[place]), ROWS_PER_CHUNK)
            if index != known:
                known, chunk = index, self._chunk(index)
            taken[place] = chunk[row]
        return taken

    def blocks(self) -> list[Array]:
        """All rows as pieces that decode themselves only when numpy reads them."""
        starts = range(0, self._rows, _ROWS_PER_BLOCK)
        blocks = [_Block(self, start, min(start + _ROWS_PER_BLOCK, self._rows)) for start in starts]
        # A block is what numpy calls array-like, which the pieces of a shard need not be more than.
        return cast("list[Array]", blocks)

    def _chunk(self, index: int) -> Array:
        offset, size = self._chunks[index].tolist()
        frame = self._file[offset : offset + size]
        decompressor = getattr(_per_thread, "decompressor", None)
        if decompressor is None:
            decompressor = _per_thread.decompressor = zstandard.ZstdDecompressor()
        try:
            # A frame says how large it becomes; a damaged one must not choose how much we allocate.
            if zstandard.frame_content_size(frame) != self._chunk_nbytes:
                raise DatasetDamagedError(f"{self._name}: chunk {index} has another size")
            decoded = decompressor.decompress(frame)
        except (zstandard.ZstdError, MemoryError) as error:
            raise DatasetDamagedError(
                f"{self._name}: chunk {index} is damaged ({error})"
            ) from error
        return np.frombuffer(decoded, dtype=self._dtype).reshape(ROWS_PER_CHUNK, *self._shape)


class _Block:
    """Some rows, decoded whenever numpy asks for them, so that no more than these are in memory."""

    def __init__(self, rows: CompressedRows, start: int, stop: int) -> None:
        self._rows = rows
        self._start = start
        self._stop = stop
        self.shape = (stop - start, *rows.row_shape)
        self.dtype = rows.dtype
        self.nbytes = int(np.prod(self.shape, dtype=np.int64)) * rows.dtype.itemsize

    def __len__(self) -> int:
        return self._stop - self._start

    def __array__(self, dtype: object = None, copy: bool | None = None) -> Array:
        return self._rows.read(self._start, self._stop)
