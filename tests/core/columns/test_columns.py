"""Columns and their schemas: each is undone by its inverse."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces as gym_spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core.columns import (
    AXES,
    FixedColumn,
    JsonColumn,
    MaskedColumn,
    Schema,
    StructColumn,
    TextColumn,
    choose_column,
    join_pieces,
    schema_from_json,
)
from minari_core.columns.base import escape_key
from minari_core.columns.exact import cast_exactly
from minari_core.columns.fixed import as_numeric_array
from minari_core.columns.joining import split_rows
from minari_core.columns.problems import find_flag_problems
from minari_core.columns.sequences import OneOfColumn
from minari_core.columns.untyped import encode_dynamic, freeze
from minari_core.columns.variable import RaggedColumn, _CheckedOffsets
from minari_core.errors import DataError, DatasetDamagedError, FormatError
from minari_core.testing.expectations import expect_same
from tests.core.helpers.info_strategies import keys
from tests.core.helpers.space_strategies import spaces, values_of

NUMBERS = ["i1", "u1", "i4", "i8", "u8", "f2", "f4", "f8", ">f8", "c16", "?"]


@given(keys, keys)
def test_two_keys_never_share_a_path(one: str, other: str) -> None:
    assert (escape_key(one) == escape_key(other)) == (one == other)
    for key in (one, other):
        escaped = escape_key(key)
        assert escaped not in ("", ".")
        assert not set("/\0") & set(escaped)
        escaped.encode("utf-8")


@given(spaces(), st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_a_schema_is_read_back_from_its_json(space: Any, seed: int) -> None:
    values = values_of(space, np.random.default_rng(seed), 3)
    columns = dict.fromkeys(AXES, choose_column(space, values))
    dropped: dict[str, str] = {}
    encoded = encode_dynamic([None, {"a": [1, 2]}, {"b": "x", "a": [1]}], "x", dropped)
    assert encoded is not None
    schema = Schema({**columns, "infos": encoded[0]})
    assert schema_from_json(json.loads(json.dumps(schema.to_json()))) == schema
    assert not dropped


FIXED = {"kind": "fixed", "dtype": "<f8", "shape": [2]}


@pytest.mark.parametrize(
    "column",
    [
        None,
        [],
        {},
        {"kind": "fixed"},
        {**FIXED, "dtype": "O"},
        {**FIXED, "dtype": "f8,f8"},
        {**FIXED, "dtype": 8},
        {**FIXED, "shape": [-1]},
        {**FIXED, "shape": [2.0]},
        {**FIXED, "shape": [True]},
        {**FIXED, "shape": [10**30]},
        {**FIXED, "shape": [2**40, 0]},
        {**FIXED, "shape": [1] * 64},
        {**FIXED, "shape": 3},
        {"kind": "ragged", "dtype": "<f8", "dimensions": 0},
        {"kind": "ragged", "dtype": "<f8", "dimensions": 10**12},
        {"kind": "struct", "fields": [FIXED]},
        {"kind": "struct", "fields": {"a": None}},
        {"kind": "tuple", "items": {"a": FIXED}},
        {"kind": "masked"},
        {"kind": "graph", "nodes": FIXED, "edges": 5, "edge_links": FIXED},
    ],
)
def test_a_malformed_column_is_damage(column: Any) -> None:
    described = {**dict.fromkeys(AXES, FIXED), "infos": column}
    with pytest.raises(DatasetDamagedError, match="infos"):
        schema_from_json(described)


def test_a_kind_of_column_that_is_not_known_is_a_matter_of_the_version() -> None:
    for column in ({"kind": "video"}, {"kind": 7}, {**FIXED, "rows_per_chunk": 5}):
        described = {**dict.fromkeys(AXES, FIXED), "infos": column}
        with pytest.raises(FormatError, match="infos"):
            schema_from_json(described)


def test_a_schema_that_is_nested_without_end_is_damage() -> None:
    column: dict[str, Any] = FIXED
    for _ in range(300):
        column = {"kind": "masked", "value": column}
    with pytest.raises(DatasetDamagedError):
        schema_from_json({**dict.fromkeys(AXES, FIXED), "infos": column})


@given(st.sampled_from(NUMBERS), st.sampled_from(NUMBERS), st.data())
@settings(max_examples=200)
def test_a_number_changes_its_dtype_only_where_it_keeps_its_value(
    source: str, target: str, data: st.DataObject
) -> None:
    kind = np.dtype(source).kind
    value: Any
    edges = [-(2**63), 2**63 - 1, 2**53 + 1, 2**24 + 1, 0, 1, -1, 127, 255, 65504, 2**64 - 1, 2**63]
    if kind in "iu":
        limits = np.iinfo(source)
        edges = [edge for edge in edges if limits.min <= edge <= limits.max]
        value = data.draw(st.sampled_from(edges) | st.integers(int(limits.min), int(limits.max)))
    elif kind == "b":
        value = data.draw(st.booleans())
    else:
        value = data.draw(st.floats() | st.sampled_from([float(edge) for edge in edges]))
    with np.errstate(all="ignore"):
        array = np.array([value]).astype(source)
    cast = cast_exactly(array, np.dtype(target))
    if cast is not None:
        assert cast.dtype == target
        one, other = array.tolist()[0], cast.tolist()[0]
        assert one == other or (one != one and other != other)
        if not isinstance(one, complex) and not isinstance(other, complex):
            assert math.copysign(1, one) == math.copysign(1, other)
        assert (kind == "b") == (cast.dtype.kind == "b")
    else:
        # Whatever is refused does not survive the way there and back, or is no number there.
        assert source != target


@pytest.mark.parametrize(
    "values", [[2**63 + 1, -1], [2**53 + 1, 0.5], [True, 2], [[1, 2], [True, 3]]]
)
def test_a_list_whose_numbers_numpy_would_change_is_refused(values: list[Any]) -> None:
    with pytest.raises(DataError, match="x: "):
        as_numeric_array(values, "x")
    dropped: dict[str, str] = {}
    encoded = encode_dynamic([freeze(values)], "x", dropped)
    assert encoded is not None
    column, arrays = encoded
    assert column.bind(iter(arrays), 1, copy=True)(0, 1) == [values]


def _fields(steps: int) -> dict[str, Any]:
    zeros = np.zeros(steps, dtype=np.int64)
    return {
        "observations": np.zeros(steps + 1, dtype=np.int64),
        "actions": zeros,
        "rewards": zeros.astype(np.float64),
        "terminations": zeros.astype(bool),
        "truncations": zeros.astype(bool),
    }


def test_pieces_that_differ_are_joined_row_by_row() -> None:
    fixed, wider = np.arange(3), np.arange(2) + 0.5
    masked = np.ma.array([1, 2], mask=[False, True])
    expect_same(join_pieces([fixed, wider]), np.concatenate([fixed, wider]))
    joined = join_pieces([fixed, masked])
    assert isinstance(joined, np.ma.MaskedArray)
    assert joined.tolist() == [0, 1, 2, 1, None]
    assert join_pieces([fixed, ["a", None]]) == [0, 1, 2, "a", None]
    assert join_pieces([masked, ["a"]]) == [1, None, "a"]
    assert join_pieces([np.array([2**53 + 1]), np.array([0.5])]) == [2**53 + 1, 0.5]
    expect_same(join_pieces([np.zeros(1, bool), np.ones(1, int)]), [np.False_, np.int64(1)])
    expect_same(
        join_pieces([np.zeros((1, 2)), np.ones((1, 3))]), [np.zeros(2), np.ones(3)], "shapes"
    )
    assert join_pieces([{"a": fixed}, ["x"]]) == [{"a": 0}, {"a": 1}, {"a": 2}, "x"]
    joined = join_pieces([{"a": fixed}, {"b": np.ones(2)}], [3, 2])
    assert joined == {"a": [0, 1, 2, None, None], "b": [None, None, None, 1.0, 1.0]}
    assert join_pieces([{"a": {"b": fixed}}, {"a": {}}], [3, 1]) == {"a": {"b": [0, 1, 2, None]}}


def test_a_row_of_a_wholly_masked_array_has_no_value() -> None:
    masked = np.ma.array(np.zeros((2, 3)), mask=[[True] * 3, [False] * 3])
    found = split_rows(masked, 2)
    assert found[0] is None
    expect_same(found[1], np.zeros(3))


@pytest.mark.parametrize(
    ("column", "arrays"),
    [
        (TextColumn(), [np.zeros(2, "u1"), np.array([0, 3, 2])]),
        (TextColumn(), [np.zeros(2, "u1"), np.array([0, -1, 2])]),
        (TextColumn(), [np.zeros(2, "u1"), np.array([0, 2])]),
        (TextColumn(), [np.frombuffer(b"\xff\xff", "u1"), np.array([0, 1, 2])]),
        (JsonColumn(), [np.frombuffer(b"{}", "u1"), np.array([0, 1, 2])]),
        (
            RaggedColumn(np.dtype("f8"), 1),
            [np.zeros(3), np.array([0, 1, 3]), np.array([[1], [-1]])],
        ),
        (RaggedColumn(np.dtype("f8"), 1), [np.zeros(3), np.array([0, 1, 3]), np.array([[1], [3]])]),
        (
            OneOfColumn((FixedColumn(np.dtype("i8")),)),
            [np.array([0, 5]), np.array([0, 1, 2]), np.zeros(2, "i8")],
        ),
        (
            OneOfColumn((FixedColumn(np.dtype("i8")),)),
            [np.array([0, -1]), np.array([0, 1, 2]), np.zeros(2, "i8")],
        ),
        (
            OneOfColumn((FixedColumn(np.dtype("i8")),)),
            [np.array([0, 0]), np.array([0, 0, 1]), np.zeros(1, "i8")],
        ),
        *(
            (
                OneOfColumn((FixedColumn(np.dtype("i8")),)),
                [np.array([0, none]), np.array([0, 1, 1]), np.zeros(1, "i8")],
            )
            for none in (1, -1)
        ),
        (FixedColumn(np.dtype("f8")), [np.zeros(3)]),
        (MaskedColumn(FixedColumn(np.dtype("f8"))), [np.zeros(3, bool), np.zeros(2)]),
        (StructColumn({"a": FixedColumn(np.dtype("f8"))}), [np.zeros(1)]),
    ],
)
def test_arrays_that_do_not_fit_their_column_are_damage(column: Any, arrays: list[Any]) -> None:
    with pytest.raises(DatasetDamagedError):
        column.bind(iter(arrays), 2, copy=True)(0, 2)


def test_a_value_that_no_json_holds_is_left_out_and_named() -> None:
    dropped: dict[str, str] = {}
    values = [freeze(value) for value in (["a", 1], ["b", [object()]], "d")]
    encoded = encode_dynamic(values, "infos['note']", dropped)

    assert encoded is not None
    column, arrays = encoded
    assert column.bind(iter(arrays), 3, copy=True)(0, 3) == [["a", 1], None, "d"]
    assert list(dropped) == ["infos['note']"]
    assert "object" in dropped["infos['note']"]


@pytest.mark.parametrize(
    ("element", "value"),
    [
        (gym_spaces.Dict({"x": gym_spaces.Discrete(3)}), (0, 1)),
        (gym_spaces.Dict({"x": gym_spaces.Discrete(3)}), {"y": np.arange(2)}),
        (gym_spaces.Tuple([gym_spaces.Discrete(3)]), {"x": np.arange(2)}),
        (gym_spaces.Tuple([gym_spaces.Discrete(3)]), (np.arange(2), np.arange(2))),
        (gym_spaces.Discrete(3), {"x": np.arange(2)}),
        (gym_spaces.Discrete(3), np.int64(1)),
    ],
    ids=str,
)
def test_a_stack_of_another_structure_is_refused(
    element: gym_spaces.Space[Any], value: object
) -> None:
    column = choose_column(gym_spaces.Sequence(element, stack=True), [])
    with pytest.raises(DataError, match=r"^observations: .* is not stacked as its space says"):
        column.encode([value], "observations")


@given(
    st.lists(st.tuples(st.integers(-2, 3), st.integers(-2, 3)), max_size=5),
    st.lists(st.integers(0, 9), min_size=5, max_size=5),
)
def test_shapes_that_do_not_fit_are_found_row_by_row_and_not_read(
    shapes: list[tuple[int, int]], lengths: list[int]
) -> None:
    # Most have as many elements as their shape says, if it says anything that can be.
    counts = [
        abs(math.prod(shape)) if length < 8 else length
        for shape, length in zip(shapes, lengths, strict=False)
    ]
    column = RaggedColumn(np.dtype(np.int64), 2)
    offsets = np.cumsum([0, *counts])
    arrays = [np.arange(offsets[-1]), offsets, np.array(shapes, np.int64).reshape(-1, 2)]
    specs = list(column.arrays("x"))
    wrong = {
        row
        for row, (shape, count) in enumerate(zip(shapes, counts, strict=True))
        if min(shape) < 0 or math.prod(shape) != count
    }

    found = list(column.problems(zip(specs, arrays, strict=True), len(shapes), located=True))

    assert {problem.path for problem in found} <= {"x/shapes"}
    assert {problem.row for problem in found} == wrong
    read = column.bind(iter(arrays), len(shapes), copy=False)
    for row, shape in enumerate(shapes):
        if row in wrong:
            with pytest.raises(DatasetDamagedError, match=f"row {row} has {counts[row]} elements"):
                read(row, row + 1)
        else:
            (value,) = read(row, row + 1)
            assert value.shape == shape
            assert value.ravel().tolist() == list(range(offsets[row], offsets[row + 1]))


@given(st.lists(st.integers(-1, 4), min_size=1, max_size=6), st.integers(0, 4), st.data())
def test_offsets_that_are_read_in_parts_are_checked_as_far_as_they_are_read(
    numbers: list[int], elements: int, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(numbers) - 1))
    stop = data.draw(st.integers(start, len(numbers)))
    part = numbers[start:stop]
    is_wrong = bool(part) and (
        part[0] < 0
        or (start == 0 and part[0] > 0)
        or part[-1] > elements
        or any(one > other for one, other in pairwise(part))
    )
    checked = _CheckedOffsets(np.array(numbers, np.int64), elements)
    if is_wrong:
        with pytest.raises(DatasetDamagedError, match=r"offsets (run from|fall)"):
            checked[start:stop]
    else:
        assert checked[start:stop].tolist() == part


@given(st.lists(st.integers(0, 4), max_size=5))
def test_flags_are_bytes_that_are_0_or_1(values: list[int]) -> None:
    (spec,) = FixedColumn(np.dtype(bool), ()).arrays("x")
    problems = list(find_flag_problems(spec, np.array(values, np.uint8).view(bool)))
    assert [each.path for each in problems] == ["x"] * any(value > 1 for value in values)
