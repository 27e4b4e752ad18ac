"""Values of many rows: split into rows, joined from shards, filled and made wider leaf by leaf."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minari_core.columns import (
    FixedColumn,
    MaskedColumn,
    StructColumn,
    TextColumn,
    TupleColumn,
    encode_dynamic,
    fill_missing_keys,
    freeze,
    holds_all,
    join_pieces,
    merge_columns,
)
from minari_core.columns.base import Column
from minari_core.columns.joining import count_rows, split_rows
from minari_core.columns.untyped import Unstorable
from minari_core.columns.widening import find_wider_dtype, split_cast
from minari_core.errors import DataError
from minari_core.testing.expectations import expect_same

NARROW, WIDE = FixedColumn(np.dtype("f4"), (2,)), FixedColumn(np.dtype("f8"), (2,))
NUMBER = FixedColumn(np.dtype("i8"))


def masked(*rows: Any) -> Any:
    return np.ma.array([row or 0 for row in rows], mask=[row is None for row in rows])


VALUES: list[tuple[Any, list[Any]]] = [
    (np.arange(2), [np.int64(0), np.int64(1)]),
    (["a", None], ["a", None]),
    (masked(1, None), [np.int64(1), None]),
    (np.ma.array(np.ones((2, 2)), mask=[[True, True], [True, False]]), [None, np.ones(2)]),
    (np.ma.array(np.zeros((2, 0))), [np.zeros(0), np.zeros(0)]),
    ({"a": np.arange(2), "b": [None, "x"]}, [{"a": np.int64(0)}, {"a": np.int64(1), "b": "x"}]),
    ((np.arange(2), {"a": ["x", "y"]}), [(np.int64(0), {"a": "x"}), (np.int64(1), {"a": "y"})]),
    ({}, [{}, {}]),
    ((), [(), ()]),
    (None, [None, None]),
]


@pytest.mark.parametrize(("value", "rows"), VALUES, ids=repr)
def test_a_value_is_split_into_those_of_its_rows(value: Any, rows: list[Any]) -> None:
    expect_same(split_rows(value, 2), rows)
    assert count_rows(value) == (2 if isinstance(value, np.ndarray) or value else 0)


@given(st.lists(st.sampled_from(range(len(VALUES) - 1)), min_size=2, max_size=4))
def test_pieces_are_joined_so_that_their_rows_are_those_of_all(chosen: list[int]) -> None:
    pieces = [VALUES[index][0] for index in chosen]
    counts = [2] * len(pieces)
    wanted = [row for index in chosen for row in VALUES[index][1]]
    joined = join_pieces(pieces, counts)
    found = split_rows(joined, 2 * len(pieces))
    pairs: Iterator[tuple[Any, Any]] = zip(found, wanted, strict=True)
    for one, other in pairs:
        if isinstance(other, np.ndarray | np.generic) and one is not None:
            # An array of whole numbers and one of floats are one of floats.
            assert np.array_equal(one, other)
            assert np.shape(one) == np.shape(other)
        elif isinstance(other, Mapping | tuple):
            assert _plain(one) == _plain(other)
        else:
            assert one is None if other is None else one == other


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return tuple(map(_plain, value)) if isinstance(value, tuple) else value


def test_arrays_are_joined_in_the_dtype_that_they_share() -> None:
    for dtype in (">i4", "<i4", ">f8"):
        joined: Any = join_pieces([np.arange(2, dtype=dtype), np.arange(3, dtype=dtype)])
        assert joined.dtype.str == dtype
        assert joined.tolist() == [0, 1, 0, 1, 2]
    joined = join_pieces([np.arange(2, dtype="u1"), np.arange(2) - 1])
    assert joined.dtype == np.int64
    piece = np.arange(2)
    assert join_pieces([piece]) is piece
    both: Any = join_pieces([(np.arange(1), ["a"]), (np.arange(2), ["b", "c"])])
    expect_same(both, (np.array([0, 0, 1]), ["a", "b", "c"]))
    # Tuples of another length are no one tuple.
    assert join_pieces([(np.arange(1),), (np.arange(1), ["a"])]) == [(0,), (0, "a")]
    assert join_pieces([{"a": ["x"]}, {"b": ["y", "z"]}]) == {
        "a": ["x", None, None],
        "b": [None, "y", "z"],
    }


def test_columns_of_structs_are_merged_key_by_key() -> None:
    one = StructColumn({"a": NUMBER, "in": StructColumn({"x": NUMBER}), "t": TextColumn()})
    other = StructColumn({"t": StructColumn({}), "in": StructColumn({"y": NARROW}), "z": WIDE})
    merged = merge_columns([one, NUMBER, other])
    inner = StructColumn({"x": NUMBER, "y": NARROW})
    assert merged == StructColumn({"a": NUMBER, "in": inner, "t": TextColumn(), "z": WIDE})
    assert list(merged.fields) == ["a", "in", "t", "z"]
    assert merged != StructColumn({"z": WIDE, "a": NUMBER, "in": inner, "t": TextColumn()})
    assert merge_columns([]) == StructColumn({})
    filled = fill_missing_keys({"more": [1, 2], "in": {"y": [3, 4]}}, merged, 2)
    assert list(filled) == ["a", "in", "t", "z", "more"]
    assert filled["t"] == [None, None]
    assert (filled["more"], filled["in"]["y"]) == ([1, 2], [3, 4])  # type: ignore[index]
    assert filled["in"]["x"].tolist() == [None, None]  # type: ignore[index]
    assert list(filled["in"]) == ["x", "y"]  # type: ignore[call-overload]
    # A key whose value is None has one.
    assert fill_missing_keys({"a": None}, StructColumn({"a": NUMBER}), 2) == {"a": None}


WIDER: list[tuple[Column, Column, Column | None]] = [
    (NARROW, WIDE, WIDE),
    (WIDE, NARROW, WIDE),
    (NARROW, FixedColumn(np.dtype("f8"), (3,)), None),
    (NARROW, FixedColumn(np.dtype("?"), (2,)), None),
    (NARROW, TextColumn(), None),
    (TextColumn(), TextColumn(), TextColumn()),
    (TextColumn(), NARROW, None),
    (
        FixedColumn(np.dtype("i1"), (64, 64)),
        FixedColumn(np.dtype("u1"), (64, 64), compressed=True),
        FixedColumn(np.dtype("i2"), (64, 64)),
    ),
    (StructColumn({"a": NARROW}), StructColumn({"a": WIDE}), StructColumn({"a": WIDE})),
    (StructColumn({"a": NARROW}), StructColumn({"b": WIDE}), None),
    (StructColumn({"a": NARROW}), StructColumn({"a": TextColumn()}), None),
    (StructColumn({"a": NARROW}), NARROW, None),
    (TupleColumn((NARROW, NUMBER)), TupleColumn((WIDE, NUMBER)), TupleColumn((WIDE, NUMBER))),
    (TupleColumn((NARROW, NUMBER)), TupleColumn((WIDE,)), None),
    (TupleColumn((NARROW, NUMBER)), TupleColumn((WIDE, TextColumn())), None),
    (TupleColumn((NARROW,)), NARROW, None),
    (MaskedColumn(NARROW), MaskedColumn(NARROW), MaskedColumn(NARROW)),
]


@pytest.mark.parametrize(("one", "other", "wider"), WIDER)
def test_the_wider_column_holds_the_values_of_both(
    one: Column, other: Column, wider: Column | None
) -> None:
    assert one.find_wider(other) == wider
    assert one.find_wider(one) == one


def test_a_column_that_becomes_wider_says_so_and_keeps_its_numbers() -> None:
    column = StructColumn({"a": NARROW, "t": TextColumn(), "b": TupleColumn((NARROW, NUMBER))})
    wider = StructColumn({"a": WIDE, "t": TextColumn(), "b": TupleColumn((WIDE, NUMBER))})
    assert list(column.list_widened(wider, "x")) == [
        "x['a'] from float32 to float64",
        "x['b'][0] from float32 to float64",
    ]
    assert list(column.list_widened(column, "x")) == []
    rows: list[Any] = [
        {"a": np.full(2, n / 3, np.float32), "t": str(n), "b": (np.ones(2, np.float32), n)}
        for n in range(3)
    ]
    arrays = column.encode(rows, "x")
    pieces = list(column.widen_pieces(wider, iter([[array] for array in arrays]), "x"))
    widened = [np.concatenate([np.asarray(part) for part in some]) for some in pieces]
    found: Any = wider.bind(iter(widened), 3, copy=True)(0, 3)
    assert found["a"].dtype == np.float64
    assert found["a"].tolist() == [row["a"].tolist() for row in rows]
    assert found["t"] == ["0", "1", "2"]
    assert found["b"][1].tolist() == [0, 1, 2]
    read: Any = column.bind(iter(arrays), 3, copy=True)(0, 3)
    cast: Any = wider.cast_value(read, "x")
    expect_same(cast, found)
    for value in (None, 5):
        assert wider.cast_value(value, "x") is value
        assert TupleColumn((NARROW,)).cast_value(value, "x") is value


def test_a_number_that_the_wider_column_does_not_hold_is_refused_with_its_leaf() -> None:
    column, wider = (StructColumn({"a": FixedColumn(np.dtype(d))}) for d in ("i8", "f8"))
    with pytest.raises(DataError, match=r"x\['a'\] has int64 numbers that float64 does not hold"):
        wider.cast_value({"a": np.array([2**53 + 1])}, "x")
    (pieces,) = column.widen_pieces(wider, iter([[np.array([2**53 + 1])]]), "x")
    with pytest.raises(DataError, match=r"x\['a'\] has int64"):
        np.asarray(pieces[0])


@pytest.mark.parametrize(("rows", "width"), [(0, 3), (1, 3), (7, 3), (5, 0)])
@pytest.mark.parametrize("at_once", [1, 24, 25, 48, 10**6])
def test_pieces_are_cast_a_part_at_a_time(
    rows: int, width: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minari_core.columns.widening._NBYTES_AT_ONCE", at_once)
    piece = np.arange(rows * width, dtype=np.int64).reshape(rows, width)
    parts = split_cast([piece, piece], np.dtype("f8"), "x")
    per_part = max(1, at_once // (8 * width)) if width and rows else max(rows, 1)
    wanted = [list(range(rows))[start : start + per_part] for start in range(0, rows, per_part)] * 2
    if width:
        assert [len(part) for part in parts] == [len(some) for some in wanted]
    for part in parts:
        array = np.asarray(part)
        assert (array.shape, array.dtype, array.nbytes) == (part.shape, part.dtype, part.nbytes)
    joined = np.concatenate([np.zeros((0, width)), *map(np.asarray, parts)])
    assert joined.tolist() == [*piece.tolist(), *piece.tolist()]


@pytest.mark.parametrize(
    ("one", "other", "wider", "held"),
    [
        ("i4", "i8", "i8", True),
        ("i8", "f8", "f8", False),
        ("i4", "f8", "f8", True),
        ("u8", "c16", "c16", False),
        ("f4", "f8", "f8", True),
        ("f8", "f4", "f8", False),
        ("?", "i8", None, True),
        ("?", "?", "?", True),
        ("u1", "i1", "i2", False),
    ],
)
def test_a_wider_dtype_is_found_and_what_it_holds_is_known(
    one: str, other: str, wider: str | None, held: bool
) -> None:
    found = find_wider_dtype(np.dtype(one), np.dtype(other))
    assert found == (None if wider is None else np.dtype(wider))
    assert holds_all(np.dtype(one), np.dtype(other)) == held


class Raising:
    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise RuntimeError("no")


class ArrayLike:
    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.arange(2)


def test_a_frozen_value_does_not_change_with_the_one_that_was_given() -> None:
    inner = [np.zeros(2)]
    given_value: dict[Any, Any] = {"a": inner, "b": (1, inner), ("c",): {"d": bytearray(b"x")}}
    frozen: Any = freeze(given_value)
    inner[0][0] = 5
    inner.append(np.ones(1))
    assert [each.tolist() for each in frozen["a"]] == [[0, 0]]
    assert type(frozen["b"]) is tuple
    assert isinstance(frozen["c",]["d"], Unstorable)
    expect_same(freeze(ArrayLike()), np.arange(2))
    expect_same(freeze(np.ma.array([1, 2])), np.array([1, 2]))
    assert freeze(np.ma.masked_all(2)) is None
    expect_same(freeze(np.array(["a"])), np.array(["a"]))


def nest(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def test_what_cannot_be_frozen_says_why() -> None:
    endless: list[Any] = []
    endless.append(endless)
    for value, reason in [
        (endless, "a list that contains itself"),
        (nest(100_000), "a list that is nested too deep"),
        (np.array([None]), "an array of dtype('O')"),
        (np.ma.array([1, 2], mask=[True, False]), "an array of which only a part is masked"),
        (object(), "a value of type object"),
        (Raising(), "a value of type Raising"),
    ]:
        frozen = freeze(value)
        while isinstance(frozen, list):
            (frozen,) = frozen
        assert isinstance(frozen, Unstorable), value
        assert frozen.reason == reason


def encode(values: list[Any], **options: Any) -> tuple[Any, Any, dict[str, str]]:
    dropped: dict[str, str] = {}
    found = encode_dynamic(values, "x", dropped, **options)
    if found is None:
        return None, None, dropped
    column, arrays = found
    return (
        column.to_json(),
        column.bind(iter(arrays), len(values), copy=True)(0, len(values)),
        dropped,
    )


@pytest.mark.parametrize(
    ("values", "kind", "read"),
    [
        ([1.0, 2.0], "fixed", np.array([1.0, 2.0])),
        ([True, False], "fixed", np.array([True, False])),
        ([np.float64(1), np.float64(2)], "fixed", np.array([1.0, 2.0])),
        ([1, 2.5], "fixed", np.array([1.0, 2.5])),
        ([1, None], "masked", masked(1, None)),
        ([True, 1], "json", [True, 1]),
        ([2**53 + 1, 0.5], "json", [2**53 + 1, 0.5]),
        ([2**63 - 1, 1 - 2**63], "fixed", np.array([2**63 - 1, 1 - 2**63])),
        ([2**63, 1], "json", [2**63, 1]),
        ([[1, 2], [3, 4]], "fixed", np.array([[1, 2], [3, 4]])),
        ([[1, 2], [3]], "ragged", [np.array([1, 2]), np.array([3])]),
        ([[1, 2], None, [3]], "masked", [np.array([1, 2]), None, np.array([3])]),
        ([[1], [1.5, 2]], "json", [[1], [1.5, 2]]),
        ([[], [1]], "ragged", [np.zeros(0, int), np.array([1])]),
        ([[[1]], [1]], "json", [[[1]], [1]]),
        ([np.zeros((2, 0)), None], "masked", [np.zeros((2, 0)), None]),
        ([np.zeros((2, 0)), np.zeros((2, 0))], "fixed", np.zeros((2, 2, 0))),
        ([np.array([1], ">i4")], "fixed", np.array([[1]], ">i4")),
        (["a", np.str_("b")], "text", ["a", "b"]),
        (["a", None], "masked", ["a", None]),
        ([b"a", b""], "bytes", [b"a", b""]),
        (["a", b"b"], "json", ["a", b"b"]),
        (["a", 1], "json", ["a", 1]),
        ([{"a": 1}, {"b": "x"}], "struct", {"a": masked(1, None), "b": [None, "x"]}),
        ([{"a": 1}, None], "struct", {"a": masked(1, None)}),
        ([{1: 2}, {1: 3}], "json", [{1: 2}, {1: 3}]),
        ([{"a": 1}, 5], "json", [{"a": 1}, 5]),
        ([[1j, 2], [3, 4]], "fixed", np.array([[1j, 2], [3, 4]])),
    ],
    ids=repr,
)
def test_values_that_no_space_describes_get_the_narrowest_column(
    values: list[Any], kind: str, read: Any
) -> None:
    column, found, dropped = encode(values)
    assert column["kind"] == kind
    expect_same(found, read)
    assert dropped == {}


def test_metadata_keep_lists_and_tell_empty_dicts_from_none() -> None:
    assert encode([[1, 2]], lists_are_json=True)[:2] == ({"kind": "json"}, [[1, 2]])
    assert encode([(1, 2)], lists_are_json=True)[1] == [(1, 2)]
    cases: list[list[Any]] = [[{}, {"a": 1}], [{}, None], [{"a": 1}, None]]
    for values in cases:
        inside = encode([{"d": value} for value in values], lists_are_json=True)[1]["d"]
        assert list(inside) == values if isinstance(inside, list) else inside
        assert split_rows(inside, 2) == (values if isinstance(inside, list) else [{"a": 1}, {}])
    assert encode([None, None]) == (None, None, {})
    always_none: set[str] = set()
    encode_dynamic([{"a": None, "b": 1}], "x", {}, always_none=always_none)
    assert always_none == {"x['a']"}


def test_dicts_are_structs_until_they_are_nested_too_deep() -> None:
    value: Any = 1
    for _ in range(20):
        value = {"k": value}
    column, _, _ = encode([value])
    depth = 0
    while column["kind"] == "struct":
        column, depth = column["fields"]["k"], depth + 1
    assert (depth, column["kind"]) == (16, "json")


def test_what_no_column_holds_is_left_out_and_the_first_reason_is_told() -> None:
    values = [freeze(value) for value in (1, object(), np.array([None]))]
    _, found, dropped = encode(values)
    assert found.tolist() == [1, None, None]
    assert dropped == {"x": "a value of type object"}
    _, found, dropped = encode([freeze(value) for value in (["a", 1], ["a", {"b": object()}])])
    assert found == [["a", 1], None]
    assert dropped == {"x": "a value of type object"}
    _, found, dropped = encode([nest(101), ["b"]])
    assert found == [None, ["b"]]
    assert dropped["x"].endswith("nested more than 100 deep")
