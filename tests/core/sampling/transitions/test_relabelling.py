"""Goals in epochs, and rewards that a function gives for them, beside the episodes themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core import MinariDataset, SamplingError
from minari_core.columns.base import escape_key
from minari_core.sampling import TransitionBatch
from minari_core.sampling.options.goals import Goals
from tests.core.helpers.recorded import VECTOR, Recorded, record, stored, views

MIXED: dict[Goals, float] = {"current": 0.2, "future": 0.4, "random": 0.4}


def compute_reward(achieved: Any, goals: Any, infos: dict[str, Any]) -> Any:
    """The squared distance, and what the info says."""
    distance = ((achieved - goals) ** 2).sum(axis=-1)
    return -distance + infos.get("always", 0.0)


def is_reached(achieved: Any, goals: Any, infos: dict[str, Any]) -> Any:
    return (achieved == goals).all(axis=-1)


def expect_rewards(batch: TransitionBatch, recorded: Recorded, scale: float, column: str) -> None:
    """Fail unless each reward is that of its step and its goal."""
    assert batch.goal_episode_ids is not None
    assert batch.goal_time_steps is not None
    for place, (index, step) in enumerate(
        zip(batch.episode_ids.tolist(), batch.time_steps.tolist(), strict=True)
    ):
        achieved = recorded.episodes[index].observations[step + 1]
        other = recorded.episodes[int(batch.goal_episode_ids[place])]
        goal = other.observations[int(batch.goal_time_steps[place])]
        info = recorded.info(index, step)["always"] if column else 0.0
        wanted = (info - np.sum((achieved - goal) ** 2)) * scale
        assert batch.rewards[place] == pytest.approx(wanted, rel=1e-12)


@given(
    st.lists(st.sampled_from([1, 1, 2, 3, 12]), min_size=1, max_size=5),
    st.integers(0, 2**32 - 1),
    st.data(),
    st.sampled_from(["future", "final", MIXED]),
)
@settings(max_examples=40)
def test_rewards_are_those_of_what_was_achieved_and_the_goal(
    lengths: list[int], seed: int, data: st.DataObject, goals: Any
) -> None:
    recorded = record(VECTOR, VECTOR, lengths, seed, cuts=seed % 4, early=(seed % 2) * 0.3)
    chosen, indices = data.draw(views(len(recorded.episodes)))
    column = data.draw(st.sampled_from(["", "infos", "infos/always"]))
    scale = data.draw(st.sampled_from([1.0, 0.5]))
    options: dict[str, Any] = {
        "goals": goals,
        "compute_reward": compute_reward,
        "reward_scale": scale,
        "columns": ["actions", "rewards", *([column] if column else [])],
    }
    with stored(recorded, on_disk=False) as dataset:
        view = dataset[chosen]
        expect_rewards(view.sample_transitions(8, **options), recorded, scale, column)
        seen: list[tuple[int, int]] = []
        for batch in view.batches(3, seed=2, **options):
            expect_rewards(batch, recorded, scale, column)
            seen += zip(batch.episode_ids.tolist(), batch.time_steps.tolist(), strict=True)
        assert sorted(seen) == sorted(recorded.view(indices))


def visit(dataset: MinariDataset, **options: Any) -> Any:
    return dataset.batches(4, seed=3, goals=MIXED, compute_reward=is_reached, **options)


def goals_of(batches: Any) -> list[Any]:
    return [(batch.goals.tolist(), batch.rewards.tolist()) for batch in batches]


def test_a_run_resumed_at_any_batch_has_the_goals_that_it_would_have_had() -> None:
    with stored(record(VECTOR, VECTOR, [5, 9, 1], 0), on_disk=False) as dataset:
        wanted = goals_of(visit(dataset, epochs=2))
        assert wanted[: len(wanted) // 2] != wanted[len(wanted) // 2 :]
        batches = visit(dataset, epochs=2)
        for number in range(len(wanted)):
            again = visit(dataset, epochs=2)
            again.load_state_dict(batches.state_dict())
            assert goals_of(again) == wanted[number:]
            next(batches)


def test_shares_of_an_epoch_have_its_goals() -> None:
    with stored(record(VECTOR, VECTOR, [5, 9, 1], 0), on_disk=False) as dataset:
        wanted = goals_of(visit(dataset))
        shares = [goals_of(visit(dataset).share(number, 3)) for number in range(3)]
        assert [shares[number % 3][number // 3] for number in range(len(wanted))] == wanted


def test_ranks_and_epochs_draw_goals_of_their_own() -> None:
    with stored(record(VECTOR, VECTOR, [40], 0), on_disk=False) as dataset:
        options: dict[str, Any] = {"seed": 3, "goals": "future", "shuffle": False, "epochs": 2}
        (first, second) = dataset.batches(40, **options)
        assert np.array_equal(first.time_steps, second.time_steps)
        assert not np.array_equal(first.goals, second.goals)


def test_a_state_names_the_function_and_not_its_address() -> None:
    with stored(record(VECTOR, VECTOR, [5], 0), on_disk=False) as dataset:
        state = visit(dataset).state_dict()
        assert "compute_reward=is_reached" in state["identity"]
        other = dataset.batches(4, seed=3, goals=MIXED, compute_reward=compute_reward)
        with pytest.raises(SamplingError, match="the state is of"):
            other.load_state_dict(state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"compute_reward": is_reached}, "compute_reward is given, but no goals"),
        ({"compute_reward": 3, "goals": "final"}, "compute_reward is 3, not a function"),
        (
            {"compute_reward": is_reached, "goals": "final", "n_step": 3},
            "n_step is 3, which is of the stored rewards",
        ),
        (
            {"compute_reward": is_reached, "goals": "final", "returns_to_go": True},
            "returns_to_go is True, which is of",
        ),
        (
            {"compute_reward": is_reached, "goals": "final", "reward_scale": "return_range"},
            "reward_scale is 'return_range', which is of",
        ),
        (
            {"compute_reward": is_reached, "goals": "final", "include_unknown_final": True},
            "include_unknown_final is True, which is of",
        ),
        (
            {"compute_reward": lambda *_: np.zeros(3), "goals": "final"},
            r"compute_reward gave float64 of shape \(3,\) for 2 transitions, not numbers of shape",
        ),
        (
            {"compute_reward": lambda *_: ["a", "b"], "goals": "final"},
            r"compute_reward gave <U1 of shape \(2,\)",
        ),
    ],
)
def test_what_cannot_be_relabelled_is_refused(options: dict[str, Any], message: str) -> None:
    with (
        stored(record(VECTOR, VECTOR, [5, 3], 0), on_disk=False) as dataset,
        pytest.raises(SamplingError, match=message),
    ):
        dataset.sample_transitions(2, **options)


@pytest.mark.parametrize("key", ["goal", "a/b", "a%2Fb"])
def test_what_was_achieved_is_the_column_of_goals_whatever_its_key(key: str) -> None:
    space = spaces.Dict(dict.fromkeys(("goal", "a/b", "a%2Fb"), VECTOR))
    recorded = record(space, VECTOR, [4, 7], 0, cuts=2)
    with stored(recorded, on_disk=True) as dataset:
        batch = dataset.sample_transitions(
            50,
            goals="future",
            goal_column=f"observations/{escape_key(key)}",
            compute_reward=compute_reward,
        )
    goal_steps = batch.goal_time_steps
    assert goal_steps is not None
    for place, (index, step) in enumerate(zip(batch.episode_ids, batch.time_steps, strict=True)):
        observations = recorded.episodes[int(index)].observations
        achieved = observations[int(step) + 1][key]
        goal = observations[int(goal_steps[place])][key]
        assert batch.rewards[place] == pytest.approx(-np.sum((achieved - goal) ** 2), rel=1e-12)
