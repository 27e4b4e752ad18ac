"""Gathering rows of columns by their numbers, through all shards of a storage."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core.columns import (
    AXES,
    Array,
    Column,
    FixedColumn,
    MaskedColumn,
    StoredArray,
    StructColumn,
    TupleColumn,
)
from minari_core.columns.base import escape_key
from minari_core.errors import DataError, SamplingError
from minari_core.sharded_storage import ShardedStorage

Rows = npt.NDArray[np.int64]

ASSEMBLED_NBYTES = 64 << 20
"""Columns in many shards are put together in memory if they are not larger than this."""


class Selection:
    """Rows to gather, and where they lie among the shards, which many columns share."""

    __slots__ = ("_groups", "rows")

    def __init__(self, rows: Rows) -> None:
        """Select rows.

        Args:
            rows: Numbers of rows counted through all shards, of any shape.
        """
        self.rows = rows
        self._groups: dict[int, list[tuple[int, Rows, Rows]]] = {}

    def groups(self, firsts: Rows) -> list[tuple[int, Rows, Rows]]:
        """The rows shard by shard.

        Args:
            firsts: The first row of each shard, and the number of all.

        Returns:
            For each shard with rows: its number, their places in the selection, and their
            numbers in the shard.
        """
        if id(firsts) not in self._groups:
            flat = self.rows.reshape(-1)
            numbers = np.searchsorted(firsts, flat, side="right") - 1
            order = np.argsort(numbers, kind="stable")
            borders = np.flatnonzero(np.diff(numbers[order], prepend=-1, append=-1))
            groups: list[tuple[int, Rows, Rows]] = []
            for start, stop in pairwise(borders.tolist()):
                places = order[start:stop]
                number = int(numbers[places[0]])
                groups.append((number, places, flat[places] - firsts[number]))
            self._groups[id(firsts)] = groups
        return self._groups[id(firsts)]


class Gatherer(ABC):
    """Rows of one column. Thread-safe: it holds no position."""

    @abstractmethod
    def take(self, selection: Selection, out: Any = None) -> Any:
        """Gather rows.

        Args:
            selection: The rows.
            out: What an earlier call with rows of the same shape returned, to be filled again.

        Returns:
            Arrays of shape (*rows.shape, …) in the structure of the column; nested lists for
            columns whose values have no fixed shape.
        """


class FixedGatherer(Gatherer):
    """Rows of one dtype and shape."""

    def __init__(
        self, segments: Sequence[StoredArray | None], firsts: Rows, column: FixedColumn
    ) -> None:
        """Take the arrays of one column.

        Args:
            segments: The array of each shard; None where a shard does not have the column.
            firsts: The first row of each shard, and the number of all; the same array for all
                columns along an axis, so that they share what `Selection` finds.
            column: Their dtype and shape.
        """
        self._dtype = column.dtype
        self._shape = column.shape
        self._segments = list(segments)
        self._firsts = firsts
        plain = [segment for segment in self._segments if isinstance(segment, np.ndarray)]
        is_plain = len(plain) == len(self._segments)
        total = sum(segment.nbytes for segment in plain)
        self._whole: Array | None = None
        if is_plain and len(plain) == 1:
            self._whole = plain[0]
        elif is_plain and plain and total <= ASSEMBLED_NBYTES:
            # Gathering from a thousand small arrays costs a thousand calls.
            self._whole = np.concatenate(plain)

    def empty(self, shape: tuple[int, ...]) -> Array:
        """An array for rows of a shape."""
        return np.empty((*shape, *self._shape), dtype=self._dtype)

    def take(self, selection: Selection, out: Any = None) -> Any:
        whole = self._whole
        if whole is not None:
            if out is None:
                return whole.take(selection.rows, axis=0)
            # All rows are inside; any other mode would gather into a buffer first.
            return whole.take(selection.rows, axis=0, out=out, mode="clip")
        if out is None:
            out = self.empty(selection.rows.shape)
        flat = out.reshape(-1, *self._shape)
        for number, places, rows in selection.groups(self._firsts):
            flat[places] = self._take_from(number, rows)
        if not np.shares_memory(flat, out):
            out[...] = flat.reshape(out.shape)
        return out

    def _take_from(self, number: int, rows: Rows) -> Array:
        segment = self._segments[number]
        if segment is None:
            return np.zeros((len(rows), *self._shape), dtype=self._dtype)
        if isinstance(segment, np.ndarray):
            return segment.take(rows, axis=0)
        return segment.take(rows)

    @property
    def has_gaps(self) -> bool:
        """Whether a shard does not have the column."""
        return any(segment is None for segment in self._segments)


class MaskedGatherer(Gatherer):
    """Rows of a fixed column of which some have no value, as masked arrays."""

    def __init__(self, present: FixedGatherer, values: FixedGatherer) -> None:
        self._present = present
        self._values = values

    def take(self, selection: Selection, out: Any = None) -> Any:
        values = self._values.take(selection)
        absent = ~self._present.take(selection).astype(bool)
        extra = values.ndim - absent.ndim
        mask = np.broadcast_to(absent.reshape(*absent.shape, *(1,) * extra), values.shape)
        return np.ma.MaskedArray(values, mask=mask.copy())


class StructGatherer(Gatherer):
    """Rows of a dict of columns."""

    def __init__(self, fields: Mapping[str, Gatherer]) -> None:
        self._items = list(fields.items())

    def take(self, selection: Selection, out: Any = None) -> Any:
        if out is None:
            return {key: field.take(selection) for key, field in self._items}
        return {key: field.take(selection, out[key]) for key, field in self._items}


class TupleGatherer(Gatherer):
    """Rows of a tuple of columns."""

    def __init__(self, items: Sequence[Gatherer]) -> None:
        self._places = list(items)

    def take(self, selection: Selection, out: Any = None) -> Any:
        if out is None:
            return tuple([item.take(selection) for item in self._places])
        parts = zip(self._places, out, strict=True)
        return tuple([item.take(selection, part) for item, part in parts])


class ValueGatherer(Gatherer):
    """Rows of text, sequences, graphs and whatever else has no fixed shape, as nested lists."""

    def __init__(self, readers: Sequence[Callable[[int], object]], firsts: Rows) -> None:
        """Take what reads a single row of each shard, and the first row of each."""
        self._readers = list(readers)
        self._firsts = firsts

    def take(self, selection: Selection, out: Any = None) -> Any:
        return self._take(selection.rows)

    def _take(self, rows: Rows) -> list[Any]:
        if rows.ndim > 1:
            return [self._take(part) for part in rows]
        numbers = (np.searchsorted(self._firsts, rows, side="right") - 1).tolist()
        firsts = self._firsts[numbers].tolist()
        return [
            self._readers[number](row - first)
            for row, number, first in zip(rows.tolist(), numbers, firsts, strict=True)
        ]


def gatherer_for(storage: ShardedStorage, name: str) -> Gatherer:
    """What gathers a column of a storage by its name.

    Args:
        storage: Where the column is.
        name: A part of a shard, such as ``observations``, or a column inside it, such as
            ``infos/x_position`` or ``observations/camera``; ``/`` in a key is written ``%2F``.

    Raises:
        SamplingError: There is no such column; the message says which there are.
    """
    part, *keys = name.split("/")
    if part not in AXES or part == "episodes":
        known = ", ".join(key for key in AXES if key != "episodes")
        raise SamplingError(f"there is no column {name!r}; parts are {known}")
    columns = [_inner(schema.parts[part], keys) for schema in storage.schemas()]
    known_columns = [column for column in columns if column is not None]
    if not known_columns:
        raise SamplingError(
            f"there is no column {name!r}; {part} has {_names(storage, part) or 'no columns'}"
        )
    return _gatherer(storage, part, keys, known_columns)


def _gatherer(
    storage: ShardedStorage, part: str, keys: list[str], columns: Sequence[Column]
) -> Gatherer:
    first = columns[0]
    if all(isinstance(column, StructColumn) for column in columns):
        fields: dict[str, list[Column]] = {}
        for column in columns:
            if isinstance(column, StructColumn):
                for key, field in column.fields.items():
                    fields.setdefault(key, []).append(field)
        return StructGatherer(
            {
                key: _gatherer(storage, part, [*keys, escape_key(key)], group)
                for key, group in fields.items()
            }
        )
    if isinstance(first, TupleColumn):
        return TupleGatherer(
            [
                _gatherer(storage, part, [*keys, f"_index_{index}"], [item])
                for index, item in enumerate(first.items)
            ]
        )
    inner = {column.value if isinstance(column, MaskedColumn) else column for column in columns}
    fixed = [column for column in inner if isinstance(column, FixedColumn)]
    if len(fixed) == len(inner) and len({column.shape for column in fixed}) == 1:
        return _fixed_gatherer(storage, "/".join([part, *keys]), part, fixed, columns)
    return _value_gatherer(storage, part, keys)


def _fixed_gatherer(
    storage: ShardedStorage,
    path: str,
    part: str,
    fixed: Sequence[FixedColumn],
    columns: Sequence[Column],
) -> Gatherer:
    firsts = storage.index.firsts(AXES[part])
    counts = np.diff(firsts).tolist()
    dtype = np.result_type(*(column.dtype for column in fixed))
    column = FixedColumn(dtype, fixed[0].shape, fixed[0].compressed)
    values: list[StoredArray | None] = []
    present: list[StoredArray | None] = []
    for number, count in enumerate(counts):
        shard = storage.shard(number)
        whole = _first_array(shard.array, path, f"{path}/frames")
        masked = _first_array(shard.array, f"{path}/value", f"{path}/value/frames")
        values.append(masked if whole is None else whole)
        has_all = np.full(count, whole is not None)
        present.append(has_all if masked is None else shard.array(f"{path}/present"))
    gathered = FixedGatherer(values, firsts, column)
    if gathered.has_gaps or any(isinstance(item, MaskedColumn) for item in columns):
        return MaskedGatherer(FixedGatherer(present, counts, FixedColumn(np.dtype(bool))), gathered)
    return gathered


def _first_array(get: Callable[[str], StoredArray | None], *paths: str) -> StoredArray | None:
    return next((array for array in map(get, paths) if array is not None), None)


def _value_gatherer(storage: ShardedStorage, part: str, keys: list[str]) -> Gatherer:
    def reader(number: int) -> Callable[[int], object]:
        read = storage.shard(number).readers(copy=True)[part]

        def read_row(row: int) -> object:
            value = read(row, row + 1)
            for key in keys:
                if isinstance(value, Mapping):
                    named = {escape_key(name): item for name, item in value.items()}
                    value = named.get(key)
                elif isinstance(value, tuple):
                    value = value[int(key.removeprefix("_index_"))]
                if value is None:
                    return None
            return value[0]

        return read_row

    firsts = storage.index.firsts(AXES[part])
    return ValueGatherer([reader(number) for number in range(len(firsts) - 1)], firsts)


def _inner(column: Column, keys: Sequence[str]) -> Column | None:
    for key in keys:
        if isinstance(column, StructColumn):
            fields = {escape_key(name): field for name, field in column.fields.items()}
            if key not in fields:
                return None
            column = fields[key]
        elif isinstance(column, TupleColumn) and key.startswith("_index_"):
            place = key.removeprefix("_index_")
            if not place.isdigit() or int(place) >= len(column.items):
                return None
            column = column.items[int(place)]
        else:
            return None
    return column


def _names(storage: ShardedStorage, part: str) -> str:
    names: dict[str, None] = {}
    for schema in storage.schemas():
        column = schema.parts[part]
        if isinstance(column, StructColumn):
            names.update(dict.fromkeys(f"{part}/{escape_key(key)}" for key in column.fields))
        elif isinstance(column, TupleColumn):
            names.update(dict.fromkeys(f"{part}/_index_{i}" for i in range(len(column.items))))
    return ", ".join(names)


def sharded(storage: object) -> ShardedStorage:
    """The storage as one that columns can be gathered from.

    Raises:
        DataError: It is in a format of whole episodes.
    """
    if not isinstance(storage, ShardedStorage):
        name = getattr(storage, "data_format", type(storage).__name__)
        raise DataError(
            f"transitions cannot be sampled from data format {name!r}; convert the dataset to "
            "'columnar' first"
        )
    return storage
