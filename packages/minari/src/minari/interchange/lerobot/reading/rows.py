"""The rows of Parquet files, which are untrusted, taken in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

from minari_core.errors import DatasetDamagedError


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
        self._path = path
        try:
            self._file = parquet.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise DatasetDamagedError(f"{path} is no whole Parquet file: {error}") from error
        self.schema: pa.Schema = self._file.schema_arrow
        self.total: int = self._file.metadata.num_rows
        self._batches = self._iterate(columns)
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

    def _iterate(self, columns: Sequence[str] | None) -> Iterator[pa.Table]:
        try:
            for batch in self._file.iter_batches(4096, columns=columns):
                yield pa.Table.from_batches([batch])
        except (pa.ArrowException, OSError) as error:
            raise DatasetDamagedError(f"{self._path} cannot be read: {error}") from error
