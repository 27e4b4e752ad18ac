"""Where a table comes from: memory, or a Parquet file that is read piece by piece."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from minari_core.formats.public.arrow.bounded import BoundedParquet
from minari_core.formats.public.files import OWN_KEY
from minari_core.json_values import JsonValue
from minari_core.metadata.parents import PARENTS
from minari_core.metadata.splits import SPLITS
from minari_core.tables.arrow import TABLE_KEY
from minari_core.tables.gathering import Columns, concatenate_columns
from minari_core.tables.reading import read_table

_ROWS = 1 << 14
# What the table itself is, and what of its dataset does not hold for another one: rows may have
# been taken out of the table, so that the indices of splits would mean other episodes.
_NOT_SAID = ("rows", "next_observations", PARENTS, SPLITS, OWN_KEY)


@dataclass(frozen=True, slots=True)
class TableSource:
    """A table of Arrow, pandas or polars, or a Parquet file."""

    table: Any
    """The table, or the path of the file."""
    description: Mapping[str, JsonValue]
    """What the table says of the dataset that it was made of: keys of metadata."""

    def iterate_columns(self) -> Iterator[Columns]:
        """Read the columns piece by piece.

        Raises:
            DatasetDamagedError: The file is no whole Parquet file.
            DataError: A column holds what is no column of a dataset.
        """
        yield from self._iterate(None)

    def read_columns(self, name: str = "") -> Columns:
        """Read all rows of the columns whose name begins with a word, such as ``observation``."""
        return concatenate_columns(list(self._iterate(name or None)))

    def _iterate(self, name: str | None) -> Iterator[Columns]:
        if not isinstance(self.table, Path):
            columns = read_table(self.table)
            yield {key: leaf for key, leaf in columns.items() if _is_of(key, name)}
            return
        with BoundedParquet(self.table) as file:
            chosen = [key for key in file.schema.names if _is_of(key, name)]
            for table in file.iterate(_ROWS, chosen):
                yield read_table(table)


def open_table(table: Any) -> TableSource:
    """Open a table, or a Parquet file by its path.

    Raises:
        DatasetNotFoundError: There is no such file.
        DatasetDamagedError: It is no Parquet file.
    """
    if isinstance(table, str | os.PathLike):
        path = Path(table)
        with BoundedParquet(path) as file:
            metadata = file.schema.metadata
        return TableSource(path, _read_description(metadata))
    if isinstance(table, pa.Table | pa.RecordBatch):
        return TableSource(table, _read_description(table.schema.metadata))
    return TableSource(table, {})


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
