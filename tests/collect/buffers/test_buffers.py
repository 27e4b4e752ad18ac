"""Each buffer of one environment against a list of copies, and what it takes and refuses."""

from __future__ import annotations

import copy
import re
import warnings
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_collect.buffers.fixed import FixedBuffer
from minari_collect.buffers.nested import make_buffer
from minari_collect.buffers.nesting import Nesting
from minari_core.errors import DataError
from minari_core.messages import MinariWarning
from minari_core.testing.expectations import expect_same, split_space_rows
from tests.collect.helpers.buffered import decode

F16, F32, F64, I64 = (np.dtype(code) for code in ("f2", "f4", "f8", "i8"))
# As a Box may have it, whatever its type says.
FLAG: Any = np.bool_
SPACES: dict[str, spaces.Space[Any]] = {
    "vector": spaces.Box(-9, 9, (3,), np.float32),
    "number": spaces.Box(-9, 9, (), np.float64),
    "choice": spaces.Discrete(5, start=-2),
    "choices": spaces.MultiDiscrete([3, 4]),
    "flags": spaces.MultiBinary(3),
    "image": spaces.Box(0, 255, (2, 3, 1), np.uint8),
    "text": spaces.Text(4, min_length=0),
    "list": spaces.Sequence(spaces.Box(-1, 1, (2,), np.float32)),
    "graph": spaces.Graph(spaces.Box(-1, 1, (2,), np.float32), spaces.Discrete(3)),
    "dict": spaces.Dict({"a": spaces.Discrete(3), "b": spaces.Tuple([spaces.Text(3)] * 2)}),
    "tuple": spaces.Tuple([spaces.MultiBinary(2), spaces.Box(0, 1, (), np.float32)]),
}
OPERATIONS = st.lists(
    st.one_of(
        st.just(("write",)),
        st.just(("write",)),
        st.tuples(st.just("copy"), st.integers(0, 20)),
        st.tuples(st.just("grow"), st.integers(0, 5)),
        st.tuples(st.just("move"), st.integers(0, 20), st.integers(0, 20)),
        st.tuples(st.just("over"), st.integers(0, 20)),
    ),
    max_size=25,
)


@settings(max_examples=6)
@given(operations=OPERATIONS, data=st.data())
@pytest.mark.parametrize("name", SPACES)
def test_a_buffer_holds_what_a_list_of_copies_does(
    name: str, operations: list[Any], data: st.DataObject
) -> None:
    space = SPACES[name]
    space.seed(len(operations))
    capacity = 3
    buffer = make_buffer(space, "observation", capacity)
    rows: list[Any] = []
    for kind, *numbers in operations:
        if kind in ("write", "copy") and len(rows) == capacity:
            kind, numbers = "grow", [1]
        if kind == "write":
            value = space.sample()
            rows.append(copy.deepcopy(value))
            buffer.write(len(rows) - 1, value)
        elif kind == "copy" and rows:
            buffer.copy_row(numbers[0] % len(rows), len(rows))
            rows.append(rows[numbers[0] % len(rows)])
        elif kind == "over" and rows:
            value = space.sample()
            buffer.write(numbers[0] % len(rows), value)
            rows[numbers[0] % len(rows)] = value
        elif kind == "grow":
            capacity += numbers[0]
            buffer.grow(capacity)
        elif kind == "move":
            start, stop = sorted(number % (len(rows) + 1) for number in numbers)
            buffer.move(start, stop)
            rows = rows[start:stop]

    start, stop = sorted(data.draw(st.integers(0, len(rows))) for _ in range(2))
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=stop, max_size=stop)), dtype=bool)
    if rows:
        read = split_space_rows(space, buffer.read(start, stop), stop - start)
        expect_same(read, rows[start:stop])
    expect_same(decode(space, buffer.take(start, stop), stop - start), rows[start:stop])
    kept = [row for row, wanted in zip(rows, keep, strict=False) if wanted]
    expect_same(decode(space, buffer.take(0, stop, keep), len(kept)), kept)
    assert buffer.find_problem(0, len(rows), None) is None


def test_what_is_read_is_a_copy_and_what_is_given_is_copied() -> None:
    buffer = make_buffer(SPACES["vector"], "observation", 2)
    given = np.ones(3, np.float32)
    buffer.write(0, given)
    given[:] = 2
    read: Any = buffer.read(0, 1)
    read[:] = 3

    expect_same(buffer.read(0, 1), np.ones((1, 3), np.float32))


