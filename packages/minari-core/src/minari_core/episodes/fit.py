"""Check that episodes fit the columns of the dataset that they are added to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gymnasium import spaces

from minari_core.columns import Column, FixedColumn, Schema, StructColumn, TupleColumn
from minari_core.episodes.shard_data import ShardData
from minari_core.errors import DataError

STRICT_GROUPS = ("observations", "actions", "rewards")
"""The column groups that have one dtype and shape throughout a dataset."""


def check_shapes(
    shards: Iterable[ShardData],
    observation_space: spaces.Space[object],
    action_space: spaces.Space[object],
) -> Iterator[ShardData]:
    """Pass shards on if their rows have the shapes of their spaces.

    Raises:
        DataError: A column has rows of another shape.
    """
    for shard in shards:
        _check_shape(observation_space, shard.schema.groups["observations"], "observations")
        _check_shape(action_space, shard.schema.groups["actions"], "actions")
        yield shard


def _check_shape(space: spaces.Space[Any], column: Column, where: str) -> None:
    if isinstance(space, spaces.Dict) and isinstance(column, StructColumn):
        for key, subspace in space.spaces.items():
            _check_shape(subspace, column.fields[key], f"{where}[{key!r}]")
    elif isinstance(space, spaces.Tuple) and isinstance(column, TupleColumn):
        for index, subspace in enumerate(space.spaces):
            _check_shape(subspace, column.items[index], f"{where}[{index}]")
    elif isinstance(column, FixedColumn) and column.shape != (wanted := tuple(space.shape or ())):
        raise DataError(
            f"{where} has rows of shape {column.shape}, but its space is {space}; reshape them to "
            f"{wanted}, or give a space that they fit"
        )


def check_schema_fits(established: Schema | None, schema: Schema) -> None:
    """Raise unless a shard's observations, actions and rewards fit the columns of earlier shards.

    Raises:
        DataError: A column has another dtype or shape; the message names all that have.
    """
    if established is None:
        return
    differences = describe_differences(established, schema)
    if differences:
        raise DataError(
            f"{differences}; convert it, or create a dataset of its own "
            "(combine_datasets and convert_dataset take widen=True for wider dtypes)"
        )


def describe_differences(established: Schema, schema: Schema, among: str = "the dataset") -> str:
    """Describe how the observations, actions and rewards of two schemas differ.

    Args:
        established: The columns of what was there before.
        schema: Other columns.
        among: What to call what was there before.

    Returns:
        The differences, joined by semicolons; an empty text if there are none.
    """
    return "; ".join(
        f"{difference} in {among}"
        for group in STRICT_GROUPS
        for difference in _list_differences(established.groups[group], schema.groups[group], group)
    )


def _list_differences(known: Column, new: Column, where: str) -> Iterator[str]:
    if isinstance(known, StructColumn) and isinstance(new, StructColumn):
        if known.fields.keys() != new.fields.keys():
            yield f"{where} has keys {list(new.fields)}, but {list(known.fields)}"
            return
        for key, column in known.fields.items():
            yield from _list_differences(column, new.fields[key], f"{where}[{key!r}]")
    elif isinstance(known, TupleColumn) and isinstance(new, TupleColumn):
        if len(known.items) != len(new.items):
            yield f"{where} has {len(new.items)} items, but {len(known.items)}"
            return
        for index, (one, other) in enumerate(zip(known.items, new.items, strict=True)):
            yield from _list_differences(one, other, f"{where}[{index}]")
    elif isinstance(known, FixedColumn) and isinstance(new, FixedColumn):
        if known != new:
            yield (
                f"{where} is {new.dtype} of shape {new.shape} a step, but {known.dtype} of shape "
                f"{known.shape}"
            )
    elif known.kind != new.kind:
        yield f"{where} is {new.kind}, but {known.kind}"


def widen_schema(schema: Schema, other: Schema) -> Schema | None:
    """Widen the observations, actions and rewards of a schema, so that they hold another's too.

    Returns:
        The schema, with wider columns where the other has wider dtypes; None where no column
        holds the values of both.
    """
    wider = {}
    for group in STRICT_GROUPS:
        column = schema.groups[group].find_wider(other.groups[group])
        if column is None:
            return None
        wider[group] = column
    widened = Schema({**schema.groups, **wider})
    return schema if widened == schema else widened
