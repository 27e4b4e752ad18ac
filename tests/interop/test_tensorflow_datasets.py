"""TensorFlow Datasets itself: what it reads of exports, and what is read of its files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from gymnasium import spaces

import minari
from minari import EpisodeBuffer

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))


def test_it_reads_every_step_that_is_exported(tmp_path: Path) -> None:
    space = spaces.Dict(
        {
            "image": spaces.Box(0, 255, (8, 9, 3), np.uint8),
            "state": spaces.Box(-np.inf, np.inf, (3,), np.float64),
            "side": spaces.Discrete(4),
        }
    )
    space.seed(0)
    rng = np.random.default_rng(0)
    episodes = []
    for number in range(3):
        steps = 2 + number
        last = np.arange(steps) == steps - 1
        values = [space.sample() for _ in range(steps + 1)]
        episodes.append(
            EpisodeBuffer(
                observations={key: np.stack([value[key] for value in values]) for key in space},
                actions=rng.uniform(-1, 1, (steps, 2)).astype(np.float32),
                rewards=rng.normal(size=steps),
                terminations=last & (number != 1),
                truncations=last & (number == 1),
            )
        )
    dataset = minari.create_dataset_from_buffers(
        "toy-v0",
        episodes,
        observation_space=space,
        action_space=spaces.Box(-1, 1, (2,), np.float32),
    )
    path = tmp_path / "toy"
    minari.export_dataset(dataset, path, "rlds")

    found = tfds.builder_from_directory(str(path)).as_dataset(split="train", shuffle_files=False)

    count = 0
    for episode, read in zip(dataset, found, strict=True):
        rows_read: list[Any] = list(tfds.as_numpy(read["steps"]))
        for key in space:
            rows = np.stack([step["observation"][key] for step in rows_read])
            np.testing.assert_array_equal(rows, episode.observations[key])
            assert rows.dtype == episode.observations[key].dtype
        actions = np.stack([step["action"] for step in rows_read[:-1]])
        np.testing.assert_array_equal(actions, episode.actions)
        rewards = np.stack([step["reward"] for step in rows_read[:-1]])
        np.testing.assert_array_equal(rewards, episode.rewards)
        assert [bool(step["is_last"]) for step in rows_read] == [False] * len(episode) + [True]
        assert bool(rows_read[-1]["is_terminal"]) == bool(episode.terminations[-1])
        count += 1
    assert count == 3


class Toy(tfds.core.GeneratorBasedBuilder):  # type: ignore[misc]  # it ships no types
    """Three episodes, with an image, a text and a mark of how they end."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> Any:
        features = tfds.features
        step = {
            "observation": {
                "image": features.Image(shape=(8, 9, 3)),
                "place": features.Tensor(shape=(2,), dtype=np.float32),
            },
            "action": features.Tensor(shape=(2,), dtype=np.float32),
            "reward": np.float32,
            "is_first": np.bool_,
            "is_last": np.bool_,
            "is_terminal": np.bool_,
            "language_instruction": features.Text(),
        }
        return tfds.core.DatasetInfo(
            builder=self, features=features.FeaturesDict({"steps": features.Dataset(step)})
        )

    def _split_generators(self, manager: object) -> dict[str, Iterator[Any]]:
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Iterator[Any]:
        for number in range(3):
            steps = 3 + number
            yield (
                str(number),
                {"steps": [self._make_step(number, step, steps) for step in range(steps)]},
            )

    @staticmethod
    def _make_step(number: int, step: int, steps: int) -> dict[str, Any]:
        return {
            "observation": {
                "image": np.full((8, 9, 3), 10 * number + step, np.uint8),
                "place": np.array([number, step], np.float32),
            },
            "action": np.array([-number, -step], np.float32),
            "reward": np.float32(step),
            "is_first": step == 0,
            "is_last": step == steps - 1,
            "is_terminal": step == steps - 1 and number != 1,
            "language_instruction": f"do {number}",
        }


def test_what_it_writes_is_imported(tmp_path: Path) -> None:
    builder = Toy(data_dir=tmp_path / "data")
    builder.download_and_prepare()

    made = minari.import_dataset(builder.data_dir, "toy-v0")

    assert sorted(len(episode) for episode in made) == [2, 3, 4]
    for episode in made:
        number = len(episode) - 2
        place = episode.observations["place"]
        assert place.tolist() == [[number, step] for step in range(len(episode) + 1)]
        images = episode.observations["image"][:, 0, 0, 0]
        assert images.tolist() == [10 * number + step for step in range(len(episode) + 1)]
        assert episode.actions.tolist() == [[-number, -step] for step in range(len(episode))]
        assert bool(episode.terminations[-1]) == (number != 1)
        assert episode.infos["language_instruction"][0] == f"do {number}"
