"""The examples learn what they say, from a dataset alone."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

EXAMPLES = Path(__file__).parents[2] / "examples"

# Nobody needs the author of an example's data.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::minari.MinariWarning")]


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
    behaviour, learned = example("offline_reinforcement_learning").run()

    # The behaviour policy has about -500, a policy that swings up at once about -160.
    assert learned > behaviour + 200


def test_a_decision_transformer_gives_the_return_that_is_asked_for() -> None:
    shown, asked_for_much, asked_for_little = example("sequence_modelling").run()

    assert asked_for_much > shown + 100
    assert asked_for_little < 50


def test_chunks_of_actions_beat_the_drivers_that_they_were_learned_from() -> None:
    drivers, learned = example("action_chunking").run()

    # The drivers have about 79; no policy has more than about 94.
    assert learned > drivers + 5


def test_goals_are_reached_by_what_was_learned_of_a_walk_without_rewards() -> None:
    walk, learned = example("goal_reaching").run()

    # A random walk finds about a fifth of the goals in the same number of steps.
    assert walk < 0.35
    assert learned > 0.9


def test_every_example_has_at_most_a_hundred_lines() -> None:
    for path in EXAMPLES.glob("*.py"):
        assert path.name == "quickstart.py" or len(path.read_text().splitlines()) <= 100
