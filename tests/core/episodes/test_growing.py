"""Columns that grow a row at a time hold the rows that they were given, whatever these are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core import EpisodeBuffer
from minari_core.columns.joining import split_rows
from minari_core.episodes.appending import append_info, append_row
from minari_core.errors import DataError

LEAVES = st.integers(0, 9) | st.text("ab", max_size=2) | st.none()
INFOS = st.recursive(
    LEAVES, lambda inner: st.dictionaries(st.sampled_from("xyz"), inner, max_size=2), max_leaves=4
)
ROWS = st.lists(st.none() | st.dictionaries(st.sampled_from("abc"), INFOS, max_size=2), max_size=6)


def strip(value: Any) -> Any:
    """A row without what is missing: a dict without a value is none."""
    if isinstance(value, dict):
        found = {key: strip(part) for key, part in value.items()}
        return {key: part for key, part in found.items() if part is not None} or None
    return value


def row_of(column: Any, row: int) -> Any:
    if isinstance(column, dict):
        return strip({key: row_of(part, row) for key, part in column.items()})
    return strip(column[row])


@given(ROWS, st.booleans())
@settings(max_examples=50)
def test_infos_that_grow_have_the_rows_that_were_appended(infos: list[Any], begins: bool) -> None:
    # What a constructor is given before the first step is the row of the reset.
    first = {"a": 7, "d": {"x": "u"}} if begins else None
    columns: Any = first
    for steps, info in enumerate(infos):
        columns = append_info(columns, info, steps)
    wanted = [first, *infos]
    if not any(wanted) or (begins and not infos):
        assert columns == first
        return

    def lengths(value: Any) -> set[int]:
        if isinstance(value, dict):
            return {length for part in value.values() for length in lengths(part)}
        return {len(value)}

    # Until something is given there are no columns, and all have a row for each step since.
    assert lengths(columns) <= {len(wanted)}
    for row, given_row in enumerate(wanted):
        found = strip({key: row_of(part, row) for key, part in columns.items()})
        assert found == strip(given_row)


def test_deep_dicts_are_kept_row_by_row_and_begin_late() -> None:
    def nest(depth: int, value: Any) -> Any:
        for _ in range(depth):
            value = {"k": value}
        return value

    columns: Any = None
    for row in range(3):
        columns = append_info(columns, {"deep": nest(20, row)}, row)
    depth = 0
    column = columns["deep"]
    while isinstance(column, dict):
        column, depth = column["k"], depth + 1
    assert depth == 16
    assert column == [None, *(nest(4, row) for row in range(3))]


@pytest.mark.parametrize(
    ("first", "following", "grown"),
    [
        ({"x": [1]}, {"x": 2}, {"x": [1, 2]}),
        ({"x": [1]}, {"x": [2]}, {"x": [[1], [2]]}),
        ({"x": [[1]]}, {"x": [2]}, {"x": [[1], [2]]}),
        ({"x": [1, 2]}, {"x": 3}, {"x": [[1, 2], 3]}),
        ({"x": [1]}, None, None),
        ({"x": np.array([5])}, {"x": np.int64(6)}, {"x": [5, 6]}),
        ({"x": [1], "y": 2}, {"x": 3, "y": 4}, {"x": [[1], 3], "y": [2, 4]}),
        ({"in": {"x": [1]}}, {"in": {"x": 2}}, {"in": {"x": [1, 2]}}),
        ({"in": {"x": 1}}, {"in": {"x": 2}}, {"in": {"x": [1, 2]}}),
        ({"in": {"x": [1]}}, {"in": 5}, {"in": [{"x": 1}, 5]}),
    ],
)
def test_a_list_of_one_is_a_column_where_the_next_row_says_so(
    first: Any, following: Any, grown: Any
) -> None:
    found = append_info(first, following, 0)
    assert found == ({"x": [1, None]} if grown is None else grown)


def test_a_first_array_is_a_row_unless_it_has_one_row_of_the_next() -> None:
    row: Any = append_info({"x": np.zeros(1)}, {"x": np.ones(1)}, 0)
    assert [each.tolist() for each in row["x"]] == [[0.0], [1.0]]
    column: Any = append_info({"x": np.zeros((1, 2))}, {"x": np.ones(2)}, 0)
    assert [each.tolist() for each in column["x"]] == [[0.0, 0.0], [1.0, 1.0]]
    later: Any = append_info({"x": np.zeros((2, 2))}, {"x": np.ones(2)}, 1)
    assert [each.tolist() for each in later["x"]] == [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]
    scalar: Any = append_info({"x": np.array(5)}, {"x": 6}, 0)
    assert [int(each) for each in scalar["x"]] == [5, 6]


def test_rows_are_copied_and_keep_their_structure() -> None:
    value = np.zeros(2)
    column = append_row(append_row(None, value), value)
    value[:] = 9
    assert [each.tolist() for each in column] == [[0, 0], [0, 0]]  # type: ignore[attr-defined]
    assert append_row(5, 6) == [5, 6]
    assert append_row((1, 2), (3, 4)) == ([1, 3], [2, 4])
    assert append_row((1, 2), (3, 4, 5)) == [(1, 2), (3, 4, 5)]
    assert append_row([(1, 2)], (3, 4)) == [(1, 2), (3, 4)]
    assert append_row((1, 2), [3, 4]) == [(1, 2), [3, 4]]
    assert append_row(None, {"a": 1}) == {"a": [1]}
    assert append_row({"a": [1]}, {"a": 2}) == {"a": [1, 2]}
    assert append_row(5, {"a": 2}) == [5, {"a": 2}]
    with pytest.raises(DataError, match=r"a row with the keys \['b'\] after rows with \['a'\]"):
        append_row({"a": [1]}, {"b": 2})
    rows = split_rows({"a": [1, 2]}, 2)
    assert rows == [{"a": 1}, {"a": 2}]


def test_a_buffer_of_arrays_cannot_grow() -> None:
    step = {"observation": 1, "action": 0, "reward": 0.0, "terminated": 0, "truncated": 0}
    for name in ("rewards", "terminations", "truncations"):
        buffer = EpisodeBuffer(observations=[0], **{name: np.zeros(1)})  # type: ignore[arg-type]
        with pytest.raises(DataError, match=f"{name} is an array, which cannot be appended to"):
            buffer.add_step_data(step)
