"""What a dataset does not have, though it was recorded, is said once, when the dataset is made."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest

from minari_collect import DataCollectorV0, VectorDataCollector, collect_dataset
from minari_collect import create_dataset_from_collector_env as create
from minari_core.messages import MinariWarning
from tests.collect.helpers.environments import Counter, run_episode
from tests.collect.helpers.vector_twin import vector_of

CARD: Any = {
    "algorithm_name": "a", "author": "b", "author_email": "c@d", "code_permalink": "e",
}  # fmt: skip


class Nothing(Counter):
    """Has infos that are None: always, inside a dict, or in its first episodes."""

    def _info(self, info: dict[str, Any]) -> dict[str, Any]:
        late = 1.0 if self.seed > 1 else None
        return {**info, "never": None, "inner": {"never": None, "n": 1}, "late": late}

    def reset(self, **arguments: Any) -> tuple[Any, dict[str, Any]]:
        observation, info = super().reset(**arguments)
        return observation, self._info(info)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        *result, info = super().step(action)
        return (*result, self._info(info))


def warned(make: Callable[[], object]) -> list[str]:
    """The warnings of a call, which point at this file."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make()
    assert {w.filename for w in caught if issubclass(w.category, MinariWarning)} <= {__file__}
    return [str(w.message) for w in caught if issubclass(w.category, MinariWarning)]


def never(messages: list[str]) -> list[str]:
    return sorted(m.partition(" was None")[0] for m in messages if " was None " in m)


@pytest.mark.parametrize("limits", [{}, {"max_buffer_steps": 3}], ids=str)
def test_an_info_that_is_always_none_is_named_once(limits: dict[str, Any]) -> None:
    collector = DataCollectorV0(Nothing(), record_infos=True, **limits)
    for seed in (1, 2):
        run_episode(collector, seed)
    messages = warned(lambda: create("tests/a-v0", collector, **CARD))
    assert never(messages) == ["infos['inner']['never']", "infos['never']"]
    run_episode(collector, seed=3)

    assert never(warned(lambda: create("tests/b-v0", collector, **CARD))) == []
    collector.close()


def test_an_info_of_many_environments_that_is_always_none_is_named_once() -> None:
    envs = VectorDataCollector(vector_of(Nothing, 2, "SameStep"), record_infos=True)
    envs.reset(seed=[1, 2])
    for _ in range(7):
        envs.step(np.zeros(2, np.int64))

    messages = warned(lambda: create("tests/a-v0", envs, **CARD))
    assert never(messages) == ["infos['inner']['never']", "infos['never']"]


def test_infos_that_are_not_recorded_are_not_warned_of() -> None:
    collector = DataCollectorV0(Nothing())
    run_episode(collector, 1)

    assert never(warned(lambda: create("tests/a-v0", collector, **CARD))) == []


def act(observation: Any) -> int:
    return 1


def test_a_run_of_many_tasks_names_what_was_none_in_all_of_them() -> None:
    def make() -> None:
        collect_dataset(
            "tests/a-v0", Nothing, act, total_episodes=4, workers=1, seed=1,
            record_infos=True, progress=False, **CARD,
        )  # fmt: skip

    messages = warned(make)
    assert never(messages) == ["infos['inner']['never']", "infos['never']"]
    assert sum("env_spec is None" in message for message in messages) == 1


def test_an_environment_without_a_spec_is_told_once_when_the_dataset_is_made() -> None:
    collector = DataCollectorV0(Counter())
    run_episode(collector, 1)
    (message,) = warned(lambda: create("tests/a-v0", collector, **CARD))

    assert "env_spec is None" in message
    assert "make it with gymnasium.make" in message


def test_an_environment_with_a_spec_is_not_warned_of() -> None:
    collector = DataCollectorV0(gymnasium.make("CartPole-v1"))
    collector.reset(seed=1)
    collector.step(0)

    assert warned(lambda: create("tests/a-v0", collector, **CARD)) == []
