"""What recorders say: where a value does not fit, and once what lies outside of its space."""

from __future__ import annotations

import re
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest

from minari_collect import DataCollectorV0, StepDataCallback, VectorDataCollector
from minari_collect import create_dataset_from_collector_env as create
from minari_collect.recording.column_warnings import RecordingWarnings
from minari_core.errors import DataError
from minari_core.messages import MinariWarning
from tests.collect.helpers.environments import Counter, run_episode

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None")
LIMITS: list[dict[str, Any]] = [
    {}, {"max_buffer_steps": 1}, {"max_buffer_steps": 3}, {"max_buffer_episodes": 1},
]  # fmt: skip


class Breaking(StepDataCallback):
    """Has no observation any more, when it is told so."""

    breaks = False

    def __call__(self, *args: Any, **step: Any) -> dict[str, Any]:
        data = super().__call__(*args, **step)
        return {**data, "observation": None} if self.breaks else data


@pytest.mark.parametrize("limits", LIMITS, ids=str)
def test_a_value_that_does_not_fit_is_named_by_its_episode_and_step(limits: dict[str, Any]) -> None:
    callback = Breaking()
    collector = DataCollectorV0(Counter(4), callback, **limits)
    for seed in range(2):
        run_episode(collector, seed)
    collector.reset(seed=2)
    for _ in range(3):
        collector.step(0)
    callback.breaks = True
    with pytest.raises(DataError, match=r"^episode 2, step 3: observation: NoneType None is not"):
        collector.step(0)
    for _ in range(2):
        with pytest.raises(DataError, match=r"^episode 3, at the reset: observation: NoneType"):
            collector.reset(seed=3)
    callback.breaks = False
    run_episode(collector, 4)
    dataset = create("tests/a-v0", collector)

    assert [(len(e), e.seed) for e in dataset] == [(4, 0), (4, 1), (3, 2), (4, 4)]


class Outside(StepDataCallback):
    """Records actions, or observations, that no space contains, from some step on."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.calls = 0

    def __call__(self, *args: Any, **step: Any) -> dict[str, Any]:
        data = super().__call__(*args, **step)
        self.calls += 1
        if self.calls > 8 and data["action"] is not None:
            data[self.key] = np.full(2, np.nan) if self.key == "observation" else 2000
        return data


@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("num_envs", [1, 2])
@pytest.mark.parametrize(
    ("key", "value", "space"),
    [("observation", "nan, nan", "is not in Box("), ("action", "2000", "is not in Discrete(")],
)
def test_what_is_outside_its_space_is_said_once_and_recorded(
    key: str, value: str, space: str, num_envs: int, limits: dict[str, Any]
) -> None:
    options: dict[str, Any] = {"step_data_callback": Outside(key), **limits}
    envs = gymnasium.vector.SyncVectorEnv([lambda: Counter(5)] * 2)
    collector: Any = (
        DataCollectorV0(Counter(5), **options)
        if num_envs == 1
        else VectorDataCollector(envs, **options)
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            collector.reset()
            for _ in range(5):
                collector.step(0 if num_envs == 1 else np.zeros(2, np.int64))
        dataset = create("tests/a-v0", collector)

    messages = [str(each.message) for each in caught if "recorded as it is" in str(each.message)]
    (message,) = messages
    rule = rf"{key.capitalize()} is not in {key} space\. It is recorded as it is: {key}: "
    assert re.match(rule, message)
    assert value in message
    assert space in message
    recorded = [getattr(episode, f"{key}s") for episode in dataset]
    assert sum(int((np.isnan(rows) | (rows == 2000)).any()) for rows in recorded) >= 2


def test_each_name_is_warned_of_once_and_asked_for_no_more() -> None:
    warned = RecordingWarnings()
    asked: list[str] = []

    def find() -> str | None:
        asked.append("")
        return "wrong" if len(asked) == 2 else None

    for expected in ([], ["Action is not in action space. It is recorded as it is: wrong"], [], []):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", MinariWarning)
            warned.warn_outside("action", find)
        assert [str(each.message) for each in caught] == expected
    assert len(asked) == 2
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MinariWarning)
        for _ in range(2):
            warned.warn_dropped({"a": "odd"}, {"b": "odder", "action": "known"})
            warned.warn_always_none(["a", "c"])
    assert [str(each.message) for each in caught] == [
        "a was left out, because no column can hold it: odd",
        "b was left out, because no column can hold it: odder",
        "c was None wherever it was given, so the dataset does not have it",
    ]
