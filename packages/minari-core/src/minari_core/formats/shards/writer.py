"""Write a shard: an immutable HDF5 file of flat arrays.

HDF5 lays the file out; the contiguous arrays are then written at the offsets it chose, straight
from where they are in memory. So a shard costs what writing its bytes costs, however many pieces
they come in.
"""

from __future__ import annotations

import json
import math
import os
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from minari_core.columns import AXES, Array, ArraySpec, Schema
from minari_core.episodes.shard_data import ShardData
from minari_core.errors import DataError
from minari_core.files import make_write_error
from minari_core.formats.shards.checksums import combine_crc32, compute_block_checksums
from minari_core.formats.shards.compression import ZSTD_FILTER, ZSTD_LEVEL, compress_chunks
from minari_core.formats.shards.entry import FORMAT_VERSION, LENGTHS, NO_OFFSET, ShardEntry
from minari_core.formats.shards.trailer import encode_trailer
from minari_core.ranges.checksums import BlockChecksums

ALIGNMENT = 64
"""Every array starts at a multiple of this, for vector instructions and direct reads."""

_FLUSHED_EARLY = 4 << 20
_BATCH_NBYTES = 1 << 20
_SMALLEST_PIECE = 1 << 14
_PIECES_A_CALL = 512


@dataclass(slots=True)
class _PlacedArray:
    """An array with its offset in the file, and the pieces that are still to be written there."""

    offset: int
    rows: int
    pieces: Sequence[Array]
    dtype: np.dtype[np.generic]


def write_shard(
    folder: Path,
    data: ShardData,
    schema_index: int,
    on_written: Callable[[Path], object] | None = None,
    *,
    has_checksum: bool = True,
) -> ShardEntry:
    """Write a shard into a folder, or leave nothing there; it is not yet flushed to the disk.

    Args:
        folder: An existing folder.
        data: What to write.
        schema_index: The index of the data's schema in the manifest.
        on_written: Called with the file's path when all bytes are written, to flush them; of a
            large file also before they are read again for the checksums, so that flushing most of
            them can run at the same time.
        has_checksum: Compute the checksum; 0 stands for none where the file can be made again.

    Returns:
        The manifest's entry of the shard.

    Raises:
        DatasetWriteError: The file system refused; the data is untouched.
    """
    path = folder / f"shard-{uuid.uuid4().hex}.h5"
    with _as_write_error(path):
        placed = _lay_out(path, data)
        with open(path, "r+b", buffering=0) as file:
            for array in placed:
                _write_pieces(file, array)
            nbytes = file.seek(0, os.SEEK_END)
            if on_written is not None and nbytes >= _FLUSHED_EARLY:
                on_written(path)
            sums, checksum = compute_block_checksums(file) if has_checksum else (None, 0)
            trailer = _encode_trailer(data, nbytes, sums)
            file.seek(nbytes)
            _write_all(file, [memoryview(trailer)])
            if on_written is not None:
                on_written(path)
            nbytes += len(trailer)
            if has_checksum:
                checksum = combine_crc32(checksum, zlib.crc32(trailer), len(trailer))
    return ShardEntry(
        file=path.name,
        nbytes=nbytes,
        crc32=checksum,
        schema=schema_index,
        rows=data.rows,
        steps=data.steps,
        episodes=data.episodes,
        arrays=tuple((array.offset, array.rows) for array in placed),
    )


