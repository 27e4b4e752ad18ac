"""The examples learn what they say, from a dataset alone."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.slow


def example(name: str) -> Any:
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_clone_of_an_expert_balances_the_pole() -> None:
    assert example("behavioural_cloning").run() > 450


def test_offline_reinforcement_learning_beats_the_policy_that_made_the_data() -> None:
    result = example("offline_reinforcement_learning").run()

    # The behaviour policy has about -490, a policy that swings up at once about -160.
    assert result.learned > result.behaviour + 200


def test_a_decision_transformer_gives_the_return_that_is_asked_for() -> None:
    result = example("sequence_modelling").run()

    assert result.last_loss < 0.75 * result.first_loss
    assert result.asked_for_much > result.mean_return + 100
    assert result.asked_for_little < 50


def test_goals_are_reached_by_what_was_learned_of_a_walk_without_rewards() -> None:
    result = example("goal_reaching").run()

    # A random walk finds about a quarter of the goals in the same number of steps.
    assert result.random < 0.45
    assert result.learned > 0.9
