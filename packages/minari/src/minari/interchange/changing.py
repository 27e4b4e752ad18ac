"""Infos whose values are of another kind in some shard than in others."""

from __future__ import annotations

from collections.abc import Iterator

from minari.interchange.layout import Loss
from minari_core import MinariDataset
from minari_core.columns import Column, FixedColumn, MaskedColumn, StructColumn
from minari_core.datasets.dataset import get_raw_storage
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.leaves import Keys, join_path


def list_changing(dataset: MinariDataset) -> list[Loss]:
    """List the infos and extra columns that have other dtypes, shapes or kinds in some shards.

    What is imported is stored anew, with one kind for all episodes that are stored together: whole
    numbers beside numbers that are not whole become those, too.
    """
    storage = get_raw_storage(dataset)
    kinds: dict[str, set[object]] = {}
    if isinstance(storage, ShardedStorage):
        for schema in storage.schemas():
            for group in ("infos", "extras"):
                for keys, kind in _list_kinds(schema.groups[group]):
                    kinds.setdefault(join_path(group, keys), set()).add(kind)
    reason = "its dtype, shape or kind differs between shards, and is one for all once imported"
    return [Loss(name, reason) for name, found in sorted(kinds.items()) if len(found) > 1]


def _list_kinds(column: Column, keys: Keys = ()) -> Iterator[tuple[Keys, object]]:
    if isinstance(column, StructColumn):
        for key, part in column.fields.items():
            yield from _list_kinds(part, (*keys, key))
    elif isinstance(column, MaskedColumn):
        yield from _list_kinds(column.value, keys)
    elif isinstance(column, FixedColumn):
        yield keys, (column.dtype.str, column.shape)
    else:
        yield keys, column.kind
