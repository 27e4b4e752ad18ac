"""Rows are checked against their space at once, as the space itself would check each of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from minari_collect.buffers.space_check import find_array_problem, find_value_problem

LOW, HIGH = np.array([-1, -2, -3], np.float32), np.array([1, 2, np.inf], np.float32)
UNEVEN = spaces.Box(LOW, HIGH)
SPACES: list[tuple[spaces.Space[Any], list[Any]]] = [
    (UNEVEN, [[-1, 2, 1e30], [-1.5, 0, 0], [0, 0, -3.5], [0, 2.5, 0], [np.nan, 0, 0]]),
    (spaces.Box(0, 255, (2,), np.uint8), [[0, 255], [255, 0]]),
    (spaces.Box(0, 254, (2,), np.uint8), [[0, 254], [255, 0]]),
    (spaces.Box(1, 255, (2,), np.uint8), [[1, 255], [1, 0]]),
    (spaces.Box(-128, 127, (), np.int8), [-128, 127]),
    (spaces.Box(-9, 9, (), np.int64), [-9, 9, -10, 10]),
    (spaces.Box(-1, 1, (2, 0), np.float32), [np.zeros((2, 0))]),
    (spaces.Discrete(3), [0, 2, 3, -1]),
    (spaces.Discrete(3, start=-2), [-2, 0, 1, -3]),
    (spaces.MultiDiscrete([3, 4]), [[0, 0], [2, 3], [3, 0], [0, 4], [-1, 0]]),
    (spaces.MultiBinary(2), [[0, 1], [1, 1], [2, 0], [0, -1]]),
]


@pytest.mark.parametrize(("space", "values"), SPACES, ids=[repr(space) for space, _ in SPACES])
def test_the_first_row_is_found_that_a_space_does_not_contain(
    space: spaces.Space[Any], values: list[Any]
) -> None:
    rows = np.array(values, dtype=space.dtype)
    for first in range(len(rows)):
        chosen = rows[first:]
        outside = [row for row in chosen if not space.contains(row)]
        wanted = f"{outside[0]!r} is not in {space}" if outside else None
        assert find_array_problem(space, chosen) == wanted
        for row in chosen:
            assert (find_value_problem(space, row) is None) == space.contains(row)
    assert find_array_problem(space, rows[:0]) is None


@pytest.mark.parametrize("size", [1, 3, 2048, 4095, 4096, 4097])
def test_a_row_outside_a_box_is_found_wherever_it_lies_among_many(size: int) -> None:
    space = spaces.Box(-1, 1, (size,), np.float32)
    at_once = max(4096 // size, 1)
    for count in sorted({1, 2, at_once - 1, at_once, at_once + 1, 2 * at_once + 1} - {0}):
        rows = np.zeros((count, size), np.float32)
        assert find_array_problem(space, rows) is None
        for row, column in {(0, 0), (count - 1, size - 1), (count // 2, size // 2)}:
            for outside in (-2, 2):
                rows[row, column] = outside
                assert find_array_problem(space, rows) == f"{rows[row]!r} is not in {space}"
            rows[row, column] = 0


@pytest.mark.parametrize(
    ("space", "rows", "problem"),
    [
        (UNEVEN, np.zeros((1, 2), "f4"), f"shape (2,) is not the (3,) of {UNEVEN}"),
        (UNEVEN, np.zeros((1, 3)), f"dtype float64 does not fit the float32 of {UNEVEN}"),
        (UNEVEN, np.zeros((1, 3), "i8"), f"dtype int64 does not fit the float32 of {UNEVEN}"),
        (UNEVEN, np.zeros((1, 3), "f2"), None),
        (UNEVEN, np.full((1, 3), -9, "i1"), f"array([-9, -9, -9], dtype=int8) is not in {UNEVEN}"),
        (spaces.Discrete(3), np.zeros(1), "dtype float64 is not that of Discrete(3)"),
        (spaces.Discrete(3), np.zeros((1, 1), int), "shape (1,) is not the () of Discrete(3)"),
        (spaces.Discrete(3), np.array([2], "u1"), None),
        (spaces.Discrete(3), np.array([True]), None),
        (spaces.MultiBinary(2), np.ones((1, 2), bool), None),
        (spaces.MultiBinary(2), np.ones((1, 2), "f4"), "dtype float32 is not that of MultiBinary"),
    ],
)
def test_what_is_wrong_with_all_rows_is_said_of_all(
    space: spaces.Space[Any], rows: Any, problem: str | None
) -> None:
    found = find_array_problem(space, rows)
    assert found == problem if problem is None else str(found).startswith(problem)


def test_values_of_other_spaces_are_checked_one_by_one() -> None:
    class Even(spaces.Space[Any]):
        def contains(self, value: Any) -> bool:
            if value < 0:
                raise ValueError("negative")
            return bool(value % 2 == 0)

        def __repr__(self) -> str:
            return "Even"

    space = Even((), np.int64)
    assert find_array_problem(space, np.array([2, 4])) is None
    assert find_array_problem(space, np.array([2, 3, 5])) == f"{np.int64(3)!r} is not in Even"
    wanted = f"{np.int64(-1)!r} is not in Even (negative)"
    assert find_array_problem(space, np.array([2, -1])) == wanted
