"""The columns of the list of episodes, against comparing and sorting plain values."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minari.viewer.list_columns import ColumnBuilder

WHOLE = st.integers(-(2**70), 2**70) | st.integers(-3, 3) | st.sampled_from([2**53, 2**53 + 1])
FLOATS = st.floats(width=32) | st.sampled_from([0.5, 2.0, -0.0])
SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
    "=": lambda one, other: one == other,
    "!=": lambda one, other: one != other,
}


def build(values: list[Any], cut: int, *, as_array: bool) -> Any:
    """Add the values in two pieces, the second one perhaps as a shard has it."""
    builder = ColumnBuilder(len(values))
    first, rest = values[:cut], values[cut:]
    builder.add(0, first)
    if as_array and rest and all(isinstance(each, int) and abs(each) < 2**62 for each in rest):
        builder.add(cut, np.array(rest))
    else:
        builder.add(cut, rest)
    return builder.build()


@given(
    st.lists(st.none() | WHOLE) | st.lists(st.none() | FLOATS),
    st.integers(0, 5),
    st.booleans(),
    st.sampled_from(sorted(SIGNS)),
    WHOLE | FLOATS.filter(math.isfinite),
)
def test_numbers_are_compared_and_sorted_exactly(
    values: list[Any], cut: int, as_array: bool, sign: str, limit: float
) -> None:
    column = build(values, cut, as_array=as_array)
    if all(each is None for each in values):
        assert column is None
        return

    wanted = [
        sign == "!=" if each is None else SIGNS[sign](each, Decimal(limit)) for each in values
    ]
    assert column.compare(sign, Decimal(limit)).tolist() == wanted
    known = [
        place
        for place, each in enumerate(values)
        if each is not None and not (isinstance(each, float) and math.isnan(each))
    ]
    unknown = [place for place in range(len(values)) if place not in known]
    ascending = sorted(known, key=lambda place: values[place])
    descending = sorted(known, key=lambda place: values[place], reverse=True)
    assert column.sort(descending=False).tolist() == ascending + unknown
    assert column.sort(descending=True).tolist() == descending + unknown


@given(
    st.lists(st.none() | st.sampled_from(["a", "b", "B", "", "1"]) | st.integers(-1, 1)),
    st.integers(0, 5),
    st.booleans(),
)
def test_texts_are_sorted_and_equal_themselves_also_among_numbers(
    values: list[Any], cut: int, as_array: bool
) -> None:
    column = build(values, cut, as_array=as_array)
    if not any(isinstance(each, str) for each in values):
        assert column is None or column.texts is None
        return

    texts = [None if each is None else str(each) for each in values]
    for text in ("a", "1", "", "none"):
        assert column.equals(text).tolist() == [each == text for each in texts]
    known = [place for place, each in enumerate(texts) if each is not None]
    unknown = [place for place, each in enumerate(texts) if each is None]
    ascending = sorted(known, key=lambda place: str(texts[place]))
    assert column.sort(descending=False).tolist() == ascending + unknown


def test_what_is_neither_a_number_nor_a_text_is_no_column() -> None:
    builder = ColumnBuilder(2)
    builder.add(0, [{"a": 1}, [2]])
    assert builder.build() is None
    builder.add(0, {"a": np.arange(2)})
    builder.add(0, np.zeros((2, 3)))
    assert builder.build() is None


def test_whole_numbers_that_are_small_take_half_the_memory() -> None:
    for last, wanted in ((2**31 - 1, np.int32), (2**31, np.int64), (2**63, object)):
        column = build([0, None, -(2**31), last], 2, as_array=False)
        assert column.values.dtype == wanted
        assert column.values.tolist() == [0, 0, -(2**31), last]


def test_seeds_as_shards_have_them_take_no_more_than_they_need() -> None:
    for last, wanted in ((2**31 - 1, np.int32), (2**63 - 1, np.int64), (2**63, object)):
        builder = ColumnBuilder(2)
        builder.add(0, np.array([7, last], np.uint64))
        column = builder.build()
        assert column is not None
        assert column.values.dtype == wanted
        assert column.values.tolist() == [7, last]
