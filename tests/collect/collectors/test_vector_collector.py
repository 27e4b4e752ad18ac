"""A vector environment's episodes are those of single environments, whatever resets them."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from minari_collect import StepDataCallback
from minari_collect.collectors.vector_environment import DISABLED, NEXT_STEP, SAME_STEP
from tests.collect.helpers.vector_twin import (
    DictSpaces,
    MakeEnv,
    OneStep,
    Words,
    assert_same_episodes,
    registered,
    run,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*is (set to )?None", "ignore:.*is recorded as it is", "ignore:.*obs returned by"
)

HAS_MODES = hasattr(gymnasium.vector, "AutoresetMode")
MODES = [NEXT_STEP, SAME_STEP, DISABLED] if HAS_MODES else [SAME_STEP]
LANDER = "LunarLander-v3" if "LunarLander-v3" in gymnasium.registry else "LunarLander-v2"
CHEETAH = "HalfCheetah-v5"
ENVIRONMENTS: dict[str, tuple[MakeEnv, int]] = {
    "CartPole": (registered("CartPole-v1"), 120),
    "FrozenLake": (registered("FrozenLake-v1"), 80),
    "LunarLander": (registered(LANDER), 160),
    "DictSpaces": (DictSpaces, 60),
    "OneStep": (OneStep, 12),
    "Words": (Words, 25),
}
if CHEETAH in gymnasium.registry:
    ENVIRONMENTS["HalfCheetah"] = (registered(CHEETAH, max_episode_steps=15), 50)

every_mode = pytest.mark.parametrize("mode", MODES)


@every_mode
@pytest.mark.parametrize("record_infos", [False, True], ids=["without infos", "with infos"])
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_episodes_are_those_of_single_environments(
    name: str, mode: str, record_infos: bool
) -> None:
    if name == "FrozenLake" and record_infos and mode != DISABLED:
        pytest.skip("its probability is an int after resets, which Gymnasium batches as ints")
    make, steps = ENVIRONMENTS[name]

    dataset, wanted = run(make, mode, steps, record_infos=record_infos)

    assert len(wanted) > 3
    assert_same_episodes(dataset, wanted)


@every_mode
@pytest.mark.parametrize("limits", [{"max_buffer_steps": 1}, {"max_buffer_episodes": 2}], ids=str)
@pytest.mark.parametrize("name", ["CartPole", "DictSpaces", "OneStep", "Words"])
def test_small_buffers_change_nothing(name: str, mode: str, limits: dict[str, Any]) -> None:
    make, steps = ENVIRONMENTS[name]

    dataset, wanted = run(make, mode, steps, record_infos=True, **limits)

    assert_same_episodes(dataset, wanted)


@every_mode
@pytest.mark.parametrize("limits", [{}, {"max_buffer_steps": 20}], ids=str)
@pytest.mark.parametrize("name", ["CartPole", "DictSpaces", "OneStep"])
def test_resets_in_the_middle_cut_episodes(name: str, mode: str, limits: dict[str, Any]) -> None:
    make, steps = ENVIRONMENTS[name]

    dataset, wanted = run(make, mode, steps, reset_at=[7, 8, 30], record_infos=True, **limits)

    assert_same_episodes(dataset, wanted)


@pytest.mark.skipif(not HAS_MODES, reason="resets by mask are newer")
@every_mode
@pytest.mark.parametrize(
    "limits", [{}, {"max_buffer_steps": 20}, {"max_buffer_episodes": 1}], ids=str
)
@pytest.mark.parametrize("name", ["CartPole", "DictSpaces", "OneStep"])
def test_one_environment_can_be_reset_alone(name: str, mode: str, limits: dict[str, Any]) -> None:
    make, steps = ENVIRONMENTS[name]

    dataset, wanted = run(make, mode, steps, cut_at=[3, 4, 5, 9, 28], record_infos=True, **limits)

    assert_same_episodes(dataset, wanted)


class Doubling(StepDataCallback):
    """Changes what is recorded, adds a column, and cuts episodes."""

    def __call__(self, env: Any, obs: Any, info: Any, *arguments: Any, **step: Any) -> Any:
        data = super().__call__(env, obs, info, *arguments, **step)
        data["observation"] = np.asarray(obs) * 2
        data["doubled"] = float(np.sum(obs))
        if step.get("action") is not None and float(np.sum(obs)) > 1.0:
            data["truncated"] = True
        return data


@every_mode
@pytest.mark.parametrize("limits", [{}, {"max_buffer_steps": 20}], ids=str)
def test_a_callback_sees_single_steps_and_decides_what_is_recorded(
    mode: str, limits: dict[str, Any]
) -> None:
    make, steps = ENVIRONMENTS["CartPole"]

    dataset, wanted = run(
        make, mode, steps, step_data_callback=Doubling, record_infos=True, **limits
    )

    assert_same_episodes(dataset, wanted)
