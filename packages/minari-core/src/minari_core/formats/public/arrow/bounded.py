"""Parquet files that are not trusted: what they claim is compared with their size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from mmap import ACCESS_READ, mmap
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

from minari_core.errors import DatasetDamagedError, DatasetNotFoundError, MinariError
from minari_core.files import make_read_error, may_not_read
from minari_core.formats.public.arrow.pages import read_page_claims
from minari_core.formats.public.limits import FREE_NBYTES, check_limit, limit_unsaid_nbytes

_TEXT = "BYTE_ARRAY"
# Otherwise a column of a whole row group is read at once, packed as it is.
_BUFFER_NBYTES = 1 << 20


class BoundedParquet:
    """Reads a Parquet file, of which no rows take more memory than a file of its size can hold."""

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            DatasetNotFoundError: There is no such file.
            DatasetAccessError: It may not be read.
            DatasetDamagedError: It is no Parquet file, or claims too much.
        """
        if not path.is_file():
            raise DatasetNotFoundError(f"there is no file {path}")
        self._path = path
        with self._name_errors():
            self._file = parquet.ParquetFile(path, buffer_size=_BUFFER_NBYTES)
            metadata = self._file.metadata
            with path.open("rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as content:
                self._limit = limit_unsaid_nbytes(len(content))
                claims = read_page_claims(content, metadata)
            check_limit(max(claims.nbytes, claims.largest), self._limit)
            self.schema: pa.Schema = self._file.schema_arrow
            """The columns."""
        self.total = int(metadata.num_rows)
        """The number of rows."""
        leaves = map(metadata.schema.column, range(metadata.num_columns))
        has_texts = any(leaf.physical_type == _TEXT for leaf in leaves)
        # A text is no longer than its page, and may stand for all rows.
        self._at_once = max(1, FREE_NBYTES // max(claims.largest, 1)) if has_texts else None

    def __enter__(self) -> BoundedParquet:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def iterate(self, rows: int, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows, some at a time.

        Args:
            rows: How many at most.
            columns: The names of the columns; all if None.

        Raises:
            DatasetDamagedError: They cannot be read, or take too much memory.
        """
        at_once = rows if self._at_once is None else min(rows, self._at_once)
        batches: list[pa.RecordBatch] = []
        nbytes = count = 0
        with self._name_errors():
            for batch in self._iterate_batches(at_once, columns):
                if count + len(batch) > rows:
                    yield pa.Table.from_batches(batches)
                    batches, nbytes, count = [], 0, 0
                batches.append(batch)
                nbytes, count = nbytes + batch.nbytes, count + len(batch)
                check_limit(nbytes, self._limit)
            if batches:
                yield pa.Table.from_batches(batches)

    def _iterate_batches(
        self, rows: int, columns: Sequence[str] | None
    ) -> Iterator[pa.RecordBatch]:
        # Asked for all groups at once, Arrow keeps those that it is done with.
        for group in range(self._file.num_row_groups):
            yield from self._file.iter_batches(rows, row_groups=[group], columns=columns)

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Read all rows of some columns.

        Raises:
            DatasetDamagedError: They cannot be read, or take too much memory.
        """
        with self._name_errors():
            fields = [self.schema.field(name) for name in columns]
            return pa.concat_tables(
                [pa.schema(fields).empty_table(), *self.iterate(max(self.total, 1), columns)]
            ).select(list(columns))

    @contextmanager
    def _name_errors(self) -> Iterator[None]:
        try:
            yield
        except MinariError as error:
            if str(self._path) in str(error):
                raise
            raise DatasetDamagedError(f"{self._path}: {error}") from error
        except Exception as error:
            if may_not_read(error):
                raise make_read_error(self._path, error) from error
            raise DatasetDamagedError(f"{self._path} is no whole Parquet file: {error}") from error