class GrowingShard:
    """A shard that is written a part at a time; its numbers of rows are known from the start.

    Its columns have one row in each array for one of theirs, and are not compressed. It is not
    flushed to the disk, and has no checksum.
    """

    def __init__(self, folder: Path, schema: Schema, counts: tuple[int, int, int]) -> None:
        """Lay the shard out.

        Args:
            folder: An existing folder.
            schema: Its columns.
            counts: The numbers of its rows, steps and episodes.

        Raises:
            DataError: No file has room for so many rows.
            DatasetWriteError: The file system refused.
        """
        self._counts = counts
        self._path = folder / f"shard-{uuid.uuid4().hex}.h5"
        axes = dict(zip(("rows", "steps", "episodes"), counts, strict=True))
        # Only their lengths are asked for.
        promised: Any = [[range(axes[AXES[spec.path.partition("/")[0]]])] for spec in schema.arrays]
        with _as_write_error(self._path):
            try:
                self._placed = _lay_out(self._path, ShardData(schema, promised, *counts))
            except (ValueError, OverflowError) as error:
                raise DataError(f"no file has room for {counts[0]} rows: {error}") from error
            self._file = FileIO(self._path, "r+b")
        self._filled = [0] * len(self._placed)
        self._row_nbytes = [
            spec.dtype.itemsize * math.prod(spec.row_shape) for spec in schema.arrays
        ]

    def write(self, data: ShardData) -> None:
        """Write the next rows, of the schema of this shard.

        Raises:
            DataError: They are more than there is room for.
            DatasetWriteError: The file system refused.
        """
        with _as_write_error(self._path):
            for number, pieces in enumerate(data.pieces):
                array, filled = self._placed[number], self._filled[number]
                self._filled[number] = filled + sum(map(len, pieces))
                if self._filled[number] > array.rows:
                    raise DataError(f"{self._path} has room for {array.rows} rows, and not more")
                offset = array.offset + filled * self._row_nbytes[number]
                _write_pieces(self._file, replace(array, offset=offset, pieces=pieces))

    def finish(self) -> ShardEntry:
        """Close the file.

        Returns:
            The manifest's entry of the shard, of the schema 0.

        Raises:
            DataError: Fewer rows were written than there is room for.
        """
        self._file.close()
        if self._filled != [array.rows for array in self._placed]:
            raise DataError(f"{self._path} was given fewer rows than it has room for")
        arrays = tuple((array.offset, array.rows) for array in self._placed)
        nbytes = self._path.stat().st_size
        return ShardEntry(self._path.name, nbytes, 0, 0, *self._counts, arrays)

    def discard(self) -> None:
        """Close the file and remove it."""
        self._file.close()
        self._path.unlink(missing_ok=True)


@contextmanager
def _as_write_error(path: Path) -> Iterator[None]:
    """Remove the file of a shard that cannot be written."""
    try:
        yield
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError | RuntimeError):  # h5py gives either for a full disk
            raise make_write_error(
                f"could not write shard {path}",
                error,
                "nothing of it is kept on disk, and trying again is safe",
            ) from error
        raise


def _lay_out(path: Path, data: ShardData) -> list[_PlacedArray]:
    placed: list[_PlacedArray] = []
    with h5py.File(path, "w", alignment_threshold=1, alignment_interval=ALIGNMENT) as file:
        file.attrs["minari_format_version"] = FORMAT_VERSION
        file.attrs["minari_schema"] = json.dumps(data.schema.to_json())
        file.attrs["minari_counts"] = [data.rows, data.steps, data.episodes]
        links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
        links.set_create_intermediate_group(True)
        links.set_char_encoding(h5py.h5t.CSET_UTF8)
        remaining = iter(data.pieces)
        table: Array | None = None
        for spec in data.schema.arrays:
            if spec.derived:
                pieces: Sequence[Array] = [] if table is None else [table]
            else:
                pieces = next(remaining)
            if spec.rows_per_chunk:
                table = _write_compressed(file, spec, pieces, links)
                placed.append(_PlacedArray(NO_OFFSET, sum(map(len, pieces)), (), spec.dtype))
            else:
                placed.append(_place(file, spec, pieces, links))
    return placed


def _place(
    file: h5py.File, spec: ArraySpec, pieces: Sequence[Array], links: h5py.h5p.PropLCID
) -> _PlacedArray:
    rows = sum(map(len, pieces))
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.CONTIGUOUS)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    properties.set_obj_track_times(False)
    dataset = _create(file, spec, rows, properties, links)
    # HDF5 allocates nothing for an array without elements.
    return _PlacedArray(dataset.get_offset() or 0, rows, pieces, spec.dtype)


