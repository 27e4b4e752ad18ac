"""Buffers that grow step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from minari_core import (
    EpisodeBuffer,
)
from minari_core.errors import (
    DataError,
)
from minari_core.testing.expectations import expect_same
from tests.core.helpers.numbered import (
    MOVE,
    POSITION,
    create,
)

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


def test_a_buffer_that_grows_step_by_step_is_an_episode() -> None:
    observation = np.zeros(2)
    for first in ([{"p": np.zeros(2), "t": (0, "a")}], {"p": np.zeros(2), "t": (0, "a")}):
        buffer = EpisodeBuffer(observations=first, infos={"x": [0]})
        for step in range(1, 3):
            observation[:] = step
            buffer.add_step_data(
                {
                    "observation": {"p": observation, "t": (step, "b")},
                    "action": step,
                    "reward": step,
                    "terminated": False,
                    "truncated": step == 2,
                    "info": {"x": step, "y": observation} if step == 2 else None,
                }
            )
        space = spaces.Dict(p=POSITION, t=spaces.Tuple([spaces.Discrete(9), spaces.Text(2)]))
        name = f"tests/grown-v{int(isinstance(first, list))}"
        (episode,) = create(name, buffer=[buffer], observation_space=space)
        expect_same(episode.observations["p"], np.array([[0.0, 0], [1, 1], [2, 2]]))
        expect_same(episode.observations["t"], (np.arange(3), ["a", "b", "b"]))
        assert episode.infos["x"].tolist() == [0, None, 2]
        expect_same(episode.infos["y"][2].data, np.array([2.0, 2.0]))


@pytest.mark.parametrize(
    ("space", "values"),
    [
        (spaces.Sequence(spaces.Discrete(3)), [(), (1,), (1, 2)]),
        (spaces.Text(3), ["", "a", "bb"]),
        (spaces.Tuple([MOVE, MOVE]), [(0, 1), (1, 2), (2, 0)]),
    ],
)
def test_a_buffer_grows_by_values_of_any_space(space: spaces.Space[Any], values: list[Any]) -> None:
    buffer = EpisodeBuffer(observations=[values[0]])
    for value in values[1:]:
        buffer.add_step_data(
            {"observation": value, "action": 0, "reward": 0, "terminated": 0, "truncated": 0}
        )
    assert buffer.observations == values
    (episode,) = create("tests/any-v0", buffer=[buffer], observation_space=space)
    assert len(episode) == 2


def test_a_step_without_its_parts_is_refused_before_anything_is_appended() -> None:
    buffer = EpisodeBuffer(observations=[0])
    with pytest.raises(DataError, match="truncated"):
        buffer.add_step_data({"observation": 1, "action": 0, "reward": 1.0, "terminated": True})
    assert (buffer.observations, len(buffer)) == ([0], 0)
