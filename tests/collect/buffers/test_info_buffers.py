"""Infos in a buffer are those of a list of copies, and what they take is counted."""

from __future__ import annotations

import copy
from collections import UserDict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_collect.buffers.infos import InfoBuffer, InfoEncoder, list_recorded_rows
from minari_core.json_values import NOT_PLAIN
from minari_core.testing.expectations import expect_same
from tests.collect.helpers.buffered import decode_infos

# Values of one kind for each key, since a column of one kind gives back what it was given.
INFOS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "number": st.integers(-9, 9).map(np.int64),
        "vector": st.integers(-9, 9).map(lambda n: np.array([n, n + 1], np.float32)),
        "text": st.text("ab", max_size=3),
        "ragged": st.integers(0, 3).map(lambda n: np.arange(n, dtype=np.float32)),
        "inner": st.fixed_dictionaries(
            {}, optional={"n": st.integers(0, 9).map(np.int64), "t": st.just("x")}
        ),
    },
)


def without_none(rows: list[Any]) -> list[Any]:
    """Rows as `list_recorded_rows` gives them, of which empty dicts are as good as none."""
    known = [
        {key: value for key, value in row.items() if value is not None}
        if isinstance(row, dict)
        else row
        for row in rows
    ]
    return [None if isinstance(row, dict) and not row else row for row in known]


@settings(max_examples=40)
@given(
    operations=st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(0, 2), INFOS),
            st.tuples(st.just("write"), st.just(0), INFOS),
            st.tuples(st.just("over"), st.integers(0, 9), INFOS),
            st.tuples(st.just("copy"), st.integers(0, 9)),
            st.tuples(st.just("truncate"), st.integers(0, 9)),
            st.tuples(st.just("move"), st.integers(0, 9), st.integers(0, 9)),
        ),
        max_size=14,
    ),
    ends=st.tuples(st.integers(0, 9), st.integers(0, 9)),
)
def test_the_infos_of_a_buffer_are_those_of_a_list_of_copies(
    operations: list[Any], ends: tuple[int, int]
) -> None:
    buffer = InfoBuffer("infos")
    rows: list[dict[str, Any]] = []
    for kind, *given_ in operations:
        if kind == "write":
            # Rows without an info may come between.
            rows += [{} for _ in range(given_[0])]
            buffer.write(len(rows), given_[1])
            rows.append(copy.deepcopy(given_[1]))
        elif kind == "move":
            start, stop = sorted(number % (len(rows) + 1) for number in given_)
            buffer.move(start, stop)
            assert buffer.nbytes == 0
            rows = rows[start:stop]
        elif not rows:
            continue
        elif kind == "over":
            buffer.write(given_[0] % len(rows), given_[1])
            rows[given_[0] % len(rows)] |= given_[1]
        elif kind == "copy":
            buffer.copy_row(given_[0] % len(rows), len(rows))
            rows.append(dict(rows[given_[0] % len(rows)]))
        else:
            buffer.truncate(given_[0])
            rows = rows[: given_[0]]

    start, stop = sorted(number % (len(rows) + 1) for number in ends)
    read = buffer.read(start, stop)
    wanted = {key: [row.get(key) for row in rows[start:stop]] for key in read}
    assert set(read) >= {key for row in rows[start:stop] for key in row}
    expect_same(read, wanted)
    shown = decode_infos(buffer.take(start, stop), stop - start)
    found = {key: list_recorded_rows(column, stop - start) for key, column in shown.items()}
    given_rows = {key: without_none(values) for key, values in wanted.items()}
    kept = {key: values for key, values in given_rows.items() if key in shown}
    expect_same(found, kept)
    for key in given_rows.keys() - shown.keys():
        assert all(value is None for value in given_rows[key])


def test_what_infos_take_is_counted_but_for_single_numbers() -> None:
    buffer = InfoBuffer("infos")
    buffer.write(0, {"a": 1, "b": 0.5, "c": True, "d": np.float32(1), "e": np.int64(1)})
    assert buffer.nbytes == 0
    sizes: list[tuple[Any, int]] = [
        (np.zeros(10), 80),
        ("abc", 3),
        (b"abcd", 4),
        ({"x": np.zeros(2, np.int8), "y": "ab"}, 4),
        (["a", ("bc", np.zeros(1))], 11),
    ]
    counted = 0
    for row, (value, nbytes) in enumerate(sizes):
        buffer.write(row, {"value": value})
        counted += nbytes
        assert buffer.nbytes == counted
    buffer.write(9, {"numbers": [1, 2, 3]})
    in_threes = buffer.nbytes - counted
    buffer.write(10, {"numbers": [1]})
    assert buffer.nbytes - counted == in_threes + in_threes // 3 > counted
    buffer.move(0, 3)
    assert buffer.nbytes == 0


def test_keys_whose_rows_are_gone_are_gone() -> None:
    buffer = InfoBuffer("infos")
    buffer.write(0, {"early": 1})
    buffer.write(2, {"late": 2})
    buffer.move(1, 3)
    assert buffer.read(0, 2) == {"late": [None, 2]}
    buffer.move(2, 2)
    assert buffer.read(0, 0) == {}
    buffer.copy_row(0, 1)
    assert buffer.read(0, 2) == {}


def test_an_info_that_is_another_mapping_is_read_and_one_that_is_none_is_named_once() -> None:
    buffer = InfoBuffer("infos")
    of_another_kind: Any = UserDict({"a": 1, 3: 4})
    no_dict: Any = [1]
    for row in range(2):
        buffer.write(2 * row, of_another_kind)
        buffer.write(2 * row + 1, no_dict)

    assert buffer.read(0, 4) == {"a": [1, None, 1, None]}
    assert list(buffer.encoder.dropped) == ["infos[3]", "infos"]
    assert buffer.encoder.dropped["infos[3]"] == NOT_PLAIN
    assert buffer.encoder.dropped["infos"].startswith("list is no dict (AttributeError")


def test_only_keys_that_were_none_and_never_anything_else_are_listed() -> None:
    encoder = InfoEncoder()
    encoder.encode("infos['b']", [None, None])
    encoder.encode("infos['a']", [{"x": None, "y": 1}, None])
    encoder.encode("infos['c']", [None])
    encoder.encode("infos['c']", [1, None])
    encoder.encode("infos['d']", [None, None])
    encoder.encode("infos['d']", [object()])
    assert encoder.list_always_none() == ["infos['a']['x']", "infos['b']"]
    assert list(encoder.dropped) == ["infos['d']"]


@pytest.mark.parametrize(
    ("column", "rows"),
    [
        (np.ma.array([1, 2], mask=[False, True]), [1, None]),
        (np.ma.masked_equal([[1, 2], [3, 4]], 4), [np.array([1, 2]), None]),
        (np.array([1, 2]), [1, 2]),
        (["a", None], ["a", None]),
        (None, [None, None]),
        ({"x": np.ma.masked_equal([1, 2], 1), "y": [None, "b"]}, [None, {"x": 2, "y": "b"}]),
        ({"x": {"y": np.array([1, 2])}}, [{"x": {"y": 1}}, {"x": {"y": 2}}]),
        ({}, [None, None]),
    ],
)  # fmt: skip
def test_rows_of_a_column_that_was_read_are_those_that_were_written(column: Any, rows: Any) -> None:
    found = list_recorded_rows(column, 2)
    assert len(found) == 2
    for one, other in zip(found, rows, strict=True):
        np.testing.assert_equal(one, other)
