"""Flat columns of many episodes become datasets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces

from minari_core import (
    DataError,
    EpisodeBuffer,
    IncompatibleDatasetsError,
    MinariWarning,
    combine_datasets,
    convert_dataset,
    create_dataset_from_arrays,
    create_dataset_from_buffers,
    import_flat_hdf5,
    list_local_datasets,
    load_dataset,
    verify_dataset,
)

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")

TERMINALS = np.array([0, 0, 1, 0, 0, 0, 0], dtype=bool)
TIMEOUTS = np.array([0, 0, 0, 0, 1, 0, 0], dtype=bool)


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))


def columns() -> dict[str, Any]:
    observations = np.arange(14, dtype=np.float32).reshape(7, 2)
    following = np.concatenate([observations[1:], [[98, 99]]]).astype(np.float32)
    following[[2, 4]] = -1
    return {
        "observations": observations,
        "actions": np.arange(7, dtype=np.float32).reshape(7, 1),
        "rewards": np.arange(7, dtype=np.float32),
        "terminals": TERMINALS,
        "timeouts": TIMEOUTS,
        "next_observations": following,
    }


def write(path: Path, given: dict[str, Any]) -> Path:
    with h5py.File(path, "w") as file:
        for name, column in given.items():
            file[name] = column
        file["infos/qpos"] = np.arange(7.0)
        file["metadata/algorithm"] = "SAC"
    return path


def test_episodes_end_with_terminals_timeouts_and_the_data(tmp_path: Path) -> None:
    given = columns()
    made = create_dataset_from_arrays("a-v0", **given, infos={"qpos": np.arange(7.0)})
    imported = import_flat_hdf5(write(tmp_path / "flat.hdf5", given), "b-v0")
    for dataset in (made, imported):
        assert [len(episode) for episode in dataset] == [3, 2, 2]
        assert [bool(episode.terminations[-1]) for episode in dataset] == [True, False, False]
        assert [bool(episode.truncations[-1]) for episode in dataset] == [False, True, True]
        first, second, third = dataset
        assert first.observations.dtype == np.float32
        assert first.observations[-1].tolist() == [-1, -1]
        assert second.observations[0].tolist() == [6, 7]
        assert third.observations[-1].tolist() == [98, 99]
        assert np.concatenate([e.rewards for e in dataset]).tolist() == list(range(7))
        assert first.infos["qpos"].tolist() == [0, 1, 2, None]
        assert first.metadata == {"final_observation_known": True}
        assert dataset.observation_space == spaces.Box(-np.inf, np.inf, (2,), np.float32)


@pytest.mark.parametrize("data_format", ["columnar", "hdf5", "arrow", "parquet"])
def test_without_next_observations_nobody_is_given_a_final_one(data_format: str) -> None:
    given = columns()
    del given["next_observations"]
    dataset = create_dataset_from_arrays("a-v0", **given, data_format=data_format)
    converted = convert_dataset(dataset[1:], "b-v0", data_format="columnar")
    back = convert_dataset(converted, "c-v0", data_format=data_format)
    for one in (dataset[0], *combine_datasets([converted, dataset, back], "d-v0")):
        assert not one.final_observation_known
        assert one.metadata == {"final_observation_known": False}
        assert one.observations.shape == (len(one), 2)
    assert dataset[0].observations.tolist() == [[0, 1], [2, 3], [4, 5]]
    for described in back.iterate_episode_metadata():
        assert not described.final_observation_known
    # What was read can be stored again.
    dataset.update_dataset_from_buffer([dataset[1]])
    assert dataset[3].observations.tolist() == dataset[1].observations.tolist()
    assert verify_dataset("a-v0").problems == ()


def test_an_epoch_leaves_out_the_steps_that_led_to_nobody_knows_what() -> None:
    given = columns()
    del given["next_observations"]
    dataset = create_dataset_from_arrays("a-v0", **given)
    (batch,) = dataset.batches(99, shuffle=False)
    assert batch.observations[:, 0].tolist() == [0, 2, 6, 10]
    assert batch.next_observations[:, 0].tolist() == [2, 4, 8, 12]
    (batch,) = dataset.batches(99, shuffle=False, include_unknown_final=True)
    assert batch.observations[:, 0].tolist() == [0, 2, 4, 6, 8, 10, 12]
    assert batch.next_observations[:, 0].tolist() == [2, 4, None, 8, None, 12, None]
    assert batch.terminations.tolist() == [False, False, True, False, False, False, False]
    assert dataset.statistics()["observations"].count == 7


@pytest.mark.filterwarnings("default::minari_core.MinariWarning")
def test_a_warning_says_that_steps_which_ended_episodes_are_left_out() -> None:
    given = columns()
    del given["next_observations"]
    with pytest.warns(MinariWarning, match="3 last steps out, 1 of which"):
        create_dataset_from_arrays("a-v0", **given)


def test_an_episode_without_a_final_observation_has_one_observation_a_step() -> None:
    episode = EpisodeBuffer(
        observations=np.zeros((4, 2), np.float32),
        actions=np.zeros((3, 1), np.float32),
        rewards=np.zeros(3),
        terminations=np.zeros(3, bool),
        truncations=np.zeros(3, bool),
        metadata={"final_observation_known": False},
    )
    dataset = create_dataset_from_arrays("a-v0", **columns())
    with pytest.raises(DataError, match="episode 0: observations has 4 rows, not 3"):
        dataset.update_dataset_from_buffer([episode])


def test_dicts_and_a_limit_of_steps() -> None:
    dataset = create_dataset_from_arrays(
        "a-v0",
        observations={"x": np.arange(5.0), "y": (np.arange(5), np.zeros((5, 2), dtype=bool))},
        actions=np.array([0, 2, 1, 0, 1]),
        rewards=np.zeros(5),
        terminals=[0, 0, 0, 0, 1],
        max_episode_steps=2,
        data_format="hdf5",
    )
    assert [len(episode) for episode in dataset] == [2, 2, 1]
    assert [bool(episode.truncations[-1]) for episode in dataset] == [True, True, False]
    assert dataset.action_space == spaces.Discrete(3)
    assert dataset[1].observations["x"].tolist() == [2, 3]


def test_columns_that_do_not_fit_are_refused_by_name(tmp_path: Path) -> None:
    given = columns()
    for name, column in (
        ("observations", given["observations"][:-1]),
        ("rewards", np.zeros(6)),
        ("timeouts", np.zeros(3)),
        ("terminals", np.full(7, 2)),
        ("next_observations", given["next_observations"] + 1),
        ("actions", np.zeros(())),
    ):
        with pytest.raises(DataError, match=name):
            create_dataset_from_arrays("a-v0", **{**given, name: column})
    del given["rewards"]
    with pytest.raises(DataError, match="has no rewards"):
        import_flat_hdf5(write(tmp_path / "flat.hdf5", given), "b-v0")
    assert not (tmp_path / "datasets" / "a-v0").exists()


@pytest.mark.parametrize("data_format", ["columnar", "hdf5"])
def test_infos_of_the_action_are_sampled_with_it(tmp_path: Path, data_format: str) -> None:
    given = columns()
    infos = {"action_log_probs": np.arange(7.0), "qpos": np.arange(7.0)}
    path = write(tmp_path / "flat.hdf5", given)
    with h5py.File(path, "a") as file:
        file["infos/action_log_probs"] = infos["action_log_probs"]
    made = create_dataset_from_arrays("a-v0", **given, infos=infos, data_format=data_format)
    imported = import_flat_hdf5(path, "b-v0", data_format=data_format)
    for dataset in (made, imported):
        assert dataset.metadata["step_infos"] == ["action_log_probs"]
        assert dataset[0].infos["action_log_probs"].tolist() == [0, 1, 2, None]
        copy = convert_dataset(
            combine_datasets([dataset, dataset[:0]], f"both/{dataset.id}"), f"again/{dataset.id}"
        )
        names = ["actions", "infos/action_log_probs", "infos/qpos", "current_infos/qpos"]
        (batch,) = copy.batches(99, shuffle=False, columns=names)
        read = batch.columns
        assert read["infos/action_log_probs"].tolist() == batch.actions[:, 0].tolist()
        assert read["current_infos/qpos"].tolist() == batch.actions[:, 0].tolist()
        assert read["infos/qpos"].tolist() == [1, 2, None, 4, None, 6, None]
    unmarked = create_dataset_from_arrays("u-v0", **given, infos=infos, step_infos=())
    (batch,) = unmarked.batches(99, shuffle=False, columns=["infos/action_log_probs"])
    assert batch.columns["infos/action_log_probs"].tolist() == [1, 2, None, 4, None, 6, None]
    with pytest.raises(IncompatibleDatasetsError, match=r"'action_log_probs'.* not in 'u-v0'"):
        combine_datasets([made, unmarked], "e-v0")


@pytest.mark.parametrize("data_format", ["columnar", "hdf5", "arrow"])
def test_step_infos_that_do_not_exist_are_refused_with_those_that_do(data_format: str) -> None:
    given = columns()
    infos = {"effort": np.arange(7.0), "qpos": {"x": np.arange(7.0)}}
    options: Any = {"data_format": data_format}
    absent = r"step_infos names 'speed', which is no info; there is 'effort', 'qpos'"
    no_list = "step_infos is 'effort', not a list of names of infos"
    names: Any
    for names, message in ((["effort", "speed"], absent), ("effort", no_list)):
        with pytest.raises(DataError, match=message):
            create_dataset_from_arrays("a-v0", **given, infos=infos, step_infos=names, **options)
    made = create_dataset_from_arrays("a-v0", **given, infos=infos, step_infos=(), **options)
    episodes = list(made)
    of: Any = {"observation_space": made.observation_space, "action_space": made.action_space}
    for names, message in ((["speed"], absent), ("effort", no_list), ([1], r"\[1\], not a list")):
        with pytest.raises(DataError, match=message):
            create_dataset_from_buffers("b-v0", episodes, step_infos=names, **of, **options)
        with pytest.raises(DataError, match=message):
            made.storage.update_metadata({"step_infos": names})
    with pytest.raises(DataError, match="there is none"):
        create_dataset_from_arrays("c-v0", **given, step_infos=["effort"], **options)
    assert list(list_local_datasets()) == ["a-v0"]
    created = create_dataset_from_buffers("b-v0", episodes, step_infos=("effort",) * 2, **of)
    made.storage.update_metadata({"step_infos": ["effort"]})
    for dataset in (load_dataset("a-v0"), created):
        assert dataset.metadata["step_infos"] == ["effort"]
    made.storage.update_metadata({"step_infos": None})


@pytest.mark.filterwarnings("default::minari_core.MinariWarning")
def test_an_import_says_which_infos_it_takes_for_those_of_the_action() -> None:
    with pytest.warns(MinariWarning, match=r"action_log_probs are taken .* step_infos=\(\)"):
        create_dataset_from_arrays("a-v0", **columns(), infos={"action_log_probs": np.zeros(7)})


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"rewards": np.zeros(0)}, "rewards has 0 rows"),
        ({"actions": np.zeros((8, 1))}, "actions has 8 rows"),
        (
            {"next_observations": {"a": np.zeros(7), "b": np.zeros(6)}},
            "next_observations/b has 6 rows",
        ),
        ({"infos": {"qpos": np.zeros(6)}}, "infos/qpos has 6 rows"),
    ],
)
def test_columns_of_another_length_are_refused_by_name(changes: dict[str, Any], found: str) -> None:
    with pytest.raises(DataError, match=f"^{found}, but terminals has 7$"):
        create_dataset_from_arrays("a-v0", **{**columns(), **changes})


@pytest.mark.filterwarnings("error::minari_core.MinariWarning:tests")
def test_episodes_that_are_stored_again_without_the_mark_of_their_infos_are_warned_of() -> None:
    infos = {"effort": np.arange(7.0)}
    described: Any = dict.fromkeys(
        ("author", "author_email", "algorithm_name", "code_permalink"), "x"
    )
    marked = create_dataset_from_arrays(
        "a-v0", **columns(), infos=infos, step_infos=["effort"], **described
    )
    of: Any = {"observation_space": marked.observation_space, "action_space": marked.action_space}
    relabelled = [replace(episode, rewards=episode.rewards * 2) for episode in marked]
    lost = r"row t of the infos 'effort' belongs to step t .* step_infos=\['effort'\]"

    for number, given in enumerate((list(marked), relabelled, iter(marked))):
        with pytest.warns(MinariWarning, match=lost) as warned:
            create_dataset_from_buffers(f"b-v{number}", given, **of, **described)
        assert [warning.filename for warning in warned if "effort" in str(warning.message)] == [
            __file__
        ]
    with pytest.warns(MinariWarning, match=lost):
        load_dataset("b-v0").update_dataset_from_buffer(relabelled)
    kept = create_dataset_from_buffers("c-v0", relabelled, step_infos=["effort"], **of, **described)
    kept.update_dataset_from_buffer(list(marked))


def test_further_columns_are_infos_of_steps_and_text_is_metadata(tmp_path: Path) -> None:
    path = write(tmp_path / "safe.hdf5", {**columns(), "costs": np.arange(7.0)})
    with h5py.File(path, "a") as file:
        file["metadata/policy/weight"] = np.zeros((2, 2))
        file["words"] = "no column"

    with pytest.warns(MinariWarning, match="left out") as warned:
        dataset = import_flat_hdf5(path, "safe-v0")

    said = " ".join(str(warning.message) for warning in warned)
    assert "metadata/policy/weight" in said
    assert "words" in said
    assert dataset.metadata["source_metadata"] == {"algorithm": "SAC"}
    assert dataset.metadata["step_infos"] == ["costs"]
    (batch,) = dataset.batches(7, columns=["rewards", "infos/costs"], shuffle=False)
    assert batch.columns["infos/costs"].tolist() == batch.rewards.tolist()


def test_the_last_row_of_an_episode_may_be_its_final_observation() -> None:
    given = columns()
    del given["next_observations"], given["timeouts"]

    dataset = create_dataset_from_arrays("a-v0", **given, final_rows=True)

    first, *_ = dataset
    rows = int(np.flatnonzero(TERMINALS)[0]) + 1
    assert len(first) == rows - 1
    assert first.final_observation_known
    assert first.observations.tolist() == given["observations"][:rows].tolist()
    assert first.actions.tolist() == given["actions"][: rows - 1].tolist()
    assert first.terminations.tolist() == [False] * (rows - 2) + [True]
    with pytest.raises(DataError, match="has one row, its final observation"):
        create_dataset_from_arrays("b-v0", **{**given, "terminals": np.ones(7)}, final_rows=True)
    with pytest.raises(DataError, match="give one of them"):
        create_dataset_from_arrays("b-v0", **columns(), final_rows=True)


def test_next_observations_of_other_columns_are_refused_by_name() -> None:
    steps = {"a": np.zeros((2, 1)), "b": np.zeros((2, 1))}

    with pytest.raises(DataError, match="episode 0: next_observations/b is not in both"):
        create_dataset_from_arrays(
            "tests/columns-v0",
            observations=steps,
            actions=np.zeros((2, 1)),
            rewards=np.zeros(2),
            terminals=np.array([False, True]),
            next_observations={"a": np.zeros((2, 1))},
        )
    assert list_local_datasets() == {}