def _write_compressed(
    file: h5py.File, spec: ArraySpec, pieces: Sequence[Array], links: h5py.h5p.PropLCID
) -> Array:
    """Write the chunks of a compressed array and return the table of where they are."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((spec.rows_per_chunk, *spec.row_shape))
    # Optional, so that HDF5 lets us describe a filter which only we run.
    properties.set_filter(ZSTD_FILTER, h5py.h5z.FLAG_OPTIONAL, (ZSTD_LEVEL,))
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    properties.set_obj_track_times(False)
    dataset = _create(file, spec, sum(map(len, pieces)), properties, links)
    origin = (0,) * len(spec.row_shape)
    for index, frame in enumerate(compress_chunks(pieces)):
        dataset.write_direct_chunk((index * spec.rows_per_chunk, *origin), frame)
    table: list[tuple[int, int, int]] = []
    dataset.chunk_iter(
        lambda chunk: table.append((chunk.chunk_offset[0], chunk.byte_offset, chunk.size))
    )
    return np.array([entry[1:] for entry in sorted(table)], dtype="<u8").reshape(-1, 2)


def _create(
    file: h5py.File,
    spec: ArraySpec,
    rows: int,
    properties: h5py.h5p.PropDCID,
    links: h5py.h5p.PropLCID,
) -> h5py.h5d.DatasetID:
    shape = (rows, *spec.row_shape)
    # HDF5 wants room for at least one whole chunk, which a short array has only if it may grow.
    largest = (h5py.h5s.UNLIMITED, *spec.row_shape) if spec.rows_per_chunk else shape
    return h5py.h5d.create(
        file.id,
        spec.path.encode("utf-8"),
        h5py.h5t.py_create(spec.dtype, logical=True),
        h5py.h5s.create_simple(shape, largest),
        properties,
        links,
    )


def _write_pieces(file: FileIO, array: _PlacedArray) -> None:
    if array.pieces:
        file.seek(array.offset)
    for block in _batch_pieces(array.pieces, array.dtype):
        _write_all(file, block)


def _batch_pieces(
    pieces: Sequence[Array], dtype: np.dtype[np.generic]
) -> Iterator[list[memoryview]]:
    """Group the bytes of pieces into large writes.

    Large writes do not only cost fewer calls: the system keeps the file in larger pages, and reads
    through a map of it are a third faster.
    """
    other = {piece.dtype for piece in pieces} - {dtype}
    if other:
        raise DataError(f"pieces of {other.pop()} for an array of {dtype}")
    if len(pieces) == 1:
        yield [_view_bytes(pieces[0])]
        return
    total = sum(map(len, pieces))
    row_nbytes = pieces[0].nbytes // max(len(pieces[0]), 1) if len(pieces) else 0
    if total * row_nbytes < len(pieces) * _SMALLEST_PIECE or not hasattr(os, "writev"):
        at_once = max(1, _BATCH_NBYTES * len(pieces) // max(total * row_nbytes, 1))
        for start in range(0, len(pieces), at_once):
            # Without dtype, numpy would change arrays of the other byte order to its own.
            yield [_view_bytes(np.concatenate(pieces[start : start + at_once], dtype=dtype))]
        return
    for start in range(0, len(pieces), _PIECES_A_CALL):
        yield [_view_bytes(piece) for piece in pieces[start : start + _PIECES_A_CALL]]


def _encode_trailer(data: ShardData, nbytes: int, sums: BlockChecksums | None) -> bytes:
    """Encode the index of the episodes, if they are all whole, and the checksums."""
    specs = [spec for spec in data.schema.arrays if not spec.derived]
    pieces = [
        pieces for spec, pieces in zip(specs, data.pieces, strict=True) if spec.path == LENGTHS
    ]
    lengths = None
    if data.has_whole_episodes and pieces:
        found = np.concatenate(pieces[0]).astype(np.int64)
        if (len(found), int(found.sum())) == (data.episodes, data.steps):
            lengths = found
    return b"" if lengths is None and sums is None else encode_trailer(nbytes, lengths, sums)


def _write_all(file: FileIO, blocks: list[memoryview]) -> None:
    waiting = [block for block in blocks if len(block)]
    while waiting:
        is_one = len(waiting) == 1
        written = file.write(waiting[0]) if is_one else os.writev(file.fileno(), waiting)
        while waiting and written >= len(waiting[0]):
            written -= len(waiting.pop(0))
        if written:
            waiting[0] = waiting[0][written:]


def _view_bytes(array: Array) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
