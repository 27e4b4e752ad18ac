"""Groups of files that are not trusted, and episodes of what they hold, at their bounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import minari
from minari import DataError, DatasetDamagedError
from minari.interchange.demonstrations import groups as groups_module
from minari.interchange.demonstrations.environment import describe_environment
from minari.interchange.demonstrations.groups import (
    GroupReader,
    find_group,
    list_numbered,
    look_into,
    open_file,
    open_group,
)
from minari.interchange.demonstrations.isaaclab import recognize as is_isaaclab
from minari.interchange.demonstrations.maniskill import recognize as is_maniskill
from minari.interchange.demonstrations.masks import read_masks, write_masks
from minari.interchange.demonstrations.names import name_arrays, restore_structure
from minari.interchange.demonstrations.robomimic import recognize as is_robomimic
from minari.interchange.demonstrations.trajectory import (
    Trajectory,
    check_count,
    count_rows,
    describe_attributes,
)
from tests.minari.interchange.demonstrations.examples import make_dataset, write_trajectories

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.hdf5"


def test_groups_are_opened_by_plain_names_alone(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["data/demo_1/x"] = np.arange(2)
        file["data/soft"] = h5py.SoftLink("/data/demo_1")
        file["data/out"] = h5py.ExternalLink("other.hdf5", "/")
    with open_file(path) as file:
        group = open_group(file, "/data/demo_1/")
        assert group is not None
        assert list(group) == ["x"]
        assert open_group(file, "/") is file
        for name in ("none", "data/none", "data/soft", "data/out", "data/demo_1/x", "data/soft/x"):
            assert open_group(file, name) is None
        assert find_group(file, "none") is None
        assert find_group(file, "data") is not None
    path.write_bytes(b"no HDF5")
    with pytest.raises(DatasetDamagedError, match=r"x\.hdf5 cannot be read"), open_file(path):
        pass


def test_numbered_groups_come_by_their_numbers(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for name in ("demo_10", "demo_9", "demo_007"):
            file.create_group(f"data/{name}")
        file.create_group("other/demo_x")
        file.create_group("third/dema_1")
        file.create_group("fourth/demo_\u0663")
    with open_file(path) as file:
        assert list_numbered(file, "data", "demo_") == ["demo_007", "demo_9", "demo_10"]
        for parent in ("other", "third", "fourth"):
            with pytest.raises(DataError, match=f"/{parent} has '.*', which is not demo_ and a"):
                list_numbered(file, parent, "demo_")
        with pytest.raises(DataError, match=r"x\.hdf5 has no group 'none'"):
            list_numbered(file, "none", "demo_")
    assert look_into(path, "data", "demo_") == set()
    assert look_into(path, "none", "demo_") == set()
    assert look_into(path.parent, "data", "demo_") == set()
    with h5py.File(path, "a") as file:
        file["data/a"] = np.arange(2)
        file["data/demo_007/x"] = np.arange(2)
    assert look_into(path, "data", "demo_") == {"x"}


@pytest.mark.parametrize(
    ("names", "isaaclab", "robomimic", "maniskill"),
    [
        (["obs", "actions"], True, False, False),
        (["initial_state", "actions"], True, False, False),
        (["actions"], False, False, False),
        (["obs"], False, False, False),
        (["obs", "actions", "dones"], False, True, False),
        (["obs", "actions", "next_obs"], False, True, False),
        (["actions", "dones"], False, False, False),
        (["obs", "actions", "terminated"], True, False, True),
    ],
)
def test_layouts_are_told_by_the_names_in_a_group(
    names: list[str], isaaclab: bool, robomimic: bool, maniskill: bool, path: Path
) -> None:
    with h5py.File(path, "w") as file:
        for name in names:
            file[f"data/demo_0/{name}"] = np.arange(2)
            file[f"traj_0/{name}"] = np.arange(2)
    assert (is_isaaclab(path), is_robomimic(path), is_maniskill(path)) == (
        isaaclab,
        robomimic,
        maniskill,
    )


def test_a_group_is_read_as_arrays_texts_and_dicts(path: Path) -> None:
    with h5py.File(path, "w") as file:
        group = file.create_group("g")
        group["numbers"] = np.arange(3)
        group["texts"] = ["a", "é"]
        group["fixed"] = np.array([b"a", b"bc"])
        group["deep/inner/x"] = np.zeros((2, 2))
        group["single"] = 7
        group["pairs"] = np.zeros(2, [("a", int)])
        group["complex"] = np.zeros(2, complex)
        group["type"] = np.dtype("f4")
        group["soft"] = h5py.SoftLink("/g/numbers")
        group.attrs["text"] = "said"
        group.attrs["bytes"] = np.bytes_(b"said")
        group.attrs["texts"] = ["a", "b"]
        group.attrs["number"] = 3
        group.attrs["numbers"] = np.arange(2)
        group.attrs["empty"] = h5py.Empty("f4")
    with open_file(path) as file:
        reader = GroupReader(file, "g")
        assert reader.where == f"{path}: /g"
        assert ("numbers" in reader, "none" in reader) == (True, False)
        assert set(reader) >= {"numbers", "texts", "deep"}
        assert reader.read("numbers").tolist() == [0, 1, 2]
        assert reader.read("texts") == ["a", "é"]
        assert reader.read("fixed") == ["a", "bc"]
        assert reader.read("deep")["inner"]["x"].shape == (2, 2)
        assert reader.read("single").tolist() == 7
        said = reader.attributes
        assert (said["text"], said["bytes"], said["texts"]) == ("said", "said", ["a", "b"])
        assert (said["number"], said["numbers"].tolist()) == (3, [0, 1])
        assert said["empty"] is None
        for name, sentence in (
            ("none", "/g has no 'none'; it has "),
            ("pairs", "which is neither numbers nor text"),
            ("complex", "/g/complex has dtype complex128, which is neither"),
            ("type", "/g/type is no array"),
            ("soft", "/g/soft is a link to somewhere else, which is not followed"),
        ):
            with pytest.raises(DataError, match=sentence):
                reader.read(name)
        with pytest.raises(DataError, match="/g/numbers is no group"):
            GroupReader(file, "g/numbers")
        with pytest.raises(DataError, match="/g/soft is a link"):
            GroupReader(file, "g/soft")


def test_a_group_has_so_many_arrays_and_levels(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(path, "w") as file:
        file["/".join(["g", *"a" * 15, "x"])] = np.arange(2)
        file["/".join(["h", *"a" * 16, "x"])] = np.arange(2)
        for number in range(4):
            file[f"many/in/{number}"] = np.arange(2)
    with open_file(path) as file:
        assert GroupReader(file, "g").read("a")
        with pytest.raises(DataError, match="is one of more groups than an episode has"):
            GroupReader(file, "h").read("a")
        monkeypatch.setattr(groups_module, "_MOST_ARRAYS", 5)
        assert len(GroupReader(file, "many").read("in")) == 4
        monkeypatch.setattr(groups_module, "_MOST_ARRAYS", 4)
        with pytest.raises(DataError, match="is one of more groups"):
            GroupReader(file, "many").read("in")


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (json.dumps({"a": 1}), {"env_args": {"a": 1}}),
        ("{", {"env_args": "{"}),
        ("[" * 50_000, {"env_args": "[" * 50_000}),
        (3, {"env_args": 3}),
        (None, None),
    ],
    ids=["json", "text", "deep", "number", "none"],
)
def test_what_is_said_of_the_environment_is_text(said: Any, found: Any, path: Path) -> None:
    with h5py.File(path, "w") as file:
        group = file.create_group("data")
        if said is not None:
            group.attrs["env_args"] = said
    with open_file(path) as file:
        wanted = {} if found is None else {"source_metadata": found}
        assert describe_environment(file, "data") == (wanted, [])
        assert describe_environment(file, "none")[0] == {}


def test_masks_name_episodes_by_their_places(path: Path) -> None:
    names = ["demo_0", "demo_1", "demo_10"]
    with h5py.File(path, "w") as file:
        write_masks(file, {}, names)
        assert "mask" not in file
        write_masks(file, {"train": np.array([0, 2]), "test": np.array([1])}, names)
        assert file["mask/train"][:].tolist() == [b"demo_0", b"demo_10"]
        for name in ("a/b", "."):
            with pytest.raises(DataError, match=f"split '{name}' cannot be the name of a mask"):
                write_masks(file.create_group(f"x{len(name)}"), {name: np.array([0])}, names)
    with open_file(path) as file:
        assert read_masks(file, names) == {"train": [[0, 1], [2, 3]], "test": [[1, 2]]}
        with pytest.raises(DataError, match="/mask/train names 'demo_10', which is no episode"):
            read_masks(file, names[:2])


def test_arrays_are_named_by_their_keys() -> None:
    value: dict[str, Any] = {"a": np.arange(2), "b": (np.arange(3), {"c": np.arange(4)})}
    named = name_arrays(value, "observation")
    assert {name: len(rows) for name, rows in named.items()} == {"a": 2, "b.0": 3, "b.1.c": 4}
    assert list(name_arrays(np.arange(2), "observation")) == ["flat"]
    space = spaces.Dict(
        a=spaces.Discrete(2),
        b=spaces.Tuple([spaces.Discrete(2), spaces.Dict(c=spaces.Discrete(2))]),
    )
    restored = restore_structure(named, space, "x")
    assert restored["a"] is value["a"]
    assert restored["b"][0] is value["b"][0]
    assert restored["b"][1]["c"] is value["b"][1]["c"]
    rows = np.arange(3)
    assert restore_structure(rows, space, "x") is rows
    assert restore_structure({"flat": rows}, spaces.Discrete(2), "x") is rows
    with pytest.raises(DataError, match=r"x has no 'b\.1\.c', which its observation space has"):
        restore_structure({"a": rows, "b.0": rows}, space, "x")
    for other, name in (({"a": {"b": rows}, "a.b": rows}, "a.b"), ({"a/b": rows}, "a/b")):
        with pytest.raises(DataError, match=f"observation cannot be called '{name}' here"):
            name_arrays(other, "observation")


def make(**fields: Any) -> Trajectory:
    plain: dict[str, Any] = {
        "where": "file: /demo_0",
        "observations": {"x": np.arange(3.0)},
        "actions": np.zeros((2, 1)),
        "terminated": True,
        "truncated": False,
    }
    return Trajectory(**{**plain, **fields})


def test_an_episode_is_made_of_what_fits() -> None:
    whole = make(rewards=np.array([1.0, 2.0]), infos={"a": np.arange(3), "b": np.arange(2)}, seed=3)
    buffer = whole.to_buffer()
    assert np.asarray(buffer.terminations).tolist() == [False, True]
    assert np.asarray(buffer.truncations).tolist() == [False, False]
    assert (np.asarray(buffer.rewards).tolist(), buffer.seed) == ([1, 2], 3)
    assert buffer.metadata == {}
    unknown = make(observations={"x": np.arange(2.0)}, metadata={"a": 1}).to_buffer()
    assert unknown.metadata == {"a": 1, "final_observation_known": False}
    assert np.asarray(unknown.rewards).tolist() == [0, 0]
    following = make(
        observations=({"x": np.arange(2.0)}, np.arange(2)),
        next_observations=({"x": np.arange(1.0, 3.0)}, np.arange(1, 3)),
    ).to_buffer()
    known: Any = following.observations
    assert (known[0]["x"].tolist(), known[1].tolist()) == ([0, 1, 2], [0, 1, 2])
    assert following.metadata == {}
    longer = make(next_observations={"x": np.arange(1.0, 3.0)}).to_buffer()
    rows: Any = longer.observations
    assert rows["x"].tolist() == [0, 1, 2]
    flags = make(terminated=np.array([True, True]), truncated=np.array([True, False])).to_buffer()
    assert np.asarray(flags.terminations).tolist() == [True, True]
    assert np.asarray(flags.truncations).tolist() == [True, False]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"actions": np.zeros((0, 1))}, "has no step"),
        ({"actions": 3}, "has no step"),
        (
            {"actions": {"a": np.zeros(2), "b": np.zeros(3)}},
            "actions/b has 3 rows, not 2, as the 2",
        ),
        ({"observations": {"x": np.zeros(4)}}, "observations/x has 4 rows, not 2 or 3, as the 2"),
        ({"observations": {"x": np.zeros(1)}}, "observations/x has 1 rows, not 2 or 3"),
        ({"observations": {"x": np.float64(1)}}, "observations/x has no rows, not 2 or 3"),
        ({"rewards": np.zeros(3)}, "rewards has 3 rows, not 2"),
        ({"infos": {"a": {"b": np.zeros(1)}}}, "a/b has 1 rows, not 2 or 3"),
        ({"infos": {"a": ["x"] * 4}}, "a has 4 rows, not 2 or 3"),
        ({"next_observations": {"x": np.zeros(3)}}, "next_observations/x has 3 rows, not 2"),
        ({"next_observations": {"x": np.zeros(2)}}, "next_observations"),
        ({"terminated": np.zeros(3, bool)}, "terminated has 3 rows, not 2"),
        ({"truncated": np.zeros(1, bool)}, "truncated has 1 rows, not 2"),
    ],
)
def test_columns_of_an_episode_that_do_not_fit_are_named(
    fields: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(DataError) as caught:
        make(**fields).to_buffer()
    assert sentence in str(caught.value)
    assert "file: /demo_0" in str(caught.value)


def test_rows_are_counted_by_the_first_leaf() -> None:
    for column, rows in (
        (np.zeros(3), 3), ({"a": [1, 2], "b": [1]}, 2), ((), 0), (np.float64(1), 0), (3, 0), ([], 0)
    ):  # fmt: skip
        assert count_rows(column) == rows
    for said, is_refused in (
        (2, False),
        (np.int64(2), False),
        (3, True),
        (None, False),
        ([3], False),
    ):
        attributes = {} if said is None else {"num_samples": said}
        if is_refused:
            with pytest.raises(DataError, match="x says num_samples=3, and has 2 actions"):
                check_count(attributes, np.zeros(2), "x")
        else:
            check_count(attributes, np.zeros(2), "x")
    assert describe_attributes(
        {
            "a": b"\xffx",
            "b": np.int64(3),
            "c": np.arange(2.0),
            "d": np.array(["x"]),
            "e": "text",
            "f": True,
            "g": None,
            "h": 3,
            "i": [1],
        },
        {"h"},
    ) == (
        {"a": "\ufffdx", "b": 3, "c": [0, 1], "e": "text", "f": True, "i": [1]},
        ["attribute d", "attribute g"],
    )


def spoil(path: Path, where: str, text: str | None) -> None:
    with h5py.File(path, "a") as file:
        del file[where]
        if text is not None:
            file[where] = text


@pytest.mark.parametrize(
    ("where", "text", "sentence"),
    [
        ("minari/description", "{", "/minari/description: "),
        ("minari/description", "[]", "/minari/description is no object"),
        ("minari/episodes/demo_1/facts", "[", "/minari/episodes/demo_1: facts: "),
        ("minari/episodes/demo_1/facts", "[]", "/minari/episodes/demo_1: facts is no object"),
        (
            "minari/description",
            '{"layout": "isaaclab"}',
            "was written as 'isaaclab', not as 'robomimic'",
        ),
    ],
)
def test_what_lies_beside_the_data_is_not_believed_if_it_cannot_be(
    where: str, text: str, sentence: str, path: Path
) -> None:
    minari.export_dataset(make_dataset(), path, "robomimic")
    spoil(path, where, text)
    with pytest.raises((DataError, DatasetDamagedError)) as caught:
        minari.import_dataset(path, "again-v0", "robomimic")
    assert sentence in str(caught.value)
    assert "again-v0" not in minari.list_local_datasets()


def test_an_episode_that_nothing_lies_beside_is_read_without(path: Path) -> None:
    dataset = make_dataset()
    minari.export_dataset(dataset, path, "robomimic")
    spoil(path, "minari/episodes/demo_1", None)
    odd = json.dumps({"seed": "x", "options": 3, "metadata": 3, "infos": 3, "extras": {}})
    spoil(path, "minari/episodes/demo_3/facts", odd)
    made = minari.import_dataset(path, "again-v0")
    assert (made[1].seed, made[1].metadata) == (None, {})
    assert made[2].metadata == dataset[2].metadata
    assert (made[3].seed, made[3].options) == (None, None)
    assert made[3].infos["contact"].shape == dataset[3].infos["contact"].shape


@pytest.mark.parametrize(
    ("spoilt", "sentence"),
    [
        (lambda said: said.update(episodes={}), "has no list of episodes"),
        (lambda said: said["episodes"].append({"episode_id": 3}), "traj_3 is not in both"),
        (lambda said: said.pop("episodes"), "is not in both"),
    ],
)
def test_a_json_file_that_lists_other_trajectories_is_told(
    spoilt: Any, sentence: str, tmp_path: Path
) -> None:
    path = write_trajectories(tmp_path / "t.h5")
    said = json.loads(path.with_suffix(".json").read_text())
    spoilt(said)
    path.with_suffix(".json").write_text(json.dumps(said))
    with pytest.raises((DataError, DatasetDamagedError), match=sentence):
        minari.import_dataset(path, "pick-v0")


@pytest.mark.parametrize(
    ("facts", "seed", "options"),
    [
        ({"reset_kwargs": {"seed": 5, "options": {"a": 1}}}, 5, {"a": 1}),
        ({"reset_kwargs": {"seed": [5]}}, 5, None),
        ({"reset_kwargs": {"seed": None, "options": None}}, None, None),
        ({"reset_kwargs": 3, "episode_seed": 8}, 8, None),
        ({"episode_seed": 8}, 8, None),
    ],
)
def test_how_a_trajectory_was_reset_is_read_where_it_is_said(
    facts: dict[str, Any], seed: int | None, options: Any, tmp_path: Path
) -> None:
    path = write_trajectories(tmp_path / "t.h5")
    said = json.loads(path.with_suffix(".json").read_text())
    said["episodes"][1] = {"episode_id": 9, "mode": "x", **facts}
    path.with_suffix(".json").write_text(json.dumps(said))
    with h5py.File(path, "a") as file:
        file["traj_9/rewards"] = np.array([0.5, 1.5])
        file["traj_10/rewards"] = np.arange(3.0)
        file["traj_9/truncated"][...] = [False, True]
    made = minari.import_dataset(path, "pick-v0")
    assert (made[0].seed, made[0].options) == (seed, options)
    assert made[0].rewards.tolist() == [0.5, 1.5]
    assert made[0].truncations.tolist() == made[0].terminations.tolist() == [False, True]
    known = {key: value for key, value in facts.items() if key != "reset_kwargs"}
    assert made[0].metadata == {"episode_id": 9, "mode": "x", **known}
    assert "final observations" not in made.metadata


def test_a_file_of_no_episode_is_told(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_group("data")
    with pytest.raises(DataError, match=r"x\.hdf5 has no episode"):
        minari.import_dataset(path, "x-v0", "robomimic", ends="terminated")


@pytest.mark.parametrize("layout", ["robomimic", "isaaclab"])
def test_rewards_and_observations_are_those_of_all_episodes_or_of_none(
    layout: str, path: Path
) -> None:
    with h5py.File(path, "w") as file:
        for number in range(2):
            group = file.create_group(f"data/demo_{number}")
            group["actions"] = np.zeros((2, 1))
            group["obs/x"] = np.zeros((2, 1))
            group["rewards"] = np.arange(2.0)
            if layout == "robomimic":
                group["dones"] = [0, 1]
    made = minari.import_dataset(path, "whole-v0", ends="terminated")
    assert made[1].rewards.tolist() == [0, 1]
    with h5py.File(path, "a") as file:
        del file["data/demo_1/rewards"]
    with pytest.raises(DataError, match="/data/demo_1 has no rewards, which other episodes have"):
        minari.import_dataset(path, "a-v0", ends="terminated")
    with h5py.File(path, "a") as file:
        del file["data/demo_0/rewards"]
        file["data/demo_1/rewards"] = np.arange(2.0)
    with pytest.raises(DataError, match="/data/demo_0 has no rewards, which other episodes have"):
        minari.import_dataset(path, "a-v0", ends="terminated")
    with h5py.File(path, "a") as file:
        file["data/demo_0/rewards"] = np.arange(2.0)
        file["data/demo_1/obs/y"] = np.zeros((2, 1))
    with pytest.raises(DataError, match=r"/data/demo_0 has no observation 'y', which .*demo_1 has"):
        minari.import_dataset(path, "a-v0", ends="terminated")
    with h5py.File(path, "a") as file:
        del file["data/demo_1/obs"]
        file["data/demo_1/obs"] = np.zeros((2, 1))
    with pytest.raises(
        DataError, match="demo_1: observations are laid out otherwise than those of"
    ):
        minari.import_dataset(path, "a-v0", ends="terminated")


def test_dones_are_one_a_step_and_asked_for_where_they_decide(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for number, dones in enumerate(([0, 1], [0, 0])):
            group = file.create_group(f"data/demo_{number}")
            group["actions"] = np.zeros((2, 1))
            group["obs/x"] = np.zeros((2, 1))
            group["dones"] = dones
    made = minari.import_dataset(path, "a-v0", ends="dones")
    assert [episode.terminations.tolist() for episode in made] == [[False, True], [False, False]]
    assert [episode.truncations.tolist() for episode in made] == [[False, False], [False, True]]
    for number, (ends, flags) in enumerate(
        (("terminated", "terminations"), ("truncated", "truncations"))
    ):
        made = minari.import_dataset(path, f"b-v{number}", ends=ends)
        assert [getattr(episode, flags).tolist() for episode in made] == [[False, True]] * 2
    with h5py.File(path, "a") as file:
        del file["data/demo_1/dones"]
        file["data/demo_1/dones"] = [0, 0, 1]
    with pytest.raises(DataError, match="demo_1: dones has 3 rows, not 2, one an action"):
        minari.import_dataset(path, "c-v0", ends="dones")
    with h5py.File(path, "a") as file:
        del file["data/demo_1/dones"]
    with pytest.raises(DataError, match="demo_1 has no dones; give ends='terminated'"):
        minari.import_dataset(path, "c-v0", ends="dones")


@pytest.mark.parametrize("seed", [None, 0, 2**63 - 1, 2**63])
def test_seeds_that_fit_are_attributes_of_isaac_labs_episodes(seed: int | None, path: Path) -> None:
    dataset = minari.create_dataset_from_buffers(
        "seed-v0",
        [
            minari.EpisodeBuffer(
                observations=np.zeros((3, 1)),
                actions=np.zeros((2, 1)),
                rewards=np.zeros(2),
                terminations=[False, True],
                truncations=[False, False],
                seed=seed,
            )
        ],
        observation_space=spaces.Box(-1, 1, (1,), np.float64),
        action_space=spaces.Box(-1, 1, (1,), np.float64),
    )
    minari.export_dataset(dataset, path, "isaaclab")
    with h5py.File(path) as file:
        said = file["data/demo_0"].attrs.get("seed")
        assert said == (seed if seed is not None and seed < 2**63 else None)
        assert file["data/demo_0/obs"].shape == (2, 1)
        assert file["data/demo_0/final_obs"].shape == (1, 1)
    assert minari.import_dataset(path, "again-v0")[0].seed == seed
    with h5py.File(path, "a") as file:
        del file["data/demo_0/final_obs"]
        file["data/demo_0/final_obs"] = np.zeros((1, 2))
    with pytest.raises(DataError, match="/data/demo_0/obs: the first or the last row, which lies"):
        minari.import_dataset(path, "other-v0")
