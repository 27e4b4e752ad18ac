"""Flat HDF5 files of D4RL and DSRL."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import minari
from minari import MinariDataset
from minari.interchange.layouts import recognize_layout
from tests.minari.interchange.conformance import LayoutConformance
from tests.minari.interchange.flat.examples import make_dataset

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")
_APART = frozenset(
    {"seed", "options", "metadata", "truncated", "infos/qpos", "infos/words", "infos/rare"}
)


class TestD4RL(LayoutConformance):
    layout: ClassVar[str] = "d4rl"
    file_name: ClassVar[str] = "walk.hdf5"
    kept_apart: ClassVar[frozenset[str]] = _APART

    def make_dataset(self) -> MinariDataset:
        return make_dataset()


class TestD4RLDict(TestD4RL):
    """Observations of a Dict space lie in a group."""

    def make_dataset(self) -> MinariDataset:
        space = spaces.Dict(
            {"image": spaces.Box(0, 255, (2, 2), np.uint8), "side": spaces.Discrete(3)}
        )
        return make_dataset("dict-v0", space, spaces.Discrete(4))


class TestDSRL(LayoutConformance):
    layout: ClassVar[str] = "dsrl"
    file_name: ClassVar[str] = "walk.hdf5"
    kept_apart: ClassVar[frozenset[str]] = _APART

    def make_dataset(self) -> MinariDataset:
        return make_dataset(with_cost=True)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "walk.hdf5"


def test_the_columns_are_those_of_d4rl(path: Path) -> None:
    dataset = make_dataset()

    minari.export_dataset(dataset, path, "d4rl")

    with h5py.File(path) as file:
        episodes = list(dataset)
        observations = np.concatenate([episode.observations[:-1] for episode in episodes])
        following = np.concatenate([episode.observations[1:] for episode in episodes])
        np.testing.assert_array_equal(file["observations"], observations)
        np.testing.assert_array_equal(file["next_observations"], following)
        np.testing.assert_array_equal(
            file["rewards"], np.concatenate([episode.rewards for episode in episodes])
        )
        assert np.flatnonzero(file["terminals"]).tolist() == [0, 5, 9, 14]
        assert np.flatnonzero(file["timeouts"]).tolist() == [2]
        qpos = np.concatenate([episode.infos["qpos"][:-1] for episode in episodes])
        np.testing.assert_array_equal(file["infos/qpos"], qpos)


def test_the_older_way_to_import_reads_what_is_exported(path: Path) -> None:
    dataset = make_dataset()
    minari.export_dataset(dataset, path, "d4rl")

    made = minari.import_flat_hdf5(path, "flat-v0")

    for episode, again in zip(dataset, made, strict=True):
        np.testing.assert_array_equal(again.observations, episode.observations)
        np.testing.assert_array_equal(again.terminations, episode.terminations)


def test_next_observations_are_left_out_where_one_is_unknown(path: Path) -> None:
    dataset = minari.create_dataset_from_arrays(
        "cut-v0",
        observations=np.arange(4.0)[:, None],
        actions=np.zeros((4, 1)),
        rewards=np.zeros(4),
        terminals=np.array([0, 1, 0, 0]),
    )

    losses = minari.export_dataset(dataset, path, "d4rl")

    assert "next_observations" in {loss.what for loss in losses}
    with h5py.File(path) as file:
        assert "next_observations" not in file
    made = minari.import_dataset(path, "again-v0")
    assert [episode.final_observation_known for episode in made] == [False, False]
    assert [len(episode) for episode in made] == [2, 2]


def test_a_tuple_has_no_names_in_a_flat_file(path: Path) -> None:
    space = spaces.Tuple([spaces.Discrete(2)])
    episode = minari.EpisodeBuffer(
        observations=(np.zeros(2, np.int64),),
        actions=np.zeros((1, 1)),
        rewards=[0.0],
        terminations=[True],
        truncations=[False],
    )
    dataset = minari.create_dataset_from_buffers(
        "tuple-v0",
        [episode],
        observation_space=space,
        action_space=spaces.Box(-1, 1, (1,), np.float64),
    )

    with pytest.raises(minari.DataError, match="observations/0 lies in a Tuple"):
        minari.export_dataset(dataset, path, "d4rl")
    assert not path.exists()


def test_costs_are_a_column_of_dsrl_and_come_back_as_infos_of_steps(path: Path) -> None:
    dataset = make_dataset(with_cost=True)

    minari.export_dataset(dataset, path, "dsrl")

    with h5py.File(path) as file:
        costs = np.concatenate([episode.infos["costs"][:-1] for episode in dataset])
        np.testing.assert_array_equal(file["costs"], costs)
        assert "infos/costs" not in file
    layout = recognize_layout(path)
    assert layout is not None
    assert layout.name == "dsrl"


def test_a_cost_that_steps_returned_is_a_column_and_told(path: Path) -> None:
    episode = minari.EpisodeBuffer(
        observations=np.zeros((3, 1)),
        actions=np.zeros((2, 1)),
        rewards=np.zeros(2),
        terminations=[False, True],
        truncations=[False, False],
        infos={"cost": np.array([7.0, 1.0, 2.0])},
    )
    space = spaces.Box(-1, 1, (1,), np.float64)
    dataset = minari.create_dataset_from_buffers(
        "safe-v0", [episode], observation_space=space, action_space=space
    )

    losses = minari.export_dataset(dataset, path, "dsrl")

    with h5py.File(path) as file:
        assert file["costs"][:].tolist() == [1.0, 2.0]
    assert "infos/cost" in {loss.what for loss in losses}


def test_a_dataset_without_costs_is_no_dsrl(path: Path) -> None:
    with pytest.raises(minari.DataError, match="name it by costs=, one of qpos, words, rare"):
        minari.export_dataset(make_dataset(), path, "dsrl")


def test_texts_of_other_episodes_are_damage(path: Path) -> None:
    minari.export_dataset(make_dataset(), path, "d4rl")
    with h5py.File(path, "a") as file:
        file["terminals"][0] = False

    with pytest.raises(minari.DatasetDamagedError, match=r"minari/facts is of shape \(5,\)"):
        minari.import_dataset(path, "again-v0")
    assert list(minari.list_local_datasets()) == ["maze/walk-v0"]


def test_options_of_d4rl_files_are_taken(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["observations"] = np.zeros((4, 2))
        file["actions"] = np.zeros((4, 1))
        file["rewards"] = np.zeros(4)
        file["terminals"] = np.zeros(4, bool)
        file["infos/log_probs"] = np.arange(4.0)
    options: dict[str, Any] = {"max_episode_steps": 2, "step_infos": ["log_probs"]}

    dataset = minari.import_dataset(path, "walk-v0", "d4rl", **options)

    assert [len(episode) for episode in dataset] == [2, 2]
    assert dataset.storage.metadata["step_infos"] == ["log_probs"]


@pytest.mark.parametrize(
    ("column", "rows", "message"),
    [
        ("infos/qpos", np.zeros((9, 4)), "infos/qpos has 9 rows, but terminals has 15"),
        ("rewards", np.zeros(9), "rewards has 9 rows, but terminals has 15"),
        ("next_observations", np.zeros((15, 3), np.float32), "episode 1: next_observations of"),
    ],
)
def test_columns_that_do_not_fit_are_named_with_their_file(
    path: Path, column: str, rows: Any, message: str
) -> None:
    minari.export_dataset(make_dataset(), path, "d4rl")
    with h5py.File(path, "a") as file:
        if column == "infos/qpos":
            file.create_dataset("infos/other", data=np.zeros(15))
        if column in file:
            del file[column]
        file[column] = rows

    for read in (minari.import_dataset, minari.import_flat_hdf5):
        with pytest.raises(minari.DataError, match=message) as raised:
            read(path, "made-v0")
        assert str(path) in str(raised.value)


def test_what_is_no_column_of_steps_is_listed(path: Path) -> None:
    minari.export_dataset(make_dataset(), path, "d4rl")
    with h5py.File(path, "a") as file:
        file["grades"] = np.zeros(3)
    losses: list[minari.Loss] = []

    minari.import_dataset(path, "made-v0", losses=losses)

    assert [loss.what for loss in losses] == ["grades"]


def test_a_key_that_would_be_a_path_is_refused(path: Path) -> None:
    space = spaces.Dict({"m/s": spaces.Box(-1, 1, (2,))})

    with pytest.raises(minari.DataError, match="observations cannot have the key 'm/s' in d4rl"):
        minari.export_dataset(make_dataset("path-v0", space), path, "d4rl")
    assert not path.exists()
