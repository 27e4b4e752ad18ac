"""Where a table comes from: memory, or a Parquet file that is read piece by piece."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from minari_core.formats.public.arrow.bounded import BoundedParquet
from minari_core.formats.public.files import OWN_KEY
from minari_core.json_values import JsonValue
from minari_core.metadata.parents import PARENTS
from minari_core.metadata.splits import SPLITS
from minari_core.tables.arrow import TABLE_KEY
from minari_core.tables.gathering import Columns, concatenate_columns, split_name
from minari_core.tables.reading import read_table

STEP_COLUMNS = frozenset(
    {
        "episode_id",
        "step",
        "observation",
        "action",
        "reward",
        "terminated",
        "truncated",
        "next_observation",
        "info",
        "extra",
    }
)
"""What the names of columns of steps are, or begin with before a dot."""
EPISODE_COLUMNS = frozenset(
    {
        "episode_id",
        "length",
        "return",
        "seed",
        "options",
        "metadata",
        "final_observation",
        "reset_info",
        "reset_extra",
        "final_info",
    }
)
"""Likewise of columns of episodes."""
_ROWS, _PIECE_NBYTES = 1 << 14, 1 << 26
# What the table itself is, and what of its dataset does not hold for another one: rows may have
# been taken out of the table, so that the indices of splits would mean other episodes.
_NOT_SAID = ("rows", "next_observations", PARENTS, SPLITS, OWN_KEY)


@dataclass(frozen=True, slots=True)
class TableSource:
    """A table of Arrow, pandas or polars, or a Parquet file."""

    table: Any
    """The table without other columns, or the path of the file."""
    description: Mapping[str, JsonValue]
    """What the table says of the dataset that it was made of: keys of metadata."""
    columns: Sequence[str]
    """The names of the columns that are read."""
    others: Sequence[str]
    """The names of other columns, which are left out."""

    def iterate_columns(self) -> Iterator[Columns]:
        """Read the columns piece by piece.

        Raises:
            DatasetDamagedError: The file is no whole Parquet file.
            DataError: A column holds what is no column of a dataset.
        """
        yield from self._iterate(None)

    def read_columns(self, name: str = "") -> Columns:
        """Read all rows of the columns whose name begins with a word, such as ``observation``."""
        chunks = list(self._iterate(name or None))
        if not chunks:  # of a file without a row
            return {key: [] for key in self.columns if _is_of(key, name or None)}
        return concatenate_columns(chunks)

    def _iterate(self, name: str | None) -> Iterator[Columns]:
        if not isinstance(self.table, Path):
            columns = read_table(self.table)
            yield {key: leaf for key, leaf in columns.items() if _is_of(key, name)}
            return
        with BoundedParquet(self.table) as file:
            chosen = [key for key in self.columns if _is_of(key, name)]
            for table in file.iterate(_ROWS, chosen):
                yield from _read_pieces(table)


def open_table(table: Any, known: Collection[str] | None = None) -> TableSource:
    """Open a table, or a Parquet file by its path.

    Args:
        table: The table, or the path.
        known: What the names of columns that are read are, or begin with before a dot; all
            columns if None.

    Raises:
        DataError: It is no table.
        DatasetNotFoundError: There is no such file.
        DatasetDamagedError: It is no Parquet file.
    """
    if isinstance(table, str | os.PathLike):
        path = Path(table)
        with BoundedParquet(path) as file:
            names, metadata = file.schema.names, file.schema.metadata
        return TableSource(path, _read_description(metadata), *_choose(names, known))
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    if isinstance(table, pa.Table):
        columns, others = _choose(table.schema.names, known)
        description = _read_description(table.schema.metadata)
        return TableSource(table.select(columns) if others else table, description, columns, others)
    if not hasattr(table, "columns"):
        return TableSource(table, {}, (), ())  # what reads it says that it is no table
    columns, others = _choose(list(table.columns), known)
    return TableSource(table[columns] if others else table, {}, columns, others)


def _choose(names: Sequence[Any], known: Collection[str] | None) -> tuple[list[Any], list[str]]:
    """Return the names that are known, and the others."""
    columns = [name for name in names if known is None or split_name(str(name))[0] in known]
    return columns, [str(name) for name in names if name not in columns]


def _read_pieces(table: pa.Table) -> Iterator[Columns]:
    """Read a table some rows at a time: images take far more memory than their files."""
    first = read_table(table.slice(0, 1)).values()
    nbytes = sum(leaf.nbytes for leaf in first if isinstance(leaf, np.ndarray))
    rows = max(_PIECE_NBYTES // max(nbytes, 1), 1)
    for start in range(0, len(table), rows):
        yield read_table(table.slice(start, rows))


def _is_of(column: str, name: str | None) -> bool:
    return name is None or column == name or column.startswith(f"{name}.")


def _read_description(metadata: Mapping[bytes, bytes] | None) -> Mapping[str, JsonValue]:
    try:
        said = json.loads((metadata or {}).get(TABLE_KEY, b"{}"))
    except ValueError:
        return {}
    if not isinstance(said, dict):
        return {}
    return {key: value for key, value in said.items() if key not in _NOT_SAID}
