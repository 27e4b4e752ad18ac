"""Spaces whose values have no elements."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from minari_collect import DataCollectorV0, VectorDataCollector
from minari_collect import create_dataset_from_collector_env as create
from minari_collect.collectors.vector_environment import DISABLED, NEXT_STEP, SAME_STEP
from minari_core.datasets.dataset import MinariDataset
from tests.collect.helpers.environments import FromSpace
from tests.collect.helpers.vector_twin import vector_of

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None")

HAS_MODES = hasattr(gymnasium.vector, "AutoresetMode")
MODES = [NEXT_STEP, SAME_STEP, DISABLED] if HAS_MODES else [SAME_STEP]
EMPTY = spaces.Box(-1, 1, (0,), np.float32)
SPACES: dict[str, spaces.Space[Any]] = {
    "empty": EMPTY,
    "matrix": spaces.Box(0, 9, (3, 0), np.int64),
    "in a Dict": spaces.Dict({"a": EMPTY, "b": spaces.Box(-1, 1, (2,), np.float32)}),
}


def leaves(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else [value]


def check(dataset: MinariDataset, space: spaces.Space[Any]) -> None:
    wanted = [leaf.shape for leaf in leaves(getattr(space, "spaces", space))]
    assert len(dataset) > 1
    for episode in dataset:
        rows = len(episode) + 1
        assert [leaf.shape for leaf in leaves(episode.observations)] == [
            (rows, *shape) for shape in wanted
        ]
    batch = dataset.sample_transitions(5)
    assert [leaf.shape for leaf in leaves(batch.observations)] == [(5, *s) for s in wanted]
    windows = dataset.sample_sequences(4, 3)
    assert [leaf.shape for leaf in leaves(windows.observations)] == [(4, 3, *s) for s in wanted]
    for some in dataset.batches(4, seed=1):
        assert all(
            leaf.shape[1:] == s for leaf, s in zip(leaves(some.actions), wanted, strict=True)
        )
    dataset.statistics()


@pytest.mark.parametrize("name", SPACES)
def test_an_environment_with_values_without_elements_is_recorded(name: str) -> None:
    collector = DataCollectorV0(FromSpace(SPACES[name], 4), max_buffer_steps=3)
    for _ in range(3):
        collector.reset()
        for _ in range(4):
            collector.step(collector.action_space.sample())

    check(create("tests/a-v0", collector), SPACES[name])


@pytest.mark.parametrize("limits", [{}, {"max_buffer_steps": 1}], ids=str)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", SPACES)
def test_many_environments_with_values_without_elements_are_recorded(
    name: str, mode: str, limits: dict[str, Any]
) -> None:
    envs = VectorDataCollector(vector_of(lambda: FromSpace(SPACES[name], 4), 3, mode), **limits)
    envs.reset()
    for _ in range(14):
        _, _, terminated, truncated, _ = envs.step(envs.action_space.sample())
        if mode == DISABLED and truncated.any():
            envs.reset(options={"reset_mask": terminated | truncated})

    check(create("tests/a-v0", envs), SPACES[name])
