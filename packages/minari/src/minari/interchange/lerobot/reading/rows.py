"""The rows of Parquet files, which are untrusted, taken in order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from minari_core.formats.public.arrow.bounded import BoundedParquet


class RowStream:
    """The rows of a Parquet file, taken in order, as many as are asked for."""

    def __init__(self, path: Path, columns: Sequence[str] | None = None) -> None:
        """Open a file.

        Args:
            path: The file.
            columns: The names of the columns; all if None.

        Raises:
            DatasetDamagedError: It is no Parquet file.
        """
        self._file = BoundedParquet(path)
        self.schema: pa.Schema = self._file.schema
        self.total = self._file.total
        self._batches = self._file.iterate(4096, columns)
        self._rest: pa.Table | None = None

    def take(self, count: int) -> pa.Table:
        """Take the next rows, fewer if the file ends.

        Raises:
            DatasetDamagedError: They cannot be read.
        """
        parts: list[pa.Table] = []
        missing = count
        while missing > 0:
            table = self._rest if self._rest is not None else next(self._batches, None)
            self._rest = None
            if table is None:
                break
            if len(table) > missing:
                self._rest = table.slice(missing)
                table = table.slice(0, missing)
            parts.append(table)
            missing -= len(table)
        return pa.concat_tables(parts) if parts else self.schema.empty_table()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
