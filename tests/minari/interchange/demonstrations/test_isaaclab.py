"""HDF5 files of Isaac Lab."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import minari
from minari import MinariDataset
from tests.minari.interchange.conformance import LayoutConformance
from tests.minari.interchange.demonstrations.examples import make_dataset

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


class TestIsaacLab(LayoutConformance):
    layout: ClassVar[str] = "isaaclab"
    file_name: ClassVar[str] = "lift.hdf5"
    kept_apart: ClassVar[frozenset[str]] = frozenset(
        {"terminated", "truncated", "seed", "options", "metadata"}
        | {"infos/contact", "infos/words", "infos/rare"}
    )

    def make_dataset(self) -> MinariDataset:
        return make_dataset()


class TestIsaacLabVector(TestIsaacLab):
    """Observations that are one array lie in a dataset, not in a group."""

    def make_dataset(self) -> MinariDataset:
        return make_dataset("vector-v0", spaces.Box(-1, 1, (3,), np.float32))


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Three episodes, as the library's recorder writes them."""
    path = tmp_path / "stack.hdf5"
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["total"] = 6
        data.attrs["env_args"] = json.dumps({"env_name": "Isaac-Stack-Cube-v0", "type": 2})
        for number, steps in enumerate((3, 2, 1)):
            group = data.create_group(f"demo_{number}")
            group.attrs["num_samples"] = steps
            group.attrs["seed"] = 40 + number
            group.attrs["success"] = number != 1
            columns: dict[str, Any] = {
                "actions": rng.normal(size=(steps, 7)).astype(np.float32),
                "obs/eef_pos": rng.normal(size=(steps, 3)).astype(np.float32),
                "obs/cubes/red": rng.normal(size=(steps, 2)).astype(np.float32),
                "initial_state/articulation/robot/joint": np.zeros((1, 4), np.float32),
                "states/articulation/robot/joint": np.full((steps, 4), number + 1, np.float32),
                "processed_actions": rng.normal(size=(steps, 7)),
            }
            for name, column in columns.items():
                group.create_dataset(name, data=column, compression="gzip")
    return path


def test_episodes_end_as_they_are_marked(path: Path) -> None:
    losses: list[Any] = []

    dataset = minari.import_dataset(path, "stack-v0", ends="success", losses=losses)

    assert [bool(episode.terminations[-1]) for episode in dataset] == [True, False, True]
    assert [bool(episode.truncations[-1]) for episode in dataset] == [False, True, False]
    assert [episode.seed for episode in dataset] == [40, 41, 42]
    assert [episode.metadata["success"] for episode in dataset] == [True, False, True]
    assert [loss.what for loss in losses] == ["rewards"]


def test_nobody_knows_what_the_last_action_led_to(path: Path) -> None:
    dataset = minari.import_dataset(path, "stack-v0", ends="terminated")

    assert not any(episode.final_observation_known for episode in dataset)
    assert dataset[0].observations["cubes"]["red"].shape == (3, 2)


def test_the_initial_state_comes_before_the_others(path: Path) -> None:
    dataset = minari.import_dataset(path, "stack-v0", ends="terminated")

    joints = dataset[1].infos["states"]["articulation"]["robot"]["joint"]
    assert joints[:, 0].tolist() == [0, 2, 2]
    assert dataset.storage.metadata["step_infos"] == ["processed_actions"]


def test_a_file_that_does_not_tell_how_episodes_ended_is_asked_about(path: Path) -> None:
    with pytest.raises(minari.DataError, match="'success' \\(terminated where an episode is"):
        minari.import_dataset(path, "stack-v0")


def test_success_that_is_not_marked_is_asked_about(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["data/demo_2"].attrs["success"]

    with pytest.raises(minari.DataError, match="demo_2 is not marked as successful or not"):
        minari.import_dataset(path, "stack-v0", ends="success")
    assert minari.list_local_datasets() == {}


def test_a_number_of_samples_that_contradicts_the_actions_is_an_error(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["data/demo_1"].attrs["num_samples"] = 9

    with pytest.raises(minari.DataError, match="demo_1 says num_samples=9, and has"):
        minari.import_dataset(path, "stack-v0", ends="terminated")


def test_an_observation_that_an_episode_lacks_is_named(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["data/demo_1/obs/eef_pos"]

    with pytest.raises(minari.DataError, match="demo_1 has no observation 'eef_pos'"):
        minari.import_dataset(path, "stack-v0", ends="terminated")
