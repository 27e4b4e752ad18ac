"""The public Minari's ``"arrow"`` and ``"parquet"``: one folder an episode.

It holds a table of T+1 rows, ``metadata.json`` with the attributes of the episode, and a sidecar if
there is anything that the format cannot hold. ``metadata.json`` of the dataset counts the episodes
that belong to it.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from minari_core.columns import Array
from minari_core.episodes.episode import EpisodeData
from minari_core.errors import DatasetDamagedError, MissingDependencyError
from minari_core.files import check_plain, make_read_error, may_not_read, name_damage
from minari_core.formats.public.attributes import Attributes, decode_attributes
from minari_core.formats.public.checksums import EpisodeChecksums
from minari_core.formats.public.episode_writer import EpisodeWriter, MetadataWriter
from minari_core.formats.public.files import (
    EPISODE_METADATA,
    SIDECAR_FILE,
    is_episode_data,
    parse_episode_number,
)
from minari_core.formats.public.limits import Budget, check_limit, estimate_nbytes, limit_nbytes
from minari_core.formats.public.sidecar import COLUMNS_NAME, restore_sidecar
from minari_core.formats.public.storage.base import PublicStorage

try:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    from minari_core.formats.public.arrow import values as arrow_values
    from minari_core.formats.public.arrow.batches import check_rows, join_batches, limit_batches
    from minari_core.formats.public.arrow.claims import read_claims
    from minari_core.formats.public.arrow.pages import read_page_claims
    from minari_core.formats.public.arrow.writers import ArrowEpisodeWriter, ArrowMetadataWriter
except ImportError as error:
    raise MissingDependencyError(
        "the formats 'arrow' and 'parquet' need pyarrow; pip install 'minari-core[arrow]'"
    ) from error


_BLOCK_NBYTES = 1 << 20
_BATCH_NBYTES, _BATCH_ROWS = 4 << 20, 512


class ArrowStorage(PublicStorage):
    """A dataset in the public Minari's Arrow layout."""

    data_format: ClassVar[str] = "arrow"
    holds_array_attributes: ClassVar[bool] = False

    def _read(self, numbers: Sequence[int], *, copy: bool) -> Iterator[EpisodeData]:
        for number in numbers:
            folder = self._folder / str(number)
            with name_damage(f"episode {number} in {folder}"):
                episode = self._read_episode(folder, number)
            yield episode

    def _read_attributes(self, numbers: Sequence[int]) -> Iterator[tuple[Attributes, Any]]:
        for number in numbers:
            folder = self._folder / str(number)
            with name_damage(f"episode {number} in {folder}"):
                attributes = self._read_json(number)
                if "total_steps" not in attributes:
                    attributes["total_steps"] = self._table(folder, attributes).num_rows - 1
                entry = None
                sidecar = self._read_sidecar(number)
                if sidecar is not None:
                    rows = int(attributes["total_steps"]) + 1
                    entry = restore_sidecar(*sidecar, rows, {}, copy=True)[1]
            yield attributes, entry

    def _count_observations(self, numbers: Sequence[int]) -> Iterator[int | None]:
        for number in numbers:
            folder = self._folder / str(number)
            with name_damage(f"episode {number} in {folder}"):
                rows = sum(self._count_rows(path) for path in _data_files(folder))
            yield rows

    def _read_episode(self, folder: Path, number: int) -> EpisodeData:
        attributes = self._read_json(number)
        table = self._table(folder, attributes)
        columns = {name: table.column(name).combine_chunks() for name in table.column_names}
        rows = table.num_rows
        # The public Minari adds a row to all but the observations, if they are one more.
        steps = rows if attributes.get("total_steps") == rows else rows - 1
        if attributes.get("total_steps", steps) != steps or steps < 1:
            raise DatasetDamagedError(
                f"it has {rows} rows, but total_steps is {attributes.get('total_steps')!r}"
            )
        flat = {
            name: arrow_values.decode_numbers(_combine(columns[name]), name)[:steps]
            for name in ("rewards", "terminations", "truncations")
        }
        infos: dict[str, Any] = {}
        if "infos" in columns:
            infos = arrow_values.decode_infos(_combine(columns["infos"]), "infos")
        seed, options, metadata = decode_attributes(attributes)
        extras: dict[str, Any] = {}
        sidecar = self._read_sidecar(number)
        if sidecar is not None:
            extras, entry = restore_sidecar(*sidecar, steps + 1, infos, copy=True)
            if entry is not None:
                seed, options, metadata = entry
        observations, actions = _combine(columns["observations"]), _combine(columns["actions"])
        packed = sum(path.stat().st_size for path in _data_files(folder))
        images = Budget(limit_nbytes(estimate_nbytes(self._manifest), packed))
        return EpisodeData(
            number,
            arrow_values.decode_value(
                self.observation_space, observations, rows, "observations", images
            ),
            arrow_values.decode_value(self.action_space, actions, steps, "actions", images),
            flat["rewards"].astype(np.float64, copy=False),
            flat["terminations"].astype(np.bool_, copy=False),
            flat["truncations"].astype(np.bool_, copy=False),
            infos,
            seed,
            options,
            metadata,
            extras,
        )

    def list_stored_episodes(self) -> list[int]:
        """List the indices of all folders of episodes."""
        with name_damage(str(self._folder)):
            names = map(parse_episode_number, os.listdir(self._folder))
        return sorted(number for number in names if number is not None)

    def find_data_file(self, number: int) -> str:
        """Return the file with an episode's table, or its folder if there are several files."""
        try:
            files = _data_files(self._folder / str(number))
        except OSError as error:
            if may_not_read(error):
                raise make_read_error(self._folder / str(number), error) from error
            files = []
        return f"{number}/{files[0].name}" if len(files) == 1 else str(number)

    def find_attributes_file(self, number: int) -> str:
        """Return the file that holds the attributes of an episode."""
        return f"{number}/{EPISODE_METADATA}"

    def compute_checksums(self, numbers: Sequence[int]) -> Iterator[EpisodeChecksums]:
        """Compute the checksums of episodes: of the files that are read, and of attributes."""
        for number in numbers:
            folder = self._folder / str(number)
            with name_damage(f"episode {number} in {folder}"):
                checksum = 0
                names = {path.name for path in _data_files(folder)}
                if self._find(number, SIDECAR_FILE).exists():
                    names.add(SIDECAR_FILE)
                for name in sorted(names):
                    with self._open(number, name) as file:
                        checksum = _add_file(checksum, name, file)
            yield EpisodeChecksums(checksum, *self.compute_attributes_checksums([number]))

    def compute_attributes_checksums(self, numbers: Sequence[int]) -> Iterator[int]:
        """Compute the checksums of the files with attributes alone."""
        for number in numbers:
            where = name_damage(f"episode {number} in {self._folder / str(number)}")
            with where, self._open(number, EPISODE_METADATA) as file:
                checksum = _add_file(0, EPISODE_METADATA, file)
            yield checksum

    def has_rewritten_attributes(self, number: int, kept: EpisodeChecksums) -> bool:
        """Return whether the attributes have white space as other programs of Python write it."""
        where = name_damage(f"episode {number} in {self._folder / str(number)}")
        with where, self._open(number, EPISODE_METADATA) as file:
            text = file.read()
            return text == json.dumps(json.loads(text)).encode("ascii")

    def _find(self, number: int, name: str) -> Path:
        return self.find_file(f"{number}/{name}")

    def _open(self, number: int, name: str) -> BinaryIO:
        """Open a file of an episode.

        Raises:
            FileNotFoundError: There is none.
            DatasetDamagedError: It is no plain file.
        """
        path = self._find(number, name)
        try:
            check_plain(path, may_be_link=True)
            return open(path, "rb")
        except FileNotFoundError:
            # A staged file may have been moved meanwhile.
            path = self._folder / str(number) / name
            check_plain(path, may_be_link=True)
            return open(path, "rb")

    def _read_json(self, number: int) -> dict[str, Any]:
        with self._open(number, EPISODE_METADATA) as file:
            content = json.load(file)
        if not isinstance(content, dict):
            raise DatasetDamagedError(f"{EPISODE_METADATA} is not a JSON object")
        return content

    def _read_sidecar(self, number: int) -> tuple[str, Iterator[Array]] | None:
        try:
            file = self._open(number, SIDECAR_FILE)
        except FileNotFoundError:
            return None
        with file, np.load(file, allow_pickle=False) as archive:
            claimed = sum(member.file_size for member in archive.zip.infolist())
            expected = estimate_nbytes(self._manifest)
            check_limit(claimed, limit_nbytes(expected, os.fstat(file.fileno()).st_size))
            columns = bytes(archive[COLUMNS_NAME]).decode("utf-8")
            arrays = [archive[str(index)] for index in range(len(archive.files) - 1)]
        return columns, iter(arrays)

    def _table(self, folder: Path, attributes: Attributes) -> Any:
        files = _data_files(folder)
        if not files:
            raise DatasetDamagedError("it has no file of data")
        files.sort(key=lambda path: [int(digits) for digits in re.findall(r"\d+", path.name)])
        for path in files:
            check_plain(path, may_be_link=True)
        expected = estimate_nbytes(self._manifest)
        steps = attributes.get("total_steps", self.total_steps)
        most_rows = steps + 1 if isinstance(steps, int) else 0
        tables = [self._read_table(path, expected, most_rows) for path in files]
        for table in tables:
            # An offset that leads out of a buffer would crash the process.
            table.validate(full=True)
        return tables[0] if len(tables) == 1 else pa.concat_tables(tables)

    def _read_table(self, path: Path, expected: int, most_rows: int) -> Any:
        """Read a file, of which not more is taken into memory than is to be expected.

        Args:
            path: The file.
            expected: The size that all arrays of the dataset are expected to have in memory.
            most_rows: How many rows the episode has by its metadata.
        """
        content = path.read_bytes()
        limit = limit_nbytes(expected, len(content))
        claims = read_claims(content)
        check_rows(sum(claim.rows for claim in claims), most_rows)
        check_limit(sum(claim.nbytes for claim in claims), limit)
        with pa.ipc.open_file(pa.py_buffer(content)) as file:
            batches = map(file.get_batch, range(file.num_record_batches))
            return pa.Table.from_batches(limit_batches(batches, limit, most_rows), file.schema)

    def _count_rows(self, path: Path) -> int:
        check_plain(path, may_be_link=True)
        with open(path, "rb") as file, _map(file) as content:
            return sum(claim.rows for claim in read_claims(content))

    def _write_table(self, table: Any, path: Path) -> None:
        # In one batch, because the public Minari takes each batch for an episode.
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)

    def _writer(self, first: int) -> EpisodeWriter:
        both_spaces = self.observation_space, self.action_space
        name, jpeg = self.data_format, self._manifest.stores_jpeg
        return ArrowEpisodeWriter(self._folder, first, both_spaces, name, jpeg, self._write_table)

    def _metadata_writer(self) -> MetadataWriter:
        return ArrowMetadataWriter(self._folder, self._read_json)


