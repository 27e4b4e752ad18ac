"""Parquet files of steps and of episodes, written piece by piece."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

from minari_core.files import make_write_error, sync_file
from minari_core.storage.base import Storage
from minari_core.tables.arrow import iterate_tables
from minari_core.tables.rows import Rows

LARGEST_GROUP_NBYTES = 250 << 20
"""What a row group may take in memory, so that whoever reads one needs no more."""


def write_parquet(
    storage: Storage,
    indices: Sequence[int],
    path: str | os.PathLike[str],
    rows: Rows = "steps",
    *,
    next_observations: bool = False,
    as_json: bool = False,
    most_nbytes: int | None = None,
) -> int:
    """Write a table as a Parquet file, compressed by Zstandard, with an index of its pages.

    The file is there whole, or not at all.

    Args:
        storage: The storage.
        indices: The indices of the episodes, in order.
        path: The file, which is replaced if it is there.
        rows: What a row is.
        next_observations: Also give steps the observations that they led to.
        as_json: Write what is no column of numbers, text or images as JSON text.
        most_nbytes: Stop after the row group with which the file is larger than this.

    Returns:
        The number of rows that were written.

    Raises:
        DataError: A column cannot be one of a table; the message names it.
        DatasetWriteError: The file system refused.
        MissingDependencyError: Pillow, which encodes images, is not installed.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.part")
    options = {"next_observations": next_observations, "as_json": as_json}
    written = 0
    try:
        tables = iterate_tables(storage, indices, rows, **options)
        first = next(tables)
        with parquet.ParquetWriter(
            partial, first.schema, compression="zstd", write_page_index=True
        ) as writer:
            table: pa.Table | None = first
            while table is not None:
                writer.write_table(table, row_group_size=_count_rows_of_group(table))
                written += len(table)
                if most_nbytes is not None and partial.stat().st_size > most_nbytes:
                    break
                table = next(tables, None)
        sync_file(partial)
        os.replace(partial, target)
    except (pa.ArrowException, OSError) as error:
        raise make_write_error(f"{target} could not be written", error) from error
    finally:
        partial.unlink(missing_ok=True)
    return written


def _count_rows_of_group(table: pa.Table) -> int:
    count = len(table)
    row_nbytes = max(int(table.nbytes) // max(count, 1), 1)
    return max(min(LARGEST_GROUP_NBYTES // row_nbytes, count), 1)
