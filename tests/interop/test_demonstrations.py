"""The readers of robomimic, Isaac Lab, ManiSkill, OGBench and DSRL, unmodified."""

from __future__ import annotations

import importlib
import json
import sys
import types
from pathlib import Path
from typing import Any

import dsrl.offline_env
import h5py
import numpy as np
import ogbench.utils
import pytest
import robomimic.utils.obs_utils
import robomimic.utils.tensor_utils
import torch
from gymnasium import spaces
from mani_skill.trajectory.dataset import ManiSkillTrajectoryDataset
from robomimic.utils.dataset import SequenceDataset

import minari
from minari import MinariDataset
from tests.minari.interchange.demonstrations.examples import make_dataset as make_demonstrations
from tests.minari.interchange.flat.examples import make_dataset as make_flat

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))


def open_isaaclab(path: Path) -> Any:
    """Its handler, without the package around it, which starts a simulator."""
    spec = importlib.util.find_spec("isaaclab")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0], "source/isaaclab/isaaclab/utils/datasets")
    package = types.ModuleType("isaaclab_datasets")
    package.__path__ = [str(folder)]
    sys.modules["isaaclab_datasets"] = package
    module = importlib.import_module("isaaclab_datasets.hdf5_dataset_file_handler")
    handler = module.HDF5DatasetFileHandler()
    handler.open(str(path))
    return handler


@pytest.mark.parametrize("split", [None, "train"])
def test_robomimic_trains_on_what_is_exported(tmp_path: Path, split: str | None) -> None:
    space = spaces.Dict(
        {name: spaces.Box(-1, 1, (size,), np.float32) for name, size in (("a", 2), ("b", 3))}
    )
    dataset = make_demonstrations("vectors-v0", space)
    path = tmp_path / "low_dim.hdf5"
    minari.export_dataset(dataset, path, "robomimic")
    robomimic.utils.obs_utils.initialize_obs_utils_with_obs_specs(
        {"obs": {"low_dim": ["a", "b"], "rgb": []}}
    )

    sequences = SequenceDataset(
        hdf5_path=str(path),
        obs_keys=["a", "b"],
        dataset_keys=["actions", "rewards", "dones"],
        seq_length=3,
        hdf5_use_swmr=False,
        filter_by_attribute=split,
    )

    chosen = dataset if split is None else dataset.splits[split]
    assert len(sequences) == chosen.total_steps
    number = 0
    for episode in chosen:
        for step in range(len(episode)):
            item = sequences[number]
            number += 1
            rows = np.minimum(np.arange(step, step + 3), len(episode) - 1)
            for key in ("a", "b"):
                np.testing.assert_array_equal(item["obs"][key], episode.observations[key][rows])
                np.testing.assert_array_equal(
                    item["next_obs"][key], episode.observations[key][rows + 1]
                )
            np.testing.assert_array_equal(item["actions"], episode.actions[rows])
            np.testing.assert_allclose(item["rewards"], episode.rewards[rows], rtol=1e-6)
            assert item["dones"].tolist() == (rows == len(episode) - 1).tolist()


def test_isaac_lab_reads_what_is_exported(tmp_path: Path) -> None:
    dataset = make_demonstrations()
    path = tmp_path / "lift.hdf5"
    minari.export_dataset(dataset, path, "isaaclab")

    handler = open_isaaclab(path)

    assert handler.get_num_episodes() == len(dataset)
    for number, episode in enumerate(dataset):
        found = handler.load_episode(f"demo_{number}", "cpu")
        np.testing.assert_array_equal(found.data["actions"], episode.actions)
        np.testing.assert_array_equal(
            found.data["obs"]["camera"], episode.observations["camera"][:-1]
        )
        np.testing.assert_array_equal(
            found.data["obs"]["robot.joints"], episode.observations["robot"]["joints"][:-1]
        )


def test_what_isaac_lab_writes_is_imported(tmp_path: Path) -> None:
    handler_module = open_isaaclab(_make_empty(tmp_path)).__class__.__module__
    episode_data = importlib.import_module("isaaclab_datasets.episode_data").EpisodeData
    handler = sys.modules[handler_module].HDF5DatasetFileHandler()
    path = tmp_path / "own.hdf5"
    handler.create(str(path), env_name="Isaac-Lift-v0")
    episode = episode_data()
    for step in range(4):
        episode.add("obs", {"joints": torch.full((3,), float(step))})
        episode.add("actions", torch.full((2,), float(-step)))
    episode.pre_export()
    episode.seed, episode.success = 7, True
    handler.write_episode(episode)
    handler.close()

    (made,) = minari.import_dataset(path, "lift-v0", ends="success")

    assert made.observations["joints"][:, 0].tolist() == [0, 1, 2, 3]
    assert made.actions[:, 0].tolist() == [0, -1, -2, -3]
    assert made.terminations.tolist() == [False, False, False, True]
    assert made.seed == 7


