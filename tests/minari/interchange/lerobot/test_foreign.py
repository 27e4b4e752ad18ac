"""What is made of features that LeRobot's own programs write, and what is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from gymnasium import spaces

import minari
from minari import DataError, DatasetDamagedError, DatasetNotFoundError
from minari.interchange.lerobot.reading.index import read_index
from minari.interchange.lerobot.reading.rows import RowStream
from tests.minari.interchange.lerobot.helpers import (
    make_foreign_folder,
    make_old_folder,
    make_rich_dataset,
    write_info,
)

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")
LENGTHS = (3, 2, 4)


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "real"


def read(folder: Path, **options: Any) -> tuple[minari.MinariDataset, dict[str, str]]:
    losses: list[minari.Loss] = []
    made = minari.import_dataset(
        folder, "real-v0", "lerobot", losses=losses, **{"ends": "truncated", **options}
    )
    return made, {loss.what: loss.reason for loss in losses}


def change(folder: Path, changed: Callable[[dict[str, Any]], object]) -> None:
    info = json.loads((folder / "meta/info.json").read_text())
    changed(info)
    write_info(folder, info)


def test_features_become_columns_by_their_names(folder: Path) -> None:
    count = np.arange(9, dtype=np.float32)
    columns: dict[str, Any] = {
        "observation__state": None,
        "observation__arm": np.stack([count, count], 1),
        "observation__deep__joint": count,
        "observation__note": list("012345678"),
        "action": None,
        "action__left": np.array([0, 1, 2, 0, 1, 2, 0, 1, 2]),
        "action__right": count[:, None],
        "info__speed": count,
        "next__speed": count + 1,
        "mood": count + 2,
    }
    make_foreign_folder(folder, **columns)
    names = {"motors": ["a", "b"]}

    def name(info: dict[str, Any]) -> None:
        info["features"]["observation.arm"]["names"] = names
        info["features"]["mood"]["names"] = ["x"]
        info["robot_type"] = "arm"

    change(folder, name)

    made, losses = read(folder)

    assert losses.keys() == {"final observations"}

    def number(size: int) -> spaces.Space[Any]:
        return spaces.Box(-np.inf, np.inf, (size,), np.float32)

    assert made.observation_space == spaces.Dict({"arm": number(2), "deep.joint": number(1)})
    assert made.action_space == spaces.Dict({"left": spaces.Discrete(3), "right": number(1)})
    episode = made[1]
    assert episode.observations["arm"].tolist() == [[3, 3], [4, 4]]
    assert episode.observations["deep.joint"].tolist() == [[3], [4]]
    assert episode.actions["left"].tolist() == [0, 1]
    assert episode.actions["right"].tolist() == [[3], [4]]
    infos = {key: list(values)[:3] for key, values in episode.infos.items()}
    assert infos["observation.note"][:2] == ["3", "4"]
    assert infos["speed"][:2] == [3, 4]
    assert infos["next.speed"][1:] == [4, 5]
    assert infos["mood"][:2] == [5, 6]
    assert infos["success"][1:] == [False, True]
    assert made.metadata["lerobot"] == {
        "fps": 10,
        "features": {"observation.arm": names, "mood": ["x"]},
        "robot_type": "arm",
    }
    steps: Any = made.metadata["step_infos"]
    assert set(steps) == {"timestamp", "observation.note", "speed", "mood"}


def test_beside_an_action_parts_of_it_are_infos(folder: Path) -> None:
    make_foreign_folder(folder, action__raw=np.arange(9.0, dtype=np.float32))
    made, _ = read(folder)
    assert made[0].actions.shape == (3, 2)
    assert made[0].infos["action.raw"].tolist()[:3] == [0, 1, 2]


def test_what_is_not_read_is_told_with_its_kind(folder: Path) -> None:
    make_foreign_folder(folder, depth=np.arange(9.0), other=np.arange(9.0), near=np.arange(9.0))

    def spoil(info: dict[str, Any]) -> None:
        info["features"]["depth"]["info"] = {"is_depth_map": True}
        info["features"]["near"]["video_info"] = {"video.is_depth_map": True, "x": 1}
        info["features"]["other"]["dtype"] = "complex64"

    change(folder, spoil)
    _, losses = read(folder)
    assert losses["depth"] == losses["near"] == "depth maps are not read"
    assert losses["other"] == "values of type 'complex64' are not read"


@pytest.mark.parametrize(
    ("done", "truncated", "ends", "terminations", "truncations"),
    [
        (None, None, "terminated", [0, 0, 1], [0, 0, 0]),
        (None, None, "truncated", [0, 0, 0], [0, 0, 1]),
        ([0, 0, 1], None, "terminated", [0, 0, 1], [0, 0, 0]),
        ([0, 0, 0], None, "terminated", [0, 0, 0], [0, 0, 1]),
        ([0, 0, 0], None, "truncated", [0, 0, 0], [0, 0, 1]),
        ([0, 0, 1], [0, 0, 1], None, [0, 0, 0], [0, 0, 1]),
        ([0, 0, 1], [0, 0, 0], None, [0, 0, 1], [0, 0, 0]),
        (None, [0, 0, 0], "terminated", [0, 0, 1], [0, 0, 0]),
        (None, [0, 0, 0], "truncated", [0, 0, 0], [0, 0, 1]),
        (None, [0, 0, 1], "truncated", [0, 0, 0], [0, 0, 1]),
    ],
)
def test_an_episode_ends_as_its_flags_and_the_option_say(
    done: Any, truncated: Any, ends: Any, terminations: Any, truncations: Any, folder: Path
) -> None:
    def spread(flags: Any) -> Any:
        rest = [0, 1, 0, 0, 0, 1]
        return None if flags is None else np.array([*flags, *rest], bool)

    make_foreign_folder(folder, next__done=spread(done), next__truncated=spread(truncated))
    made, _ = read(folder, ends=ends)
    assert made[0].terminations.astype(int).tolist() == terminations
    assert made[0].truncations.astype(int).tolist() == truncations


@pytest.mark.parametrize(
    ("columns", "feature"),
    [
        ({"next__done": None}, "next.done"),
        ({}, "next.truncated"),
        ({"next__done": None, "next__truncated": np.zeros(9, bool)}, "next.done"),
    ],
)
def test_which_feature_is_missing_is_told(
    columns: dict[str, Any], feature: str, folder: Path
) -> None:
    make_foreign_folder(folder, **columns)
    with pytest.raises(DataError, match=f"has no feature '{feature}', so that nothing says"):
        read(folder, ends=None)


@pytest.mark.parametrize("group", ["observation", "action"])
def test_without_an_observation_or_action_nothing_is_read(group: str, folder: Path) -> None:
    make_foreign_folder(
        folder, **{"observation__state" if group == "observation" else "action": None}
    )
    with pytest.raises(DataError, match=f"has no feature '{group}', nor {group}"):
        read(folder)


def test_rewards_may_be_vectors_and_tasks_several(folder: Path) -> None:
    rewards = np.arange(18, dtype=np.float32).reshape(9, 2)
    make_foreign_folder(folder, next__reward=rewards)
    path = folder / "meta/episodes/chunk-000/file-000.parquet"
    table = parquet.read_table(path)
    tasks = pa.array([["push", "pull"], ["pull"], []], pa.list_(pa.string()))
    parquet.write_table(table.set_column(1, "tasks", tasks), path)

    made, losses = read(folder)

    assert made[0].rewards.tolist() == rewards[:3].tolist()
    assert "rewards" not in losses
    assert [episode.metadata.get("task") for episode in made] == [None, "pull", None]
    assert made[0].infos["task"][:3] == ["push"] * 3
    assert made[1].infos["task"][:2] == ["pull"] * 2
    single = np.arange(9, dtype=np.float32)[:, None]
    make_foreign_folder(folder.with_name("single"), next__reward=single)
    minari.delete_dataset("real-v0")
    made, _ = read(folder.with_name("single"))
    assert made[0].rewards.tolist() == [0, 1, 2]


def test_a_single_frame_is_no_step_if_it_is_the_final_observation(folder: Path) -> None:
    make_foreign_folder(folder)
    made, losses = read(folder, last_frame="observation")
    assert losses == {}
    assert [episode.final_observation_known for episode in made] == [True] * 3
    minari.delete_dataset("real-v0")
    path = folder / "meta/episodes/chunk-000/file-000.parquet"
    table = parquet.read_table(path)
    parquet.write_table(table.set_column(2, "length", pa.array([1, 4, 4])), path)
    data = folder / "data/chunk-000/file-000.parquet"
    rows = parquet.read_table(data)
    for name, column in (
        ("episode_index", [0, 1, 1, 1, 1, 2, 2, 2, 2]),
        ("frame_index", [0, 0, 1, 2, 3, 0, 1, 2, 3]),
    ):
        rows = rows.set_column(rows.schema.get_field_index(name), name, pa.array(column))
    parquet.write_table(rows, data)
    with pytest.raises(DataError, match="episode 0 has one frame, which is no step"):
        read(folder, last_frame="observation")


def write_episodes(folder: Path, **columns: Any) -> None:
    path = folder / "meta/episodes/chunk-000/file-000.parquet"
    table = parquet.read_table(path)
    for name, column in columns.items():
        index = table.schema.get_field_index(name.replace("__", "/"))
        if column is None:
            table = table.remove_column(index)
        else:
            table = table.set_column(index, name.replace("__", "/"), pa.array(column))
    parquet.write_table(table, path)


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"length": None}, "has no column 'length'"),
        ({"episode_index": [0, 2, 1]}, "episode 1 is missing, or not in its place, which 2 takes"),
        ({"length": [3, 2, -4]}, "length is -4, not a whole number of at least 0"),
        ({"length": [3, 2, 1 << 40]}, "length is 1099511627776, not a whole number"),
        ({"length": [3.0, 2.0, 4.0]}, "length is 3.0, not a whole number"),
        ({"data__file_index": [0, 0, -1]}, "data/file_index is -1, not a whole number"),
        ({"data__file_index": [0, 1, 0]}, "has 9 rows, and its episodes 3 frames"),
        ({"data__file_index": [1, 1, 1]}, "has no file data/chunk-000/file-001.parquet"),
        ({"length": [3, 2, 3]}, "has 9 rows, and its episodes 8 frames"),
    ],
)
def test_episodes_that_cannot_be_are_named(
    columns: dict[str, Any], sentence: str, folder: Path
) -> None:
    make_foreign_folder(folder)
    write_episodes(folder, **columns)
    with pytest.raises((DataError, DatasetNotFoundError)) as caught:
        read(folder)
    assert sentence in str(caught.value)


def test_episodes_lie_in_files_one_after_another(folder: Path) -> None:
    make_foreign_folder(folder)
    write_episodes(folder, data__file_index=[0, 1, 0])
    rows = parquet.read_table(folder / "data/chunk-000/file-000.parquet")
    for number, part in enumerate((rows.slice(0, 3), rows.slice(3, 2))):
        parquet.write_table(part, folder / f"data/chunk-000/file-{number:03d}.parquet")
    with pytest.raises(DataError, match=r"episode 2 lies in data/chunk-000/file-000\.parquet, and"):
        read(folder)
    write_episodes(folder, data__file_index=[0, 1, 2])
    parquet.write_table(rows.slice(5), folder / "data/chunk-000/file-002.parquet")
    made, _ = read(folder)
    assert [episode.rewards.tolist() for episode in made] == [[0, 1, 2], [0, 1], [0, 1, 2, 3]]


@pytest.mark.parametrize(
    ("info", "sentence"),
    [
        ({"fps": True}, "fps is True"),
        ({"fps": "10"}, "fps is '10'"),
        ({"fps": -1}, "fps is -1"),
        ({"fps": 0.5}, None),
        ({"codebase_version": "v2.0"}, "is of version 'v2.0' of LeRobot's format; v3.0 and v2.1"),
        ({"total_episodes": 3}, None),
        ({"total_episodes": "9"}, None),
    ],
)
def test_an_info_is_believed_if_it_can_be(
    info: dict[str, Any], sentence: str | None, folder: Path
) -> None:
    make_foreign_folder(folder)
    change(folder, lambda said: said.update(info))
    if sentence is None:
        assert read_index(folder).fps == info.get("fps", 10)
    else:
        with pytest.raises(DataError) as caught:
            read_index(folder)
        assert sentence in str(caught.value)


@pytest.mark.parametrize("name", ["task", "__index_level_0__"])
def test_tasks_are_texts_by_their_numbers(name: str, folder: Path) -> None:
    make_foreign_folder(folder)
    path = folder / "meta/tasks.parquet"
    parquet.write_table(pa.table({"task_index": [4, 2], name: ["a", "b"]}), path)
    assert read_index(folder).tasks == {4: "a", 2: "b"}
    parquet.write_table(pa.table({"task_index": [4, -2], name: ["a", "b"]}), path)
    with pytest.raises(DataError, match="task_index is -2, not a whole number of at least 0"):
        read_index(folder)
    parquet.write_table(pa.table({"task_index": [4, 2], "other": ["a", "b"]}), path)
    with pytest.raises(DataError, match="has no column 'task'"):
        read_index(folder)
    path.unlink()
    with pytest.raises(DatasetNotFoundError, match=r"has no file meta/tasks\.parquet"):
        read_index(folder)
    change(folder, lambda said: said.update(total_tasks=0))
    assert read_index(folder).tasks == {}


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        (
            "episodes",
            '{"episode_index": 1, "length": 3}',
            "episode 0 is missing, or not in its place",
        ),
        ("episodes", '{"episode_index": 0, "length": "3"}', "length is '3', not a whole number"),
        ("episodes", "[]", "line 1 is no JSON object"),
        ("episodes", "\n{", "cannot be read"),
        ("tasks", '{"task_index": null}', "task_index is None, not a whole number"),
    ],
)
def test_lines_of_older_datasets_that_cannot_be_are_named(
    file: str, text: str, sentence: str, folder: Path
) -> None:
    make_old_folder(folder)
    (folder / f"meta/{file}.jsonl").write_text(text)
    with pytest.raises((DataError, DatasetDamagedError)) as caught:
        read_index(folder)
    assert sentence in str(caught.value)
    assert f"{file}.jsonl" in str(caught.value)


def test_episodes_of_older_datasets_lie_in_chunks_of_a_thousand_or_as_said(folder: Path) -> None:
    make_old_folder(folder)
    lines = (folder / "meta/episodes.jsonl").read_text().splitlines()
    (folder / "meta/episodes.jsonl").write_text("\n\n".join([*lines, ""]))
    change(
        folder, lambda said: said.update(chunks_size=2, video_path="{video_key}/{episode_chunk}")
    )
    change(folder, lambda said: said["features"].update(eye={"dtype": "video", "shape": [8, 9, 3]}))
    places = read_index(folder).episodes
    assert [place.data for place in places] == [
        f"data/chunk-00{number // 2}/episode_00000{number}.parquet" for number in range(3)
    ]
    assert [place.videos["eye"] for place in places] == [
        ("eye/0", 0.0),
        ("eye/0", 0.0),
        ("eye/1", 0.0),
    ]
    assert [place.tasks for place in places] == [("push",), ("pull",), ("push",)]
    change(folder, lambda said: (said.pop("chunks_size"), said.pop("data_path")))
    change(folder, lambda said: said.pop("video_path"))
    places = read_index(folder).episodes
    assert places[2].data == "data/chunk-000/episode_000002.parquet"
    assert places[2].videos["eye"][0] == "videos/chunk-000/eye/episode_000002.mp4"
    for size in (0, True, "2"):
        change(folder, lambda said, size=size: said.update(chunks_size=size))  # type: ignore[misc]  # of a loop
        with pytest.raises(DataError, match=f"chunks_size is {size!r}"):
            read_index(folder)
    change(folder, lambda said: said.update(chunks_size=1))
    assert read_index(folder).episodes[2].data == "data/chunk-002/episode_000002.parquet"


def test_rows_are_taken_in_order_however_many_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    with parquet.ParquetWriter(path, pa.schema([("n", pa.int64()), ("m", pa.int64())])) as writer:
        for first, last in ((0, 3), (3, 4), (4, 10)):
            rows = list(range(first, last))
            writer.write_table(pa.table({"n": rows, "m": rows}))
    for count in (1, 2, 3, 4, 9, 10, 11):
        stream = RowStream(path, ["n"])
        assert (stream.total, stream.schema.names) == (10, ["n", "m"])
        found = []
        while len(part := stream.take(count)):
            assert part.column_names == ["n"]
            found.append(part["n"].to_pylist())
        assert found == [list(range(10))[first : first + count] for first in range(0, 10, count)]
        assert stream.take(0).num_rows == 0
        stream.close()


def test_episodes_have_the_same_table_however_they_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from minari.interchange.lerobot.writing import episodes as episodes_module
    from minari_core.tables import gathering

    dataset = make_rich_dataset()
    options: dict[str, Any] = {"fps": 10, "sidecar": False}
    losses = minari.export_dataset(dataset, tmp_path / "whole", "lerobot", **options)
    monkeypatch.setattr(episodes_module, "_ROWS", 2)
    monkeypatch.setattr(gathering, "_CHUNK_NBYTES", 4000)
    assert minari.export_dataset(dataset, tmp_path / "cut", "lerobot", **options) == losses

    whole, cut = (
        parquet.read_table(tmp_path / name / "meta/episodes/chunk-000/file-000.parquet").to_pydict()
        for name in ("whole", "cut")
    )
    assert whole.keys() == cut.keys()
    assert whole["episode_index"] == [0, 1, 2]
    assert whole["length"] == [3, 1, 5]
    assert whole["tasks"] == [["lift 0"], ["lift 1"], ["lift 0"]]
    assert whole["dataset_from_index"] == [0, 3, 4]
    assert whole["dataset_to_index"] == [3, 4, 9]
    for name in ("data/chunk_index", "data/file_index", "meta/episodes/file_index"):
        assert whole[name] == [0, 0, 0]
    for name, rows in whole.items():
        if "/q" in name:
            continue  # of parts they are means
        for one, other in zip(rows, cut[name], strict=True):
            if isinstance(one, str | int) or (isinstance(one, list) and isinstance(one[0], str)):
                assert one == other, name
            else:
                np.testing.assert_allclose(np.array(one), np.array(other), atol=1e-6, err_msg=name)
    statistics = [
        json.loads((tmp_path / name / "meta/stats.json").read_text()) for name in ("whole", "cut")
    ]
    assert statistics[0].keys() == statistics[1].keys()
    for feature, said in statistics[0].items():
        for name in ("min", "max", "mean", "std", "count"):
            np.testing.assert_allclose(said[name], statistics[1][feature][name], atol=1e-6)
    info = json.loads((tmp_path / "whole/meta/info.json").read_text())
    assert {key: info[key] for key in info if key != "features"} == {
        "codebase_version": "v3.0",
        "fps": 10,
        "total_episodes": 3,
        "total_frames": 9,
        "total_tasks": 2,
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": None,
        "robot_type": None,
        "splits": {"train": "0:3"},
    }
    rows = parquet.read_table(tmp_path / "whole/data/chunk-000/file-000.parquet").to_pydict()
    assert rows["index"] == list(range(9))
    assert rows["timestamp"] == pytest.approx([each / 10 for each in rows["frame_index"]])
    assert rows["episode_index"] == [0, 0, 0, 1, 2, 2, 2, 2, 2]


def test_what_lerobot_does_not_carry_is_told_with_where_it_lies(tmp_path: Path) -> None:
    dataset = make_rich_dataset()
    told = {
        with_sidecar: {
            loss.what: loss.reason
            for loss in minari.export_dataset(
                dataset, tmp_path / str(with_sidecar), "lerobot", fps=10, sidecar=with_sidecar
            )
        }
        for with_sidecar in (True, False)
    }

    reason = "some step has none, or it is neither numbers of one shape nor text"
    assert told[False] == {
        "observations/nothing": reason,
        "observations/state": "float64 is written as float32",
        "rewards": "float64 is written as float32",
        "infos/note": reason,
        "infos/ragged": reason,
        "extras/value": "float64 is written as float32",
        "final observations": "LeRobot has an observation for each action, and none after the last",
        "seeds": "LeRobot has none",
        "options": "LeRobot has none",
        "episode metadata": "LeRobot has none but tasks",
        "infos of reset": "LeRobot has none",
        "dataset metadata": "LeRobot has no spaces or environments",
    }
    assert told[True].keys() == told[False].keys()
    files = {"observations": "steps", "rewards": "steps", "infos": "steps", "extras": "steps"}
    for what, why in told[False].items():
        name = files.get(what.partition("/")[0], "episodes") + ".parquet"
        name = "json" if what == "dataset metadata" else name
        assert told[True][what] == f"{why}; it lies in meta/minari.{name}"
    assert not list((tmp_path / "False").rglob("minari*"))
    plain = minari.create_dataset_from_buffers(
        "plain-v0",
        [
            minari.EpisodeBuffer(
                observations=np.zeros((2, 1), np.float32),
                actions=np.zeros((2, 1), np.float32),
                rewards=np.zeros(2),
                terminations=[False, True],
                truncations=[False, False],
                metadata={"task": "x", "final_observation_known": False},
            )
        ],
        observation_space=spaces.Box(-1, 1, (1,)),
        action_space=spaces.Box(-1, 1, (1,)),
    )
    losses = minari.export_dataset(plain, tmp_path / "plain", "lerobot", fps=10)
    assert [loss.what for loss in losses] == [
        "rewards",
        "episode metadata",
        "dataset metadata",
    ] or [loss.what for loss in losses] == ["rewards", "dataset metadata"]


@pytest.mark.parametrize("fps", [0, -1, 2.5, True, "10", float("inf")])
def test_a_rate_that_is_no_whole_number_above_0_is_refused(fps: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"fps is .*, not a whole number above 0|give fps=30"):
        minari.export_dataset(make_rich_dataset(), tmp_path / "x", "lerobot", fps=fps)


def test_a_sidecar_that_does_not_fit_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "rich"
    minari.export_dataset(make_rich_dataset(), folder, "lerobot", fps=10)
    card = folder / "meta/minari.json"
    whole = json.loads(card.read_text())
    columns = whole["columns"]
    spoilt = {**columns, "action": {"column": 3, "shape": [2]}}
    for said, sentence in (
        ({**whole, "version": 2}, "is of version 2, and this release reads 1"),
        ({**whole, "metadata": []}, "does not say what its columns are"),
        ({**whole, "columns": spoilt}, "does not say what its columns are"),
        (
            {**whole, "columns": {**columns, "x": {"column": "x", "shape": [1]}}},
            "has no feature 'x'",
        ),
        ({**whole, "columns": []}, "cannot be read"),
        ({"version": 1}, "cannot be read"),
        (
            {**whole, "columns": {**columns, "action": {"column": "action", "shape": [3]}}},
            "action has rows of shape (2,), and meta/minari.json says (3,)",
        ),
        (
            {**whole, "metadata": {**whole["metadata"], "action_space": 3}},
            "meta/minari.json has no action_space",
        ),
    ):
        card.write_text(json.dumps(said))
        with pytest.raises((DataError, DatasetDamagedError)) as caught:
            minari.import_dataset(folder, "made-v0")
        assert sentence in str(caught.value)
    card.write_text(json.dumps(whole))
    contradicting: list[dict[str, Any]] = [{"ends": "terminated"}, {"last_frame": "observation"}]
    for options in contradicting:
        with pytest.raises(DataError, match="says what ends an episode and what it led to"):
            minari.import_dataset(folder, "made-v0", **options)
    steps = folder / "meta/minari.steps.parquet"
    table = parquet.read_table(steps)
    parquet.write_table(table.slice(1), steps)
    with pytest.raises(DataError, match=r"minari\.steps\.parquet has 8 rows, and the data 9"):
        minari.import_dataset(folder, "made-v0")
    parquet.write_table(table, steps)
    episodes = folder / "meta/minari.episodes.parquet"
    rows = parquet.read_table(episodes)
    parquet.write_table(rows.slice(0, 2), episodes)
    with pytest.raises(DataError, match="describes other episodes than"):
        minari.import_dataset(folder, "made-v0")