@pytest.mark.parametrize(
    ("name", "nbytes"),
    [("vector", 12), ("number", 8), ("choice", 8), ("image", 6), ("tuple", 2 + 4)],
)
def test_the_size_of_a_row_is_known_with_the_first_value(name: str, nbytes: int) -> None:
    buffer = make_buffer(SPACES[name], "observation", 5)
    assert buffer.row_nbytes == 0
    buffer.write(0, SPACES[name].sample())
    assert buffer.row_nbytes == nbytes


@pytest.mark.parametrize(
    ("name", "values", "mean"),
    [
        ("text", ["abcd", "ab", "abc"], 3),
        # The first value chooses the column; of each other one there are two numbers of 4 bytes
        # an element, and where they begin and end.
        ("list", [(np.zeros(2, np.float32),) * count for count in (1, 1)], (8 + 16) // 2),
    ],
)
def test_rows_of_values_that_change_in_size_are_as_large_as_those_before(
    name: str, values: list[Any], mean: int
) -> None:
    buffer = make_buffer(SPACES[name], "observation", 5)
    empty = buffer.row_nbytes
    assert empty > 0
    for row, value in enumerate(values):
        buffer.write(row, value)
    assert buffer.row_nbytes == empty + mean


@pytest.mark.parametrize(
    ("space", "values", "dtype"),
    [
        # A Discrete value means the same as any kind of integer.
        (spaces.Discrete(5), [np.int8(1), True, np.uint64(3), np.array(2)], I64),
        (spaces.Discrete(5), [True, 4, False], I64),
        # What is no whole number decides otherwise if it comes first.
        (spaces.Discrete(5), [0.5, 1, np.int8(2)], F64),
        (spaces.Box(-9, 9, (), np.float64), [1, 2, np.int8(3)], I64),
        (spaces.Box(-9, 9, (), np.float64), [0.5, 3, -(2**53), np.float32(0.5)], F64),
        (spaces.Box(-9, 9, (), np.float32), [np.float32(0.5), 3, np.float16(1.5)], F32),
        (spaces.Box(-9, 9, (), np.float16), [np.float16(0.5), np.float16(2.5)], F16),
        (spaces.Box(0, 99, (), np.uint8), [np.uint8(1), 255, np.int64(3)], np.dtype("u1")),
        (spaces.Box(0, 1, (), FLAG), [True, np.bool_(0)], np.dtype(bool)),
    ],
    ids=repr,
)
def test_single_numbers_are_kept_in_the_dtype_of_the_column_as_long_as_it_holds_them(
    space: spaces.Space[Any], values: list[Any], dtype: Any
) -> None:
    buffer = FixedBuffer(space, "action", 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error", MinariWarning)
        for row, value in enumerate(values):
            buffer.grow(row + 2)
            buffer.write(row, value)

    expect_same(buffer.read(0, len(values)), np.array([float(v) for v in values]).astype(dtype))


@pytest.mark.parametrize(
    ("first", "then", "dtype"),
    [
        (np.float32(0.5), 2**24 + 1, F64),
        (np.float32(0.5), 0.1, F64),
        (np.float16(0.5), np.float32(0.1), F32),
        (np.int8(3), 300, I64),
        (np.uint8(3), -1, I64),
        (np.uint8(3), np.int8(-1), np.dtype("i2")),
        (7, 0.5, F64),
        (2**53, 0.5, F64),
    ],
)
def test_a_number_that_a_dtype_does_not_hold_widens_it_with_one_warning(
    first: Any, then: Any, dtype: Any
) -> None:
    buffer = FixedBuffer(spaces.Box(-9, 9, (), np.float64), "action", 4)
    buffer.write(0, first)
    rule = rf"^action: {np.asarray(then).dtype} after {np.asarray(first).dtype}; all are stored as"
    with pytest.warns(MinariWarning, match=f"{rule} {dtype}, which"):
        buffer.write(1, then)
    with warnings.catch_warnings():
        warnings.simplefilter("error", MinariWarning)
        buffer.write(2, first)
        buffer.write(3, then)

    expect_same(buffer.read(0, 4), np.array([first, then, first, then], dtype=dtype))


@pytest.mark.parametrize(
    ("space", "first", "then", "reason"),
    [
        (spaces.Box(-9, 9, ()), 0.5, True, "action: bool after float64, and one column has one"),
        (spaces.Box(-9, 9, ()), 0.5, np.bool_(1), "action: bool after float64, and one"),
        (spaces.Box(-9, 9, ()), 0.5, 2**53 + 1, "action: int64 after float64, and one column"),
        (spaces.Box(-9, 9, ()), 2**53 + 1, 0.5, "action: float64 after int64, and one column"),
        (spaces.Box(-9, 9, ()), 0.5, np.zeros(1), "action: a value of shape (1,) in a column of"),
        (spaces.Box(-9, 9, ()), 0.5, "1", "action: str '1' is not numeric"),
        (spaces.Discrete(3), 1, 0.5, "action: float64 after int64, and one column has one"),
        (
            spaces.Box(-9, 9, (2,)),
            np.zeros(2, F32),
            np.zeros(3, F32),
            "action: float32 of shape (3,) after float32 of shape (2,); one column has one dtype",
        ),
        (
            spaces.Box(-9, 9, (2,)),
            np.zeros(2, F32),
            np.float32(0),
            "action: float32 of shape () after float32 of shape (2,); one column has one dtype",
        ),
        (spaces.Box(-9, 9, (2,)), np.zeros(2, F32), np.zeros(2, bool), "action: bool after flo"),
    ],
)
def test_a_value_that_no_dtype_holds_with_the_others_is_refused_and_changes_nothing(
    space: spaces.Space[Any], first: Any, then: Any, reason: str
) -> None:
    buffer = FixedBuffer(space, "action", 2)
    buffer.write(0, first)
    before = buffer.read(0, 2)
    for _ in range(2):
        with pytest.raises(DataError, match=f"^{re.escape(reason)}"):
            buffer.write(1, then)
    expect_same(buffer.read(0, 2), before)


@pytest.mark.parametrize(("written", "is_refused"), [([2**53], False), ([2**53 + 1, 1], True)])
@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_what_has_left_the_buffer_must_fit_a_wider_dtype_as_well(
    written: list[int], is_refused: bool, dtype: type[Any]
) -> None:
    space = spaces.Box(0, 2**62, (1,), dtype)
    buffer = FixedBuffer(space, "action", 2)
    for number in written:
        buffer.write(0, np.array([number], dtype))
        buffer.take(0, 1)
    buffer.write(0, np.array([1], dtype))
    # A row that is not wanted leaves nothing behind.
    buffer.write(1, np.array([2**53 + 1], dtype))
    buffer.take(0, 2, np.array([True, False]))
    buffer.write(1, np.array([1], dtype))
    if is_refused:
        with pytest.raises(DataError, match=r"action: float64 after u?int64"):
            buffer.write(1, np.array([0.5]))
    else:
        with pytest.warns(MinariWarning, match="all are stored as float64"):
            buffer.write(1, np.array([0.5]))
        expect_same(buffer.read(0, 2), np.array([[1], [0.5]]))


REWARDS: list[tuple[Any, Any]] = [
    (1, 1.0), (True, 1.0), (np.bool_(1), 1.0), (np.float32(0.5), 0.5), (np.float16(0.5), 0.5),
    (np.int64(3), 3.0), (2**53, 2.0**53), (-(2**53), -(2.0**53)), (np.uint64(3), 3.0),
    (np.array(2), 2.0), (np.array([1, 2]), [1.0, 2.0]), (np.zeros(2, "u1"), [0.0, 0.0]),
    (np.ones((1, 2), "f4"), [[1.0, 1.0]]),
]  # fmt: skip


@pytest.mark.parametrize(("reward", "wanted"), REWARDS, ids=repr)
def test_a_column_of_a_dtype_that_is_given_takes_numbers_of_any_other_that_it_holds(
    reward: Any, wanted: Any
) -> None:
    for first in (reward, np.zeros(np.shape(reward))):
        buffer = FixedBuffer(spaces.Box(-9, 9, ()), "reward", 3, F64)
        expect_same(buffer.read(0, 0), np.zeros(0))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            buffer.write(0, first)
            buffer.write(1, reward)
        expect_same(buffer.read(1, 2), np.array([wanted]))


@pytest.mark.parametrize(
    ("first", "reward", "reason"),
    [
        (0.5, 2**53 + 1, "reward: int64 value array(9007199254740993) cannot be stored as"),
        (0.5, "1", "reward: str '1' is not numeric"),
        (0.5, None, "reward: NoneType None is not numeric"),
        (0.5, np.zeros(2), "reward: a value of shape (2,) in a column of ()"),
        (np.zeros(2), np.array([0, 2**53 + 1]), "reward: int64 value "),
        (np.zeros(2), np.zeros(2, bool), "reward: bool of shape (2,) after float64 of shape (2,)"),
        (np.zeros(2), np.zeros(2, "c8"), "reward: complex64 of shape (2,) after float64 of shap"),
        (np.zeros(2), 0.5, "reward: a value of shape () in a column of (2,)"),
    ],
)
def test_a_column_of_a_dtype_that_is_given_refuses_what_it_does_not_hold(
    first: Any, reward: Any, reason: str
) -> None:
    buffer = FixedBuffer(spaces.Box(-9, 9, ()), "reward", 3, F64)
    buffer.write(0, first)
    with pytest.raises(DataError, match=f"^{re.escape(reason)}"):
        buffer.write(1, reward)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("dict", {"a": 1}, "observation: ['a'] is not a dict of ['a', 'b'], as its space says"),
        ("dict", {"a": 1, "c": 2}, "observation: ['a', 'c'] is not a dict of ['a', 'b'], as"),
        ("dict", {"a": 1, "b": ("x", "y"), 3: 4}, "observation: ['3', 'a', 'b'] is not a dict"),
        ("dict", [1, 2], "observation: [1, 2] is not a dict of ['a', 'b'], as its space says"),
        ("dict", None, "observation: None is not a dict of"),
        ("dict", {"a": 1, "b": ("x",)}, "observation['b']: ('x',) is not a tuple of 2, as its sp"),
        ("dict", {"a": 1, "b": ("x", 3)}, "observation['b'][1]: int 3 is not text"),
        ("tuple", (np.zeros(2, "i1"),), "observation: (array([0, 0], dtype=int8),) is not a tup"),
        ("tuple", {0: 1, 1: 2}, "observation: {0: 1, 1: 2} is not a tuple of 2, as its space"),
        ("text", b"ab", "observation: bytes b'ab' is not text"),
        ("list", 3, "observation: int 3 is not a sequence"),
    ],
)
def test_a_value_of_another_structure_is_named(name: str, value: Any, reason: str) -> None:
    buffer = make_buffer(SPACES[name], "observation", 2)
    with pytest.raises(DataError, match=f"^{re.escape(reason)}"):
        buffer.write(0, value)


