"""Rows of goals are drawn with the chances that the strategies of HER give them."""

from __future__ import annotations

import numpy as np
import pytest

from minari_core.errors import SamplingError
from minari_core.sampling.goals import choose_goal_rows
from minari_core.sampling.options import Goals

DRAWS = 70_000


def draw(goals: Goals, discount: float, ahead: int) -> list[float]:
    """How often each distance is drawn, from 0 on, one further than there are rows."""
    rows = np.full(DRAWS, 10)
    chosen = choose_goal_rows(
        goals, discount, rows, np.full(DRAWS, ahead), np.random.default_rng(1)
    )
    assert chosen.dtype == np.int64
    shares = np.bincount(chosen - rows, minlength=ahead + 2) / DRAWS
    return [float(share) for share in shares]


@pytest.mark.parametrize(
    ("goals", "discount", "expected"),
    [
        ("uniform", 0.5, [0, 1 / 3, 1 / 3, 1 / 3, 0]),
        ("geometric", 0.5, [0, 4 / 7, 2 / 7, 1 / 7, 0]),
        ("geometric", 0.1, [0, 100 / 111, 10 / 111, 1 / 111, 0]),
        ("geometric", 0.0, [0, 1, 0, 0, 0]),
        ("final", 0.5, [0, 0, 0, 1, 0]),
    ],
)
def test_each_later_row_is_drawn_as_often_as_its_strategy_says(
    goals: Goals, discount: float, expected: list[float]
) -> None:
    assert draw(goals, discount, 3) == pytest.approx(expected, abs=0.008)
    # What cannot be drawn never is.
    assert [share == 0 for share in draw(goals, discount, 3)] == [
        chance == 0 for chance in expected
    ]


def test_the_only_later_row_is_always_drawn() -> None:
    for goals in ("uniform", "geometric", "final"):
        assert draw(goals, 0.99, 1) == [0, 1, 0]


def test_each_transition_has_the_rows_of_its_own_episode() -> None:
    rows, ahead = np.array([0, 100, 200]), np.array([1, 5, 50])
    assert choose_goal_rows("final", 0.9, rows, ahead, None).tolist() == [1, 105, 250]
    generator = np.random.default_rng(2)
    drawn = [choose_goal_rows("uniform", 0.9, rows, ahead, generator) for _ in range(2000)]
    assert np.min(drawn, axis=0).tolist() == [1, 101, 201]
    assert np.max(drawn, axis=0).tolist() == [1, 105, 250]


@pytest.mark.parametrize("goals", ["uniform", "geometric"])
def test_what_is_random_needs_a_generator(goals: Goals) -> None:
    with pytest.raises(SamplingError, match=f"^{goals} goals are random, but no generator"):
        choose_goal_rows(goals, 0.9, np.array([0]), np.array([1]), None)
