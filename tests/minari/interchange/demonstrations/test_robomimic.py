"""HDF5 files of robomimic."""

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
from tests.minari.interchange.demonstrations.examples import make_dataset, make_episode

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


class TestRobomimic(LayoutConformance):
    layout: ClassVar[str] = "robomimic"
    file_name: ClassVar[str] = "lift.hdf5"
    kept_apart: ClassVar[frozenset[str]] = frozenset(
        {"terminated", "truncated", "seed", "options", "metadata"}
        | {"infos/contact", "infos/words", "infos/rare"}
    )

    def make_dataset(self) -> MinariDataset:
        return make_dataset()


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "low_dim.hdf5"


def write_demonstrations(path: Path, lengths: dict[int, int], **columns: Any) -> None:
    """Write what robomimic's own conversions write; a column None is left out."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["total"] = sum(lengths.values())
        data.attrs["env_args"] = json.dumps({"env_name": "Lift", "type": 1, "env_kwargs": {}})
        for number, steps in lengths.items():
            rows = rng.normal(size=(steps + 1, 3))
            found: dict[str, Any] = {
                "actions": rng.normal(size=(steps, 2)),
                "rewards": rng.normal(size=steps),
                "dones": np.arange(steps) == steps - 1,
                "states": np.full((steps, 1), number, np.float64),
                "obs/object": rows[:-1],
                "next_obs/object": rows[1:],
            } | columns
            group = data.create_group(f"demo_{number}")
            group.attrs["num_samples"] = steps
            group.attrs["model_file"] = f"<mujoco number='{number}'/>"
            for name, column in found.items():
                if column is not None:
                    group[name] = column(steps) if callable(column) else column


def test_demonstrations_come_in_the_order_of_their_numbers(path: Path) -> None:
    write_demonstrations(path, {10: 2, 9: 3, 0: 1})

    dataset = minari.import_dataset(path, "lift-v0", ends="terminated")

    assert [len(episode) for episode in dataset] == [1, 3, 2]
    assert [episode.metadata["model_file"][16:-3] for episode in dataset] == ["0", "9", "10"]


def test_the_final_observation_is_the_last_next_observation(path: Path) -> None:
    write_demonstrations(path, {0: 3})

    (episode,) = minari.import_dataset(path, "lift-v0", ends="truncated")

    with h5py.File(path) as file:
        group = file["data/demo_0"]
        np.testing.assert_array_equal(episode.observations["object"][:-1], group["obs/object"])
        np.testing.assert_array_equal(episode.observations["object"][1:], group["next_obs/object"])
        np.testing.assert_array_equal(episode.actions, group["actions"])
    assert episode.truncations.tolist() == [False, False, True]
    assert not episode.terminations.any()


def test_states_belong_to_steps_and_the_environment_is_kept(path: Path) -> None:
    write_demonstrations(path, {0: 3, 1: 2})

    dataset = minari.import_dataset(path, "lift-v0", ends="terminated")

    (batch,) = dataset.batches(5, columns=["infos/states"], seed=0)
    assert sorted(np.ravel(batch.columns["infos/states"])) == [0, 0, 0, 1, 1]
    said = dataset.storage.metadata["source_metadata"]
    assert said == {"env_args": {"env_name": "Lift", "type": 1, "env_kwargs": {}}}


def test_a_file_that_does_not_tell_how_episodes_ended_is_asked_about(path: Path) -> None:
    write_demonstrations(path, {0: 3})

    with pytest.raises(minari.DataError, match="give ends='terminated', 'truncated' or 'dones'"):
        minari.import_dataset(path, "lift-v0")
    assert minari.list_local_datasets() == {}


def test_dones_can_say_it_and_stay_where_they_are_set_in_the_middle(path: Path) -> None:
    write_demonstrations(path, {0: 3, 1: 3}, dones=lambda steps: np.array([0, 1, 0]))

    dataset = minari.import_dataset(path, "lift-v0", ends="dones")

    for episode in dataset:
        assert episode.truncations.tolist() == [False, False, True]
        assert episode.infos["dones"].tolist()[:3] == [False, True, False]


def test_next_observations_that_contradict_the_observations_are_an_error(path: Path) -> None:
    write_demonstrations(path, {0: 3}, **{"next_obs/object": np.zeros((3, 3))})

    with pytest.raises(minari.DataError, match="next_observations/object of step 0 is not"):
        minari.import_dataset(path, "lift-v0", ends="terminated")
    dataset = minari.import_dataset(path, "lift-v0", ends="terminated", next_observations="ignore")
    assert not dataset[0].final_observation_known
    assert len(dataset[0].observations["object"]) == 3


def test_a_mask_becomes_a_split(path: Path) -> None:
    write_demonstrations(path, {0: 1, 1: 1, 10: 1})
    with h5py.File(path, "a") as file:
        file["mask/train"] = np.array(["demo_0", "demo_10"], dtype="S")

    dataset = minari.import_dataset(path, "lift-v0", ends="terminated")

    assert dataset.splits["train"].episode_indices.tolist() == [0, 2]


def test_a_mask_of_an_absent_demonstration_is_an_error(path: Path) -> None:
    write_demonstrations(path, {0: 1})
    with h5py.File(path, "a") as file:
        file["mask/train"] = np.array(["demo_7"], dtype="S")

    with pytest.raises(minari.DataError, match="mask/train names 'demo_7'"):
        minari.import_dataset(path, "lift-v0", ends="terminated")


def test_rewards_that_are_not_there_are_zeros_and_told(path: Path) -> None:
    write_demonstrations(path, {0: 2}, rewards=None)
    losses: list[Any] = []

    dataset = minari.import_dataset(path, "lift-v0", ends="terminated", losses=losses)

    assert dataset[0].rewards.tolist() == [0, 0]
    assert [loss.what for loss in losses] == ["rewards"]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"actions": None}, r"demo_0 has no 'actions'; it has"),
        ({"obs/object": None, "next_obs/object": None}, r"demo_0 has no 'obs'"),
        ({"rewards": np.zeros(7)}, r"demo_0: rewards has 7 rows, not 2"),
        ({"obs/object": np.zeros((5, 3))}, r"demo_0: observations/object has 5 rows, not 2 or 3"),
        ({"dones": np.array([0.5, 1])}, r"demo_0: dones is float64 of shape \(2,\), not one flag"),
        ({"obs/other": np.zeros((2, 1))}, "next_observations/other is not in both"),
    ],
)
def test_columns_that_do_not_fit_name_file_episode_and_column(
    path: Path, column: dict[str, Any], message: str
) -> None:
    write_demonstrations(path, {0: 2}, **column)

    with pytest.raises(minari.DataError, match=message) as raised:
        minari.import_dataset(path, "lift-v0", "robomimic", ends="terminated")
    assert str(path) in str(raised.value)
    assert minari.list_local_datasets() == {}


def test_links_out_of_the_file_are_not_followed(path: Path, tmp_path: Path) -> None:
    write_demonstrations(path, {0: 2}, actions=None)
    with h5py.File(tmp_path / "secret.hdf5", "w") as file:
        file["actions"] = np.zeros((2, 2))
    with h5py.File(path, "a") as file:
        file["data/demo_0/actions"] = h5py.ExternalLink(str(tmp_path / "secret.hdf5"), "actions")

    with pytest.raises(minari.DataError, match="actions is a link to somewhere else"):
        minari.import_dataset(path, "lift-v0", "robomimic", ends="terminated")


def test_an_array_that_claims_more_than_the_file_holds_is_damage(path: Path) -> None:
    write_demonstrations(path, {0: 2}, rewards=None)
    with h5py.File(path, "a") as file:
        file.create_dataset("data/demo_0/rewards", (1 << 40,), "f8", chunks=(1024,))

    with pytest.raises(minari.DatasetDamagedError, match="claims 8796093022208 bytes"):
        minari.import_dataset(path, "lift-v0", "robomimic", ends="terminated")


def test_an_unknown_final_observation_stays_unknown(path: Path) -> None:
    episode = make_episode(0, 3, spaces.Box(-1, 1, (2,), np.float32))
    assert isinstance(episode.observations, list)
    episode.observations = episode.observations[:-1]
    dataset = minari.create_dataset_from_buffers(
        "cut-v0",
        [episode],
        observation_space=spaces.Box(-1, 1, (2,), np.float32),
        action_space=spaces.Box(-1, 1, (2,), np.float32),
    )

    minari.export_dataset(dataset, path, "robomimic")

    with h5py.File(path) as file:
        assert file["data/demo_0/next_obs/flat"].shape == (3, 2)
    (again,) = minari.import_dataset(path, "again-v0")
    assert not again.final_observation_known
    np.testing.assert_array_equal(again.observations, dataset[0].observations)


def test_spaces_that_are_no_arrays_are_refused_by_name(path: Path) -> None:
    space = spaces.Dict({"goal": spaces.Text(5)})
    dataset = minari.create_dataset_from_buffers(
        "text-v0",
        [make_episode(0, 2, space)],
        observation_space=space,
        action_space=spaces.Box(-1, 1, (2,), np.float32),
    )

    with pytest.raises(minari.DataError, match="observation 'goal' has values that are no array"):
        minari.export_dataset(dataset, path, "robomimic")
    assert not path.exists()


def test_a_file_of_another_layout_is_called_by_its_name(path: Path) -> None:
    write_demonstrations(path, {0: 2})

    with pytest.raises(minari.DataError, match="which is layout 'robomimic'"):
        minari.import_dataset(path, "lift-v0", "d4rl")


def test_a_final_observation_that_nobody_knows_is_told(path: Path) -> None:
    dataset = minari.create_dataset_from_arrays(
        "unknown-v0",
        observations=np.arange(6.0)[:, None],
        actions=np.zeros((6, 1)),
        rewards=np.arange(6.0),
        terminals=np.arange(6) % 3 == 2,
    )

    losses = minari.export_dataset(dataset, path, "robomimic")

    (reason,) = [loss.reason for loss in losses if loss.what == "final observations"]
    assert "those of 2 episodes" in reason
    made = minari.import_dataset(path, "again-v0")
    assert [episode.final_observation_known for episode in made] == [False, False]
