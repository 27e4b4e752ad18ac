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


def step(info: object, **changes: Any) -> dict[str, Any]:
    flags = {"terminated": False, "truncated": False}
    return {"observation": 1, "action": 0, "reward": 0.0, **flags, "info": info, **changes}


@pytest.mark.parametrize("as_list", [False, True])
def test_the_first_info_is_one_row(as_list: bool) -> None:
    def make_info(row: int) -> dict[str, Any]:
        inner = {"deep": {"level": np.int16(row)}, "said": f"é{row}"}
        return {"x": float(row), "place": np.array([row, row + 1.0]), "inner": inner, "path": [row]}

    first: dict[str, Any] = make_info(0)
    if as_list:
        inner = {"deep": {"level": [np.int16(0)]}, "said": ["é0"]}
        first = {"x": [0.0], "place": [np.array([0, 1.0])], "inner": inner, "path": [[0]]}
    buffer = EpisodeBuffer(observations=0, infos=first)
    for row in (1, 2):
        buffer = buffer.add_step_data(step(make_info(row)))
    assert first["inner"]["said"] == (["é0"] if as_list else "é0")
    (episode,) = create("tests/first-v0", buffer=[buffer], observation_space=MOVE)
    expect_same(episode.infos["x"], np.arange(3.0))
    expect_same(episode.infos["place"], np.array([[0, 1], [1, 2], [2, 3.0]]))
    expect_same(episode.infos["inner"]["deep"]["level"], np.arange(3, dtype=np.int16))
    assert episode.infos["inner"]["said"] == ["é0", "é1", "é2"]
    expect_same(episode.infos["path"], np.arange(3)[:, None])


def test_a_first_info_of_lists_is_one_row_beside_values_that_are_none() -> None:
    buffer = EpisodeBuffer(observations=0, infos={"path": [7], "lives": 3})
    buffer.add_step_data(step({"lives": 2}))
    assert buffer.infos == {"path": [[7], None], "lives": [3, 2]}


def test_columns_that_are_given_with_their_steps_are_appended_to() -> None:
    flags = [False]
    buffer = EpisodeBuffer(
        observations=[0, 1],
        actions=[0],
        rewards=[1.0],
        terminations=flags,
        truncations=[False],
        infos={"x": np.array([5, 6]), "inner": {"y": [1, 2]}},
    )
    buffer.add_step_data(step({"x": 7, "inner": {"y": 3, "z": 4}}))
    assert buffer.infos == {"x": [5, 6, 7], "inner": {"y": [1, 2, 3], "z": [None, None, 4]}}


def test_infos_that_come_late_or_change_their_kind_are_rows_without_a_value_before() -> None:
    buffer = EpisodeBuffer(observations=0)
    deep: dict[str, Any] = {}
    deep["self"] = deep
    infos: list[Any] = [None, {"x": {"y": 1}}, {"x": {}}, {"x": 5, "deep": deep}]
    for info in infos:
        buffer.add_step_data(step(info))
    assert buffer.infos is not None
    assert buffer.infos["x"] == [None, None, {"y": 1}, None, 5]
    (episode,) = create("tests/late-v0", buffer=[buffer], observation_space=MOVE)
    assert episode.infos["x"] == [None, None, {"y": 1}, None, 5]
