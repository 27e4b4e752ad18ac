"""Columns in which keys come and go are united, and their arrays fitted to the united column."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from minari_core.columns.base import Column
from minari_core.columns.fixed import FixedColumn
from minari_core.columns.nested import MaskedColumn, StructColumn, TupleColumn
from minari_core.columns.variable import TextColumn
from minari_core.formats.shards.unions import find_union, fit_arrays

NUMBER = FixedColumn(np.dtype(np.float32), ())
PAIR = FixedColumn(np.dtype(np.int64), (2,))
MAYBE = MaskedColumn(NUMBER)


def struct(**fields: Column) -> StructColumn:
    return StructColumn(fields)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (NUMBER, NUMBER, NUMBER),
        (NUMBER, PAIR, None),
        (NUMBER, MAYBE, MAYBE),
        (MAYBE, NUMBER, MAYBE),
        (MAYBE, MaskedColumn(PAIR), None),
        (struct(a=NUMBER), struct(a=MAYBE), struct(a=MAYBE)),
        (struct(a=NUMBER), struct(b=PAIR), struct(a=MAYBE, b=MaskedColumn(PAIR))),
        (struct(a=NUMBER), struct(a=PAIR), None),
        (struct(), struct(a=MAYBE), struct(a=MAYBE)),
        (struct(), struct(a=struct(b=NUMBER)), struct(a=struct(b=MAYBE))),
        (struct(), struct(a=TupleColumn((NUMBER,))), None),
        (struct(), struct(a=MaskedColumn(struct(b=NUMBER))), None),
        (struct(), struct(a=struct(b=NUMBER, c=TupleColumn((NUMBER,)))), None),
        (struct(), struct(a=FixedColumn(np.dtype(np.int8), (0,))), None),
        (struct(), struct(a=FixedColumn(np.dtype(np.int8), (1,))),
         struct(a=MaskedColumn(FixedColumn(np.dtype(np.int8), (1,))))),
        (struct(a=NUMBER), NUMBER, None),
    ],
)  # fmt: skip
def test_the_union_of_two_columns_marks_what_one_of_them_may_lack(
    one: Column, other: Column, expected: Column | None
) -> None:
    assert find_union(one, other) == expected


def fit(column: Column, united: Column, *arrays: npt.NDArray[np.generic]) -> list[object]:
    return [np.asarray(each).tolist() for each in fit_arrays(column, united, list(arrays), 3)]


def test_a_column_that_is_the_union_keeps_its_arrays() -> None:
    numbers = np.arange(3, dtype=np.float32)
    (kept,) = fit_arrays(NUMBER, NUMBER, [numbers], 3)
    assert kept is numbers


def test_rows_that_are_all_there_get_a_mask_of_ones() -> None:
    assert fit(NUMBER, MAYBE, np.array([1, 2, 3], np.float32)) == [[1, 1, 1], [1.0, 2.0, 3.0]]


def test_rows_of_a_key_that_is_not_there_are_missing_and_zero() -> None:
    united = struct(a=MAYBE, b=MaskedColumn(PAIR))
    fitted = fit_arrays(struct(a=NUMBER), united, [np.array([1, 2, 3], np.float32)], 3)
    assert [array.tolist() for array in map(np.asarray, fitted)] == [
        [1, 1, 1], [1.0, 2.0, 3.0], [0, 0, 0], [[0, 0], [0, 0], [0, 0]],
    ]  # fmt: skip
    assert [array.dtype for array in map(np.asarray, fitted)] == [
        np.bool_,
        np.float32,
        np.bool_,
        np.int64,
    ]


def test_arrays_go_to_their_keys_in_whatever_order_the_union_has_them() -> None:
    """Of keys with several arrays, too."""
    column = struct(a=MAYBE, b=PAIR)
    united = struct(b=PAIR, c=MAYBE, a=MAYBE)
    mask, numbers = np.array([1, 0, 1], np.bool_), np.array([4, 0, 6], np.float32)
    pairs = np.array([[1, 2], [3, 4], [5, 6]], np.int64)
    assert fit(column, united, mask, numbers, pairs) == [
        pairs.tolist(), [0, 0, 0], [0.0, 0.0, 0.0], mask.tolist(), numbers.tolist(),
    ]  # fmt: skip


def test_text_that_is_missing_is_encoded_as_missing() -> None:
    united = struct(a=MaskedColumn(TextColumn()))
    expected = MaskedColumn(TextColumn()).encode([None] * 3, "texts")
    assert fit(struct(), united) == [np.asarray(each).tolist() for each in expected]