def test_a_list_is_as_good_as_a_tuple() -> None:
    buffer = make_buffer(SPACES["tuple"], "observation", 1)
    buffer.write(0, [np.ones(2, np.int8), np.float32(0.5)])
    expect_same(buffer.read(0, 1), (np.ones((1, 2), np.int8), np.array([0.5], np.float32)))


@pytest.mark.parametrize(
    ("space", "value", "parts"),
    [
        (SPACES["dict"], {"b": 1, "a": 2}, [2, 1]),
        (SPACES["tuple"], [1, 2], [1, 2]),
        (SPACES["dict"], {"a": 2}, None),
        (SPACES["dict"], {"a": 2, "c": 3}, None),
        (SPACES["dict"], [1, 2], None),
        (SPACES["tuple"], (1, 2, 3), None),
        (SPACES["tuple"], {0: 1, 1: 2}, None),
    ],
)
def test_a_batch_is_split_in_the_order_of_its_space(space: Any, value: Any, parts: Any) -> None:
    nesting = Nesting(space, "action")
    if parts is None:
        with pytest.raises(DataError, match=r"^action: .* as its space says$"):
            nesting.split(value)
    else:
        assert list(nesting.split(value)) == parts
    assert list(nesting.inner) == (["a", "b"] if nesting.is_dict else [0, 1])