class ParquetStorage(ArrowStorage):
    """A dataset in the public Minari's Parquet layout."""

    data_format: ClassVar[str] = "parquet"

    def _read_table(self, path: Path, expected: int, most_rows: int) -> Any:
        with open(path, "rb") as opened, _map(opened) as content:
            limit = limit_nbytes(expected, len(content))
            metadata = parquet.read_metadata(opened)
            check_rows(metadata.num_rows, most_rows)
            claims = read_page_claims(content, metadata)
            check_limit(max(claims.nbytes, claims.largest), limit)
            # A text that repeats lies in the file once, and so it does in memory.
            texts = arrow_values.list_texts(metadata.schema)
            with parquet.ParquetFile(opened, metadata=metadata, read_dictionary=texts) as file:
                schema = file.schema_arrow
                row = sum(arrow_values.count_row_nbytes(field.type) for field in schema)
                at_once = max(1, min(_BATCH_ROWS, _BATCH_NBYTES // max(row, 1)))
                return join_batches(file.iter_batches(at_once), schema, limit, most_rows)

    def _count_rows(self, path: Path) -> int:
        check_plain(path, may_be_link=True)
        return int(parquet.read_metadata(path).num_rows)

    def _write_table(self, table: Any, path: Path) -> None:
        parquet.write_table(table, path, row_group_size=max(table.num_rows, 1))


def _map(file: Any) -> mmap:
    return mmap(file.fileno(), 0, access=ACCESS_READ)


def _add_file(checksum: int, name: str, file: BinaryIO) -> int:
    """Return a checksum with the name and the contents of a file added."""
    checksum = zlib.crc32(name.encode("utf-8"), checksum)
    while block := file.read(_BLOCK_NBYTES):
        checksum = zlib.crc32(block, checksum)
    return checksum


def _data_files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if is_episode_data(path.name)]


def _combine(column: Any) -> Any:
    """Return a column as one array, whatever `combine_chunks` returns in this release."""
    if isinstance(column, pa.ChunkedArray):
        return pa.concat_arrays(column.chunks)
    return column
