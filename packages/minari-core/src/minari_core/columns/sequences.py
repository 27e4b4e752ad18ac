"""Columns for the spaces whose values change in number: Sequence, Graph and OneOf.

Each is made of columns that exist already: a list of elements behind offsets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import GraphInstance

from minari_core.columns.base import Array, ArraySpec, Column, Reader, StoredArray, plain_array
from minari_core.columns.fixed import FixedColumn
from minari_core.columns.joining import rows_of
from minari_core.columns.nested import MASK_DTYPE, StructColumn, TupleColumn
from minari_core.columns.variable import OFFSET_DTYPE, bind_offsets, offsets_of
from minari_core.errors import DataError, DatasetDamagedError
from minari_core.json_values import JsonObject
from minari_core.messages import shown


def _rows_of_stack(stacked: object, column: Column) -> list[object]:
    """The elements of a stacked value: an array's rows, a dict's or tuple's parts by element.

    Raises:
        DataError: The value is not stacked as its space says.
    """
    if isinstance(column, StructColumn) and isinstance(stacked, Mapping):
        if stacked.keys() == column.fields.keys():
            parts = [_rows_of_stack(stacked[key], part) for key, part in column.fields.items()]
            return [dict(zip(column.fields, rows, strict=True)) for rows in _zipped(parts)]
    elif isinstance(column, TupleColumn) and isinstance(stacked, tuple):
        if len(stacked) == len(column.items):
            pairs = zip(stacked, column.items, strict=True)
            return list(_zipped([_rows_of_stack(part, item) for part, item in pairs]))
    elif not isinstance(column, StructColumn | TupleColumn) and (
        isinstance(stacked, list | tuple) or (isinstance(stacked, np.ndarray) and stacked.ndim)
    ):
        return list(stacked)
    raise DataError(f"{type(stacked).__name__} {shown(stacked)} is not stacked as its space says")


def _zipped(parts: Sequence[Sequence[object]]) -> Iterator[tuple[object, ...]]:
    if len({len(part) for part in parts}) > 1:
        raise DataError(f"the parts of a stack have {sorted(map(len, parts))} elements")
    return zip(*parts, strict=True)


def _as_stack(value: object) -> object:
    """What a column gave for some elements, with the tuples that Gymnasium stacks them in."""
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, Mapping):
        return {key: _as_stack(part) for key, part in value.items()}
    return tuple([_as_stack(part) for part in value]) if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True)
class SequenceColumn(Column):
    """Any number of elements a row."""

    element: Column
    """The column of the elements of all rows, one behind the other."""
    stacked: bool
    """Whether a row shows its elements stacked in arrays, as ``Sequence(stack=True)`` does."""

    kind: ClassVar[str] = "sequence"

    def to_json(self) -> JsonObject:
        return {"kind": self.kind, "element": self.element.to_json(), "stacked": self.stacked}

    def arrays(self, path: str) -> Iterator[ArraySpec]:
        yield ArraySpec(f"{path}/offsets", OFFSET_DTYPE, (), offsets=True)
        yield from self.element.arrays(f"{path}/element")

    def encode(self, values: Sequence[object], where: str) -> list[Array]:
        elements: list[object] = []
        lengths: list[int] = []
        for value in values:
            if self.stacked:
                try:
                    rows = _rows_of_stack(value, self.element)
                except DataError as error:
                    raise DataError(f"{where}: {error}") from error
            elif isinstance(value, tuple | list | np.ndarray):
                rows = list(value)
            else:
                raise DataError(f"{where}: {type(value).__name__} {shown(value)} is not a sequence")
            lengths.append(len(rows))
            elements += rows
        return [offsets_of(lengths), *self.element.encode(elements, f"{where}[…]")]

    def bind(self, arrays: Iterator[StoredArray], rows: int, *, copy: bool) -> Reader:
        offsets = bind_offsets(next(arrays), rows)
        read_elements = self.element.bind(arrays, int(offsets[-1]), copy=copy)

        def read(start: int, stop: int) -> object:
            bounds = offsets[start : stop + 1].tolist()
            if self.stacked:
                return [_as_stack(read_elements(begin, end)) for begin, end in pairwise(bounds)]
            count = bounds[-1] - bounds[0]
            elements = rows_of(read_elements(bounds[0], bounds[-1]), count)
            return [
                tuple(elements[begin - bounds[0] : end - bounds[0]])
                for begin, end in pairwise(bounds)
            ]

        return read

    def missing(self, count: int) -> object:
        return [None] * count


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

    def arrays(self, path: str) -> Iterator[ArraySpec]:
        yield from SequenceColumn(self.nodes, stacked=True).arrays(f"{path}/nodes")
        # A graph without edges shows None, which is not the same as no edge.
        yield ArraySpec(f"{path}/has_edges", MASK_DTYPE, ())
        if self.edges is not None:
            yield from SequenceColumn(self.edges, stacked=True).arrays(f"{path}/edges")
        yield ArraySpec(f"{path}/has_edge_links", MASK_DTYPE, ())
        yield from SequenceColumn(self.edge_links, stacked=True).arrays(f"{path}/edge_links")

    def encode(self, values: Sequence[object], where: str) -> list[Array]:
        graphs: list[GraphInstance] = []
        for value in values:
            if not isinstance(value, GraphInstance):
                raise DataError(
                    f"{where}: {type(value).__name__} {shown(value)} is not a GraphInstance"
                )
            if value.edges is not None and self.edges is None:
                raise DataError(f"{where}: a graph with edges in a space without an edge space")
            graphs.append(value)
        nodes = SequenceColumn(self.nodes, stacked=True)
        links = SequenceColumn(self.edge_links, stacked=True)
        encoded = nodes.encode([graph.nodes for graph in graphs], f"{where}.nodes")
        encoded.append(np.array([graph.edges is not None for graph in graphs], dtype=MASK_DTYPE))
        if self.edges is not None:
            edges = SequenceColumn(self.edges, stacked=True)
            given_edges = [[] if graph.edges is None else graph.edges for graph in graphs]
            encoded += edges.encode(given_edges, f"{where}.edges")
        encoded.append(
            np.array([graph.edge_links is not None for graph in graphs], dtype=MASK_DTYPE)
        )
        given_links: list[object] = [
            [] if graph.edge_links is None else graph.edge_links for graph in graphs
        ]
        return encoded + links.encode(given_links, f"{where}.edge_links")

    def bind(self, arrays: Iterator[StoredArray], rows: int, *, copy: bool) -> Reader:
        read_nodes = SequenceColumn(self.nodes, stacked=True).bind(arrays, rows, copy=copy)
        has_edges = plain_array(next(arrays), rows)
        read_edges = (
            None
            if self.edges is None
            else SequenceColumn(self.edges, stacked=True).bind(arrays, rows, copy=copy)
        )
        has_links = plain_array(next(arrays), rows)
        read_links = SequenceColumn(self.edge_links, stacked=True).bind(arrays, rows, copy=copy)

        def read(start: int, stop: int) -> object:
            nodes = _as_list(read_nodes(start, stop))
            edges = [None] * len(nodes) if read_edges is None else _as_list(read_edges(start, stop))
            links = _as_list(read_links(start, stop))
            return [
                GraphInstance(
                    nodes=nodes[index],
                    edges=edges[index] if has_edges[start + index] else None,
                    edge_links=links[index] if has_links[start + index] else None,
                )
                for index in range(len(nodes))
            ]

        return read

    def missing(self, count: int) -> object:
        return [None] * count


@dataclass(frozen=True, slots=True)
class OneOfColumn(Column):
    """A value of one of several spaces, shown as ``(index, value)``."""

    options: tuple[Column, ...]
    """The columns of the spaces; each holds only the rows that chose it."""

    kind: ClassVar[str] = "oneof"

    def to_json(self) -> JsonObject:
        return {"kind": self.kind, "options": [column.to_json() for column in self.options]}

    def arrays(self, path: str) -> Iterator[ArraySpec]:
        yield ArraySpec(f"{path}/chosen", OFFSET_DTYPE, ())
        for index, column in enumerate(self.options):
            option = SequenceColumn(column, stacked=False)
            yield from option.arrays(f"{path}/_option_{index}")

    def encode(self, values: Sequence[object], where: str) -> list[Array]:
        chosen: list[int] = []
        contents: list[object] = []
        for value in values:
            if not isinstance(value, tuple) or len(value) != 2:
                raise DataError(f"{where}: {shown(value)} is not an (index, value) pair")
            if not isinstance(value[0], int | np.integer):
                raise DataError(f"{where}: option {shown(value[0])} is not a whole number")
            index = int(value[0])
            if not 0 <= index < len(self.options):
                raise DataError(f"{where}: option {index} of {len(self.options)}")
            chosen.append(index)
            contents.append(value[1])
        encoded: list[Array] = [np.array(chosen, dtype=OFFSET_DTYPE)]
        for index, column in enumerate(self.options):
            rows = [
                (content,) if choice == index else ()
                for choice, content in zip(chosen, contents, strict=True)
            ]
            encoded += SequenceColumn(column, stacked=False).encode(rows, f"{where}[{index}]")
        return encoded

    def bind(self, arrays: Iterator[StoredArray], rows: int, *, copy: bool) -> Reader:
        chosen = plain_array(next(arrays), rows)
        readers: list[Reader] = []
        for index, column in enumerate(self.options):
            counted: list[StoredArray] = [next(arrays)]
            # Each row that chose an option has one element of it, and the other rows have none.
            if not np.array_equal(np.diff(plain_array(counted[0], rows + 1)), chosen == index):
                raise DatasetDamagedError(f"the rows of option {index} are not those that chose it")
            option = SequenceColumn(column, stacked=False)
            readers.append(option.bind(chain(counted, arrays), rows, copy=copy))
        if rows and not 0 <= chosen.min() <= chosen.max() < len(self.options):
            raise DatasetDamagedError(f"a row chose an option that is not among the {len(readers)}")

        def read(start: int, stop: int) -> object:
            choices = chosen[start:stop]
            options = [_as_list(read_option(start, stop)) for read_option in readers]
            return [(choice, options[int(choice)][row][0]) for row, choice in enumerate(choices)]

        return read

    def missing(self, count: int) -> object:
        return [None] * count


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