@pytest.mark.parametrize(
    ("name", "good", "bad", "problem"),
    [
        ("vector", np.zeros(3, "f4"), np.full(3, 10, "f4"), "observation: array([10., 10., 10.],"),
        ("text", "a", "abcde", "observation: 'abcde' is not in Text("),
        ("dict", {"a": 1, "b": ("x", "y")}, {"a": 3, "b": ("x", "y")}, "observation['a']: "),
        (
            "dict",
            {"a": 1, "b": ("x", "y")},
            {"a": 1, "b": ("x", "?")},
            "observation['b'][1]: '?' is not in Text(",
        ),
    ],
)
def test_the_first_value_outside_its_space_is_found_among_those_that_are_wanted(
    name: str, good: Any, bad: Any, problem: str
) -> None:
    buffer = make_buffer(SPACES[name], "observation", 3)
    for row, value in enumerate((good, bad, good)):
        buffer.write(row, value)

    assert str(buffer.find_problem(0, 3, None)).startswith(problem)
    assert str(buffer.find_problem(1, 2, None)).startswith(problem)
    assert buffer.find_problem(2, 3, None) is None
    assert buffer.find_problem(0, 3, np.array([True, False, True])) is None
    assert str(buffer.find_problem(0, 3, np.array([False, True, False]))).startswith(problem)
