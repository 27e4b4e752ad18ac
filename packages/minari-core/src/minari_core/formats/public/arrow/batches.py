"""Batches of rows, joined while they are as many, and take as much memory, as they may."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from minari_core.errors import DatasetDamagedError
from minari_core.formats.public.limits import check_limit

_JOINED_NBYTES = 16 << 20


def check_rows(rows: int, most_rows: int) -> None:
    """Raise if an episode has more rows than its metadata says.

    Raises:
        DatasetDamagedError: It has.
    """
    if rows > most_rows:
        raise DatasetDamagedError(f"it has {rows} rows, but its metadata says {most_rows}")


def limit_batches(batches: Iterable[Any], limit: int, most_rows: int) -> Iterator[Any]:
    """Yield batches of an episode while they are not more than they may be.

    Args:
        batches: The batches.
        limit: How much memory all of them may take.
        most_rows: How many rows they may have.

    Raises:
        DatasetDamagedError: They are more.
    """
    rows = nbytes = 0
    for batch in batches:
        rows += batch.num_rows
        nbytes += batch.nbytes
        check_rows(rows, most_rows)
        check_limit(nbytes, limit)
        yield batch


def join_batches(batches: Iterable[Any], schema: Any, limit: int, most_rows: int) -> Any:
    """Join batches of an episode to a table, in which equal texts are in memory once.

    Args:
        batches: The batches; their texts are in dictionaries.
        schema: Their schema.
        limit: How much memory the table may take.
        most_rows: How many rows it may have.

    Raises:
        DatasetDamagedError: It has more.
    """
    joined, added, nbytes = schema.empty_table(), [], 0
    for batch in batches:
        added.append(batch)
        nbytes += batch.nbytes
        if nbytes > max(_JOINED_NBYTES, joined.get_total_buffer_size()):
            joined = _join(joined, added, limit, most_rows)
            added, nbytes = [], 0
    return _join(joined, added, limit, most_rows)


def _join(joined: Any, added: list[Any], limit: int, most_rows: int) -> Any:
    new = pa.Table.from_batches(added, joined.schema)
    table = pa.concat_tables([joined, new]).unify_dictionaries()
    check_rows(table.num_rows, most_rows)
    check_limit(table.get_total_buffer_size(), limit)
    return table
