"""Whether the flat arrays of a shard fit one another, and can be decoded.

A reader checks what it needs to stay inside its arrays. This goes through everything, and
collects all that is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from minari_core.columns import (
    Array,
    ArraySpec,
    BytesColumn,
    Column,
    FixedColumn,
    GraphColumn,
    JsonColumn,
    MaskedColumn,
    OneOfColumn,
    RaggedColumn,
    SequenceColumn,
    StoredArray,
    StructColumn,
    TextColumn,
    TupleColumn,
)
from minari_core.columns.fixed import ROWS_PER_CHUNK
from minari_core.errors import DatasetDamagedError, FormatError

_BLOCK_ROWS = 256
_MOST_ROWS_NAMED = 5


@dataclass(frozen=True, slots=True)
class ColumnProblem:
    """Something that is wrong with an array of a shard."""

    column: str
    """The HDF5 path of the array."""
    message: str
    """What is wrong with it."""
    row: int | None = None
    """The row of the shard's part that it concerns, where there is one."""


PlacedArray: TypeAlias = tuple[ArraySpec, StoredArray | None]
"""An array of a schema, and its contents; None where the file does not have them."""


def part_problems(
    column: Column, arrays: Sequence[PlacedArray], rows: int
) -> Iterator[ColumnProblem]:
    """What is wrong with one part of a shard.

    Args:
        column: The column of the part.
        arrays: The column's arrays without the derived ones, in the order of the schema. Those
            that are None are passed over: whoever did not find them has said so.
        rows: How many rows the part has.
    """
    return _check(column, iter(arrays), rows, located=True)


def _check(
    column: Column, arrays: Iterator[PlacedArray], rows: int | None, *, located: bool
) -> Iterator[ColumnProblem]:
    """Check a column; its arrays are taken off the iterator whatever is wrong with them.

    Args:
        column: The column.
        arrays: Positioned at it.
        rows: Its rows, or None if what should say so is damaged.
        located: Whether its rows are those of the part, and not elements inside them.
    """
    if isinstance(column, FixedColumn):
        yield from _check_fixed(column, arrays, rows, located=located)
    elif isinstance(column, TextColumn | BytesColumn | JsonColumn):
        yield from _check_blobs(column, arrays, rows, located=located)
    elif isinstance(column, RaggedColumn):
        yield from _check_ragged(arrays, rows, located=located)
    elif isinstance(column, MaskedColumn):
        yield from _check_mask(arrays, rows)
        yield from _check(column.value, arrays, rows, located=located)
    elif isinstance(column, StructColumn):
        for part in column.fields.values():
            yield from _check(part, arrays, rows, located=located)
    elif isinstance(column, TupleColumn):
        for part in column.items:
            yield from _check(part, arrays, rows, located=located)
    elif isinstance(column, SequenceColumn):
        spec, offsets = _plain(next(arrays))
        if offsets is None:
            yield from _check(column.element, arrays, None, located=False)
            return
        problems = list(_offset_problems(spec.path, offsets, rows, None, located=located))
        yield from problems
        elements = None if problems else int(offsets[-1])
        yield from _check(column.element, arrays, elements, located=False)
    elif isinstance(column, GraphColumn):
        yield from _check_graph(column, arrays, rows, located=located)
    elif isinstance(column, OneOfColumn):
        yield from _check_one_of(column, arrays, rows, located=located)
    else:
        raise FormatError(f"columns of kind {column.kind!r} cannot be verified")


def _plain(placed: PlacedArray) -> tuple[ArraySpec, Array | None]:
    """An array of offsets, masks or values, as columns keep them: never compressed."""
    spec, array = placed
    return spec, array if isinstance(array, np.ndarray) else None


def _count_problem(spec: ArraySpec, found: int, wanted: int | None) -> Iterator[ColumnProblem]:
    if wanted is not None and found != wanted:
        yield ColumnProblem(spec.path, f"it has {found} rows where {wanted} belong")


def _check_fixed(
    column: FixedColumn, arrays: Iterator[PlacedArray], rows: int | None, *, located: bool
) -> Iterator[ColumnProblem]:
    spec, array = next(arrays)
    if array is None:
        return
    yield from _count_problem(spec, len(array), rows)
    if isinstance(array, np.ndarray):
        if column.dtype.kind == "b":
            yield from _flag_problems(spec, array)
        return
    wrong = 0
    for start in range(0, len(array), ROWS_PER_CHUNK):
        try:
            array.read(start, min(start + ROWS_PER_CHUNK, len(array)))
        except DatasetDamagedError as error:
            wrong += 1
            if wrong <= _MOST_ROWS_NAMED:
                message = str(error).removeprefix("it: ")
                yield ColumnProblem(spec.path, message, start if located else None)
    if wrong > _MOST_ROWS_NAMED:
        yield ColumnProblem(spec.path, f"{wrong} chunks are damaged in all")


def _flag_problems(spec: ArraySpec, array: Array) -> Iterator[ColumnProblem]:
    bytes_of = array.view(np.uint8)
    if bytes_of.size and int(bytes_of.max()) > 1:
        yield ColumnProblem(spec.path, "it has values that are neither true nor false")


def _check_mask(arrays: Iterator[PlacedArray], rows: int | None) -> Iterator[ColumnProblem]:
    spec, present = _plain(next(arrays))
    if present is not None:
        yield from _count_problem(spec, len(present), rows)
        yield from _flag_problems(spec, present)


