"""Bounds on the memory that the arrays of a file may take, whatever the file claims.

A compressed or damaged file of a few kilobytes can stand for gigabytes. Half a gigabyte of what a
dataset's metadata leads one to expect is read, however well it is compressed; beyond that, as much
as files of such a size hold in practice. Only the writer knows how long texts and other rows of no
fixed size are, and notes it in the metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from minari_core.columns import Column, FixedColumn, MaskedColumn, StructColumn
from minari_core.errors import DatasetDamagedError
from minari_core.formats.public.batching import estimate_row_nbytes
from minari_core.formats.public.metadata_file import PublicManifest

MOST_PACKED = 1100
"""How many times smaller the usual compressions make an array at most."""

FREE_NBYTES = 64 << 20
"""What any file may take."""

_LARGE_NBYTES, _USUALLY_PACKED = 256 << 20, 20
_BELIEVED_NBYTES, _WELL_PACKED = 512 << 20, 100
_FLAGS_NBYTES = 16
_OFFSET_NBYTES = 8


def estimate_nbytes(manifest: PublicManifest) -> int:
    """Estimate the size of all arrays of a dataset in memory, by what its metadata says."""
    row = _FLAGS_NBYTES + sum(
        [
            estimate_row_nbytes(manifest.observation_space),
            estimate_row_nbytes(manifest.action_space),
            _estimate_column(manifest.infos),
            _estimate_column(manifest.extras),
        ]
    )
    fixed = row * (manifest.total_steps + manifest.total_episodes)
    return max(fixed, manifest.largest_nbytes)


def estimate_missing(values: Mapping[str, object], union: StructColumn) -> int:
    """Estimate how much memory a row takes of the columns that an episode lacks.

    Args:
        values: What it has, rows by key.
        union: The columns of all episodes.
    """
    missing = 0
    for key, column in union.fields.items():
        value = values.get(key)
        if key not in values:
            missing += _estimate_column(column)
        elif isinstance(column, StructColumn) and isinstance(value, Mapping):
            missing += estimate_missing(value, column)
    return missing


def measure_nbytes(value: object) -> int:
    """Measure how much memory arrays, texts, and dicts and sequences of them take."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, str):
        return _OFFSET_NBYTES + len(value) * (1 if value.isascii() else 4)
    if isinstance(value, Mapping):
        return sum(map(measure_nbytes, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(measure_nbytes, value))
    return 0


def limit_nbytes(expected: int, file_nbytes: int) -> int:
    """Return how much memory the arrays of a file may take.

    Args:
        expected: What the metadata of the dataset leads one to expect; it may be forged.
        file_nbytes: The size of the file.
    """
    packed = min(MOST_PACKED * file_nbytes, _LARGE_NBYTES)
    # Numbers may be wider than those of their space, and have masks.
    believed = min(2 * expected, _BELIEVED_NBYTES + _WELL_PACKED * file_nbytes)
    return believed + max(FREE_NBYTES, packed, _USUALLY_PACKED * file_nbytes)


def limit_unsaid_nbytes(file_nbytes: int) -> int:
    """Return how much memory the arrays of an episode may take, of whose size nothing is said.

    Args:
        file_nbytes: The size of the file that it lies in.
    """
    packed = min(MOST_PACKED * file_nbytes, _LARGE_NBYTES + _WELL_PACKED * file_nbytes)
    return FREE_NBYTES + packed


def limit_chunk_nbytes(array_nbytes: int) -> int:
    """Return how much memory a chunk of an array may take, which is unpacked as a whole.

    Args:
        array_nbytes: The size of the array, which may be only a part of its first chunk.
    """
    return max(FREE_NBYTES, array_nbytes)


def check_limit(nbytes: int, limit: int) -> None:
    """Raise if arrays take more memory than they may.

    Raises:
        DatasetDamagedError: They do.
    """
    if nbytes > limit:
        raise DatasetDamagedError(
            f"its arrays claim {nbytes} bytes, more than the {limit} that the size of the file and "
            "the metadata of the dataset allow"
        )


class Budget:
    """The memory that values read from a file may still take."""

    def __init__(self, nbytes: int) -> None:
        self._left = nbytes

    @property
    def left(self) -> int:
        """Number of bytes that may still be taken."""
        return self._left

    def take(self, nbytes: int) -> None:
        """Count what is about to be read.

        Raises:
            DatasetDamagedError: It is more than is left.
        """
        check_limit(nbytes, self._left)
        self._left -= nbytes

    def add(self, other: Budget) -> None:
        """Add what another file may take."""
        self._left += other.left


def _estimate_column(column: Column) -> int:
    if isinstance(column, StructColumn):
        return sum(map(_estimate_column, column.fields.values()))
    if isinstance(column, MaskedColumn):
        return 1 + _estimate_column(column.value)
    if isinstance(column, FixedColumn):
        return column.dtype.itemsize * prod(column.shape)
    return 0
