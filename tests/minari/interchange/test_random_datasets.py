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
    spaces.Box(0, 255, (8, 9, 3), np.uint8),
    spaces.Discrete(5, start=-2),
    spaces.MultiBinary(3),
]
TREES: list[spaces.Space[Any]] = [
    spaces.Dict({"side": spaces.Discrete(3), "arm": spaces.Dict({"joints": ARRAYS[0]})}),
    spaces.Dict({"é 😀": spaces.MultiDiscrete([2, 300]), "image": ARRAYS[2]}),
    spaces.Dict({"one channel": spaces.Box(0, 255, (8, 8, 1), np.uint8), "-": ARRAYS[0]}),
]
TUPLES: list[spaces.Space[Any]] = [spaces.Tuple([ARRAYS[1], spaces.Discrete(2)])]
SLASHED = spaces.Dict({"a/b.c": spaces.Discrete(2), "%2F": ARRAYS[1]})
OTHERS: list[spaces.Space[Any]] = [
    SLASHED,
    spaces.Text(4),
    spaces.Sequence(spaces.Box(-1, 1, (2,), np.float32)),
    spaces.Graph(spaces.Box(-1, 1, (2,), np.float32), spaces.Discrete(3)),
]
LAYOUTS = {
    "bundle": [*ARRAYS, *TREES, *TUPLES, *OTHERS],
    "parquet": [*ARRAYS, *TREES, *TUPLES, *OTHERS],
    "lerobot": [*ARRAYS, *TREES, *TUPLES, *OTHERS],
    "rlds": [*ARRAYS, *TREES, *TUPLES, *OTHERS[:2]],
    "robomimic": [*ARRAYS, *TREES, *TUPLES],
    "isaaclab": [*ARRAYS, *TREES, *TUPLES],
    "d4rl": [*ARRAYS, *TREES],
    "dsrl": [*ARRAYS, *TREES],
    "ogbench": ARRAYS,
}
SUFFIXES = {**dict.fromkeys(["robomimic", "isaaclab", "d4rl", "dsrl"], ".hdf5"), "ogbench": ".npz"}
KNOWING = ("dsrl", "ogbench")
"""Layouts that have the final observation of every episode."""
WRITING: dict[str, dict[str, Any]] = {
    "parquet": {"as_json": True},
    "lerobot": {"fps": 10, "task": "any"},
}

numbers = st.floats(width=32) | st.sampled_from([np.nan, np.inf, -0.0])
facts = st.dictionaries(
    st.text(max_size=3), st.none() | st.integers(-5, 5) | st.text(max_size=3), max_size=2
)


@st.composite
def infos(draw: st.DrawFn, rows: int) -> dict[str, Any]:
    """Columns that may be numbers, vectors, images, text, both, nested, or have gaps."""
    found: dict[str, Any] = {}
    kinds = ["time", "qpos", "note", "gap", "deep", "shot", "ragged", "either"]
    for key in draw(st.sets(st.sampled_from(kinds))):
        values = draw(st.lists(numbers, min_size=rows, max_size=rows))
        if key == "qpos":
            found[key] = np.array([values, values], np.float64).T
        elif key == "note":
            found[key] = [f"{value}" for value in values]
        elif key == "gap":
            found[key] = [value if row % 2 else None for row, value in enumerate(values)]
        elif key == "either":
            found[key] = [row if row % 2 else "odd" for row in range(rows)]
        elif key == "ragged":
            found[key] = [np.arange(row) for row in range(rows)]
        elif key == "shot":
            found[key] = np.full((rows, 8, 8), 7, np.uint8)
        elif key == "deep":
            found[key] = {"inner": np.array(values, np.float32)}
        else:
            found[key] = np.array(values)
    return found


@st.composite
def episodes(
    draw: st.DrawFn,
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
    *,
    knows_finals: bool,
    cost_name: str | None,
) -> list[EpisodeBuffer]:
    """One to three episodes that end either way, or both at once, some of them nobody knows how."""
    seed = draw(st.integers(0, 100))
    observation_space.seed(seed)
    action_space.seed(seed)
    made = []
    for _ in range(draw(st.integers(1, 3))):
        steps = draw(st.integers(1, 3))
        terminated, truncated = draw(st.sampled_from([(True, False), (False, True), (True, True)]))
        last = np.arange(steps) == steps - 1
        rows = steps + (knows_finals or draw(st.booleans()))
        cost = {} if cost_name is None else {cost_name: np.arange(steps + 1.0)}
        made.append(
            EpisodeBuffer(
                observations=_draw_rows(observation_space, rows),
                actions=_draw_rows(action_space, steps),
                rewards=np.array(draw(st.lists(numbers, min_size=steps, max_size=steps))),
                terminations=last & terminated,
                truncations=last & truncated,
                infos={**cost, **draw(infos(steps + 1))} or None,
                extras=draw(infos(steps + 1)) or None,
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
        cost = data.draw(st.sampled_from(["cost", "costs"]))
        buffers = data.draw(
            episodes(
                observation_space,
                action_space,
                knows_finals=layout in KNOWING,
                cost_name=cost if layout == "dsrl" else None,
            )
        )
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setenv("MINARI_DATASETS_PATH", folder)
            dataset = minari.create_dataset_from_buffers(
                "random-v0",
                buffers,
                observation_space=observation_space,
                action_space=action_space,
                step_infos=["cost"] if layout == "dsrl" and cost == "cost" else [],
            )
            path = Path(folder, f"x{SUFFIXES.get(layout, '')}")
            minari.export_dataset(dataset, path, layout, **WRITING.get(layout, {}))
            found = recognize_layout(path)
            made = minari.import_dataset(path, "again-v0")
            assert found is not None
            assert found.name == layout
            assert made.observation_space == observation_space
            assert made.action_space == action_space
            assert made.metadata.get("step_infos") == dataset.metadata.get("step_infos")
            for episode, again in zip(dataset, made, strict=True):
                expect_same_episode(episode, again)

    check()


def _draw_rows(space: spaces.Space[Any], count: int) -> Any:
    """Rows of samples: arrays, or lists of what has no fixed shape, in the structure of a space."""
    if isinstance(space, spaces.Dict):
        return {key: _draw_rows(part, count) for key, part in space.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_draw_rows(part, count) for part in space.spaces)
    samples = [space.sample() for _ in range(count)]
    return samples if space.shape is None or isinstance(space, spaces.Text) else np.stack(samples)
