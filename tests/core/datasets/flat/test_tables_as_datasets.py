"""What a table and a caller say of a dataset, and whose word counts."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pyarrow as pa
import pytest
from gymnasium import spaces

from minari_core import (
    DataError,
    DatasetExistsError,
    FormatError,
    create_dataset_from_table,
    load_dataset,
)
from tests.core.helpers.recorded import DESCRIBED

SAID: Any = DESCRIBED
pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")
CART_POLE = gymnasium.spec("CartPole-v1").make()
BOX = spaces.Box(-9, 9, (4,), np.float32)


def make_table(**columns: Any) -> pa.Table:
    rows = pa.array(np.arange(8, dtype=np.float32))
    table: dict[str, Any] = {
        "episode_id": [0, 0],
        "observation": pa.FixedSizeListArray.from_arrays(rows, 4),
        "action": [0, 1],
        "reward": [1.0, 1.0],
        "terminated": [False, True],
        "info.x": [1, 2],
        **columns,
    }
    return pa.table(table)


@pytest.mark.parametrize(
    ("given", "observations", "actions"),
    [
        ({}, spaces.Box(-np.inf, np.inf, (4,), np.float32), spaces.Discrete(2)),
        ({"env": "CartPole-v1"}, CART_POLE.observation_space, CART_POLE.action_space),
        ({"env": "CartPole-v1", "observation_space": BOX}, BOX, CART_POLE.action_space),
        (
            {"env": "CartPole-v1", "action_space": spaces.Discrete(7)},
            CART_POLE.observation_space,
            spaces.Discrete(7),
        ),
        (
            {"env": "CartPole-v1", "observation_space": BOX, "action_space": spaces.Discrete(7)},
            BOX,
            spaces.Discrete(7),
        ),
        ({"observation_space": BOX}, BOX, spaces.Discrete(2)),
    ],
)
def test_spaces_are_given_or_those_of_the_environment_or_the_widest(
    given: dict[str, Any], observations: Any, actions: Any
) -> None:
    made = create_dataset_from_table("tests/x-v0", make_table(), **given, **SAID)
    assert made.observation_space == observations
    assert made.action_space == actions
    assert (made.env_spec is not None) is ("env" in given)
    assert load_dataset("tests/x-v0").observation_space == observations
    assert made[0].infos["x"].tolist() == [None, 1, 2]


def test_what_the_table_says_goes_before_the_environment() -> None:
    table = create_dataset_from_table(
        "tests/x-v0", make_table(), observation_space=BOX, step_infos=["x"], **SAID
    ).to_arrow()
    made = create_dataset_from_table("tests/y-v0", table, **{**SAID, "author": "other"})
    assert made.observation_space == BOX
    assert made.metadata["step_infos"] == ["x"]
    assert made.metadata["author"] == ["other"]
    assert np.asarray(made[0].infos["x"][:2]).tolist() == [1, 2]
    denied = create_dataset_from_table("tests/z-v0", table, step_infos=[], **SAID)
    assert denied.metadata.get("step_infos", []) == []


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        ({"steps": None}, DataError, "^steps is not given; give a table of one row a step$"),
        ({"data_format": "none"}, FormatError, "none"),
        ({"step_infos": ["y"]}, DataError, "y"),
        ({"authors": "x"}, TypeError, "unexpected keyword argument 'authors'"),
        ({"dataset_name": "tests/there-v0"}, DatasetExistsError, "there-v0"),
        (
            {"steps": make_table(observation=["a", "b"])},
            DataError,
            "^column 'observation' is no column of numbers; give observation_space$",
        ),
    ],
)
def test_what_makes_no_dataset_is_refused_and_leaves_nothing(
    arguments: dict[str, Any], kind: type[Exception], said: str
) -> None:
    create_dataset_from_table("tests/there-v0", make_table(), **SAID)
    given: dict[str, Any] = {"dataset_name": "tests/x-v0", "steps": make_table(), **SAID}
    with pytest.raises(kind, match=said):
        create_dataset_from_table(**{**given, **arguments})
    create_dataset_from_table("tests/x-v0", make_table(), **SAID)
