"""Rows of images in zstd chunks: HDF5's registered filter 32015, decoded without HDF5."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np
import zstandard

from minari_core.columns import Array
from minari_core.columns.fixed import ROWS_PER_CHUNK
from minari_core.errors import DatasetDamagedError

ZSTD_FILTER = 32015
ZSTD_LEVEL = 3

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
        while taken < len(piece):
            count = min(ROWS_PER_CHUNK - filled, len(piece) - taken)
            chunk[filled : filled + count] = piece[taken : taken + count]
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

    def __len__(self) -> int:
        """The number of rows."""
        return self._rows

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
        except zstandard.ZstdError as error:
            raise DatasetDamagedError(
                f"{self._name}: chunk {index} is damaged ({error})"
            ) from error
        return np.frombuffer(decoded, dtype=self._dtype).reshape(ROWS_PER_CHUNK, *self._shape)
