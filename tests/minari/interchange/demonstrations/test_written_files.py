"""What lies in the files for programs that know nothing of the group ``minari``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import minari
from tests.minari.interchange.demonstrations.examples import ACTIONS, OBSERVATIONS, make_episode

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


@pytest.mark.parametrize("layout", ["robomimic", "isaaclab"])
def test_each_array_and_attribute_has_the_name_that_is_read(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))
    dataset = minari.create_dataset_from_buffers(
        "plain-v0",
        [make_episode(number, 2 + number, seed=5 + number) for number in range(2)],
        observation_space=OBSERVATIONS,
        action_space=ACTIONS,
    )
    wanted: dict[str, Any] = {}
    for number, episode in enumerate(dataset):
        steps, where = 2 + number, f"data/demo_{number}"
        parts = {
            "camera": episode.observations["camera"],
            "robot.joints": episode.observations["robot"]["joints"],
            "pair.0": episode.observations["pair"][0],
            "pair.1": episode.observations["pair"][1],
        }
        for name, rows in parts.items():
            wanted[f"{where}/obs/{name}"] = rows[:steps]
            if layout == "robomimic":
                wanted[f"{where}/next_obs/{name}"] = rows[1:]
            else:
                wanted[f"{where}/final_obs/{name}"] = rows[steps:]
        wanted[f"{where}/actions"] = episode.actions
        wanted[f"{where}/rewards"] = episode.rewards
        if layout == "robomimic":
            wanted[f"{where}/dones"] = (np.arange(steps) == steps - 1).astype(np.int64)
    environment = {"env_name": "", "type": 2, "env_kwargs": {}}
    attributes: dict[str, dict[str, Any]] = {
        "data": {"total": 5, "env_args": json.dumps(environment)},
        "data/demo_0": {"num_samples": 2},
        "data/demo_1": {"num_samples": 3},
    }
    if layout == "isaaclab":
        attributes["data/demo_0"]["seed"] = 5
        attributes["data/demo_1"]["seed"] = 6

    minari.export_dataset(dataset, tmp_path / "demos.hdf5", layout)

    found: dict[str, Any] = {}
    found_attributes: dict[str, dict[str, Any]] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]
        if item.attrs:
            found_attributes[name] = dict(item.attrs)

    with h5py.File(tmp_path / "demos.hdf5") as file:
        assert sorted(file) == ["data", "minari"]
        file["data"].visititems(lambda name, item: note(f"data/{name}", item))
        note("data", file["data"])
    assert found_attributes == attributes
    assert found.keys() == wanted.keys()
    for name, rows in wanted.items():
        assert found[name].dtype == rows.dtype, name
        np.testing.assert_array_equal(found[name], rows, name)
