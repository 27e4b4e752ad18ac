"""One shard as this process reads it."""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minari_core.columns import AXES, Array, ArraySpec, Reader, Schema, StoredArray
from minari_core.errors import DatasetDamagedError
from minari_core.files import check_plain
from minari_core.formats.shards.compression import CompressedRows
from minari_core.formats.shards.entry import ShardEntry


class ShardReader:
    """Reads the parts of a shard by row, from arrays wherever they are.

    Thread-safe: it holds no position, and its arrays are read-only or never written to.
    """

    __slots__ = ("_arrays", "_counts", "_readers", "name", "schema")

    def __init__(
        self,
        name: str,
        schema: Schema,
        arrays: Sequence[StoredArray],
        counts: tuple[int, int, int],
    ) -> None:
        """Take a shard's arrays.

        Args:
            name: What to call the shard in an error message.
            schema: Its columns.
            arrays: One for each array of the schema that is not derived.
            counts: How many rows, steps and episodes it has.
        """
        self.schema = schema
        self.name = name
        """What the shard is called in an error message."""
        self._arrays = arrays
        self._counts = dict(zip(("rows", "steps", "episodes"), counts, strict=True))
        self._readers: dict[bool, dict[str, Reader]] = {}

    def arrays_of(self, part: str) -> list[StoredArray]:
        """The flat arrays of a part of the schema that are not derived, in their order."""
        specs = [spec for spec in self.schema.arrays if not spec.derived]
        inside = f"{part}/"
        return [
            array
            for spec, array in zip(specs, self._arrays, strict=True)
            if spec.path == part or spec.path.startswith(inside)
        ]

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many rows, steps and episodes there are."""
        return self._counts["rows"], self._counts["steps"], self._counts["episodes"]

    def array(self, path: str) -> StoredArray | None:
        """One of the flat arrays by its path, or None if the shard has no such array."""
        specs = (spec for spec in self.schema.arrays if not spec.derived)
        for spec, array in zip(specs, self._arrays, strict=True):
            if spec.path == path:
                return array
        return None

    def read(self, part: str, start: int, stop: int, *, copy: bool) -> Any:
        """Read rows of a part; see `readers`.

        Raises:
            DatasetDamagedError: They cannot be read; the message names the shard.
        """
        try:
            return self.readers(copy=copy)[part](start, stop)
        except DatasetDamagedError as error:
            if self.name in str(error):
                raise
            raise DatasetDamagedError(f"{self.name}: {part}: {error}") from error

    def readers(self, *, copy: bool) -> dict[str, Reader]:
        """What reads each part of the shard.

        Args:
            copy: Whether they return fresh arrays, or views of the shard.

        Raises:
            DatasetDamagedError: The arrays do not fit the columns; the message names the shard.
        """
        if copy not in self._readers:
            arrays = iter(self._arrays)
            bound: dict[str, Reader] = {}
            for part, column in self.schema.groups.items():
                try:
                    bound[part] = column.bind(arrays, self._counts[AXES[part]], copy=copy)
                except DatasetDamagedError as error:
                    raise DatasetDamagedError(f"{self.name}: {part}: {error}") from error
            self._readers[copy] = bound
        return self._readers[copy]


def open_shard(folder: Path, entry: ShardEntry, schema: Schema) -> ShardReader:
    """Map a shard's file, without HDF5 and without leaving a file open.

    Args:
        folder: The dataset's folder.
        entry: What the manifest says of the shard.
        schema: The schema that the entry names.

    Raises:
        FileNotFoundError: The file is gone.
        DatasetDamagedError: The file is not of the size that the manifest says, or the manifest
            points outside it.
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
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        if isinstance(error, DatasetDamagedError):
            raise
        raise DatasetDamagedError(f"{path} cannot be mapped: {error}") from error
    contents = memoryview(mapped)
    specs = schema.arrays
    arrays: list[StoredArray] = []
    for index, (spec, (offset, rows)) in enumerate(zip(specs, entry.arrays, strict=True)):
        if spec.derived:
            continue
        if spec.rows_per_chunk:
            table_offset, chunks = entry.arrays[index + 1]
            table = contiguous(contents, specs[index + 1], table_offset, chunks, str(path))
            name = f"{path}: {spec.path}"
            arrays.append(CompressedRows(contents, table, rows, spec.dtype, spec.row_shape, name))
        else:
            arrays.append(contiguous(contents, spec, offset, rows, str(path)))
    return ShardReader(str(path), schema, arrays, (entry.rows, entry.steps, entry.episodes))


def contiguous(contents: memoryview, spec: ArraySpec, offset: int, rows: int, where: str) -> Array:
    """An array as it lies in the contents of a shard.

    Args:
        contents: All bytes of the shard.
        spec: Which array it is.
        offset: At which byte it should begin.
        rows: How many rows it should have.
        where: What to call the shard in an error message.

    Raises:
        DatasetDamagedError: There are not so many bytes.
    """
    elements = rows
    for size in spec.row_shape:
        elements *= size
    end = offset + elements * spec.dtype.itemsize
    if offset < 0 or end > len(contents):
        raise DatasetDamagedError(
            f"{where}: {spec.path} should lie at bytes {offset} to {end} of {len(contents)}"
        )
    flat = np.frombuffer(contents, dtype=spec.dtype, count=elements, offset=offset)
    return flat.reshape(rows, *spec.row_shape)
