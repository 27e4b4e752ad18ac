"""Folders of RLDS: what is written where, and what is made of those that others wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import minari
from minari import DataError, DatasetDamagedError, DatasetNotFoundError
from minari.interchange.rlds import writing
from minari.interchange.rlds.examples import decode_example, encode_example
from minari.interchange.rlds.features import Feature, describe_features, encode_leaf
from minari.interchange.rlds.reading import read_folder
from minari.interchange.rlds.records import iterate_records, write_record
from minari_core import EpisodeData

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")
VECTOR = Feature("tensor", "float32", (2,))
NUMBER = Feature("tensor", "float64", (), "bytes")
FLAG = Feature("tensor", "bool")
TEXT = Feature("text")


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))


def write_foreign(root: Path, leaves: dict[str, Any], **info: Any) -> Path:
    """Write one episode of three steps, and what its features are."""
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    found: dict[str, Any] = {
        "steps/observation": (VECTOR, rows),
        "steps/action": (VECTOR, rows + 10),
        "steps/reward": (NUMBER, np.array([0.1, 0.2, 0.3])),
        "steps/is_first": (FLAG, np.array([True, False, False])),
        "steps/is_last": (FLAG, np.array([False, False, True])),
        "steps/is_terminal": (FLAG, np.array([False, False, True])),
        **leaves,
    }
    found = {name: leaf for name, leaf in found.items() if leaf is not None}
    root.mkdir(parents=True)
    with (root / "x-train.tfrecord-00000-of-00001").open("wb") as file:
        values = {name: encode_leaf(rows, feature) for name, (feature, rows) in found.items()}
        write_record(file, encode_example(values))
    said = describe_features({name: feature for name, (feature, _) in found.items()})
    (root / "features.json").write_text(json.dumps(said))
    split = {"name": "train", "shardLengths": ["1"]}
    (root / "dataset_info.json").write_text(json.dumps({"name": "x", "splits": [split], **info}))
    return root


def read(root: Path, **options: Any) -> tuple[minari.MinariDataset, dict[str, str]]:
    losses: list[minari.Loss] = []
    made = minari.import_dataset(root, "made-v0", "rlds", losses=losses, **options)
    return made, {loss.what: loss.reason for loss in losses}


def test_steps_become_transitions_by_the_rules_of_rlds(tmp_path: Path) -> None:
    made, losses = read(write_foreign(tmp_path / "x", {}))
    (episode,) = made
    assert episode.observations.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert episode.actions.tolist() == [[10, 11], [12, 13]]
    assert episode.rewards.tolist() == [0.1, 0.2]
    assert episode.terminations.tolist() == [False, True]
    assert episode.truncations.tolist() == [False, False]
    assert episode.final_observation_known
    assert losses == {
        "actions and rewards of last steps": "by RLDS they mean nothing; last_step='transition' "
        "takes them for those of a step"
    }
    assert made.observation_space == spaces.Box(-np.inf, np.inf, (2,), np.float32)
    minari.delete_dataset("made-v0")
    made, losses = read(tmp_path / "x", last_step="transition")
    (episode,) = made
    assert episode.actions.tolist() == [[10, 11], [12, 13], [14, 15]]
    assert episode.rewards.tolist() == [0.1, 0.2, 0.3]
    assert episode.terminations.tolist() == [False, False, True]
    assert not episode.final_observation_known
    assert losses == {
        "final observations": "nobody knows what the last action of an episode led to"
    }


@pytest.mark.parametrize(
    ("terminal", "ends", "terminated"),
    [
        ([False, False, True], None, True),
        ([False, False, False], None, False),
        ([False, False, False], "terminated", False),
        (None, "terminated", True),
        (None, "truncated", False),
    ],
)
def test_an_episode_ends_as_its_flag_or_the_option_says(
    terminal: Any, ends: Any, terminated: bool, tmp_path: Path
) -> None:
    leaf = None if terminal is None else (FLAG, np.array(terminal))
    made, _ = read(write_foreign(tmp_path / "x", {"steps/is_terminal": leaf}), ends=ends)
    assert made[0].terminations.tolist() == [False, terminated]
    assert made[0].truncations.tolist() == [False, not terminated]


def test_further_features_become_infos_and_metadata(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (3, 8, 9, 3), np.uint8)
    wide = Feature("tensor", "float32", (4096,))
    small = Feature("tensor", "float32", (4095,))
    root = write_foreign(
        tmp_path / "x",
        {
            "steps/observation": None,
            "steps/reward": None,
            "steps/is_first": None,
            "steps/is_last": None,
            "steps/observation/eye": (Feature("image", "uint8", (8, 9, 3)), image),
            "steps/observation/arm/x": (VECTOR, np.ones((3, 2), np.float32)),
            "steps/observation/note": (TEXT, ["a", "b", "c"]),
            "steps/action": None,
            "steps/action/go": (Feature("tensor", "int64"), np.arange(3)),
            "steps/discount": (Feature("tensor", "float32"), np.array([1, 1, 0])),
            "steps/said": (TEXT, ["x", "y", "z"]),
            "episode_metadata/file": (TEXT, ["demo"]),
            "episode_metadata/size": (Feature("tensor", "int64"), np.array([7])),
            "episode_metadata/wide": (wide, np.zeros((1, 4096), np.float32)),
            "episode_metadata/small": (small, np.zeros((1, 4095), np.float32)),
            "plain": (TEXT, ["q"]),
        },
    )
    made, losses = read(root)
    (episode,) = made
    assert losses["rewards"] == "the data has none, and they are 0"
    assert np.array_equal(episode.observations["eye"], image)
    assert episode.observations["arm"]["x"].tolist() == [[1, 1]] * 3
    assert list(episode.observations) == ["eye", "arm"] or set(episode.observations) == {
        "eye",
        "arm",
    }
    assert episode.actions["go"].tolist() == [0, 1]
    assert episode.rewards.tolist() == [0, 0]
    infos = {key: list(value) for key, value in episode.infos.items()}
    assert infos == {
        "observation/note": ["a", "b", "c"],
        "discount": [1, 1, 0],
        "said": ["x", "y", "z"],
    }
    assert {key: value for key, value in episode.metadata.items() if key != "small"} == {
        "file": "demo",
        "size": 7,
        "plain": "q",
    }
    assert len(episode.metadata["small"]) == 4095
    assert set(made.metadata["step_infos"]) == set(infos)  # type: ignore[arg-type]  # a list


@pytest.mark.parametrize(
    ("leaves", "sentence"),
    [
        (
            {"steps/is_first": (FLAG, np.array([True, True, False]))},
            "is_first is true in the steps [0, 1], not in 0",
        ),
        (
            {"steps/is_last": (FLAG, np.array([False, True, False]))},
            "is_last is true in the steps [1], not in 2",
        ),
        (
            {"steps/is_terminal": (FLAG, np.array([True, False, True]))},
            "is_terminal is true before the last step",
        ),
        ({"steps/action": (VECTOR, np.zeros((2, 2), np.float32))}, "steps/action has 4 values"),
        ({"steps/action": None}, "has no feature 'steps/action' that can be read"),
    ],
)
def test_steps_that_contradict_each_other_are_told(
    leaves: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    root = write_foreign(tmp_path / "x", leaves)
    with pytest.raises(DataError) as caught:
        read(root)
    assert sentence in str(caught.value)
    assert "x" in str(caught.value)


def test_one_step_is_no_transition_if_it_is_the_final_observation(tmp_path: Path) -> None:
    single = {
        "steps/observation": (VECTOR, np.zeros((1, 2), np.float32)),
        "steps/action": (VECTOR, np.zeros((1, 2), np.float32)),
        "steps/reward": (NUMBER, np.zeros(1)),
        **{f"steps/is_{flag}": (FLAG, np.array([True])) for flag in ("first", "last", "terminal")},
    }
    root = write_foreign(tmp_path / "x", single)
    with pytest.raises(DataError, match="episode 0 has 1 steps, of which none is a transition"):
        read(root)
    made, _ = read(root, last_step="transition")
    assert len(made[0]) == 1


def change(root: Path, name: str, changed: Callable[[Any], object]) -> None:
    said = json.loads((root / name).read_text())
    changed(said)
    (root / name).write_text(json.dumps(said))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (
            lambda said: said.update(fileFormat="array_record"),
            "fileFormat is not tfrecord, or there",
        ),
        (lambda said: said.update(splits={}), "fileFormat is not tfrecord, or there are no splits"),
        (lambda said: said["splits"].append(3), "a split has no shardLengths"),
        (lambda said: said["splits"][0].update(shardLengths=3), "a split has no shardLengths"),
        (lambda said: said["splits"][0].update(filepathTemplate=3), "a split has no shardLengths"),
        (lambda said: said["splits"][0].update(shardLengths=["x"]), "with 'x' records is no file"),
        (
            lambda said: said["splits"][0].update(shardLengths=["-1"]),
            "with '-1' records is no file",
        ),
        (
            lambda said: said["splits"][0].update(shardLengths=["2"]),
            "has 1 records, and dataset_info",
        ),
        (
            lambda said: said["splits"][0].update(shardLengths=["0"]),
            "has 1 records, and dataset_info",
        ),
        (
            lambda said: said["splits"][0].update(shardLengths=["1", "1"]),
            "has no file x-train.tfrecord",
        ),
    ],
)
def test_files_that_are_not_as_many_as_is_said_are_told(
    changed: Any, sentence: str, tmp_path: Path
) -> None:
    root = write_foreign(tmp_path / "x", {})
    change(root, "dataset_info.json", changed)
    with pytest.raises((DataError, DatasetNotFoundError)) as caught:
        read(root)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        (None, "x-train.tfrecord-00001-of-00002"),
        ("", "x-train.tfrecord-00001-of-00002"),
        ("{SPLIT}.{SHARD_INDEX}.{NUM_SHARDS}", "train.00001.00002"),
        ("{DATASET}_{FILEFORMAT}_{SHARD_X_OF_Y}", "x_tfrecord_00001-of-00002"),
    ],
)
def test_shards_are_found_by_their_names(template: Any, name: str, tmp_path: Path) -> None:
    root = write_foreign(tmp_path / "x", {})
    (file,) = root.glob("*.tfrecord*")
    content = file.read_bytes()
    file.unlink()
    split = {"name": "train", "shardLengths": ["1", 1], "filepathTemplate": template}
    empty = {"name": "test", "shardLengths": []}
    change(
        root, "dataset_info.json", lambda said: said.update(splits=[split, empty, {"name": "no"}])
    )
    for number in (0, 1):
        (root / name.replace("00001", f"0000{number}")).write_bytes(content)
    made, _ = read(root)
    assert len(made) == 2
    target = root / name
    target.rename(root / "other")
    target.symlink_to(root / "other")
    minari.delete_dataset("made-v0")
    with pytest.raises(DataError, match="is no file beside it"):
        read(root)


def make_dataset(count: int = 4, **fields: Any) -> minari.MinariDataset:
    episodes = [
        minari.EpisodeBuffer(
            observations=np.arange(3.0)[:, None] + number,
            actions=np.arange(2)[:, None].astype(np.float32),
            rewards=np.array([0.5, number]),
            terminations=[False, number % 2 == 0],
            truncations=[False, number % 2 == 1],
            infos={
                "whole": np.arange(3),
                "either": np.arange(3) if number else ["a", "b", "c"],
                **({"late": np.arange(3)} if number else {}),
                **({"early": np.arange(3)} if not number else {}),
            },
            seed=number,
            **fields,
        )
        for number in range(count)
    ]
    return minari.create_dataset_from_buffers(
        "Farm/Drive-v3",
        episodes,
        observation_space=spaces.Box(-99, 99, (1,), np.float64),
        action_space=spaces.Box(-99, 99, (1,), np.float32),
        description="Drives.",
        citation="Ada",
    )


@pytest.mark.parametrize(("nbytes", "shards"), [(1 << 30, 1), (1, 4)])
def test_a_folder_says_what_it_has(
    nbytes: int, shards: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_SHARD_NBYTES", nbytes)
    root = tmp_path / "out"

    losses = {
        loss.what: loss.reason for loss in minari.export_dataset(make_dataset(), root, "rlds")
    }

    assert "final observations" not in losses
    for name in ("either", "late", "early"):
        assert losses[f"infos/{name}"] == (
            "some row has none, or it is neither numbers of one shape nor text; it lies in "
            "episode_metadata/minari"
        )
    assert losses["seeds"] == "RLDS has no place for it; it lies in episode_metadata/minari"
    assert losses["dataset metadata"] == "RLDS has no spaces or environments; it is in minari.json"
    files = [f"farm_drive_v3-train.tfrecord-{n:05d}-of-{shards:05d}" for n in range(shards)]
    assert sorted(path.name for path in root.iterdir()) == sorted(
        [*files, "dataset_info.json", "features.json", "minari.json"]
    )
    info = json.loads((root / "dataset_info.json").read_text())
    assert info == {
        "description": "Drives.",
        "citation": "Ada",
        "fileFormat": "tfrecord",
        "name": "farm_drive_v3",
        "version": "1.0.0",
        "splits": [
            {
                "name": "train",
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "numBytes": str(sum((root / file).stat().st_size for file in files)),
                "shardLengths": [str(4 // shards)] * shards,
            }
        ],
    }
    examples = [decode_example(r) for file in files for r in iterate_records(root / file)]
    for number, example in enumerate(examples):
        assert np.asarray(example["steps/is_first"]).tolist() == [1, 0, 0]
        assert np.asarray(example["steps/is_last"]).tolist() == [0, 0, 1]
        assert np.asarray(example["steps/is_terminal"]).tolist() == [0, 0, number % 2 == 0]
        discounts = np.asarray(example["steps/discount"])
        assert discounts.tolist() == [1, 1, number % 2]
        assert discounts.dtype == np.float32
        rewards = np.frombuffer(b"".join(example["steps/reward"]))
        assert rewards.tolist() == [0.5, number, 0]
        assert np.asarray(example["steps/action"]).tolist() == [0, 1, 0]
        assert np.asarray(example["steps/info/whole"]).tolist() == [0, 1, 2]
        assert not example.keys() & {f"steps/info/{n}" for n in ("either", "late", "early")}
    features = json.loads((root / "features.json").read_text())["featuresDict"]["features"]
    inner = features["steps"]["sequence"]["feature"]["featuresDict"]["features"]
    assert inner["discount"]["tensor"]["dtype"] == "float32"
    assert (inner["reward"]["tensor"]["dtype"], inner["reward"]["tensor"]["encoding"]) == (
        "float64",
        "bytes",
    )
    made = minari.import_dataset(root, "again-v0")
    assert [episode.rewards.tolist() for episode in made] == [[0.5, n] for n in range(4)]
    assert made[0].infos["either"] == ["a", "b", "c"]
    assert made.metadata["description"] == "Drives."


def test_the_name_of_a_folder_is_plain(tmp_path: Path) -> None:
    assert writing.escape_key("a/b%c") == "a%2Fb%25c"
    assert writing.name_leaf("infos", ("a/b", 0)) == "steps/info/a%2Fb/0"
    assert [writing.len_of(leaf) for leaf in ([1, 2], np.zeros(3), "text", None)] == [2, 3, 0, 0]


@pytest.mark.parametrize("flag", ["terminations", "truncations"])
def test_an_episode_that_goes_on_after_its_end_has_no_place(flag: str) -> None:
    flags: dict[str, Any] = {name: np.zeros(2, bool) for name in ("terminations", "truncations")}
    flags[flag][0] = True
    episode = EpisodeData(7, np.zeros((3, 1)), np.zeros((2, 1)), np.zeros(2), **flags)
    with pytest.raises(DataError, match="episode 7 goes on after a step that ended it, for which"):
        writing._encode_episode(episode, {})


def test_what_is_no_feature_is_refused_by_name(tmp_path: Path) -> None:
    space = spaces.Dict({"a/b": spaces.Sequence(spaces.Discrete(2))})
    dataset = minari.create_dataset_from_buffers(
        "odd-v0",
        [
            minari.EpisodeBuffer(
                observations={"a/b": [(0,), (1, 1)]},
                actions=[0],
                rewards=[0.0],
                terminations=[True],
                truncations=[False],
            )
        ],
        observation_space=space,
        action_space=spaces.Discrete(2),
    )
    with pytest.raises(DataError, match="observations/a/b of episode 0 is neither numbers of one"):
        minari.export_dataset(dataset, tmp_path / "x", "rlds")


def test_unknown_ends_are_told_and_come_back(tmp_path: Path) -> None:
    episodes = [
        minari.EpisodeBuffer(
            observations=np.arange(2.0)[:, None],
            actions=np.zeros((2, 1)),
            rewards=np.arange(2.0),
            terminations=[False, True],
            truncations=[False, False],
            infos={"x": np.ma.array(np.arange(3), mask=[False, False, bool(number)])},
            extras={"e": np.arange(3)},
            metadata={"final_observation_known": False, "a": 1},
        )
        for number in range(3)
    ]
    dataset = minari.create_dataset_from_buffers(
        "unknown-v0",
        episodes,
        observation_space=spaces.Box(-9, 9, (1,), np.float64),
        action_space=spaces.Box(-9, 9, (1,), np.float64),
    )
    losses = {
        loss.what: loss.reason for loss in minari.export_dataset(dataset, tmp_path / "x", "rlds")
    }
    assert losses["final observations"].startswith("nobody knows those of 3 episodes; by the rules")
    (file,) = (tmp_path / "x").glob("*.tfrecord*")
    example = decode_example(next(iterate_records(file)))
    assert np.asarray(example["steps/is_terminal"]).tolist() == [0, 0]
    assert np.asarray(example["steps/discount"]).tolist() == [1, 1]
    assert np.asarray(example["steps/extra/e"]).tolist() == [0, 1]
    made = minari.import_dataset(tmp_path / "x", "again-v0")
    for number, episode in enumerate(made):
        assert not episode.final_observation_known
        assert episode.terminations.tolist() == [False, True]
        assert episode.extras["e"].tolist() == [0, 1, 2]
        assert episode.infos["x"].tolist() == [0, 1, None if number else 2]
        assert episode.metadata["a"] == 1


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (lambda card: card.update(version=2), "is of another version, or its episodes are missing"),
        (
            lambda card: card.update(metadata=[]),
            "is of another version, or its episodes are missing",
        ),
        (lambda card: card.pop("metadata"), "is of another version, or its episodes are missing"),
        (lambda card: card["metadata"].update(action_space=3), "action_space"),
        (lambda card: card.update(flat_images="x"), None),
    ],
)
def test_a_card_is_believed_if_it_can_be(
    changed: Any, sentence: str | None, tmp_path: Path
) -> None:
    root = tmp_path / "out"
    minari.export_dataset(make_dataset(1), root, "rlds")
    change(root, "minari.json", changed)
    if sentence is None:
        assert len(minari.import_dataset(root, "again-v0")) == 1
        return
    with pytest.raises(minari.MinariError) as caught:
        minari.import_dataset(root, "again-v0")
    assert sentence in str(caught.value)


def test_what_lies_beside_steps_has_to_fit_them(tmp_path: Path) -> None:
    root = tmp_path / "out"
    minari.export_dataset(make_dataset(1), root, "rlds")
    (file,) = root.glob("*.tfrecord*")
    example = decode_example(next(iterate_records(file)))
    whole = json.loads(example["episode_metadata/minari"][0])
    for rest in ("[]", "{}", "{", json.dumps({**whole, "terminations": 3})):
        with file.open("wb") as opened:
            write_record(
                opened, encode_example({**example, "episode_metadata/minari": [rest.encode()]})
            )
        with pytest.raises(DataError, match="episode_metadata/minari does not fit its steps"):
            minari.import_dataset(root, "again-v0")
    with file.open("wb") as opened:
        write_record(opened, b"\xff")
    with pytest.raises(DatasetDamagedError, match=r"episode 0 is no tf\.train\.Example"):
        minari.import_dataset(root, "again-v0")


def test_steps_are_counted_by_a_feature_with_one_value_a_step(tmp_path: Path) -> None:
    two = Feature("tensor", "float32", (2,))
    leaves: dict[str, Any] = {
        f"steps/{name}": None
        for name in ("reward", "is_first", "is_last", "is_terminal", "observation", "action")
    }
    rows = np.zeros((3, 2), np.float32)
    root = write_foreign(
        tmp_path / "x", {**leaves, "steps/observation": (two, rows), "steps/action": (two, rows)}
    )
    with pytest.raises(DataError, match="no feature has one value a step, as is_first has"):
        read(root, ends="terminated")
    packed = Feature("tensor", "float32", (2,), "bytes")
    for number, feature in enumerate((packed, Feature("image", "uint8", (8, 9, 3)), NUMBER)):
        shape: Any = feature.shape
        columns = np.zeros((3, *shape), feature.dtype)
        folder = tmp_path / str(number)
        write_foreign(
            folder,
            {**leaves, "steps/observation": (feature, columns), "steps/action": (two, rows)},
        )
        contents = read_folder(folder, "transition", "terminated")
        assert [len(np.asarray(each.rewards)) for each in contents.episodes] == [3]
