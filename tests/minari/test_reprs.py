"""What an interactive session shows of large objects: outlines, never their values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from gymnasium import spaces

import minari
from minari_core import EpisodeBuffer, MinariDataset, create_dataset_from_buffers
from minari_core.datasets.dataset import get_raw_storage
from minari_core.formats.columnar.memory import MemoryStorage
from minari_core.testing import simple_episode

POSITION = spaces.Box(-np.inf, np.inf, (2,), np.float64)
MOVE = spaces.Discrete(3)


def create(data_format: str = "columnar") -> MinariDataset:
    return create_dataset_from_buffers(
        "tests/shown-v0",
        [simple_episode(number, 50) for number in range(2)],
        observation_space=POSITION,
        action_space=MOVE,
        data_format=data_format,
        author="Ada",
    )


def test_a_batch_of_transitions_shows_shapes_and_dtypes() -> None:
    batch = create().sample_transitions(7)
    assert repr(batch) == (
        "TransitionBatch(observations=float64[7, 2], actions=int64[7], rewards=float64[7], "
        "next_observations=float64[7, 2], terminations=bool[7], truncations=bool[7])"
    )


def test_a_batch_of_windows_shows_shapes_and_dtypes() -> None:
    text = repr(create().sample_sequences(3, 5))
    assert text.startswith("SequenceBatch(observations=float64[3, 5, 2], actions=int64[3, 5], ")
    assert text.endswith("mask=bool[3, 5], time_steps=int64[3, 5], episode_ids=int64[3])")


def test_a_buffer_shows_shapes_and_dtypes() -> None:
    buffer = EpisodeBuffer(
        seed=3,
        observations={"p": np.zeros((3, 2)), "t": ["a", "b", "c"]},
        actions=(np.zeros(2, np.int64), [1, 2]),
        rewards=[1.0, 2.0],
        metadata={"name": "x"},
    )
    assert repr(buffer) == (
        "EpisodeBuffer(id=None, seed=3, options=None, "
        "observations={p: float64[3, 2], t: list of 3 str}, "
        "actions=(int64[2], list of 2 int), rewards=list of 2 float, "
        "terminations=list of 0 nothing, truncations=list of 0 nothing, metadata={'name': 'x'})"
    )


def test_a_storage_shows_its_format_its_place_and_its_size(datasets_root: Path) -> None:
    folder = datasets_root / "tests" / "shown-v0" / "data"
    for data_format, name in (("columnar", "ColumnarStorage"), ("hdf5", "Hdf5Storage")):
        dataset = create(data_format)
        wanted = f"{name}(data_format={data_format!r}, data_path={str(folder)!r}, total_episodes=2)"
        assert repr(get_raw_storage(dataset)) == wanted
        assert repr(dataset.storage) == f"MinariStorage({wanted})"
        minari.delete_dataset("tests/shown-v0")
    storage = MemoryStorage(POSITION, MOVE)
    assert repr(storage) == "MemoryStorage(data_format='memory', total_episodes=0)"


def test_a_notebook_shows_tables_in_which_everything_is_text() -> None:
    dataset = create()
    hostile = "</td><script>alert(1)</script>"
    dataset.storage.update_metadata({"description": hostile, "author": [hostile]})
    episode = replace(dataset[1], metadata={hostile: hostile}, infos={hostile: [hostile]})
    batches = dataset.sample_transitions(7), dataset.sample_sequences(3, 5)

    shown = [each._repr_html_() for each in (dataset, episode, *batches)]

    for text in shown:
        assert text.startswith("<table><caption>")
        assert "<script>" not in text
    assert "<tr><th>episodes</th><td>2</td></tr><tr><th>steps</th><td>100</td></tr>" in shown[0]
    assert "&lt;script&gt;" in shown[0]
    assert "<caption>Episode 1</caption>" in shown[1]
    assert "<tr><th>observations</th><td>float64[51, 2]</td></tr>" in shown[1]
    assert "<caption>7 transitions</caption>" in shown[2]
    assert "<tr><th>mask</th><td>bool[3, 5]</td></tr>" in shown[3]