def test_mani_skill_and_the_import_see_the_same_trajectories(tmp_path: Path) -> None:
    path = tmp_path / "trajectory.h5"
    rng = np.random.default_rng(0)
    said: dict[str, Any] = {"env_info": {"env_id": "PickCube-v1", "env_kwargs": {}}, "episodes": []}
    with h5py.File(path, "w") as file:
        for number, steps in enumerate((3, 2)):
            group = file.create_group(f"traj_{number}", track_order=True)
            last = np.arange(steps) == steps - 1
            group["obs"] = rng.normal(size=(steps + 1, 5)).astype(np.float32)
            group["actions"] = rng.normal(size=(steps, 2)).astype(np.float32)
            group["rewards"] = rng.normal(size=steps).astype(np.float32)
            group["terminated"] = last
            group["truncated"] = ~last & last
            said["episodes"].append(
                {"episode_id": number, "episode_seed": number, "elapsed_steps": steps}
            )
    path.with_suffix(".json").write_text(json.dumps(said), encoding="utf-8")

    theirs = ManiSkillTrajectoryDataset(str(path))
    made = minari.import_dataset(path, "pick-v0")

    assert len(theirs) == made.total_steps
    np.testing.assert_array_equal(
        theirs.obs, np.concatenate([episode.observations[:-1] for episode in made])
    )
    np.testing.assert_array_equal(theirs.actions, _join(made, "actions"))
    np.testing.assert_array_equal(theirs.rewards, _join(made, "rewards"))
    np.testing.assert_array_equal(theirs.terminated, _join(made, "terminations"))


@pytest.mark.parametrize("is_compact", [False, True])
def test_ogbench_reads_what_is_exported(tmp_path: Path, is_compact: bool) -> None:
    dataset = make_flat()
    path = tmp_path / "walk.npz"
    minari.export_dataset(dataset, path, "ogbench")

    found = ogbench.utils.load_dataset(str(path), compact_dataset=is_compact, add_info=True)

    valid = found["valids"].astype(bool) if is_compact else np.ones(dataset.total_steps, bool)
    first = np.concatenate([episode.observations[:-1] for episode in dataset])
    np.testing.assert_array_equal(found["observations"][valid], first)
    np.testing.assert_array_equal(found["actions"][valid], _join(dataset, "actions"))
    qpos = np.concatenate([episode.infos["qpos"][:-1] for episode in dataset])
    np.testing.assert_array_equal(found["qpos"][valid], qpos)
    if not is_compact:
        following = np.concatenate([episode.observations[1:] for episode in dataset])
        np.testing.assert_array_equal(found["next_observations"], following)


def test_dsrl_reads_what_is_exported(tmp_path: Path) -> None:
    dataset = make_flat(with_cost=True)
    path = tmp_path / "walk.hdf5"
    minari.export_dataset(dataset, path, "dsrl")
    environment = dsrl.offline_env.OfflineEnv.__new__(dsrl.offline_env.OfflineEnv)
    environment.observation_space = dataset.observation_space
    environment.action_space = dataset.action_space

    found = dsrl.offline_env.OfflineEnv.get_dataset(environment, str(path))

    for name, column in (("actions", "actions"), ("terminals", "terminations")):
        np.testing.assert_array_equal(found[name], _join(dataset, column))
    costs = np.concatenate([episode.infos["costs"][:-1] for episode in dataset])
    np.testing.assert_allclose(found["costs"], costs, rtol=1e-6)
    following = np.concatenate([episode.observations[1:] for episode in dataset])
    np.testing.assert_array_equal(found["next_observations"], following)


def _make_empty(folder: Path) -> Path:
    path = folder / "empty.hdf5"
    with h5py.File(path, "w") as file:
        file.create_group("data")
    return path


def _join(dataset: MinariDataset, column: str) -> Any:
    return np.concatenate([getattr(episode, column) for episode in dataset])
