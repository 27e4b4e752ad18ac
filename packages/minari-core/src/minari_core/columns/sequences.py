"""Columns for the spaces whose values change in number: Sequence, Graph and OneOf.

Each is made of columns that exist already: a list of elements behind offsets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import ClassVar

import numpy as np
from gymnasium.spaces import GraphInstance

from minari_core.columns.base import (
    Array,
    ArraySpec,
    Column,
    ColumnProblem,
    ColumnReader,
    NamedArray,
    Reader,
    StoredArray,
    as_plain_array,
)
from minari_core.columns.fixed import FixedColumn
from minari_core.columns.joining import split_rows
from minari_core.columns.nested import MASK_DTYPE, StructColumn, TupleColumn, read_columns
from minari_core.columns.problems import (
    find_count_problems,
    find_offset_problems,
    name_rows,
    take_plain,
)
from minari_core.columns.variable import OFFSET_DTYPE, bind_offsets, compute_offsets
from minari_core.errors import DataError, DatasetDamagedError
from minari_core.json_values import JsonObject
from minari_core.messages import format_value


def _split_stack(stacked: object, column: Column) -> list[object]:
    """Split a stacked value into its elements, dicts and tuples too.

    Raises:
        DataError: The value is not stacked as its space says.
    """
    if isinstance(column, StructColumn) and isinstance(stacked, Mapping):
        if stacked.keys() == column.fields.keys():
            parts = [_split_stack(stacked[key], part) for key, part in column.fields.items()]
            return [dict(zip(column.fields, rows, strict=True)) for rows in _zip_equal(parts)]
    elif isinstance(column, TupleColumn) and isinstance(stacked, tuple):
        if len(stacked) == len(column.items):
            pairs = zip(stacked, column.items, strict=True)
            return list(_zip_equal([_split_stack(part, item) for part, item in pairs]))
    elif not isinstance(column, StructColumn | TupleColumn) and (
        isinstance(stacked, list | tuple) or (isinstance(stacked, np.ndarray) and stacked.ndim)
    ):
        return list(stacked)
    raise DataError(
        f"{type(stacked).__name__} {format_value(stacked)} is not stacked as its space says"
    )


def _zip_equal(parts: Sequence[Sequence[object]]) -> Iterator[tuple[object, ...]]:
    if len({len(part) for part in parts}) > 1:
        raise DataError(f"the leaves of a stack have {sorted(map(len, parts))} elements")
    return zip(*parts, strict=True)


def _as_stack(value: object) -> object:
    """Return the value of some elements in the tuples that Gymnasium stacks them in."""
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, Mapping):
        return {key: _as_stack(part) for key, part in value.items()}
    return tuple([_as_stack(part) for part in value]) if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True)
class SequenceColumn(Column):
    """Any number of elements a row."""

    element: Column
    """The column of the elements of all rows, concatenated."""
    stacked: bool
    """Whether a row shows its elements stacked in arrays, as ``Sequence(stack=True)`` does."""

    kind: ClassVar[str] = "sequence"

    def to_json(self) -> JsonObject:
        return {"kind": self.kind, "element": self.element.to_json(), "stacked": self.stacked}

    @classmethod
    def from_json(
        cls, fields: Mapping[str, object], where: str, read: ColumnReader
    ) -> SequenceColumn:
        return cls(read(fields["element"], where), bool(fields["stacked"]))

    def arrays(self, path: str) -> Iterator[ArraySpec]:
        yield ArraySpec(f"{path}/offsets", OFFSET_DTYPE, (), offsets=True)
        yield from self.element.arrays(f"{path}/element")

    def encode(self, values: Sequence[object], where: str) -> list[Array]:
        elements: list[object] = []
        lengths: list[int] = []
        for value in values:
            if self.stacked:
                try:
                    rows = _split_stack(value, self.element)
                except DataError as error:
                    raise DataError(f"{where}: {error}") from error
            elif isinstance(value, tuple | list | np.ndarray):
                rows = list(value)
            else:
                raise DataError(
                    f"{where}: {type(value).__name__} {format_value(value)} is not a sequence"
                )
            lengths.append(len(rows))
            elements += rows
        return [compute_offsets(lengths), *self.element.encode(elements, f"{where}[…]")]

    def bind(self, arrays: Iterator[StoredArray], rows: int, *, copy: bool) -> Reader:
        offsets = bind_offsets(next(arrays), rows)
        read_elements = self.element.bind(arrays, int(offsets[-1]), copy=copy)

        def read(start: int, stop: int) -> object:
            bounds = offsets[start : stop + 1].tolist()
            if self.stacked:
                return [_as_stack(read_elements(begin, end)) for begin, end in pairwise(bounds)]
            count = bounds[-1] - bounds[0]
            elements = split_rows(read_elements(bounds[0], bounds[-1]), count)
            return [
                tuple(elements[begin - bounds[0] : end - bounds[0]])
                for begin, end in pairwise(bounds)
            ]

        return read

    def problems(
        self, arrays: Iterator[NamedArray], rows: int | None, *, located: bool
    ) -> Iterator[ColumnProblem]:
        spec, offsets = take_plain(arrays)
        elements = None
        if offsets is not None:
            problems = list(find_offset_problems(spec.path, offsets, rows, None, located=located))
            yield from problems
            elements = None if problems else int(offsets[-1])
        yield from self.element.problems(arrays, elements, located=False)


@dataclass(frozen=True, slots=True)
class GraphColumn(Column):
    """Graphs: nodes, edges if the space has them, and the links that the edges make."""

    nodes: FixedColumn
    """The column of the nodes of all rows."""
    edges: FixedColumn | None
    """The column of the edges of all rows, or None where the space has no edge space."""
    edge_links: FixedColumn
    """The column of the pairs of nodes that the edges of all rows join."""

    kind: ClassVar[str] = "graph"

    def to_json(self) -> JsonObject:
        return {
            "kind": self.kind,
            "nodes": self.nodes.to_json(),
            "edges": None if self.edges is None else self.edges.to_json(),
            "edge_links": self.edge_links.to_json(),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, object], where: str, read: ColumnReader) -> GraphColumn:
        nodes, edges, links = (
            None if fields[name] is None else read(fields[name], f"{where}/{name}")
            for name in ("nodes", "edges", "edge_links")
        )
        if not isinstance(nodes, FixedColumn) or not isinstance(links, FixedColumn):
            raise TypeError("nodes or edge_links is not a fixed column")
        if edges is not None and not isinstance(edges, FixedColumn):
            raise TypeError("edges is not a fixed column")
        return cls(nodes, edges, links)

    def _columns(self) -> dict[str, Column]:
        """The columns that it is made of, by the names of their HDF5 groups."""
        columns: dict[str, Column] = {
            "nodes": SequenceColumn(self.nodes, stacked=True),
            # A graph without edges shows None, which is not the same as no edge.
            "has_edges": FixedColumn(MASK_DTYPE),
        }
        if self.edges is not None:
            columns["edges"] = SequenceColumn(self.edges, stacked=True)
        columns["has_edge_links"] = FixedColumn(MASK_DTYPE)
        columns["edge_links"] = SequenceColumn(self.edge_links, stacked=True)
        return columns

    def arrays(self, path: str) -> Iterator[ArraySpec]:
        for name, column in self._columns().items():
            yield from column.arrays(f"{path}/{name}")

    def encode(self, values: Sequence[object], where: str) -> list[Array]:
        graphs: list[dict[str, object]] = []
        for value in values:
            if not isinstance(value, GraphInstance):
                raise DataError(
                    f"{where}: {type(value).__name__} {format_value(value)} is not a GraphInstance"
                )
            if value.edges is not None and self.edges is None:
                raise DataError(f"{where}: a graph with edges in a space without an edge space")
            graphs.append(
                {
                    "nodes": value.nodes,
                    "has_edges": value.edges is not None,
                    "edges": [] if value.edges is None else value.edges,
                    "has_edge_links": value.edge_links is not None,
                    "edge_links": [] if value.edge_links is None else value.edge_links,
                }
            )
        return [
            array
            for name, column in self._columns().items()
            for array in column.encode([graph[name] for graph in graphs], f"{where}.{name}")
        ]

    def bind(self, arrays: Iterator[StoredArray], rows: int, *, copy: bool) -> Reader:
        readers = [
            (name, column.bind(arrays, rows, copy=copy)) for name, column in self._columns().items()
        ]

        def read(start: int, stop: int) -> object:
            columns = {name: read_column(start, stop) for name, read_column in readers}
            nodes, links = columns["nodes"], columns["edge_links"]
            edges = columns.get("edges", [None] * len(nodes))
            return [
                GraphInstance(
                    nodes=nodes[row],
                    edges=edges[row] if columns["has_edges"][row] else None,
                    edge_links=links[row] if columns["has_edge_links"][row] else None,
                )
                for row in range(len(nodes))
            ]

        return read

    def problems(
        self, arrays: Iterator[NamedArray], rows: int | None, *, located: bool
    ) -> Iterator[ColumnProblem]:
        for column in self._columns().values():
            yield from column.problems(arrays, rows, located=located)


@dataclass(frozen=True, slots=True)
class OneOfColumn(Column):
    """A value of one of several spaces, shown as ``(index, value)``."""

    options: tuple[Column, ...]
    """The columns of the spaces; each holds only the rows that chose it."""

    kind: ClassVar[str] = "oneof"

    def to_json(self) -> JsonObject:
        return {"kind": self.kind, "options": [column.to_json() for column in self.options]}

    @classmethod
    def from_json(cls, fields: Mapping[str, object], where: str, read: ColumnReader) -> OneOfColumn:
        return cls(read_columns(fields["options"], where, read))

    def _sequences(self) -> Iterator[SequenceColumn]:
        """Each option with one element in the rows that chose it, and none in the others."""
        return (SequenceColumn(option, stacked=False) for option in self.options)

    def arrays(self, path: str) -> Iterator[ArraySpec]:
        yield ArraySpec(f"{path}/chosen", OFFSET_DTYPE, ())
        for index, sequence in enumerate(self._sequences()):
            yield from sequence.arrays(f"{path}/_option_{index}")

    def encode(self, values: Sequence[object], where: str) -> list[Array]:
        chosen: list[int] = []
        contents: list[object] = []
        for value in values:
            if not isinstance(value, tuple) or len(value) != 2:
                raise DataError(f"{where}: {format_value(value)} is not an (index, value) pair")
            if not isinstance(value[0], int | np.integer):
                raise DataError(f"{where}: option {format_value(value[0])} is not a whole number")
            index = int(value[0])
            if not 0 <= index < len(self.options):
                raise DataError(f"{where}: option {index} of {len(self.options)}")
            chosen.append(index)
            contents.append(value[1])
        encoded: list[Array] = [np.array(chosen, dtype=OFFSET_DTYPE)]
        for index, sequence in enumerate(self._sequences()):
            rows = [
                (content,) if choice == index else ()
                for choice, content in zip(chosen, contents, strict=True)
            ]
            encoded += sequence.encode(rows, f"{where}[{index}]")
        return encoded

    def bind(self, arrays: Iterator[StoredArray], rows: int, *, copy: bool) -> Reader:
        chosen = np.asarray(as_plain_array(next(arrays), rows))
        readers: list[Reader] = []
        for index, sequence in enumerate(self._sequences()):
            counted: list[StoredArray] = [next(arrays)]
            if not np.array_equal(np.diff(as_plain_array(counted[0], rows + 1)), chosen == index):
                raise DatasetDamagedError(f"the rows of option {index} are not those that chose it")
            readers.append(sequence.bind(chain(counted, arrays), rows, copy=copy))
        if rows and not 0 <= chosen.min() <= chosen.max() < len(self.options):
            raise DatasetDamagedError(f"a row chose an option that is not among the {len(readers)}")

        def read(start: int, stop: int) -> object:
            choices = chosen[start:stop]
            options = [read_option(start, stop) for read_option in readers]
            return [(choice, options[int(choice)][row][0]) for row, choice in enumerate(choices)]

        return read

    def problems(
        self, arrays: Iterator[NamedArray], rows: int | None, *, located: bool
    ) -> Iterator[ColumnProblem]:
        spec, chosen = take_plain(arrays)
        options = len(self.options)
        if chosen is not None:
            yield from find_count_problems(spec, len(chosen), rows)
            wrong = np.flatnonzero(np.less(chosen, 0) | np.greater_equal(chosen, options))
            yield from name_rows(
                spec.path,
                wrong.tolist(),
                lambda row: f"row {row} chose option {chosen[row]} of {options}",
                "{} rows chose no option in all",
                located=located,
            )
        for index, sequence in enumerate(self._sequences()):
            counted = next(arrays)
            yield from sequence.problems(chain([counted], arrays), rows, located=located)
            offset_spec, offsets = take_plain(iter([counted]))
            if chosen is None or offsets is None or len(offsets) != len(chosen) + 1:
                continue
            has_one = np.equal(chosen, index)
            misplaced = np.flatnonzero(np.subtract(offsets[1:], offsets[:-1]) != has_one)
            if len(misplaced):
                row = int(misplaced[0])
                yield ColumnProblem(
                    offset_spec.path,
                    f"row {row} should have {int(has_one[row])} values of option {index} "
                    f"({len(misplaced)} rows do not fit)",
                    row if located else None,
                )
