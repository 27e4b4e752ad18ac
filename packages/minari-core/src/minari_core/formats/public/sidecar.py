"""The sidecar of an episode: what a public format cannot hold, stored beside it.

The public formats hold arrays of numbers and text, one row a step, without gaps. Everything else
that an episode may have (masked values, values of changing length, bytes, mixtures, extra columns,
options and metadata that are not flat) is encoded by the columns of the native format, so that it
is restored bit for bit. Each of those columns is named by its path, as ``("infos", "x", "y")``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any, TypeAlias

import numpy as np

from minari_core.columns import (
    Array,
    Column,
    FixedColumn,
    MaskedColumn,
    StructColumn,
    TextColumn,
)
from minari_core.columns.schema import column_from_json
from minari_core.episodes import encode_entries
from minari_core.episodes.episode import EpisodeData, EpisodeMetadata
from minari_core.errors import DatasetDamagedError
from minari_core.formats.columnar.episode_entry import Entry, decode_entry
from minari_core.formats.public.short_columns import find_short_rows
from minari_core.formats.public.spaces import is_plain_name, is_plain_text

Path: TypeAlias = tuple[str, ...]
ENTRY: Path = ("entry",)
"""The path of the seed, options and metadata."""

COLUMNS_NAME = "columns"
"""The name under which a format stores `Sidecar.columns_to_json`, beside the numbered arrays."""

_WIDEST = 8


@dataclass(slots=True)
class Sidecar:
    """Columns of one episode, and their flat arrays."""

    columns: list[tuple[Path, Column]] = field(default_factory=list)
    """Each column with its path."""
    arrays: list[Array] = field(default_factory=list)
    """The flat arrays of all columns, in order."""

    def __bool__(self) -> bool:
        return bool(self.columns)

    def columns_to_json(self) -> str:
        """Return the columns as JSON text."""
        return json.dumps([[list(path), column.to_json()] for path, column in self.columns])

    def add(self, path: Path, column: Column, arrays: Sequence[Array]) -> None:
        """Add a column."""
        self.columns.append((path, column))
        self.arrays += arrays

    def add_entry(self, episode: EpisodeData | EpisodeMetadata) -> None:
        """Add the seed, options and metadata of an episode."""
        column, pieces = encode_entries(
            [episode.total_steps], [episode.seed], [episode.options], [episode.metadata], {}
        )
        self.add(ENTRY, column, [piece[0] for piece in pieces])

    def add_dict(self, values: Mapping[str, Any], struct: StructColumn, path: Path) -> None:
        """Add a dict of columns as a whole, without those that have no value at all."""
        for key, value in values.items():
            if not _is_missing(value):
                self.add_values(value, struct.fields[key], (*path, key))

    def add_values(self, values: Any, column: Column, path: Path) -> None:
        """Encode the rows of a column and add them.

        Args:
            values: The rows, as `EpisodeData.infos` shows them.
            column: The column that they were read from.
            path: Its path.
        """
        if isinstance(column, StructColumn):
            if values:
                self.add_dict(values, column, path)
            else:
                self.add(path, StructColumn({}), [])
            return
        if isinstance(values, np.ndarray):
            masked = np.ma.getmaskarray(values) if np.ma.isMA(values) else None
            fixed = FixedColumn(values.dtype, values.shape[1:])
            if masked is None or not masked.any():
                self.add(path, fixed, [np.asarray(values)])
            else:
                absent = np.asarray(masked.reshape(len(values), -1).any(axis=1))
                present: Array = np.asarray(np.logical_not(absent))
                self.add(path, MaskedColumn(fixed), [present, np.asarray(np.ma.getdata(values))])
            return
        if isinstance(column, FixedColumn):
            column = TextColumn()
        if any(row is None for row in values) and not isinstance(column, MaskedColumn):
            column = MaskedColumn(column)
        self.add(path, column, column.encode(values, ".".join(path)))


def split_dict(
    values: Mapping[str, Any],
    struct: StructColumn,
    path: Path,
    sidecar: Sidecar,
    *,
    shorten: bool,
) -> dict[str, Any]:
    """Split a dict of columns into what a public format holds and what goes into the sidecar.

    Args:
        values: Rows by key, as `EpisodeData.infos` shows them.
        struct: The columns that they were read from.
        path: The path of the dict.
        sidecar: Receives the columns that a public format cannot hold.
        shorten: Whether a column of which only the last row is missing may be one without it.

    Returns:
        What the public format holds: arrays, lists of text, and dicts of them.
    """
    public: dict[str, Any] = {}
    for key, value in values.items():
        column = struct.fields[key]
        here = (*path, key)
        if is_plain_name(key):
            if isinstance(column, StructColumn) and isinstance(value, Mapping):
                inner = split_dict(value, column, here, sidecar, shorten=shorten)
                if inner or not value:
                    public[key] = inner
                if not value:
                    sidecar.add(here, StructColumn({}), [])
                continue
            short = find_short_rows(value) if shorten else None
            held = value if short is None else short
            if _is_public(held):
                public[key] = held
                continue
        if not _is_missing(value):
            sidecar.add_values(value, column, here)
            if is_plain_name(key) and np.ma.isMA(value) and value.dtype.kind == "f":
                # The public Minari sees a NaN at least.
                public[key] = value.filled(np.nan)
    return public


def replace_entry(stored: tuple[str, Iterator[Array]] | None, episode: EpisodeMetadata) -> Sidecar:
    """Return a sidecar whose entry says something else.

    Args:
        stored: The columns and arrays of the sidecar before; None if there is none.
        episode: What the entry is to say.

    Raises:
        DatasetDamagedError: The columns are malformed.
    """
    sidecar = Sidecar()
    columns, arrays = stored or ("[]", iter(()))
    for path, column in _parse_columns(columns):
        count = sum(not spec.derived for spec in column.arrays(""))
        own = list(islice(arrays, count))
        if path != ENTRY:
            sidecar.add(path, column, own)
    sidecar.add_entry(episode)
    return sidecar


def restore_sidecar(
    columns: str, arrays: Iterator[Array], rows: int, infos: dict[str, Any], *, copy: bool
) -> tuple[dict[str, Any], Entry | None]:
    """Decode a sidecar.

    Args:
        columns: The columns as `Sidecar.columns_to_json` wrote them.
        arrays: Their arrays.
        rows: The number of rows of infos and extras.
        infos: The infos that the public format holds; those of the sidecar are added to it.
        copy: Return fresh arrays rather than views.

    Returns:
        The extra columns, and seed, options and metadata if the sidecar has them.

    Raises:
        DatasetDamagedError: The columns or the arrays are malformed.
    """
    extras: dict[str, Any] = {}
    entry: Entry | None = None
    for path, column in _parse_columns(columns):
        try:
            read = column.bind(arrays, 1 if path == ENTRY else rows, copy=copy)
        except StopIteration as error:
            raise DatasetDamagedError(f"the arrays of {'/'.join(path)} are missing") from error
        if path == ENTRY:
            entry = _read_entry(read(0, 1), rows - 1)
            continue
        holder = infos if path[0] == "infos" else extras
        for key in path[1:-1]:
            holder = holder.setdefault(key, {})
        holder[path[-1]] = read(0, rows)
    if next(arrays, None) is not None:
        raise DatasetDamagedError("the sidecar has arrays that belong to no column")
    return extras, entry


def _read_entry(fields: Any, steps: int) -> Entry:
    """Decode seed, options and metadata, if they are those of an episode of so many steps."""
    noted = fields.get("length") if isinstance(fields, Mapping) else None
    if noted is None or noted[0] != steps:
        raise DatasetDamagedError(f"the sidecar is of an episode of {noted} steps, not of {steps}")
    return decode_entry(fields, 0)


def _is_public(value: object) -> bool:
    if isinstance(value, np.ndarray):
        return (
            not np.ma.is_masked(value)
            and value.dtype.kind in "biuf"
            and value.dtype.isnative
            and value.dtype.itemsize <= _WIDEST
            and value.size > 0
        )
    return isinstance(value, list) and all(
        isinstance(row, str) and is_plain_text(row) for row in value
    )


def _is_missing(value: object) -> bool:
    if isinstance(value, np.ndarray):
        return np.ma.isMA(value) and bool(np.ma.getmaskarray(value).all()) and value.size > 0
    if isinstance(value, Mapping):
        return bool(value) and all(_is_missing(inner) for inner in value.values())
    return isinstance(value, list) and all(row is None for row in value)


@lru_cache(maxsize=64)
def _parse_columns(columns: str) -> list[tuple[Path, Column]]:
    try:
        return [
            (_parse_path(path), column_from_json(column, "/".join(path)))
            for path, column in json.loads(columns)
        ]
    except (ValueError, TypeError, RecursionError) as error:
        raise DatasetDamagedError(f"the columns of the sidecar are malformed: {error}") from error


def _parse_path(path: object) -> Path:
    if not isinstance(path, list) or not all(isinstance(key, str) for key in path):
        raise ValueError(f"{path!r} is no path")
    if path != list(ENTRY) and (len(path) < 2 or path[0] not in ("infos", "extras")):
        raise ValueError(f"{path!r} is no path of an episode")
    return tuple(path)
