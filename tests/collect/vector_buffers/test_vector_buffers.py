"""Each buffer of many environments against a dict of copies, and what it takes and refuses."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_collect.vector_buffers.base import Cells
from minari_collect.vector_buffers.fixed import VectorFixedBuffer
from minari_collect.vector_buffers.nested import make_vector_buffer
from minari_collect.workers.policies import batch_values
from minari_core.errors import DataError
from minari_core.messages import MinariWarning
from minari_core.testing.expectations import expect_same, split_space_rows
from tests.collect.buffers.test_buffers import REWARDS, SPACES
from tests.collect.helpers.buffered import decode

ENVS = 3
F32, F64, I64 = np.dtype("f4"), np.dtype("f8"), np.dtype("i8")


def cells_of(cells: list[int], finals: dict[int, int] | None = None) -> Cells:
    """Cells, and the number of the final value at some of their positions."""
    chosen = finals or {}
    numbers = (cells, list(chosen), list(chosen.values()))
    return Cells(*(np.array(each, dtype=np.int64) for each in numbers))


OPERATIONS = st.lists(
    st.one_of(
        st.just(("write",)),
        st.just(("write",)),
        st.just(("each",)),
        st.tuples(st.just("one"), st.integers(0, 20), st.integers(0, ENVS - 1)),
        st.just(("final",)),
        st.tuples(st.just("final cell"), st.integers(0, 20), st.integers(0, ENVS - 1)),
        st.tuples(st.just("keep"), st.lists(st.integers(0, 20), max_size=3)),
        st.tuples(st.just("grow"), st.integers(0, 4)),
        st.tuples(st.just("move"), st.integers(0, 20), st.integers(0, 20)),
    ),
    max_size=20,
)


@settings(max_examples=6)
@given(operations=OPERATIONS, seed=st.integers(0, 100))
@pytest.mark.parametrize("name", SPACES)
def test_a_buffer_of_many_environments_holds_what_copies_do(
    name: str, operations: list[Any], seed: int
) -> None:
    space = SPACES[name]
    space.seed(seed)
    capacity = 2
    buffer = make_vector_buffer(space, "observation", ENVS, capacity)
    rows: list[list[Any]] = []
    finals: list[Any] = []
    for kind, *numbers in [("write",), *operations]:
        if kind in ("write", "each"):
            if len(rows) == capacity:
                capacity += 1
                buffer.grow(capacity)
            values = [space.sample() for _ in range(ENVS)]
            rows.append([copy.deepcopy(value) for value in values])
            if kind == "write":
                buffer.write(len(rows) - 1, batch_values(space, values))
            else:
                buffer.write_each(len(rows) - 1, values)
        elif kind == "final":
            finals.append(space.sample())
            buffer.add_final(copy.deepcopy(finals[-1]))
        elif kind == "grow":
            capacity += numbers[0]
            buffer.grow(capacity)
        elif kind == "keep":
            kept = [number % len(finals) for number in numbers[0] if finals]
            buffer.keep_finals(kept)
            finals = [finals[number] for number in kept]
        elif not rows:
            continue
        elif kind == "one":
            row, env = numbers[0] % len(rows), numbers[1]
            rows[row][env] = space.sample()
            buffer.write_one(row, env, copy.deepcopy(rows[row][env]))
        elif kind == "final cell":
            finals.append(rows[numbers[0] % len(rows)][numbers[1]])
            buffer.add_final_cell(numbers[0] % len(rows), numbers[1])
        else:
            start, stop = sorted(number % (len(rows) + 1) for number in numbers)
            buffer.move(start, stop)
            rows = rows[start:stop]

    values = [value for row in rows for value in row]
    order = np.random.default_rng(seed).permutation(len(values)).tolist()
    wanted = [values[cell] for cell in order]
    assert buffer.find_problem(cells_of(order)) is None
    expect_same(decode(space, buffer.take(cells_of(order)), len(order)), wanted)
    # Where a final value is taken, the cell may lie beyond all rows.
    places = dict(zip(range(0, len(order), 2), range(len(finals)), strict=False))
    for place, number in places.items():
        order[place] = capacity * ENVS + place
        wanted[place] = finals[number]
    if order:
        found = buffer.read(cells_of(order, places))
        expect_same(split_space_rows(space, found, len(order)), wanted)
        expect_same(decode(space, buffer.take(cells_of(order, places)), len(order)), wanted)


def test_what_is_read_and_given_of_many_environments_is_copied() -> None:
    buffer = make_vector_buffer(SPACES["vector"], "observation", 1, 1)
    given = np.ones((1, 3), np.float32)
    final = np.ones(3, np.float32)
    buffer.write(0, given)
    buffer.add_final(final)
    buffer.add_final_cell(0, 0)
    wanted = cells_of([0, 0, 0], {1: 0, 2: 1})
    first: Any = buffer.read(wanted)
    for array in (given, final, first):
        array[:] = 7
    expect_same(buffer.read(wanted), np.ones((3, 3), np.float32))
    buffer.write(0, given)
    # The final value that was a cell is none any more.
    expect_same(buffer.read(cells_of([0, 0], {1: 1})), np.array([[7] * 3, [1] * 3], "f4"))


@pytest.mark.parametrize(("name", "nbytes"), [("vector", 36), ("choice", 24), ("tuple", 18)])
def test_the_size_of_a_row_is_that_of_all_environments(name: str, nbytes: int) -> None:
    space = SPACES[name]
    buffer = make_vector_buffer(space, "observation", ENVS, 2)
    assert buffer.row_nbytes == 0
    buffer.write(0, batch_values(space, [space.sample() for _ in range(ENVS)]))
    assert buffer.row_nbytes == nbytes


def test_rows_of_texts_are_as_large_as_those_of_each_environment() -> None:
    buffer = make_vector_buffer(SPACES["text"], "observation", ENVS, 2)
    empty = buffer.row_nbytes
    buffer.write(0, ("abcd", "ab", "abc"))
    assert buffer.row_nbytes == empty + 3 * ENVS


@pytest.mark.parametrize(
    ("space", "batches", "dtype"),
    [
        (spaces.Discrete(5), [np.array([1, 2], "i1"), np.array([3, 4])], I64),
        (spaces.Discrete(5), [np.array([0.5, 1]), np.array([1, 2])], F64),
        (spaces.Box(-9, 9, (), np.float64), [np.array([1, 2], "i1"), np.array([3, 4])], "i1"),
        (spaces.Box(-9, 9, (), np.float64), [np.array([0.5, 2]), np.array([3, 4], "f4")], F64),
        (spaces.Box(-9, 9, (), np.float32), [np.array([0.5, 2], "f4"), np.array([3, 4])], F32),
    ],
    ids=repr,
)
def test_batches_of_numbers_are_kept_in_the_dtype_of_the_column_as_long_as_it_holds_them(
    space: spaces.Space[Any], batches: list[Any], dtype: Any
) -> None:
    buffer = VectorFixedBuffer(space, "action", 2, len(batches))
    with warnings.catch_warnings():
        warnings.simplefilter("error", MinariWarning)
        for row, batch in enumerate(batches):
            buffer.write(row, batch)

    wanted = np.concatenate([np.asarray(batch, np.float64) for batch in batches]).astype(dtype)
    expect_same(buffer.read(cells_of([*range(2 * len(batches))])), wanted)


@pytest.mark.parametrize("how", ["write", "one", "each", "final"])
@pytest.mark.parametrize(
    ("first", "then", "dtype"),
    [
        (np.ones(2, "f4"), np.full(2, 0.1), F64),
        (np.ones(2, "u1"), np.full(2, -1, "i1"), np.dtype("i2")),
        (np.ones(2, "i8"), np.full(2, 0.5), F64),
        (np.full(2, 2**53), np.full(2, 0.5), F64),
    ],
)
def test_a_batch_that_a_dtype_does_not_hold_widens_all_with_one_warning(
    first: Any, then: Any, dtype: Any, how: str
) -> None:
    buffer = VectorFixedBuffer(spaces.Box(-9, 9, (2,)), "action", 1, 3)
    buffer.write(0, first[None])
    buffer.add_final(first)
    buffer.read(cells_of([0], {0: 0}))
    writes: dict[str, Callable[[], None]] = {
        "write": lambda: buffer.write(1, then[None]),
        "one": lambda: buffer.write_one(1, 0, then),
        "each": lambda: buffer.write_each(1, [then]),
        "final": lambda: buffer.add_final(then),
    }
    with pytest.warns(MinariWarning, match=f"^action: {then.dtype} after {first.dtype}; "):
        writes[how]()
    with warnings.catch_warnings():
        warnings.simplefilter("error", MinariWarning)
        if how == "final":
            buffer.write(1, then[None])
        # The dtype from before is written at once from then on.
        for batch in (first, then, first):
            buffer.write(2, batch[None])

    finals = {3: 0, 4: 1} if how == "final" else {3: 0}
    wanted = [first, then, first, first, then][: 3 + len(finals)]
    found = buffer.read(cells_of([0, 1, 2, 0, 0][: len(wanted)], finals))
    expect_same(found, np.array(wanted, dtype=dtype))


def test_what_has_left_a_buffer_of_many_environments_must_fit_a_wider_dtype_as_well() -> None:
    buffer = VectorFixedBuffer(spaces.Box(0, 2**62, (1,), np.int64), "action", 2, 2)
    buffer.write(0, np.array([[2**53 + 1], [1]]))
    buffer.take(cells_of([1]))
    buffer.read(cells_of([0]))
    buffer.write(0, np.array([[1], [1]]))
    with pytest.warns(MinariWarning, match="all are stored as float64"):
        buffer.write(1, np.full((2, 1), 0.5))
    other = VectorFixedBuffer(spaces.Box(0, 2**62, (1,), np.int64), "action", 2, 2)
    other.write(0, np.array([[2**53 + 1], [1]]))
    other.take(cells_of([0]))
    other.write(0, np.array([[1], [1]]))
    with pytest.raises(DataError, match="action: float64 after int64"):
        other.write(1, np.full((2, 1), 0.5))


@pytest.mark.filterwarnings("ignore:.*all are stored as")
def test_a_value_must_fit_final_values_as_well_or_is_refused_before_they_are_stuck() -> None:
    space = spaces.Sequence(spaces.Box(-np.inf, np.inf, (1,), np.float64))
    buffer = make_vector_buffer(space, "observation", 2, 2)
    buffer.write_one(0, 0, (np.array([1]),))
    buffer.add_final((np.array([0.5]),))
    for _ in range(2):
        with pytest.raises(DataError, match="observation"):
            buffer.write_one(0, 1, (np.array([2**53 + 1]),))
    wanted = cells_of([0, 0], {1: 0})
    (first,), (final,) = decode(space, buffer.take(wanted), 2)
    assert (first.tolist(), final.tolist()) == ([1], [0.5])
    # Once nothing is kept of them, it fits.
    buffer.keep_finals([])
    buffer.write_one(0, 1, (np.array([2**53 + 1]),))
    (large,) = decode(space, buffer.take(cells_of([1])), 1)
    assert large[0].tolist() == [2**53 + 1]


BATCHES: list[tuple[str, Any, Any, str]] = [
    ("vector", np.zeros((2, 3), "f4"), np.zeros((3, 3), "f4"),
     "observation: shape (3, 3) is not of one value for each of the 2 environments"),
    ("vector", np.zeros((2, 3), "f4"), np.float32(1), "observation: shape () is not of one value"),
    ("vector", np.zeros((2, 3), "f4"), np.zeros((2, 2), "f4"),
     "observation: float32 of shape (2,) after float32 of shape (3,); one column has one dtype"),
    ("vector", np.zeros((2, 3), "f4"), np.zeros((2, 3), bool), "observation: bool after float32"),
    ("vector", np.zeros((2, 3), "f4"), "ab", "observation: str 'ab' is not numeric"),
    ("choice", np.zeros(2, "i8"), np.full(2, 0.5), "observation: float64 after int64"),
    ("text", ("a", "b"), ("a", "b", "c"), "observation: 3 values for 2 environments"),
    ("text", ("a", "b"), "ab", "observation: 'ab' is not one value for each environment"),
    ("text", ("a", "b"), 3, "observation: 3 is not one value for each environment"),
    ("text", ("a", "b"), ("a", 3), "observation: int 3 is not text"),
    ("dict", {"a": np.zeros(2, "i8"), "b": (("x", "x"),) * 2}, {"a": np.zeros(2, "i8")},
     "observation: ['a'] is not a dict of ['a', 'b'], as its space says"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "good", "bad", "reason"), BATCHES)
def test_a_batch_that_is_not_one_of_the_space_is_refused(
    name: str, good: Any, bad: Any, reason: str
) -> None:
    buffer = make_vector_buffer(SPACES[name], "observation", 2, 2)
    buffer.write(0, good)
    for _ in range(2):
        with pytest.raises(DataError, match=f"^{re.escape(reason)}"):
            buffer.write(1, bad)
    buffer.write(1, good)


@pytest.mark.parametrize(("reward", "wanted"), REWARDS, ids=repr)
def test_rewards_of_many_environments_may_be_of_any_kind_of_numbers(
    reward: Any, wanted: Any
) -> None:
    batch = np.array([reward, reward])
    buffer = VectorFixedBuffer(spaces.Box(-9, 9, ()), "reward", 2, 4, F64)
    expect_same(buffer.read(cells_of([])), np.zeros(0))
    for row, each in enumerate((batch, np.zeros(batch.shape), batch, batch.tolist())):
        buffer.write(row, each)
    zeros = np.zeros(np.shape(wanted)).tolist()
    found = buffer.read(cells_of([0, 1, 2, 3, 5, 6]))
    expect_same(found, np.array([wanted, wanted, zeros, zeros, wanted, wanted]))


@pytest.mark.parametrize(
    ("rewards", "reason"),
    [
        (np.array([0, 2**53 + 1]), "reward: int64 value "),
        (np.array([0, 1j]), "reward: complex128 value "),
        (np.zeros((2, 1)), "reward: float64 of shape (1,) after float64 of shape ()"),
    ],
)
def test_rewards_that_are_no_float64_are_refused(rewards: Any, reason: str) -> None:
    buffer = VectorFixedBuffer(spaces.Box(-9, 9, ()), "reward", 2, 2, F64)
    buffer.write(0, np.zeros(2))
    with pytest.raises(DataError, match=f"^{re.escape(reason)}"):
        buffer.write(1, rewards)


def test_last_flags_in_a_space_of_integers_are_integers_and_in_others_refused() -> None:
    buffer = VectorFixedBuffer(SPACES["flags"], "observation", 1, 1)
    buffer.write(0, np.array([[1, 0, 1]], np.int8))
    buffer.add_final(np.array([True, False, False]))
    found = buffer.read(cells_of([0, 0], {1: 0}))
    expect_same(found, np.array([[1, 0, 1], [1, 0, 0]], np.int8))
    others = VectorFixedBuffer(SPACES["vector"], "observation", 1, 1)
    others.write(0, np.zeros((1, 3), np.float32))
    with pytest.raises(DataError, match="observation: bool after float32"):
        others.add_final(np.array([True, False, False]))


@pytest.mark.parametrize(
    ("name", "good", "bad", "problem"),
    [
        ("vector", np.zeros(3, "f4"), np.full(3, 10, "f4"), "observation: array([10., 10., 10.],"),
        ("text", "a", "abcde", "observation: 'abcde' is not in Text("),
        (
            "dict",
            {"a": 1, "b": ("x", "y")},
            {"a": 1, "b": ("x", "?")},
            "observation['b'][1]: '?' is not in Text(",
        ),
    ],
)
def test_the_first_cell_outside_its_space_is_found_among_those_that_are_wanted(
    name: str, good: Any, bad: Any, problem: str
) -> None:
    buffer = make_vector_buffer(SPACES[name], "observation", 2, 1)
    buffer.write_each(0, [good, bad])
    buffer.add_final(good)
    buffer.add_final(bad)

    assert str(buffer.find_problem(cells_of([0, 1]))).startswith(problem)
    assert buffer.find_problem(cells_of([0])) is None
    assert buffer.find_problem(cells_of([0, 1], {1: 0})) is None
    assert str(buffer.find_problem(cells_of([0], {0: 1}))).startswith(problem)
