"""Columns as JSON, and what a whole shard holds."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from minari_core.columns.base import ArraySpec, Column
from minari_core.columns.fixed import ROWS_PER_CHUNK, FixedColumn
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
"""Along what each part of a shard runs: T+1 rows an episode, T steps, or one entry."""

_SIMPLE_COLUMNS: Mapping[str, Column] = {
    column.kind: column for column in (TextColumn(), BytesColumn(), JsonColumn())
}
_NUMERIC_DTYPE = re.compile(r"[<>|=]?([biufc][0-9]{1,2}|\?)")
# A space may be nested 100 deep, and each of its levels is one column.
_DEEPEST = 110
_MOST_DIMENSIONS = 31
_LARGEST_ROW_NBYTES = 1 << 40


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of a shard; shards of one dataset mostly share one schema."""

    parts: Mapping[str, Column]
    """The column of each key of `AXES`."""

    def to_json(self) -> JsonObject:
        """The schema as the manifest keeps it."""
        return {name: column.to_json() for name, column in self.parts.items()}

    def arrays(self) -> Iterator[ArraySpec]:
        """Every flat array of a shard, in the order of the manifest's offsets."""
        for name, column in self.parts.items():
            yield from column.arrays(name)


def schema_from_json(described: object) -> Schema:
    """Read a schema from a manifest.

    Raises:
        DatasetDamagedError: It is malformed.
        FormatError: It has a kind of column that this version does not know.
    """
    if not isinstance(described, dict) or set(described) != set(AXES):
        raise DatasetDamagedError(f"a schema does not have the parts {sorted(AXES)}")
    try:
        return Schema({name: _column(described[name], name, 0) for name in described})
    except RecursionError as error:
        raise DatasetDamagedError("a schema is nested too deep") from error


def _column(described: object, where: str, depth: int) -> Column:
    if not isinstance(described, dict) or depth > _DEEPEST:
        raise DatasetDamagedError(f"column {where!r} is described by {str(described)[:80]!r}")
    try:
        return _column_of_kind(described, where, depth + 1)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise DatasetDamagedError(f"column {where!r} is malformed: {error!r}") from error


def _column_of_kind(described: Mapping[str, object], where: str, depth: int) -> Column:
    kind = described["kind"]
    if kind == "fixed":
        return _fixed(described, where)
    if isinstance(kind, str) and kind in _SIMPLE_COLUMNS:
        return _SIMPLE_COLUMNS[kind]
    if kind == "ragged":
        dimensions = _count(described["dimensions"])
        if not 1 <= dimensions <= _MOST_DIMENSIONS:
            raise ValueError(f"{dimensions} dimensions")
        return RaggedColumn(_dtype(described["dtype"]), dimensions)
    if kind == "masked":
        return MaskedColumn(_column(described["value"], where, depth))
    if kind == "struct":
        fields = described["fields"]
        if not isinstance(fields, dict):
            raise TypeError("fields is not an object")
        return StructColumn(
            {key: _column(part, f"{where}/{key}", depth) for key, part in fields.items()}
        )
    if kind == "tuple":
        return TupleColumn(_columns(described["items"], where, depth))
    if kind == "oneof":
        return OneOfColumn(_columns(described["options"], where, depth))
    if kind == "sequence":
        element = _column(described["element"], where, depth)
        return SequenceColumn(element, bool(described["stacked"]))
    if kind == "graph":
        edges, links = described["edges"], described["edge_links"]
        return GraphColumn(
            _fixed(described["nodes"], where),
            None if edges is None else _fixed(edges, where),
            _fixed(links, where),
        )
    raise FormatError(
        f"column {where!r} is of kind {kind!r}, which this version of minari-core does not know; "
        "a newer one reads it"
    )


def _columns(described: object, where: str, depth: int) -> tuple[Column, ...]:
    if not isinstance(described, list):
        raise TypeError("not a list of columns")
    return tuple(_column(part, f"{where}[{index}]", depth) for index, part in enumerate(described))


def _fixed(described: object, where: str) -> FixedColumn:
    if not isinstance(described, Mapping):
        raise TypeError("not an object")
    shape = described["shape"]
    if not isinstance(shape, list):
        raise TypeError("shape is not a list")
    rows_per_chunk = described.get("rows_per_chunk")
    if rows_per_chunk not in (None, ROWS_PER_CHUNK):
        raise FormatError(
            f"column {where!r} has chunks of {rows_per_chunk!r} rows; this version reads "
            f"chunks of {ROWS_PER_CHUNK}"
        )
    dtype, row_shape = _dtype(described["dtype"]), tuple(_count(size) for size in shape)
    # What a file says must not choose how much memory one row takes.
    largest = dtype.itemsize * math.prod(max(size, 1) for size in row_shape)
    if len(row_shape) > _MOST_DIMENSIONS or largest > _LARGEST_ROW_NBYTES:
        raise ValueError(f"no row has shape {str(shape)[:80]}")
    return FixedColumn(dtype, row_shape, compressed=rows_per_chunk is not None)


def _dtype(text: object) -> np.dtype[np.generic]:
    if not isinstance(text, str):
        raise TypeError(f"dtype {text!r} is not text")
    # numpy understands many more texts, and warns of some of them.
    if not _NUMERIC_DTYPE.fullmatch(text):
        raise ValueError(f"dtype {text!r} is not numeric")
    return np.dtype(text)


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r} is not a count")
    return value
