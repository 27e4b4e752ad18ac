"""What is looked up of a batch is converted with it."""

from __future__ import annotations

import numpy as np

from minari_core.integrations.conversion import convert_batch
from tests.core.helpers.recorded import VECTOR, record, stored


def test_a_converted_batch_says_where_its_goals_are_from() -> None:
    with stored(record(VECTOR, VECTOR, [4, 9], 0), on_disk=False) as dataset:
        batch = dataset.sample_transitions(6, goals={"random": 1, "final": 1})
        converted = convert_batch(batch, np.ndarray.tolist)
        for name in ("episode_ids", "time_steps", "goal_episode_ids", "goal_time_steps"):
            assert converted[name] == getattr(batch, name).tolist()
        without = convert_batch(dataset.sample_transitions(6), np.ndarray.tolist)
        assert "goal_time_steps" not in without
        assert "goal_episode_ids" not in without


def test_windows_are_converted_without_goals() -> None:
    with stored(record(VECTOR, VECTOR, [4, 9], 0), on_disk=False) as dataset:
        batch = dataset.sample_sequences(3, 2, columns=["actions", "next_actions"])
        converted = convert_batch(batch, np.ndarray.tolist)
        assert set(converted) == {"actions", "columns", "mask", "time_steps", "episode_ids"}
        next_actions = converted["columns"]["next_actions"]
        assert np.shape(next_actions["values"]) == np.shape(next_actions["present"]) == (3, 2, 3)
