"""What a public layout has no place for, kept beside what it has.

The public layouts hold arrays of numbers and text, one row a step, without gaps. Everything else
that an episode may have (masked values, values of changing length, bytes, mixtures, extra columns,
options and metadata that are not flat) is encoded by the columns of the native format, so that it
comes back to the bit. Each of those columns is named by its path, as ``("infos", "x", "y")``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
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
from minari_core.episodes.episode import EpisodeData
from minari_core.errors import DatasetDamagedError
from minari_core.formats.columnar.episode_entry import decode_entry
from minari_core.formats.public.spaces import is_plain_name, is_plain_text

Path: TypeAlias = tuple[str, ...]
Entry: TypeAlias = tuple[int | None, dict[str, Any] | None, dict[str, Any]]
ENTRY: Path = ("entry",)
"""The path of the seed, options and metadata."""

_WIDEST = 8


@dataclass(slots=True)
class Kept:
    """Columns of one episode, as text and flat arrays."""

    columns: list[tuple[Path, Column]] = field(default_factory=list)
    """Each column with its path."""
    arrays: list[Array] = field(default_factory=list)
    """The flat arrays of all columns, one behind the other."""

    def add(self, path: Path, column: Column, arrays: Sequence[Array]) -> None:
        """Keep one more column."""
        self.columns.append((path, column))
        self.arrays += arrays

    def __bool__(self) -> bool:
        return bool(self.columns)

    def described(self) -> str:
        """The columns as JSON text."""
        return json.dumps([[list(path), column.to_json()] for path, column in self.columns])


def public_part(
    values: Mapping[str, Any], struct: StructColumn, path: Path, kept: Kept
) -> dict[str, Any]:
    """Split a dict of columns into what a public layout holds, and what must be kept.

    Args:
        values: Rows by key, as `EpisodeData.infos` shows them.
        struct: The columns that they were read from.
        path: The path of the dict.
        kept: Gets the columns that a public layout cannot hold.

    Returns:
        Arrays, lists of text, and dicts of them.
    """
    shown: dict[str, Any] = {}
    for key, value in values.items():
        column = struct.fields[key]
        here = (*path, key)
        if is_plain_name(key):
            if isinstance(column, StructColumn) and isinstance(value, Mapping):
                inner = public_part(value, column, here, kept)
                if inner or not value:
                    shown[key] = inner
                if not value:
                    kept.add(here, StructColumn({}), [])
                continue
            if _is_public(value):
                shown[key] = value
                continue
        if not _is_missing(value):
            _keep(value, column, here, kept)
            if is_plain_name(key) and np.ma.isMA(value) and value.dtype.kind == "f":
                # The public Minari sees at least a number that says that it is none.
                shown[key] = value.filled(np.nan)
    return shown


def keep_entry(episode: EpisodeData, kept: Kept) -> None:
    """Keep the seed, options and metadata of an episode exactly."""
    described = [episode.seed], [episode.options], [episode.metadata]
    column, pieces = encode_entries([len(episode)], *described, {})
    kept.add(ENTRY, column, [piece[0] for piece in pieces])


def keep_dict(values: Mapping[str, Any], struct: StructColumn, path: Path, kept: Kept) -> None:
    """Keep a dict of columns as a whole."""
    for key, value in values.items():
        if not _is_missing(value):
            _keep(value, struct.fields[key], (*path, key), kept)


def restore(
    described: str, arrays: Iterator[Array], rows: int, infos: dict[str, Any], *, copy: bool
) -> tuple[dict[str, Any], Entry | None]:
    """Put kept columns back.

    Args:
        described: The columns as `Kept.described` wrote them.
        arrays: Their arrays.
        rows: The rows that infos and extras have.
        infos: The infos that the public layout holds; gets those that were kept.
        copy: Whether arrays are to be the caller's own.

    Returns:
        The extra columns, and the entry if it was kept.

    Raises:
        DatasetDamagedError: The text or the arrays do not fit.
    """
    extras: dict[str, Any] = {}
    entry: Entry | None = None
    for path, column in _columns(described):
        try:
            read = column.bind(arrays, 1 if path == ENTRY else rows, copy=copy)
        except StopIteration as error:
            raise DatasetDamagedError(f"the arrays of {'/'.join(path)} are missing") from error
        if path == ENTRY:
            entry = decode_entry(read(0, 1), 0)
            continue
        holder = infos if path[0] == "infos" else extras
        for key in path[1:-1]:
            holder = holder.setdefault(key, {})
        holder[path[-1]] = read(0, rows)
    return extras, entry


def completed(value: Mapping[str, Any], union: StructColumn, rows: int) -> dict[str, Any]:
    """A dict of columns with the keys that only other episodes have, in the order of all."""
    result: dict[str, Any] = {}
    for key, column in union.fields.items():
        if key not in value:
            result[key] = column.missing(rows)
        elif isinstance(column, StructColumn) and isinstance(value[key], Mapping):
            result[key] = completed(value[key], column, rows)
        else:
            result[key] = value[key]
    for key, part in value.items():
        result.setdefault(key, part)
    return result


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
        return bool(value) and all(_is_missing(part) for part in value.values())
    return isinstance(value, list) and all(row is None for row in value)


def _keep(value: Any, column: Column, path: Path, kept: Kept) -> None:
    if isinstance(column, StructColumn):
        if value:
            keep_dict(value, column, path, kept)
        else:
            kept.add(path, StructColumn({}), [])
        return
    if isinstance(value, np.ndarray):
        masked = np.ma.getmaskarray(value) if np.ma.isMA(value) else None
        fixed = FixedColumn(value.dtype, value.shape[1:])
        if masked is None or not masked.any():
            kept.add(path, fixed, [np.asarray(value)])
        else:
            absent = np.asarray(masked.reshape(len(value), -1).any(axis=1))
            present: Array = np.asarray(np.logical_not(absent))
            kept.add(path, MaskedColumn(fixed), [present, np.asarray(np.ma.getdata(value))])
        return
    if isinstance(column, FixedColumn):
        column = TextColumn()
    if any(row is None for row in value) and not isinstance(column, MaskedColumn):
        column = MaskedColumn(column)
    kept.add(path, column, column.encode(value, ".".join(path)))


@lru_cache(maxsize=64)
def _columns(described: str) -> list[tuple[Path, Column]]:
    try:
        return [
            (_path(path), column_from_json(column, "/".join(path)))
            for path, column in json.loads(described)
        ]
    except (ValueError, TypeError, RecursionError) as error:
        raise DatasetDamagedError(f"kept columns are malformed: {error}") from error


def _path(path: object) -> Path:
    if not isinstance(path, list) or not all(isinstance(key, str) for key in path):
        raise ValueError(f"{path!r} is no path")
    if path != list(ENTRY) and (len(path) < 2 or path[0] not in ("infos", "extras")):
        raise ValueError(f"{path!r} is no path of an episode")
    return tuple(path)
