"""The schema of a shard, its registry of column kinds, and their JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from minari_core.columns.base import ArraySpec, Column
from minari_core.columns.fixed import FixedColumn
from minari_core.columns.nested import MaskedColumn, StructColumn, TupleColumn
from minari_core.columns.sequences import GraphColumn, OneOfColumn, SequenceColumn
from minari_core.columns.variable import BytesColumn, JsonColumn, RaggedColumn, TextColumn
from minari_core.errors import DatasetDamagedError, FormatError
from minari_core.json_values import JsonObject

Axis: TypeAlias = Literal["rows", "steps", "episodes"]

AXES: Mapping[str, Axis] = {
    "observations": "rows",
    "actions": "steps",
    "rewards": "steps",
    "terminations": "steps",
    "truncations": "steps",
    "infos": "rows",
    "extras": "rows",
    "episodes": "episodes",
}
"""Along what each column group of a shard runs: T+1 rows an episode, T steps, or one entry."""

KINDS: Mapping[str, type[Column]] = {
    column.kind: column
    for column in (
        FixedColumn,
        TextColumn,
        BytesColumn,
        JsonColumn,
        RaggedColumn,
        MaskedColumn,
        StructColumn,
        TupleColumn,
        SequenceColumn,
        GraphColumn,
        OneOfColumn,
    )
}
"""Every kind of column that a manifest may name."""

# A space may be nested 100 deep, and each of its levels is one column.
_DEEPEST = 110


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of a shard; shards of one dataset mostly share one schema."""

    groups: Mapping[str, Column]
    """The column of each key of `AXES`."""
    arrays: tuple[ArraySpec, ...] = field(init=False, repr=False, compare=False)
    """Every flat array of a shard, in the order of the manifest's offsets."""

    def __post_init__(self) -> None:
        """List the arrays once; they are asked for again and again."""
        specs = (spec for name, column in self.groups.items() for spec in column.arrays(name))
        object.__setattr__(self, "arrays", tuple(specs))

    def to_json(self) -> JsonObject:
        """Return the schema as the manifest keeps it."""
        return {name: column.to_json() for name, column in self.groups.items()}


def schema_from_json(fields: object) -> Schema:
    """Read a schema from a manifest.

    Raises:
        DatasetDamagedError: It is malformed.
        FormatError: It has a kind of column that this version does not know.
    """
    if not isinstance(fields, dict) or set(fields) != set(AXES):
        raise DatasetDamagedError(f"a schema does not have the column groups {sorted(AXES)}")
    return Schema({name: column_from_json(fields[name], name) for name in fields})


def column_from_json(fields: object, where: str) -> Column:
    """Read a column from its JSON.

    Args:
        fields: What `Column.to_json` gave.
        where: The column's name for an error message.

    Raises:
        DatasetDamagedError: It is malformed.
        FormatError: It has a kind of column that this version does not know.
    """
    try:
        return _read_column(fields, where, 0)
    except RecursionError as error:
        raise DatasetDamagedError("a schema is nested too deep") from error


def _read_column(fields: object, where: str, depth: int) -> Column:
    if not isinstance(fields, dict) or depth > _DEEPEST:
        raise DatasetDamagedError(f"column {where!r} is described by {str(fields)[:80]!r}")

    def read(inner: object, inner_where: str) -> Column:
        return _read_column(inner, inner_where, depth + 1)

    try:
        kind = fields["kind"]
        if not isinstance(kind, str) or kind not in KINDS:
            raise FormatError(
                f"column {where!r} is of kind {kind!r}, which this version of minari-core does "
                "not know; a newer one reads it"
            )
        return KINDS[kind].from_json(fields, where, read)
    except FormatError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetDamagedError(f"column {where!r} is malformed: {error!r}") from error
