"""Trajectories of ManiSkill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import minari
from minari.interchange.layouts import recognize_layout
from tests.minari.interchange.demonstrations.examples import write_trajectories

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_trajectories(tmp_path / "trajectory.rgbd.h5")


def test_trajectories_become_episodes_in_the_order_of_their_numbers(path: Path) -> None:
    losses: list[Any] = []
    layout = recognize_layout(path)

    dataset = minari.import_dataset(path, "pick-v0", losses=losses)

    assert layout is not None
    assert layout.name == "maniskill"
    assert [len(episode) for episode in dataset] == [2, 3]
    assert [episode.seed for episode in dataset] == [9, 10]
    assert dataset[0].options == {"hard": True}
    assert dataset[0].metadata["control_mode"] == "pd_joint_delta_pos"
    assert dataset[0].terminations.tolist() == [False, True]
    assert dataset[1].truncations.tolist() == [False, False, True]
    assert dataset[1].observations["depth"].dtype == np.uint16
    assert dataset[1].observations["agent"]["qpos"].shape == (4, 2)
    assert dataset[1].final_observation_known
    assert [loss.what for loss in losses] == ["rewards"]


def test_infos_of_steps_and_states_lie_where_they_belong(path: Path) -> None:
    dataset = minari.import_dataset(path, "pick-v0")

    assert dataset[0].infos["env_states"]["actors"]["cube"].shape == (3, 13)
    assert set(dataset.storage.metadata["step_infos"]) == {"success", "terminated", "truncated"}
    said = dataset.storage.metadata["source_metadata"]
    assert said["env_info"]["env_id"] == "PickCube-v1"


def test_flags_in_the_middle_are_infos_and_cut_nothing(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["traj_10/terminated"][...] = [True, False, True]

    dataset = minari.import_dataset(path, "pick-v0")

    assert dataset[1].terminations.tolist() == [False, False, True]
    assert dataset[1].infos["terminated"].tolist()[:3] == [True, False, True]


def test_a_file_of_states_alone_says_how_to_add_observations(path: Path) -> None:
    with h5py.File(path, "a") as file:
        for name in list(file):
            del file[f"{name}/obs"]

    with pytest.raises(minari.DataError, match="traj_9 has no observations; add them with"):
        minari.import_dataset(path, "pick-v0")


def test_the_file_beside_it_is_needed(path: Path) -> None:
    path.with_suffix(".json").unlink()

    with pytest.raises(minari.DatasetNotFoundError, match=r"trajectory\.rgbd\.json"):
        minari.import_dataset(path, "pick-v0")


def test_a_trajectory_that_one_of_the_files_lacks_is_named(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["traj_9"]

    with pytest.raises(minari.DataError, match="traj_9 is not in both"):
        minari.import_dataset(path, "pick-v0")
