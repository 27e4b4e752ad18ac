"""LeRobot itself: what it reads of exports, and what is read of its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from lerobot.datasets.lerobot_dataset import LeRobotDataset

import minari
from minari import EpisodeBuffer, MinariDataset

pytestmark = pytest.mark.filterwarnings("ignore")

FPS = 10


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def make_dataset() -> MinariDataset:
    """Three episodes with images."""
    space = spaces.Dict(
        {
            "camera": spaces.Box(0, 255, (48, 64, 3), np.uint8),
            "state": spaces.Box(-1, 1, (3,), np.float32),
        }
    )
    rng = np.random.default_rng(0)
    episodes = []
    for number in range(3):
        steps = 3 + number
        last = np.arange(steps) == steps - 1
        episodes.append(
            EpisodeBuffer(
                observations={
                    "camera": rng.integers(0, 256, (steps + 1, 48, 64, 3), dtype=np.uint8),
                    "state": rng.uniform(-1, 1, (steps + 1, 3)).astype(np.float32),
                },
                actions=rng.uniform(-1, 1, (steps, 2)).astype(np.float32),
                rewards=rng.normal(size=steps),
                terminations=last & (number != 1),
                truncations=last & (number == 1),
            )
        )
    return minari.create_dataset_from_buffers(
        "arm-v0",
        episodes,
        observation_space=space,
        action_space=spaces.Box(-1, 1, (2,), np.float32),
    )


def test_it_reads_every_frame_that_is_exported(tmp_path: Path) -> None:
    dataset = make_dataset()
    path = tmp_path / "arm"
    minari.export_dataset(dataset, path, "lerobot", fps=FPS, task="lift the cube")

    found = LeRobotDataset("any/name", root=path)

    assert found.num_episodes == len(dataset)
    number = 0
    for index, episode in enumerate(dataset):
        for step in range(len(episode)):
            frame = found[number]
            number += 1
            assert frame["task"] == "lift the cube"
            assert int(frame["episode_index"]) == index
            camera = np.moveaxis(frame["observation.images.camera"].numpy(), 0, -1)
            np.testing.assert_array_equal(
                np.rint(camera * 255).astype(np.uint8), episode.observations["camera"][step]
            )
            np.testing.assert_array_equal(
                frame["observation.state"], episode.observations["state"][step]
            )
            np.testing.assert_array_equal(frame["action"], episode.actions[step])
            assert bool(frame["next.done"]) == (step == len(episode) - 1)
            assert bool(frame["next.truncated"]) == bool(episode.truncations[step])
            assert float(frame["next.reward"]) == pytest.approx(episode.rewards[step], rel=1e-6)
    assert number == len(found)


def test_its_windows_are_padded_at_the_ends_of_episodes(tmp_path: Path) -> None:
    dataset = make_dataset()
    path = tmp_path / "arm"
    minari.export_dataset(dataset, path, "lerobot", fps=FPS, task="lift the cube")

    found = LeRobotDataset("any/name", root=path, delta_timestamps={"action": [-0.1, 0, 0.1]})

    number = 0
    for episode in dataset:
        for step in range(len(episode)):
            frame = found[number]
            number += 1
            rows = np.arange(step - 1, step + 2)
            inside = np.clip(rows, 0, len(episode) - 1)
            np.testing.assert_array_equal(frame["action"], episode.actions[inside])
            assert frame["action_is_pad"].tolist() == (rows != inside).tolist()


@pytest.mark.parametrize("is_video", [False, True])
def test_what_it_records_is_imported(tmp_path: Path, is_video: bool) -> None:
    kind = "video" if is_video else "image"
    features: dict[str, Any] = {
        "observation.state": {"dtype": "float32", "shape": (3,), "names": ["x", "y", "z"]},
        "observation.images.top": {
            "dtype": kind,
            "shape": (48, 64, 3),
            "names": ["height", "width", "channels"],
        },
        "action": {"dtype": "float32", "shape": (2,), "names": None},
        "next.reward": {"dtype": "float32", "shape": (1,), "names": None},
        "next.done": {"dtype": "bool", "shape": (1,), "names": None},
    }
    recorded = LeRobotDataset.create(
        "any/name", FPS, features, root=tmp_path / "own", use_videos=is_video
    )
    height, width = np.mgrid[:48, :64]
    images = []
    for steps in (5, 3):
        for step in range(steps):
            shade = np.full_like(width, 20 * step + 60 * (steps == 3))
            images.append(np.stack([width * 4, height * 5, shade], -1).astype(np.uint8))
            recorded.add_frame(
                {
                    "observation.state": np.full(3, step, np.float32),
                    "observation.images.top": images[-1],
                    "action": np.full(2, -step, np.float32),
                    "next.reward": np.array([step], np.float32),
                    "next.done": np.array([step == steps - 1]),
                    "task": f"task {steps}",
                }
            )
        recorded.save_episode()
    recorded.finalize()

    made = minari.import_dataset(tmp_path / "own", "own-v0", ends="terminated")

    assert [len(episode) for episode in made] == [5, 3]
    shown = np.concatenate([episode.observations["images.top"][: len(episode)] for episode in made])
    difference = np.abs(shown.astype(int) - np.stack(images).astype(int))
    # Videos lose detail.
    assert difference.max() == 0 if not is_video else difference.mean() < 3
    for episode in made:
        assert episode.actions[:, 0].tolist() == [-step for step in range(len(episode))]
        assert episode.rewards.tolist() == list(range(len(episode)))
