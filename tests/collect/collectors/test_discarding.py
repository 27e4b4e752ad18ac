"""A collector that goes on after what it has recorded was discarded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from minari_collect import DataCollectorV0, VectorDataCollector
from minari_collect.collectors.vector_environment import NEXT_STEP, SAME_STEP
from minari_core.errors import RecordingError
from tests.collect.helpers.environments import Counter, run_episode
from tests.collect.helpers.saving import saved
from tests.collect.helpers.vector_twin import vector_of

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None")

# Kept in memory, in the staging folder, and in pieces of episodes there.
LIMITS: list[dict[str, Any]] = [{}, {"max_buffer_episodes": 1}, {"max_buffer_steps": 4}]


class Telling(Counter):
    """Has infos of its early episodes that later ones do not have."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        *result, info = super().step(action)
        return (*result, {"early": self.seed, **info} if self.seed in (1, 2) else {})


def is_empty(root: Path) -> bool:
    return not [path for path in root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("steps", [None, 2])
def test_nothing_of_before_is_in_what_is_recorded_later(
    limits: dict[str, Any], steps: int | None, datasets_root: Path
) -> None:
    env = Telling(length=9)
    collector = DataCollectorV0(env, record_infos=True, **limits)
    for seed in (1, 2):
        run_episode(collector, seed, steps if seed == 2 else None)
    collector.discard()

    assert (collector.unsaved_episodes, collector.buffered_steps) == (0, 0)
    assert is_empty(datasets_root)
    with pytest.raises(RecordingError, match="before reset"):
        collector.step(0)
    assert env.count == (9 if steps is None else steps)
    for seed in (3, 4):
        run_episode(collector, seed, 3 if seed == 4 else None)
    assert collector.unsaved_episodes == 2
    assert_counted(saved(collector), {3: 9, 4: 3})


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("steps", [8, 9, 40])
@pytest.mark.parametrize("mode", [NEXT_STEP, SAME_STEP])
def test_nothing_of_before_is_in_what_many_environments_record_later(
    limits: dict[str, Any], steps: int, mode: str, datasets_root: Path
) -> None:
    lengths = iter([9, 1000])
    envs = vector_of(lambda: Telling(next(lengths)), 2, mode)
    collector = VectorDataCollector(envs, record_infos=True, **limits)
    for _ in range(2):
        collector.reset(seed=[1, 2], options={"of": "before"})
        for step in range(steps):
            collector.step(np.full(2, step))
    collector.discard()

    assert (collector.unsaved_episodes, collector.buffered_steps) == (0, 0)
    assert is_empty(datasets_root)
    with pytest.raises(RecordingError, match="before"):
        collector.step(np.zeros(2, dtype=np.int64))
    collector.reset(seed=[3, 4])
    for step in range(12):
        collector.step(np.full(2, step))
    assert collector.unsaved_episodes == 3
    # Releases of Gymnasium without modes reset in the same step.
    has_modes = hasattr(gymnasium.vector, "AutoresetMode")
    more = 2 if has_modes and mode == NEXT_STEP else 3
    assert_counted(saved(collector), {3: 9, 4: 12, None: more}, first=12 - more)


def assert_counted(dataset: Any, lengths: dict[int | None, int], first: int = 0) -> None:
    assert {episode.seed: len(episode) for episode in dataset} == lengths
    for episode in dataset:
        steps = len(episode)
        assert episode.options in (None, {})
        seed = episode.seed or 0
        assert episode.observations.tolist() == [[seed, step] for step in range(steps + 1)]
        begun = 0 if seed else first
        assert episode.actions.tolist() == list(range(begun, begun + steps))
        assert episode.truncations.any() != episode.terminations.any()
        assert set(episode.infos) <= {"count"}
