"""How much is held in memory: as much as was asked for, and no more."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from minari_collect import DataCollectorV0, StepDataCallback, VectorDataCollector
from minari_collect.collectors.vector_environment import NEXT_STEP, SAME_STEP
from minari_collect.recording import episode_recorder, vector_recorder
from tests.collect.helpers.environments import Counter
from tests.collect.helpers.saving import saved
from tests.collect.helpers.vector_twin import vector_of

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None")


def collector_of(num_envs: int, **options: Any) -> DataCollectorV0 | VectorDataCollector:
    """A collector of one environment or many, whose episodes do not end."""
    if num_envs == 1:
        return DataCollectorV0(Counter(10**6), **options)
    return VectorDataCollector(vector_of(lambda: Counter(10**6), num_envs, NEXT_STEP), **options)


def step_through(collector: Any, steps: int, num_envs: int) -> list[int]:
    """Step so often, and return how many steps were in memory after each."""
    collector.reset(seed=3)
    held = []
    for step in range(steps):
        collector.step(step if num_envs == 1 else np.full(num_envs, step))
        held.append(collector.buffered_steps)
    return held


@pytest.mark.parametrize("num_envs", [1, 2])
@pytest.mark.parametrize(("limit", "steps"), [(2, 12), (10, 40), (257, 600), (300, 700)])
def test_no_more_steps_are_held_than_was_asked_for(num_envs: int, limit: int, steps: int) -> None:
    collector = collector_of(num_envs, max_buffer_steps=limit)
    held = step_through(collector, steps, num_envs)

    # At least three of each of many environments.
    most = limit if num_envs == 1 else max(limit, 3 * num_envs)
    assert most - num_envs <= max(held) <= most
    for number, episode in enumerate(saved(collector)):
        assert episode.observations.tolist() == [[3 + number, step] for step in range(steps + 1)]
        assert episode.actions.tolist() == list(range(steps))


@pytest.mark.parametrize("num_envs", [1, 2])
def test_large_values_are_held_as_far_as_they_take_so_much_memory(
    num_envs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_recorder, "_NBYTES_PER_ENV", 0)
    for recorder in (episode_recorder, vector_recorder):
        # Of a step, two numbers are observed and one is the action.
        monkeypatch.setattr(recorder, "_DEFAULT_NBYTES", 300 * 3 * 8)
    held = step_through(collector_of(num_envs), 700, num_envs)

    assert 290 <= max(held) <= 300


class Heavy(StepDataCallback):
    """Adds ten kilobytes that are not in the infos."""

    def __call__(self, *args: Any, **step: Any) -> dict[str, Any]:
        data = super().__call__(*args, **step)
        data["picture"] = np.full(10_000, len(data["info"]), dtype=np.uint8)
        return data


class HeavyInfo(StepDataCallback):
    def __call__(self, *args: Any, **step: Any) -> dict[str, Any]:
        data = super().__call__(*args, **step)
        data["info"] = {**data["info"], "picture": np.full(10_000, 1, dtype=np.uint8)}
        return data


@pytest.mark.parametrize("num_envs", [1, 2])
@pytest.mark.parametrize("callback", [Heavy, HeavyInfo])
def test_heavy_extras_and_infos_do_not_stay_in_memory(
    num_envs: int, callback: type[StepDataCallback], monkeypatch: pytest.MonkeyPatch
) -> None:
    for recorder in (episode_recorder, vector_recorder):
        monkeypatch.setattr(recorder, "_DEFAULT_NBYTES", 100_000)
    collector = collector_of(num_envs, step_data_callback=callback, record_infos=True)
    held = step_through(collector, 60, num_envs)

    # Without a picture, more than all 60 steps would have been held.
    assert 4 <= max(held) <= 12
    for episode in saved(collector):
        pictures = episode.extras if callback is Heavy else episode.infos
        assert pictures is not None
        assert pictures["picture"].shape == (61, 10_000)
        assert pictures["picture"].all()
        assert episode.observations[:, 1].tolist() == list(range(61))


@pytest.mark.parametrize("num_envs", [1, 2, 3])
@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_episodes_are_held_until_there_are_as_many_as_was_asked_for(
    num_envs: int, limit: int
) -> None:
    length = 2
    make = partial(Counter, length)
    collector: Any = (
        DataCollectorV0(make(), max_buffer_episodes=limit)
        if num_envs == 1
        else VectorDataCollector(vector_of(make, num_envs, SAME_STEP), max_buffer_episodes=limit)
    )
    written = ended = 0
    # What was recorded before a discard counts no more.
    for until in (5, 9):
        collector.reset(seed=3)
        for step in range(until * length):
            collector.step(step if num_envs == 1 else np.full(num_envs, step))
            if step % length == length - 1:
                ended += num_envs
                if num_envs == 1:
                    collector.reset()
            if ended - written >= limit:
                written = ended
            assert collector._staging.total_episodes == written
        collector.discard()
        written = ended = 0
    collector.close()
