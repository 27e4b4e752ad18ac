"""Bind the name of a column to the arrays that hold it in all shards of a storage."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from minari_core.columns import (
    AXES,
    Column,
    FixedColumn,
    MaskedColumn,
    StoredArray,
    StructColumn,
    TupleColumn,
    cast_exactly,
    find_wider_dtype,
    holds_all,
)
from minari_core.columns.base import escape_key
from minari_core.columns.joining import split_rows
from minari_core.errors import DatasetDamagedError, SamplingError
from minari_core.formats.columnar.episode_index import ShardBorders
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.formats.shards.reader import ShardReader
from minari_core.formats.streamed.storage import StreamStorage
from minari_core.sampling.gathering.gatherers import (
    FixedGatherer,
    Gatherer,
    MaskedGatherer,
    StructGatherer,
    TupleGatherer,
    ValueGatherer,
)
from minari_core.sampling.gathering.info_rows import GROUPS
from minari_core.sampling.gathering.segments import Segments
from minari_core.sampling.gathering.streamed import StreamedGatherer

ASSEMBLED_NBYTES = 64 << 20
"""The most bytes of columns in many shards that are concatenated in memory, for each storage."""

_ROWS_AT_ONCE = 1 << 16


def find_gatherer(storage: ShardedStorage, name: str) -> Gatherer:
    """Return the gatherer of a column of a storage, by the column's name.

    Args:
        storage: The storage of the column.
        name: A column group, such as ``observations``, or a column inside it, such as
            ``infos/x_position`` or ``observations/camera``; ``/`` in a key is written ``%2F``.
            ``next_observations`` is another name of ``observations``; `GROUPS` has the others.

    Raises:
        SamplingError: There is no such column; the message says which there are.
        IncompatibleDatasetsError: The datasets of a mixture differ in it.
        DatasetDamagedError: A shard's arrays do not have as many rows as the shard.
    """
    group, *keys = name.split("/")
    stored = GROUPS.get(group, group)
    if stored not in AXES or stored == "episodes":
        known = ", ".join(key for key in AXES if key != "episodes")
        raise SamplingError(f"there is no column {name!r}; column groups are {known}")
    if storage.schemas() and not _find_columns(storage, stored, keys):
        names = _list_names(storage, stored) or "no columns"
        raise SamplingError(f"there is no column {name!r}; {group} has {names}")
    storage.check_column("/".join([stored, *keys]))
    cache = _caches.get(storage)
    if cache is None or cache.borders is not storage.borders:
        cache = _caches[storage] = _GathererCache(storage.borders)
    return cache.gatherer(storage, stored, keys)


def bind_step_infos(storage: ShardedStorage, step_infos: Iterable[str]) -> dict[str, Gatherer]:
    """Return the gatherers of those infos among some that the storage has."""
    return {
        key: find_gatherer(storage, f"infos/{escape_key(key)}")
        for key in step_infos
        if _find_columns(storage, "infos", [escape_key(key)])
    }


def measure_row(storage: ShardedStorage, names: Iterable[str]) -> int:
    """Return the bytes of a row of some columns, without those that have no fixed shape.

    Args:
        storage: The storage of the columns.
        names: As for `find_gatherer`.
    """
    gatherers = {find_gatherer(storage, name) for name in names}
    leaves = [leaf for gatherer in gatherers for _, leaf in gatherer.leaves("")]
    return sum(math.prod(leaf.row_shape) * leaf.dtype.itemsize for leaf in leaves)


class _GathererCache:
    """Cache of the gatherers of one storage, for all samplers of all its views.

    It holds no reference to the storage, which would never be freed otherwise.
    """

    def __init__(self, borders: ShardBorders) -> None:
        self.borders = borders
        self._gatherers: dict[str, Gatherer] = {}
        self._assembled = 0

    def gatherer(self, storage: ShardedStorage, group: str, keys: Sequence[str]) -> Gatherer:
        path = "/".join([group, *keys])
        if path not in self._gatherers:
            self._gatherers[path] = self._bind(storage, group, list(keys), path)
        return self._gatherers[path]

    def _bind(self, storage: ShardedStorage, group: str, keys: list[str], path: str) -> Gatherer:
        columns = _find_columns(storage, group, keys)
        structs = [column for column in columns if isinstance(column, StructColumn)]
        if len(structs) == len(columns):
            names = dict.fromkeys(key for struct in structs for key in struct.fields)
            return StructGatherer(
                {key: self.gatherer(storage, group, [*keys, escape_key(key)]) for key in names}
            )
        tuples = [column for column in columns if isinstance(column, TupleColumn)]
        if len(tuples) == len(columns) and len({len(column.items) for column in tuples}) == 1:
            indices = range(len(tuples[0].items))
            return TupleGatherer(
                [self.gatherer(storage, group, [*keys, f"_index_{index}"]) for index in indices]
            )
        has_gaps = len(columns) < len(storage.schemas())
        common = _find_common_column(columns, has_gaps)
        gatherer = common and self._fixed_gatherer(storage, path, group, common, columns)
        return gatherer or self._value_gatherer(storage, group, keys)

    def _may_assemble(self, nbytes: int) -> bool:
        if self._assembled + nbytes > ASSEMBLED_NBYTES:
            return False
        self._assembled += nbytes
        return True

    def _fixed_gatherer(
        self,
        storage: ShardedStorage,
        path: str,
        group: str,
        column: FixedColumn,
        columns: Sequence[Column],
    ) -> Gatherer | None:
        """Gather rows of arrays; return None where the dtype of the column changes a number."""
        firsts = self.borders[AXES[group]]
        shards = storage.open_shards
        stream = storage.stream if isinstance(storage, StreamStorage) else None
        values = Segments(shards, partial(_find_values, path), firsts)
        fixed = _list_fixed(columns)
        if len({item.dtype for item in fixed}) > 1 and not all(
            value is None or _casts_exactly(value, column.dtype)
            for value in map(values.__getitem__, range(len(values)))
        ):
            return None
        has_gaps = len(columns) < len(storage.schemas())
        make = FixedGatherer if stream is None else partial(StreamedGatherer, stream)
        gathered = make(
            values,
            column,
            self._may_assemble,
            is_plain=not has_gaps
            and all(item.dtype == column.dtype and not item.compressed for item in fixed),
            is_decoded=any(item.compressed for item in fixed),
        )
        if not has_gaps and not any(isinstance(item, MaskedColumn) for item in columns):
            return gathered
        flag = FixedColumn(np.dtype(bool))
        is_plain = not has_gaps and all(isinstance(item, MaskedColumn) for item in columns)
        present = make(
            Segments(shards, partial(_find_flags, path), firsts),
            flag,
            self._may_assemble,
            is_plain=is_plain,
            is_decoded=False,
        )
        return MaskedGatherer(present, gathered)

    def _value_gatherer(
        self, storage: ShardedStorage, group: str, keys: Sequence[str]
    ) -> ValueGatherer:
        firsts = self.borders[AXES[group]]
        find = partial(_make_row_reader, group, tuple(keys))
        readers = Segments(storage.open_shards, find, firsts)
        return ValueGatherer(readers, waits=isinstance(storage, StreamStorage))


_caches: WeakKeyDictionary[ShardedStorage, _GathererCache] = WeakKeyDictionary()


def _find_values(path: str, shard: ShardReader, count: int) -> StoredArray | None:
    """Find the values of a column in a shard; None if it has no such column."""
    value = _find_array(shard, path, count)
    return value if value is not None else _find_array(shard, f"{path}/value", count)


def _find_flags(path: str, shard: ShardReader, count: int) -> StoredArray:
    """Find the flags that say which rows of a column have a value; if there are none, all do."""
    bare = _find_array(shard, path, count)
    flags = _find_array(shard, f"{path}/present", count) if bare is None else None
    # A shard without the column has no value in any row.
    return np.broadcast_to(np.bool_(bare is not None), count) if flags is None else flags


def _find_array(shard: ShardReader, path: str, count: int) -> StoredArray | None:
    array = shard.array(path)
    if array is None:
        array = shard.array(f"{path}/frames")
    if array is not None and len(array) != count:
        raise DatasetDamagedError(
            f"{shard.name}: {path} has {len(array)} rows, not the {count} of its shard"
        )
    return array


def _make_row_reader(
    group: str, keys: Sequence[str], shard: ShardReader, count: int
) -> Callable[[int], object]:
    """Return a reader of single rows of a column, which gives None where there is no column."""
    column = _descend(shard.schema.groups[group], keys)
    if column is None:
        return lambda row: None
    arrays = shard.list_arrays("/".join([group, *keys]))
    read = column.bind(iter(arrays), count, copy=True)
    return lambda row: split_rows(read(row, row + 1), 1)[0]


def _find_common_column(columns: Sequence[Column], has_gaps: bool) -> FixedColumn | None:
    """Return the fixed column that can hold what any of these hold, if there is one."""
    fixed = _list_fixed(columns)
    if not fixed or len(fixed) < len(columns) or len({column.shape for column in fixed}) > 1:
        return None
    is_masked = has_gaps or any(isinstance(column, MaskedColumn) for column in columns)
    if is_masked and 0 in fixed[0].shape:
        # A mask cannot say that a row without elements is missing.
        return None
    dtype: np.dtype[np.generic] | None = fixed[0].dtype
    for column in fixed[1:]:
        dtype = dtype and find_wider_dtype(dtype, column.dtype)
    return None if dtype is None else FixedColumn(dtype, fixed[0].shape)


def _list_fixed(columns: Sequence[Column]) -> list[FixedColumn]:
    values = [item.value if isinstance(item, MaskedColumn) else item for item in columns]
    return [column for column in values if isinstance(column, FixedColumn)]


def _casts_exactly(array: StoredArray, dtype: np.dtype[Any]) -> bool:
    """Return whether a dtype holds all numbers of an array; those of 64-bit integers are read."""
    pieces = [array] if isinstance(array, np.ndarray) else array.blocks()
    return all(
        holds_all(piece.dtype, dtype)
        or cast_exactly(np.asarray(piece[first : first + _ROWS_AT_ONCE]), dtype) is not None
        for piece in pieces
        for first in range(0, len(piece), _ROWS_AT_ONCE)
    )


def _find_columns(storage: ShardedStorage, group: str, keys: Sequence[str]) -> list[Column]:
    """Find the column of a name in each schema that has it."""
    columns = [_descend(schema.groups[group], keys) for schema in storage.schemas()]
    return [column for column in columns if column is not None]


def _descend(column: Column, keys: Sequence[str]) -> Column | None:
    for key in keys:
        if isinstance(column, StructColumn):
            fields = {escape_key(name): field for name, field in column.fields.items()}
            if key not in fields:
                return None
            column = fields[key]
        elif isinstance(column, TupleColumn):
            items: Mapping[str, Column] = {
                f"_index_{index}": item for index, item in enumerate(column.items)
            }
            if key not in items:
                return None
            column = items[key]
        else:
            return None
    return column


def _list_names(storage: ShardedStorage, group: str) -> str:
    names: dict[str, None] = {}
    for schema in storage.schemas():
        column = schema.groups[group]
        if isinstance(column, StructColumn):
            names.update(dict.fromkeys(f"{group}/{escape_key(key)}" for key in column.fields))
        elif isinstance(column, TupleColumn):
            names.update(dict.fromkeys(f"{group}/_index_{i}" for i in range(len(column.items))))
    return ", ".join(names)
