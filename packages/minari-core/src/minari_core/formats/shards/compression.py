"""Rows of images in zstd chunks (HDF5's registered filter 32015), decoded without HDF5."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, count, pairwise
from typing import ClassVar, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import zstandard

from minari_core.columns import Array
from minari_core.columns.fixed import ROWS_PER_CHUNK
from minari_core.errors import DatasetDamagedError
from minari_core.formats.shards.chunk_cache import CACHE_NBYTES, chunk_cache, run_jobs
from minari_core.storage.file_map import Contents

ZSTD_FILTER = 32015
ZSTD_LEVEL = 3
# A zstd block of 4 bytes stands for 128 KiB at most, so a frame grows by less than 2**15.
_MOST_EXPANDED = 15

_ROWS_PER_BLOCK = 64

_WHOLE_CHUNK = list(range(ROWS_PER_CHUNK))
_numbers = count()

# zstandard's compressors and decompressors are not safe to share between threads.
_per_thread = threading.local()


def compress_chunks(pieces: Iterable[Array]) -> Iterator[bytes]:
    """Compress the rows of several pieces, `ROWS_PER_CHUNK` at a time.

    Args:
        pieces: Arrays of rows of one dtype and shape; taken one by one.

    Yields:
        One zstd frame a chunk; the last chunk is padded with zeros, as HDF5 requires.
    """
    pieces = iter(pieces)
    first = next(pieces, None)
    if first is None:
        return
    compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True)
    chunk = np.zeros((ROWS_PER_CHUNK, *first.shape[1:]), dtype=first.dtype)
    filled = 0
    for piece in chain([first], pieces):
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
    """Rows in zstd chunks of a mapped file, decoded when they are read.

    Thread-safe: chunks are decoded in several threads, into memory of their own.
    """

    __slots__ = (
        "_chunks",
        "_dtype",
        "_file",
        "_name",
        "_number",
        "_rows",
        "_shape",
        "chunk_nbytes",
    )

    cached_nbytes: ClassVar[int] = CACHE_NBYTES
    """The number of decoded bytes that are cached of all such rows."""

    def __init__(
        self,
        file: Contents,
        chunks: Array,
        rows: int,
        dtype: np.dtype[np.generic],
        shape: tuple[int, ...],
        name: str,
    ) -> None:
        """Locate the rows.

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
        self.chunk_nbytes = ROWS_PER_CHUNK * int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        """The size of a decoded chunk."""
        self._chunks = chunks
        self._number = next(_numbers)
        if len(chunks) != -(-rows // ROWS_PER_CHUNK):
            raise DatasetDamagedError(f"{name} has {len(chunks)} chunks for {rows} rows")
        self._check(chunks)

    def _check(self, chunks: Array) -> None:
        """Check that chunks lie in the file, and have about the size of their rows."""
        name, file = self._name, self._file
        if len(chunks) and int(chunks.max()) >= 2**62:
            raise DatasetDamagedError(f"{name} has a chunk that no file can hold")
        if len(chunks) and int(chunks.sum(axis=1).max()) > len(file):
            raise DatasetDamagedError(f"{name} has a chunk beyond the end of its file")
        # The file is untrusted: it must not choose how much memory is allocated.
        if len(chunks) and self.chunk_nbytes > (int(chunks[:, 1].min()) + 8) << _MOST_EXPANDED:
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
        rows = np.arange(start, min(stop, self._rows))
        return self.take(rows)

    def take(self, rows: npt.NDArray[np.int64]) -> Array:
        """Decode single rows into a fresh array; rows that share a chunk cost one.

        Raises:
            DatasetDamagedError: A chunk is not what was written.
        """
        taken = np.empty((len(rows), *self._shape), dtype=self._dtype)
        decode_rows([(self, rows, np.arange(len(rows)))], taken)
        return taken

    def fetch(self, indices: Sequence[int]) -> None:
        """Make sure that chunks are at hand, as they are where the file is mapped."""

    def decode(self, index: int, buffer: npt.NDArray[np.uint8]) -> None:
        """Decode a chunk into memory of `chunk_nbytes` bytes.

        Raises:
            DatasetDamagedError: The chunk is not what was written.
        """
        start, stop = self._find_chunk(index)
        frame = self._file[start:stop]
        decompressor = getattr(_per_thread, "decompressor", None)
        if decompressor is None:
            decompressor = _per_thread.decompressor = zstandard.ZstdDecompressor()
        try:
            reader = decompressor.stream_reader(frame)
            filled = reader.readinto(buffer)
            # At its end, the checksum is compared.
            is_whole = filled == len(buffer) and not reader.read(1)
        except (zstandard.ZstdError, MemoryError) as error:
            raise DatasetDamagedError(
                f"{self._name}: chunk {index} is damaged ({error})"
            ) from error
        if not is_whole:
            raise DatasetDamagedError(f"{self._name}: chunk {index} has another size")

    def _find_chunk(self, index: int) -> tuple[int, int]:
        """Return the first byte of a chunk and the last + 1."""
        offset, size = self._chunks[index].tolist()
        return offset, offset + size

    def list_encoded(self, indices: Sequence[int]) -> list[int]:
        """Return those chunks that have to be decoded, because the cache has them no more."""
        cache = chunk_cache(self.cached_nbytes)
        return [index for index in indices if (self._number, index) not in cache]

    def use(self, index: int, copy_from: Callable[[Array], None]) -> None:
        """Copy from the rows of a chunk, decoded now or taken from the cache.

        Args:
            index: The index of the chunk.
            copy_from: Copies from the rows, and keeps no reference to them.
        """
        chunk_cache(self.cached_nbytes).use(
            (self._number, index),
            self.chunk_nbytes,
            lambda buffer: self.decode(index, buffer),
            lambda buffer: copy_from(
                buffer.view(self._dtype).reshape(ROWS_PER_CHUNK, *self._shape)
            ),
        )

    def blocks(self) -> list[Array]:
        """Return all rows as blocks that are decoded only when numpy reads them."""
        starts = range(0, self._rows, _ROWS_PER_BLOCK)
        blocks = [_Block(self, start, min(start + _ROWS_PER_BLOCK, self._rows)) for start in starts]
        # A block is what numpy calls array-like, which the pieces of a shard need not be more than.
        return cast("list[Array]", blocks)


def decode_rows(
    requests: Sequence[tuple[CompressedRows, npt.NDArray[np.int64], npt.NDArray[np.int64]]],
    out: Array,
) -> None:
    """Decode rows of several columns or shards at once, on all processors.

    Args:
        requests: Columns, the indices of rows in them, and the indices of the rows in ``out``.
        out: Contiguous rows, which are filled.

    Raises:
        DatasetDamagedError: A chunk is not what was written.
    """
    jobs: list[_Job] = []
    nbytes = 0
    for source, rows, targets in requests:
        indices = rows // ROWS_PER_CHUNK
        order = np.argsort(indices, kind="stable")
        borders = np.flatnonzero(np.diff(indices[order], prepend=-1, append=-1)).tolist()
        numbers = indices[order].tolist()
        source.fetch(numbers)
        inside, wanted = (rows[order] % ROWS_PER_CHUNK).tolist(), targets[order].tolist()
        jobs += [
            (source, numbers[first], inside[first:stop], wanted[first:stop])
            for first, stop in pairwise(borders)
        ]
        nbytes += (len(borders) - 1) * source.chunk_nbytes

    def decode(job: _Job) -> None:
        source, number, inside, wanted = job
        first = wanted[0]
        if inside == _WHOLE_CHUNK and wanted == list(range(first, first + ROWS_PER_CHUNK)):
            source.decode(number, out[first : first + ROWS_PER_CHUNK].reshape(-1).view(np.uint8))
            return

        def copy_from(chunk: Array) -> None:
            for row, target in zip(inside, wanted, strict=True):
                out[target] = chunk[row]

        source.use(number, copy_from)

    run_jobs(decode, jobs, nbytes)


_Job: TypeAlias = tuple[CompressedRows, int, list[int], list[int]]


class _Block:
    """Rows that are decoded whenever numpy reads them, so that only one block is in memory."""

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