def _offset_problems(
    path: str, offsets: Array, rows: int | None, elements: int | None, *, located: bool
) -> Iterator[ColumnProblem]:
    """Offsets begin at 0, never fall, and end at the number of elements."""
    if rows is not None and len(offsets) != rows + 1:
        yield ColumnProblem(path, f"there are {len(offsets)} offsets where {rows + 1} belong")
        return
    if len(offsets) == 0:
        yield ColumnProblem(path, "there are no offsets, not even the first")
        return
    if offsets[0] != 0:
        yield ColumnProblem(path, f"the offsets begin at {offsets[0]}, not at 0")
    falls = np.flatnonzero(np.less(offsets[1:], offsets[:-1]))
    for row in falls[:_MOST_ROWS_NAMED].tolist():
        yield ColumnProblem(
            path,
            f"the offsets fall from {offsets[row]} to {offsets[row + 1]} at row {row}",
            row if located else None,
        )
    if len(falls) > _MOST_ROWS_NAMED:
        yield ColumnProblem(path, f"the offsets fall at {len(falls)} rows in all")
    if elements is not None and offsets[-1] != elements:
        yield ColumnProblem(path, f"the offsets end at {offsets[-1]}, but there are {elements}")


def _check_blobs(
    column: TextColumn | BytesColumn | JsonColumn,
    arrays: Iterator[PlacedArray],
    rows: int | None,
    *,
    located: bool,
) -> Iterator[ColumnProblem]:
    values_spec, values = _plain(next(arrays))
    spec, offsets = _plain(next(arrays))
    if offsets is None or values is None:
        return
    problems = list(_offset_problems(spec.path, offsets, rows, len(values), located=located))
    yield from problems
    if problems or isinstance(column, BytesColumn):
        return
    count = len(offsets) - 1
    read = column.bind(iter([values, offsets]), count, copy=False)
    wrong = 0
    for start in range(0, count, _BLOCK_ROWS):
        stop = min(start + _BLOCK_ROWS, count)
        try:
            read(start, stop)
        except DatasetDamagedError:
            for row in range(start, stop):
                try:
                    read(row, row + 1)
                except DatasetDamagedError as error:
                    wrong += 1
                    if wrong <= _MOST_ROWS_NAMED:
                        at = row if located else None
                        yield ColumnProblem(values_spec.path, str(error), at)
    if wrong > _MOST_ROWS_NAMED:
        yield ColumnProblem(values_spec.path, f"{wrong} rows are damaged in all")


def _check_ragged(
    arrays: Iterator[PlacedArray], rows: int | None, *, located: bool
) -> Iterator[ColumnProblem]:
    _, values = _plain(next(arrays))
    spec, offsets = _plain(next(arrays))
    shapes_spec, shapes = _plain(next(arrays))
    if shapes is not None:
        yield from _count_problem(shapes_spec, len(shapes), rows)
    if offsets is None:
        return
    elements = None if values is None else len(values)
    problems = list(_offset_problems(spec.path, offsets, rows, elements, located=located))
    yield from problems
    if problems or shapes is None or len(shapes) != len(offsets) - 1:
        return
    # Products of sizes out of a damaged file overflow integers; these are exact up to 2**53.
    sizes = np.prod(shapes.astype(np.float64), axis=1)
    lengths = np.subtract(offsets[1:], offsets[:-1])
    wrong = np.flatnonzero((np.min(shapes, axis=1, initial=0) < 0) | (sizes != lengths))
    for row in wrong[:_MOST_ROWS_NAMED].tolist():
        yield ColumnProblem(
            shapes_spec.path,
            f"shape {tuple(shapes[row].tolist())} of row {row} does not fit its "
            f"{lengths[row]} elements",
            row if located else None,
        )
    if len(wrong) > _MOST_ROWS_NAMED:
        yield ColumnProblem(shapes_spec.path, f"{len(wrong)} shapes do not fit in all")


def _check_graph(
    column: GraphColumn, arrays: Iterator[PlacedArray], rows: int | None, *, located: bool
) -> Iterator[ColumnProblem]:
    nodes = SequenceColumn(column.nodes, stacked=True)
    yield from _check(nodes, arrays, rows, located=located)
    yield from _check_mask(arrays, rows)
    if column.edges is not None:
        edges = SequenceColumn(column.edges, stacked=True)
        yield from _check(edges, arrays, rows, located=located)
    yield from _check_mask(arrays, rows)
    links = SequenceColumn(column.edge_links, stacked=True)
    yield from _check(links, arrays, rows, located=located)


def _check_one_of(
    column: OneOfColumn, arrays: Iterator[PlacedArray], rows: int | None, *, located: bool
) -> Iterator[ColumnProblem]:
    spec, chosen = _plain(next(arrays))
    options = len(column.options)
    if chosen is not None:
        yield from _count_problem(spec, len(chosen), rows)
        wrong = np.flatnonzero(np.less(chosen, 0) | np.greater_equal(chosen, options))
        for row in wrong[:_MOST_ROWS_NAMED].tolist():
            yield ColumnProblem(
                spec.path,
                f"row {row} chose option {chosen[row]} of {options}",
                row if located else None,
            )
    for index, option in enumerate(column.options):
        sequence = SequenceColumn(option, stacked=False)
        needed = sum(not each.derived for each in sequence.arrays(""))
        taken = [next(arrays) for _ in range(needed)]
        yield from _check(sequence, iter(taken), rows, located=located)
        offset_spec, offsets = _plain(taken[0])
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
