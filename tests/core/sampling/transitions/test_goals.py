"""Rows of goals are drawn with the chances that the strategies of HER give them."""

from __future__ import annotations

import numpy as np
import pytest

from minari_core.errors import SamplingError
from minari_core.sampling.options.goals import Goals
from minari_core.sampling.transitions.goals import choose_goal_rows
from minari_core.testing import simple_episode
from tests.core.helpers.numbered import create

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")
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


@pytest.mark.parametrize("goals", ["final", "uniform", "geometric"])
def test_the_goal_of_a_last_step_is_what_it_led_to(goals: Goals) -> None:
    dataset = create(buffer=[simple_episode(0, 3), simple_episode(1, 1)])
    batch = dataset.sample_transitions(200, goals=goals)
    last = np.isin(batch.episode_ids * 10 + batch.time_steps, [2, 10])
    assert last.any()
    episodes, steps = batch.goal_episode_ids, batch.goal_time_steps
    assert episodes is not None
    assert steps is not None
    assert np.array_equal(episodes, batch.episode_ids)
    lengths = np.where(batch.episode_ids == 0, 3, 1)
    assert np.array_equal(steps[last], lengths[last])
    assert (steps > batch.time_steps).all()
    assert (steps <= lengths).all()


def test_random_goals_are_what_any_step_led_to() -> None:
    dataset = create(buffer=[simple_episode(0, 3), simple_episode(1, 1)])
    batch = dataset.sample_transitions(300, goals="random")
    episodes, steps = batch.goal_episode_ids, batch.goal_time_steps
    assert episodes is not None
    assert steps is not None
    reached = {*zip(episodes.tolist(), steps.tolist(), strict=True)}
    assert reached == {(0, 1), (0, 2), (0, 3), (1, 1)}
