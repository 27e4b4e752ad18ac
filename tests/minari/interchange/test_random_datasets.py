"""Random datasets go through every layout that holds them, and come back equal."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

import minari
from minari import EpisodeBuffer
from minari.interchange.layouts import recognize_layout
from minari_core.testing.expectations import expect_same_episode

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")

ARRAYS: list[spaces.Space[Any]] = [
    spaces.Box(-np.inf, np.inf, (3,), np.float64),
    spaces.Box(-1, 1, (2, 2), np.float32),
    spaces.Box(0, 255, (4, 4, 3), np.uint8),
    spaces.Discrete(5, start=-2),
    spaces.MultiBinary(3),
]
TREES: list[spaces.Space[Any]] = [
    spaces.Dict({"side": spaces.Discrete(3), "arm": spaces.Dict({"joints": ARRAYS[0]})}),
    spaces.Dict({"é 😀": spaces.MultiDiscrete([2, 300]), "image": ARRAYS[2]}),
]
TUPLES: list[spaces.Space[Any]] = [spaces.Tuple([ARRAYS[1], spaces.Discrete(2)])]
LAYOUTS = {
    "parquet": [*ARRAYS, *TREES],
    "robomimic": [*ARRAYS, *TREES, *TUPLES],
    "isaaclab": [*ARRAYS, *TREES, *TUPLES],
    "d4rl": [*ARRAYS, *TREES],
    "ogbench": ARRAYS,
}
NAMES = {"robomimic": "x.hdf5", "isaaclab": "x.hdf5", "d4rl": "x.hdf5", "ogbench": "x.npz"}

numbers = st.floats(width=32) | st.sampled_from([np.nan, np.inf, -0.0])
facts = st.dictionaries(
    st.text(max_size=3), st.none() | st.integers(-5, 5) | st.text(max_size=3), max_size=2
)


@st.composite
def infos(draw: st.DrawFn, rows: int) -> dict[str, Any]:
    """Columns that may be numbers, vectors, text, nested, or have gaps."""
    found: dict[str, Any] = {}
    for key in draw(st.sets(st.sampled_from(["time", "qpos", "note", "gap", "deep"]))):
        values = draw(st.lists(numbers, min_size=rows, max_size=rows))
        if key == "qpos":
            found[key] = np.array([values, values], np.float64).T
        elif key == "note":
            found[key] = [f"{value}" for value in values]
        elif key == "gap":
            found[key] = [value if row % 2 else None for row, value in enumerate(values)]
        elif key == "deep":
            found[key] = {"inner": np.array(values, np.float32)}
        else:
            found[key] = np.array(values)
    return found


@st.composite
def episodes(
    draw: st.DrawFn, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
) -> list[EpisodeBuffer]:
    """One to three episodes that end either way, or both at once."""
    seed = draw(st.integers(0, 100))
    observation_space.seed(seed)
    action_space.seed(seed)
    made = []
    for _ in range(draw(st.integers(1, 3))):
        steps = draw(st.integers(1, 3))
        terminated, truncated = draw(st.sampled_from([(True, False), (False, True), (True, True)]))
        last = np.arange(steps) == steps - 1
        made.append(
            EpisodeBuffer(
                observations=_join([observation_space.sample() for _ in range(steps + 1)]),
                actions=_join([action_space.sample() for _ in range(steps)]),
                rewards=np.array(draw(st.lists(numbers, min_size=steps, max_size=steps))),
                terminations=last & terminated,
                truncations=last & truncated,
                infos=draw(infos(steps + 1)) or None,
                seed=draw(st.none() | st.integers(0, 2**64 - 1)),
                options=draw(st.none() | facts) or None,
                metadata=draw(facts),
            )
        )
    return made


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_a_layout_holds_comes_back_equal(layout: str) -> None:
    @settings(max_examples=6)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        observation_space = data.draw(st.sampled_from(LAYOUTS[layout]))
        action_space = data.draw(st.sampled_from(ARRAYS))
        buffers = data.draw(episodes(observation_space, action_space))
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setenv("MINARI_DATASETS_PATH", folder)
            dataset = minari.create_dataset_from_buffers(
                "random-v0",
                buffers,
                observation_space=observation_space,
                action_space=action_space,
            )
            path = Path(folder, NAMES.get(layout, "folder"))
            minari.export_dataset(dataset, path, layout)
            found = recognize_layout(path)
            made = minari.import_dataset(path, "again-v0")
            assert found is not None
            assert found.name == layout
            assert made.observation_space == observation_space
            assert made.action_space == action_space
            for episode, again in zip(dataset, made, strict=True):
                expect_same_episode(episode, again)

    check()


def _join(values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, dict):
        return {key: _join([value[key] for value in values]) for key in first}
    if isinstance(first, tuple):
        return tuple(_join([value[index] for value in values]) for index in range(len(first)))
    return np.stack(values)
