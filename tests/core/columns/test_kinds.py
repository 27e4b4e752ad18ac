"""What every kind of column does with values that fit, and says of arrays that do not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces import GraphInstance

from minari_core.columns import (
    FixedColumn,
    JsonColumn,
    MaskedColumn,
    StructColumn,
    TextColumn,
    TupleColumn,
    choose_column,
)
from minari_core.columns.base import Column, ColumnProblem, as_plain_array, escape_key, read_whole
from minari_core.columns.fixed import MOST_DIMENSIONS, make_fixed_column, read_count, read_dtype
from minari_core.columns.problems import name_rows
from minari_core.columns.schema import column_from_json
from minari_core.columns.sequences import GraphColumn, OneOfColumn, SequenceColumn
from minari_core.columns.variable import BytesColumn, RaggedColumn
from minari_core.environments.gymnasium_compat import ONE_OF
from minari_core.errors import DataError, DatasetDamagedError, SpaceError
from minari_core.testing.expectations import expect_same

NUMBER = FixedColumn(np.dtype("i8"))
PAIR = FixedColumn(np.dtype("f4"), (2,))


def pair(number: float) -> Any:
    return np.array([number, 0.5], np.float32)


def graph(nodes: int, edges: int | None) -> GraphInstance:
    links = None if edges is None else np.arange(2 * edges, dtype=np.int32).reshape(-1, 2)
    values = None if edges is None else np.arange(edges, dtype=np.int64)
    return GraphInstance(np.stack([pair(n) for n in range(nodes)]), values, links)


KINDS: dict[str, tuple[Column, list[Any]]] = {
    "fixed": (PAIR, [pair(1), pair(2), pair(3)]),
    "flag": (FixedColumn(np.dtype("?")), [np.True_, np.False_, np.True_]),
    "text": (TextColumn(), ["a", "", "é\ud800"]),
    "bytes": (BytesColumn(), [b"", b"\0\xff", b"x"]),
    "json": (JsonColumn(), [["a", 1], {"b": None}, "c"]),
    "ragged": (
        RaggedColumn(np.dtype(">i4"), 2),
        [np.ones(shape, ">i4") for shape in ((2, 3), (0, 4), (1, 1))],
    ),
    "masked": (MaskedColumn(TextColumn()), ["a", None, "b"]),
    "struct": (
        StructColumn({"a": NUMBER, "/": TextColumn(), "": StructColumn({})}),
        [{"a": np.int64(n), "/": str(n), "": {}} for n in range(3)],
    ),
    "tuple": (TupleColumn((NUMBER, TextColumn())), [(np.int64(n), str(n)) for n in range(3)]),
    "sequence": (SequenceColumn(TextColumn(), stacked=False), [("a", "b"), (), ("c",)]),
    "stack": (
        SequenceColumn(StructColumn({"x": PAIR, "t": TextColumn()}), stacked=True),
        [{"x": np.stack([pair(n)] * n), "t": ("w",) * n} for n in (2, 1, 3)],
    ),
    "graph": (
        GraphColumn(PAIR, NUMBER, FixedColumn(np.dtype("i4"), (2,))),
        [graph(1, 2), graph(3, None), graph(2, 0)],
    ),
    "oneof": (
        OneOfColumn((NUMBER, TextColumn())),
        [(np.int64(1), "a"), (np.int64(0), np.int64(7)), (np.int64(1), "b")],
    ),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> tuple[Column, list[Any]]:
    return KINDS[request.param]


def split(value: Any, count: int) -> list[Any]:
    if isinstance(value, dict):
        parts = {key: split(part, count) for key, part in value.items()}
        return [{key: rows[row] for key, rows in parts.items()} for row in range(count)]
    if isinstance(value, tuple):
        items = [split(part, count) for part in value]
        return [tuple(rows[row] for rows in items) for row in range(count)]
    return list(value)


def name(column: Column, arrays: Sequence[Any]) -> Iterator[Any]:
    return iter(list(zip([s for s in column.arrays("x") if not s.derived], arrays, strict=True)))


def find(column: Column, arrays: Sequence[Any], rows: int | None) -> list[ColumnProblem]:
    return list(column.problems(name(column, arrays), rows, located=True))


def say(column: Column, arrays: Sequence[Any], rows: int | None) -> list[tuple[Any, ...]]:
    return [(each.path, each.message, each.row) for each in find(column, arrays, rows)]


def test_values_are_read_back_from_any_row_to_any_other(kind: Any) -> None:
    column, values = kind
    arrays = column.encode(values, "x")
    assert [spec.dtype for spec in column.arrays("x")] == [array.dtype for array in arrays]
    assert [spec.row_shape for spec in column.arrays("x")] == [each.shape[1:] for each in arrays]
    for copy in (False, True):
        following = iter([*arrays, np.zeros(1)])
        read = column.bind(following, 3, copy=copy)
        assert len(list(following)) == 1
        for start in range(3):
            for stop in range(start + 1, 4):
                found = split(read(start, stop), stop - start)
                expect_same(found, values[start:stop])
    assert column_from_json(json.loads(json.dumps(column.to_json())), "x") == column
    assert hash(column_from_json(column.to_json(), "x")) == hash(column)


def test_arrays_are_views_unless_copies_are_asked_for() -> None:
    for column, values in (KINDS["fixed"], KINDS["ragged"]):
        arrays = column.encode(values, "x")
        for copy in (False, True):
            found = column.bind(iter(arrays), 3, copy=copy)(0, 1)
            assert np.shares_memory(arrays[0], found[0]) != copy


def test_sound_arrays_have_no_problem_and_absent_ones_are_passed_over(kind: Any) -> None:
    column, values = kind
    arrays = column.encode(values, "x")
    assert find(column, arrays, 3) == []
    assert find(column, arrays, None) == []
    for absent in range(len(arrays)):
        some = [None if index == absent else array for index, array in enumerate(arrays)]
        named = name(column, some)
        following = chain(named, [(None, None)])
        assert list(column.problems(following, 3, located=True)) == []
        assert len(list(following)) == 1


def test_arrays_of_another_number_of_rows_are_damage(kind: Any) -> None:
    column, values = kind
    arrays = column.encode(values, "x")
    for rows in (2, 4):
        assert find(column, arrays, rows)
        with pytest.raises(DatasetDamagedError, match=r"rows where|offsets"):
            column.bind(iter(arrays), rows, copy=True)
    for cut in range(len(arrays)):
        others = [array[:-1] if index == cut else array for index, array in enumerate(arrays)]
        if len(arrays[cut]) == 0:
            continue
        assert find(column, others, 3), cut
        with pytest.raises(DatasetDamagedError):
            column.bind(iter(others), 3, copy=True)(0, 3)


TEXTS = [np.frombuffer(b"abc", "u1"), np.array([0, 1, 1, 3])]
NUMBERED = [("x/values", f"rows {row} to {row + 1} hold no text") for row in range(9)]


@pytest.mark.parametrize(
    ("column", "arrays", "rows", "said"),
    [
        (PAIR, [np.zeros((3, 2))], 2, [("x", "it has 3 rows where 2 belong", None)]),
        (
            FixedColumn(np.dtype("?")),
            [np.array([0, 2], np.uint8).view(bool)],
            2,
            [("x", "it has values that are neither true nor false", None)],
        ),
        (TextColumn(), TEXTS, 4, [("x/offsets", "there are 4 offsets where 5 belong", None)]),
        (
            TextColumn(),
            [TEXTS[0], np.zeros(0, int)],
            None,
            [("x/offsets", "there are no offsets, not even the first", None)],
        ),
        (
            TextColumn(),
            [TEXTS[0], np.array([1, 1, 0, 2])],
            3,
            [
                ("x/offsets", "the offsets begin at 1, not at 0", None),
                ("x/offsets", "the offsets fall from 1 to 0 at row 1", 1),
                ("x/offsets", "the offsets end at 2, but there are 3", None),
            ],
        ),
        (
            RaggedColumn(np.dtype("i8"), 1),
            [np.zeros(3, "i8"), np.array([0, 1, 3]), np.array([[1], [3]])],
            2,
            [("x/shapes", "shape (3,) of row 1 does not fit its 2 elements", 1)],
        ),
        (
            OneOfColumn((NUMBER, NUMBER)),
            [
                np.array([0, 2, -1, 1]),
                *[np.array([0, 1, 1, 2, 2]), np.zeros(2, "i8")],
                *[np.array([0, 0, 0, 0, 1]), np.zeros(1, "i8")],
            ],
            4,
            [
                ("x/chosen", "row 1 chose option 2 of 2", 1),
                ("x/chosen", "row 2 chose option -1 of 2", 2),
                (
                    "x/_option_0/offsets",
                    "row 2 should have 0 values of option 0 (1 rows do not fit)",
                    2,
                ),
            ],
        ),
        (
            SequenceColumn(TextColumn(), stacked=False),
            [np.array([0, 2]), np.frombuffer(b"a\xff", "u1"), np.array([0, 1, 2])],
            1,
            [("x/element/values", "rows 1 to 2 hold no text", None)],
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_values(
    column: Column, arrays: Any, rows: int | None, said: list[tuple[Any, ...]]
) -> None:
    found = say(column, arrays, rows)
    assert [(path, row) for path, _, row in found] == [(path, row) for path, _, row in said]
    for (_, message, _), (_, wanted, _) in zip(found, said, strict=True):
        assert message.startswith(wanted)
    inside = list(column.problems(name(column, arrays), rows, located=False))
    assert [each.row for each in inside] == [None] * len(said)


@pytest.mark.parametrize("count", [0, 1, 5, 6, 300])
def test_the_first_five_rows_are_named_and_more_are_counted(count: int) -> None:
    found = list(
        name_rows("x", list(range(count)), lambda row: f"row {row}", "{} rows", located=True)
    )
    assert [each.row for each in found] == [*range(min(count, 5)), *[None] * (count > 5)]
    assert [each.message for each in found[5:]] == [f"{count} rows"] * (count > 5)


@pytest.mark.parametrize("wrong", [[0], [255], [256], [257, 511], [511, 512], [599]])
def test_damaged_texts_are_found_wherever_they_lie_among_many(wrong: list[int]) -> None:
    content = np.frombuffer(b"a" * 600, "u1").copy()
    content[wrong] = 0xFF
    found = find(TextColumn(), [content, np.arange(601)], 600)
    assert [each.row for each in found] == wrong
    assert all(each.message.startswith(f"rows {each.row} to ") for each in found)


class Packed:
    """Rows of which some chunks cannot be decoded, as those of a damaged file."""

    def __init__(self, rows: int, damaged: Sequence[int]) -> None:
        self._rows, self._damaged = rows, damaged

    def __len__(self) -> int:
        return self._rows

    def read(self, start: int, stop: int) -> Any:
        assert start < stop <= self._rows
        for chunk in range(start // 8, -(-stop // 8)):
            if chunk in self._damaged:
                raise DatasetDamagedError(f"it: chunk {chunk} is damaged")
        return np.zeros((stop - start, 64, 64), np.uint8)

    def take(self, rows: Any) -> Any:
        return np.zeros((len(rows), 64, 64), np.uint8)

    def blocks(self) -> list[Any]:
        return []


def test_damaged_chunks_are_found_and_only_frames_may_be_packed() -> None:
    column = make_fixed_column(np.dtype("u1"), (64, 64))
    assert say(column, [Packed(20, [])], 20) == []
    assert say(column, [Packed(20, [0, 2])], 20) == [
        ("x/frames", "chunk 0 is damaged", 0),
        ("x/frames", "chunk 2 is damaged", 16),
    ]
    assert column.bind(iter([Packed(20, [])]), 20, copy=False)(3, 5).shape == (2, 64, 64)
    assert read_whole(Packed(20, [])) is None
    assert read_whole(None) is None
    with pytest.raises(DatasetDamagedError, match="masks, offsets or values is compressed"):
        as_plain_array(Packed(20, []))
    with pytest.raises(DatasetDamagedError, match="an array has 2 rows where 3 belong"):
        as_plain_array(np.zeros(2), 3)


def test_rows_that_a_shard_does_not_have_are_missing_in_the_shape_of_the_others() -> None:
    missing = StructColumn({"a": PAIR, "t": TextColumn(), "b": TupleColumn((NUMBER,))})
    found: Any = missing.make_missing(2)
    assert list(found) == ["a", "t", "b"]
    assert found["a"].shape == (2, 2)
    assert found["a"].dtype == np.float32
    assert found["a"].mask.all()
    assert found["t"] == [None, None]
    assert found["b"][0].tolist() == [None, None]
    assert FixedColumn(np.dtype("f4"), (2, 0)).make_missing(2) == [None, None]
    assert MaskedColumn(PAIR).make_missing(3).tolist() == [[None, None]] * 3  # type: ignore[attr-defined]


def test_masked_rows_are_shown_as_masked_arrays_or_as_none() -> None:
    column = MaskedColumn(PAIR)
    arrays = column.encode([pair(1), None, pair(3)], "x")
    assert arrays[0].tolist() == [True, False, True]
    read = column.bind(iter(arrays), 3, copy=False)
    assert read(0, 3).tolist() == [[1.0, 0.5], [None, None], [3.0, 0.5]]
    assert type(read(0, 1)) is np.ndarray
    assert type(read(1, 2)) is np.ma.MaskedArray


@pytest.mark.parametrize(
    ("key", "escaped"),
    [("", "%"), (".", "%2E"), ("..", ".."), ("%", "%25"), ("a/\0", "a%2F%00"), ("é", "é")],
)
def test_a_key_is_escaped_where_hdf5_could_not_hold_it(key: str, escaped: str) -> None:
    assert escape_key(key) == escaped
    assert escape_key("\ud7ff\ud800\udfff\ue000") == "\ud7ff%ED%A0%80%ED%BF%BF\ue000"


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        (TextColumn(), 1, "x: int 1 is not text"),
        (BytesColumn(), "a", "x: str 'a' is not bytes"),
        (StructColumn({"a": NUMBER}), {}, "x: {} is not a dict of ['a']"),
        (StructColumn({"a": NUMBER}), 3, "x: 3 is not a dict of ['a']"),
        (TupleColumn((NUMBER,)), (1, 2), "x: (1, 2) is not a tuple of 1"),
        (TupleColumn((NUMBER,)), 1, "x: 1 is not a tuple of 1"),
        (SequenceColumn(NUMBER, stacked=False), 5, "x: int 5 is not a sequence"),
        (KINDS["graph"][0], 5, "x: int 5 is not a GraphInstance"),
        (
            GraphColumn(PAIR, None, FixedColumn(np.dtype("i4"), (2,))),
            graph(1, 1),
            "x: a graph with edges in a space without an edge space",
        ),
        (OneOfColumn((NUMBER,)), (0,), "x: (0,) is not an (index, value) pair"),
        (OneOfColumn((NUMBER,)), [0, 1], "x: [0, 1] is not an (index, value) pair"),
        (OneOfColumn((NUMBER,)), (0.0, 1), "x: option 0.0 is not a whole number"),
        (OneOfColumn((NUMBER,)), (1, 1), "x: option 1 of 1"),
        (OneOfColumn((NUMBER,)), (-1, 1), "x: option -1 of 1"),
        (OneOfColumn((NUMBER,)), (0, "a"), "x[0][…]: str 'a' is not numeric (dtype <U1)"),
        (
            SequenceColumn(StructColumn({"a": NUMBER, "b": NUMBER}), stacked=True),
            {"a": np.arange(2), "b": np.arange(3)},
            "x: the leaves of a stack have [2, 3] elements",
        ),
        (
            RaggedColumn(np.dtype("i8"), 1),
            np.zeros((2, 2), "i8"),
            "x: int64 array of shape (2, 2) in a column of int64 arrays with 1 dimensions",
        ),
        (
            RaggedColumn(np.dtype("i8"), 1),
            np.zeros(2),
            "x: float64 array of shape (2,) in a column of int64 arrays with 1 dimensions",
        ),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_what_would(
    column: Column, value: Any, said: str
) -> None:
    with pytest.raises(DataError) as raised:
        column.encode([value], "x")
    assert str(raised.value) == said


def test_an_array_without_elements_fits_whatever_its_dtype() -> None:
    arrays = RaggedColumn(np.dtype("i8"), 1).encode([np.zeros(0), np.ones(1, "i8")], "x")
    assert [array.dtype.str for array in arrays] == ["<i8"] * 3


def test_bounds_of_a_fixed_column_are_what_hdf5_has_and_no_file_chooses() -> None:
    tall = (1,) * MOST_DIMENSIONS
    assert make_fixed_column(np.dtype("u1"), tall).shape == tall
    with pytest.raises(DataError, match="32 dimensions cannot be stored; at most 31"):
        make_fixed_column(np.dtype("u1"), (1, *tall))

    def read(*shape: int, dtype: str = "|u1") -> Column:
        return column_from_json({"kind": "fixed", "dtype": dtype, "shape": [*shape]}, "x")

    assert read(*tall) == FixedColumn(np.dtype("u1"), tall)
    assert read(1 << 40) == FixedColumn(np.dtype("u1"), (1 << 40,))
    assert read(0, 1 << 40) == FixedColumn(np.dtype("u1"), (0, 1 << 40))
    for wrong in ([(1, *tall)], [((1 << 40) + 1,)], [(0, (1 << 40) + 1)]):
        with pytest.raises(DatasetDamagedError, match="no row has shape"):
            read(*wrong[0])
    with pytest.raises(DatasetDamagedError, match="no row has shape"):
        read(1 << 38, dtype="<f8")
    for dtype in ("f8 ", "=i4", "|b1", "?"):
        if dtype.strip() == dtype:
            assert read_dtype(dtype) == np.dtype(dtype)
        else:
            with pytest.raises(ValueError, match="is not numeric"):
                read_dtype(dtype)
    assert (read_count(0), read_count(5)) == (0, 5)
    for count in (-1, True, 1.0, "1"):
        with pytest.raises(ValueError, match="is not a count"):
            read_count(count)


@pytest.mark.parametrize(
    ("dtype", "shape", "is_image"),
    [
        ("u1", (64, 64), True),
        ("u1", (63, 65), False),
        ("u1", (4096,), False),
        ("i1", (64, 64), False),
        ("u1", (4, 1, 1024), True),
    ],
)
def test_only_images_are_packed(dtype: str, shape: tuple[int, ...], is_image: bool) -> None:
    column = make_fixed_column(np.dtype(dtype), shape)
    assert column.compressed == is_image
    specs = list(column.arrays("x"))
    assert [spec.derived for spec in specs] == [False, True][: 1 + is_image]
    assert ("rows_per_chunk" in column.to_json()) == is_image
    assert column_from_json(column.to_json(), "x") == column


def test_a_column_may_be_nested_as_deep_as_a_space_and_no_deeper() -> None:
    def nest(depth: int) -> Column:
        described: Any = NUMBER.to_json()
        for _ in range(depth):
            described = {"kind": "masked", "value": described}
        return column_from_json(described, "x")

    assert isinstance(nest(110), MaskedColumn)
    with pytest.raises(DatasetDamagedError, match="column 'x' is described by"):
        nest(111)


BOX = spaces.Box(-9, 9, (2,), np.float32)
WIDE = np.zeros(2)


@pytest.mark.parametrize(
    ("space", "values", "column"),
    [
        (BOX, [], PAIR),
        (BOX, [[1, 2]], PAIR),
        (BOX, [WIDE], FixedColumn(np.dtype("f8"), (2,))),
        (BOX, [WIDE, np.zeros(2, "f4")], FixedColumn(np.dtype("f8"), (2,))),
        (BOX, [np.zeros(2, "i8"), np.zeros(2, "f4")], FixedColumn(np.dtype("f8"), (2,))),
        (spaces.Discrete(2), [np.int8(1)], FixedColumn(np.dtype("i1"))),
        # Of others than boxes, the space decides where values disagree.
        (spaces.Discrete(2), [np.int8(1), np.int16(1)], NUMBER),
        (spaces.Text(3), [5], TextColumn()),
        (
            spaces.Dict(x=BOX),
            [{"x": WIDE}, {"y": WIDE}, 5, (WIDE,), {"x": WIDE}],
            StructColumn({"x": FixedColumn(np.dtype("f8"), (2,))}),
        ),
        (
            spaces.Tuple([BOX, BOX]),
            [(WIDE,), [WIDE, pair(0)], 5, {0: WIDE}],
            TupleColumn((FixedColumn(np.dtype("f8"), (2,)), PAIR)),
        ),
        (
            spaces.Sequence(BOX),
            [(WIDE, WIDE), [WIDE], np.zeros((1, 2)), 5, None],
            SequenceColumn(FixedColumn(np.dtype("f8"), (2,)), stacked=False),
        ),
        (
            spaces.Sequence(spaces.Dict(x=BOX), stack=True),
            [{"x": np.zeros((3, 2))}, 5, (WIDE,)],
            SequenceColumn(StructColumn({"x": FixedColumn(np.dtype("f8"), (2,))}), stacked=True),
        ),
        (
            spaces.Sequence(spaces.Tuple([BOX, spaces.Text(2)]), stack=True),
            [(np.zeros((3, 2)), ("a", "b", "c")), 5, {0: WIDE}],
            SequenceColumn(
                TupleColumn((FixedColumn(np.dtype("f8"), (2,)), TextColumn())), stacked=True
            ),
        ),
        (
            spaces.Sequence(spaces.Sequence(BOX), stack=True),
            [((WIDE,), (WIDE, WIDE)), 5],
            SequenceColumn(
                SequenceColumn(FixedColumn(np.dtype("f8"), (2,)), stacked=False), stacked=True
            ),
        ),
        (
            spaces.Graph(BOX, None),
            [GraphInstance(np.zeros((2, 2)), None, None), 5],
            GraphColumn(FixedColumn(np.dtype("f8"), (2,)), None, FixedColumn(np.dtype("i4"), (2,))),
        ),
        (
            spaces.Graph(BOX, spaces.Discrete(3)),
            [
                GraphInstance(pair(0)[None], None, None),
                GraphInstance(pair(0)[None], np.zeros(1, "i2"), np.zeros((1, 2), "i8")),
            ],
            GraphColumn(PAIR, FixedColumn(np.dtype("i2")), FixedColumn(np.dtype("i8"), (2,))),
        ),
        (
            spaces.Graph(BOX, spaces.Discrete(3)),
            [
                GraphInstance(pair(0)[None], np.zeros(1, "i8"), np.zeros((1, 2), kind))
                for kind in ("i8", "u2")
            ],
            GraphColumn(PAIR, NUMBER, FixedColumn(np.dtype("i4"), (2,))),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_column_has_the_structure_of_the_space_and_the_dtypes_of_the_values(
    space: Any, values: list[Any], column: Column
) -> None:
    assert choose_column(space, values) == column


@pytest.mark.skipif(ONE_OF is None, reason="this Gymnasium has no such space")
def test_each_option_has_the_dtype_of_the_values_that_chose_it() -> None:
    one_of: Any = ONE_OF
    values = [(0, WIDE), 5, (1, WIDE, 3), (1,), [1, WIDE], (np.int64(1), pair(0)), (2, "a")]
    wide = FixedColumn(np.dtype("f8"), (2,))
    space = one_of([BOX, BOX, spaces.Text(3), BOX])
    assert choose_column(space, values) == OneOfColumn((wide, PAIR, TextColumn(), PAIR))


def test_a_space_that_tells_neither_dtype_nor_shape_is_refused() -> None:
    class Odd(spaces.Space[Any]):
        pass

    with pytest.raises(SpaceError, match="values of a Odd space, which has no dtype and shape"):
        choose_column(Odd(), [])
    with pytest.raises(SpaceError, match="Odd"):
        choose_column(Odd(shape=(2,)), [])
    # Gymnasium itself gives such a space float64 values, say.
    assert choose_column(Odd(shape=(2,), dtype=np.float32), []) == PAIR
