"""Datasets written for LeRobot and read again; those that LeRobot wrote are in interop."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from gymnasium import spaces
from hypothesis import assume, given, settings

import minari
from minari import DataError, DatasetDamagedError, DatasetNotFoundError, MinariDataset
from minari_core.testing.expectations import expect_same_episode
from tests.core.helpers.recorded import Recorded, recordings, stored
from tests.core.helpers.rows import expect_same_rows
from tests.minari.interchange.conformance import LayoutConformance, expect_same
from tests.minari.interchange.lerobot.helpers import (
    make_foreign_folder,
    make_old_folder,
    make_rich_dataset,
    write_info,
)

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))


class TestLeRobot(LayoutConformance):
    layout: ClassVar[str] = "lerobot"
    file_name: ClassVar[str] = "pendulum"
    writing: ClassVar[dict[str, Any]] = {"fps": 20, "task": "swing up"}
    kept_apart: ClassVar[frozenset[str]] = frozenset(
        {"rewards", "final observations", "seeds", "episode metadata", "dataset metadata"}
    )

    def make_dataset(self) -> MinariDataset:
        env = minari.DataCollectorV0(gymnasium.make("Pendulum-v1", max_episode_steps=20))
        env.action_space.seed(0)
        for seed in range(3):
            env.reset(seed=seed)
            for _ in range(20):
                env.step(env.action_space.sample())
        dataset = minari.create_dataset_from_collector_env("pendulum/random-v0", env)
        env.close()
        return dataset


def export(dataset: MinariDataset, path: Path, **options: Any) -> list[str]:
    return [loss.what for loss in export_losses(dataset, path, **options)]


def test_values_of_all_kinds_and_unicode_keys_come_back_as_they_were(tmp_path: Path) -> None:
    dataset = make_rich_dataset()
    dataset.set_splits({"train": [0, 2]})

    losses = export(dataset, tmp_path / "rich")

    assert "observations/nothing" in losses
    assert "infos/note" in losses
    made = minari.import_dataset(tmp_path / "rich", "again-v0")
    expect_same(made, dataset)
    assert made.metadata["author"] == ["Ada"]
    assert made.splits["train"].total_episodes == 2


def test_lerobot_finds_what_it_knows_under_its_own_names(tmp_path: Path) -> None:
    dataset = make_rich_dataset()

    export(dataset, tmp_path / "rich")

    table = parquet.read_table(tmp_path / "rich/data/chunk-000/file-000.parquet")
    info = json.loads((tmp_path / "rich/meta/info.json").read_text())
    assert set(table.column_names) == set(info["features"])
    assert info["features"]["observation.images.camera_left"] == {
        "dtype": "image",
        "shape": [12, 10, 3],
        "names": ["height", "width", "channels"],
    }
    assert info["features"]["observation.state"]["dtype"] == "float32"
    assert str(table.schema.field("observation.state").type) == "fixed_size_list<element: float>[3]"
    assert table["next.done"].to_pylist() == [False, False, True, True, *[False] * 4, True]
    assert table["next.truncated"].to_pylist() == [False] * 3 + [True] + [False] * 4 + [True]
    assert table["frame_index"].to_pylist() == [0, 1, 2, 0, 0, 1, 2, 3, 4]
    assert table["task_index"].to_pylist() == [0] * 3 + [1] + [0] * 5
    np.testing.assert_array_equal(
        np.stack(table["observation.state"].to_pylist()[3:4]),
        dataset[1].observations["state"][:1].astype(np.float32),
    )


def test_pandas_reads_the_tasks_as_names_of_rows(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    export(make_rich_dataset(), tmp_path / "rich")

    tasks = pandas.read_parquet(tmp_path / "rich/meta/tasks.parquet")

    assert [tasks.iloc[number].name for number in range(2)] == ["lift 0", "lift 1"]
    assert tasks["task_index"].tolist() == [0, 1]


def test_statistics_are_those_of_the_values_that_lerobot_reads(tmp_path: Path) -> None:
    dataset = make_rich_dataset()
    export(dataset, tmp_path / "rich")

    said = json.loads((tmp_path / "rich/meta/stats.json").read_text())
    episodes = parquet.read_table(tmp_path / "rich/meta/episodes/chunk-000/file-000.parquet")

    actions = np.concatenate([episode.actions for episode in dataset]).astype(np.float64)
    np.testing.assert_allclose(said["action"]["mean"], actions.mean(axis=0))
    np.testing.assert_allclose(said["action"]["std"], actions.std(axis=0))
    np.testing.assert_allclose(said["action"]["max"], actions.max(axis=0))
    assert said["action"]["count"] == [9]
    last = dataset[2].actions.astype(np.float64)
    for name, part in {"q01": 0.01, "q50": 0.5, "q99": 0.99}.items():
        found = episodes[f"stats/action/{name}"].to_pylist()[2]
        np.testing.assert_allclose(found, np.quantile(last, part, axis=0))
    frames = np.concatenate([e.observations["camera/left"][:-1] for e in dataset]) / 255
    image = said["observation.images.camera_left"]
    np.testing.assert_allclose(np.ravel(image["mean"]), frames.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(np.ravel(image["std"]), frames.std(axis=(0, 1, 2)))
    np.testing.assert_allclose(np.ravel(image["min"]), frames.min(axis=(0, 1, 2)))
    assert np.shape(image["q50"]) == (3, 1, 1)


def test_videos_lose_detail_which_is_said_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("av")
    dataset = make_video_dataset()
    losses: list[Any] = []

    told = {loss.what: loss.reason for loss in export_losses(dataset, tmp_path / "v", video=True)}
    made = minari.import_dataset(tmp_path / "v", "again-v0", losses=losses)

    for name in ("rgb", "grey", "odd"):
        assert "constant rate factor of 18" in told[f"observations/{name}"]
    assert "observations/alpha" not in told
    assert sorted(loss.what for loss in losses) == [
        *("observation.grey", "observation.odd", "observation.rgb"),
    ]
    for episode, again in zip(dataset, made, strict=True):
        for name in ("rgb", "grey", "odd"):
            frames, shown = episode.observations[name], again.observations[name]
            assert shown.shape == frames.shape
            difference = np.abs(shown[:-1].astype(int) - frames[:-1])
            assert 0 < difference.mean() < 3
            # The final observation is no frame, and lies in the sidecar.
            np.testing.assert_array_equal(shown[-1], frames[-1])
        kept = {**episode.observations, "rgb": None, "grey": None, "odd": None}
        expect_same_episode(
            replace(episode, observations=kept),
            replace(again, observations={**kept, "alpha": again.observations["alpha"]}),
        )


def make_video_dataset() -> MinariDataset:
    """Make two episodes of smooth pictures, in the shapes that cameras have."""
    shapes = {"rgb": (48, 64, 3), "grey": (32, 32), "odd": (17, 19, 1), "alpha": (16, 16, 4)}
    buffers = []
    for steps in (7, 1):
        time = np.arange(steps + 1)
        waves = {
            name: np.sum(np.indices((steps + 1, *shape)), axis=0, dtype=np.float64)
            for name, shape in shapes.items()
        }
        frames = {
            name: (127 + 100 * np.sin(wave / 9)).astype(np.uint8) for name, wave in waves.items()
        }
        buffers.append(
            minari.EpisodeBuffer(
                observations=frames,
                actions=np.zeros(steps, np.int64),
                rewards=np.ones(steps),
                terminations=time[1:] == steps,
                truncations=np.zeros(steps, bool),
                metadata={"task": "wave"},
            )
        )
    return minari.create_dataset_from_buffers(
        "waves-v0",
        buffers,
        observation_space=spaces.Dict(
            {name: spaces.Box(0, 255, shape, np.uint8) for name, shape in shapes.items()}
        ),
        action_space=spaces.Discrete(2),
    )


def export_losses(dataset: MinariDataset, path: Path, **options: Any) -> list[minari.Loss]:
    return minari.export_dataset(dataset, path, "lerobot", **{"fps": 10, **options})


def test_an_empty_view_is_written_and_comes_back_empty(tmp_path: Path) -> None:
    dataset = make_rich_dataset()

    export(dataset[[]], tmp_path / "empty")

    made = minari.import_dataset(tmp_path / "empty", "empty-v0")
    assert len(made) == 0
    assert made.observation_space == dataset.observation_space


def test_an_episode_that_is_given_twice_comes_back_twice(tmp_path: Path) -> None:
    dataset = make_rich_dataset()

    export(dataset[[2, 2, 0]], tmp_path / "twice")

    made = minari.import_dataset(tmp_path / "twice", "twice-v0")
    for episode, number in zip(made, (2, 2, 0), strict=True):
        expect_same_episode(episode, dataset[number], ids=False)


def test_files_count_on_when_one_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from minari.interchange.lerobot.files import paths
    from minari_core.tables import gathering

    monkeypatch.setattr(paths, "DATA_MEGABYTES", 0)
    monkeypatch.setattr(paths, "FILES_PER_CHUNK", 1)
    monkeypatch.setattr(gathering, "_CHUNK_NBYTES", 4000)
    dataset = make_rich_dataset()

    export(dataset, tmp_path / "small")

    files = sorted(
        path.relative_to(tmp_path / "small/data").as_posix()
        for path in (tmp_path / "small/data").rglob("*.parquet")
    )
    assert files == ["chunk-000/file-000.parquet", "chunk-001/file-000.parquet"]
    expect_same(minari.import_dataset(tmp_path / "small", "again-v0"), dataset)


@settings(max_examples=8, deadline=None)
@given(recordings())
def test_any_recording_survives_the_way_through_lerobot(recorded: Recorded) -> None:
    # What goes on after its end is stored of earlier releases, and is not made anew.
    assume(not any(any(episode.truncations[:-1]) for episode in recorded.episodes))
    assume(not any(any(episode.terminations[:-1]) for episode in recorded.episodes))
    with stored(recorded, on_disk=False) as dataset:
        path = Path(os.environ["MINARI_DATASETS_PATH"]).parent / "exported"
        losses = export(dataset, path, task="any", overwrite=True)
        made = minari.import_dataset(path, "again-v0")
        try:
            assert made.metadata.get("step_infos", []) == recorded.step_infos
            for episode, again in zip(dataset, made, strict=True):
                expect_same_episode(episode, replace(again, infos=episode.infos))
                assert again.infos.keys() == episode.infos.keys()
                for name, values in episode.infos.items():
                    if f"infos/{name}" in losses and name == "mixed":
                        # Whole numbers get the dtype of what is stored in the same shard.
                        assert list_numbers(again.infos[name]) == list_numbers(values)
                    else:
                        expect_same_rows(again.infos[name], values)
        finally:
            minari.delete_dataset("again-v0")


def list_numbers(rows: Any) -> list[float | None]:
    masks = [row is None or bool(np.ma.getmaskarray(row).all()) for row in rows]
    return [None if mask else float(row) for mask, row in zip(masks, rows, strict=True)]


def test_fps_and_task_are_asked_for_if_nothing_says_them(tmp_path: Path) -> None:
    dataset = make_rich_dataset()
    bare = minari.create_dataset_from_buffers(
        "bare-v0",
        [replace_metadata(dataset[0])],
        observation_space=dataset.observation_space,
        action_space=dataset.action_space,
    )

    with pytest.raises(DataError, match="give fps=30"):
        minari.export_dataset(dataset, tmp_path / "x", "lerobot")
    with pytest.raises(DataError, match="episode 0 has no 'task' in its metadata"):
        export(bare, tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def replace_metadata(episode: minari.EpisodeData) -> minari.EpisodeBuffer:
    return minari.EpisodeBuffer(
        observations=episode.observations,
        actions=episode.actions,
        rewards=episode.rewards,
        terminations=episode.terminations,
        truncations=episode.truncations,
    )


@pytest.mark.parametrize("make", [make_foreign_folder, make_old_folder])
def test_what_lerobot_wrote_is_read_and_the_final_observation_marked_unknown(
    make: Any, tmp_path: Path
) -> None:
    root = make(tmp_path / "real")
    losses: list[Any] = []

    made = minari.import_dataset(root, "real-v0", ends="terminated", losses=losses)

    assert [loss.what for loss in losses] == ["final observations"]
    assert made.observation_space == spaces.Dict(
        {"state": spaces.Box(-np.inf, np.inf, (3,), np.float32)}
    )
    assert [len(episode) for episode in made] == [3, 2, 4]
    episode = made[2]
    assert not episode.final_observation_known
    assert episode.metadata["task"] == "push"
    assert episode.observations["state"].shape == (4, 3)
    assert episode.rewards.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert episode.terminations.tolist() == [False] * 3 + [True]
    assert made[1].infos["success"].tolist() == [None, False, True]
    assert episode.infos["timestamp"][:4].tolist() == pytest.approx([0.0, 0.1, 0.2, 0.3])
    said: Any = made.metadata["lerobot"]
    assert said["fps"] == 10


def test_nothing_is_guessed_about_how_an_episode_ends(tmp_path: Path) -> None:
    root = make_foreign_folder(tmp_path / "real")

    with pytest.raises(DataError, match=r"no feature 'next.truncated'.*give ends='terminated'"):
        minari.import_dataset(root, "real-v0")
    made = minari.import_dataset(root, "real-v0", ends="truncated")
    assert not any(episode.terminations.any() for episode in made)
    assert all(episode.truncations[-1] for episode in made)


def test_both_flags_are_taken_as_they_are(tmp_path: Path) -> None:
    truncated = np.array([False, False, True, *[False] * 6])
    root = make_foreign_folder(tmp_path / "real", next__truncated=truncated)

    made = minari.import_dataset(root, "real-v0")

    assert [episode.truncations[-1] for episode in made] == [True, False, False]
    assert [episode.terminations[-1] for episode in made] == [False, True, True]


def test_the_last_frame_can_be_the_final_observation(tmp_path: Path) -> None:
    root = make_foreign_folder(tmp_path / "real")

    made = minari.import_dataset(root, "real-v0", ends="terminated", last_frame="observation")

    assert [len(episode) for episode in made] == [2, 1, 3]
    assert made[2].observations["state"].shape == (4, 3)
    assert made[2].actions.shape == (3, 2)
    assert made[2].rewards.tolist() == [0.0, 1.0, 2.0]
    assert made[2].terminations.tolist() == [False, False, True]
    assert made[2].final_observation_known
    assert made[2].infos["timestamp"].tolist() == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_data_without_rewards_is_read_and_said_to_have_none(tmp_path: Path) -> None:
    root = make_foreign_folder(tmp_path / "real", next__reward=None, next__done=None)
    losses: list[Any] = []

    made = minari.import_dataset(root, "real-v0", ends="truncated", losses=losses)

    assert "rewards" in [loss.what for loss in losses]
    assert all(not episode.rewards.any() for episode in made)


def test_actions_that_are_whole_numbers_are_choices_and_further_features_infos(
    tmp_path: Path,
) -> None:
    root = make_foreign_folder(
        tmp_path / "real",
        action=np.array([0, 4, 2, 1, 0, 3, 3, 2, 1]),
        gripper=np.arange(9, dtype=np.float32),
    )

    made = minari.import_dataset(root, "real-v0", ends="truncated")

    assert made.action_space == spaces.Discrete(5)
    assert made[0].actions.tolist() == [0, 4, 2]
    assert made[1].infos["gripper"].tolist() == [3.0, 4.0, None]


def test_what_was_imported_is_exported_with_its_own_fps_and_tasks(tmp_path: Path) -> None:
    made = minari.import_dataset(make_foreign_folder(tmp_path / "real"), "a-v0", ends="truncated")

    minari.export_dataset(made, tmp_path / "out", "lerobot")

    info = json.loads((tmp_path / "out/meta/info.json").read_text())
    assert info["fps"] == 10
    assert "observation.state" in info["features"]
    assert "next.success" in info["features"]
    expect_same(minari.import_dataset(tmp_path / "out", "b-v0"), made)


def test_data_that_was_changed_beside_its_sidecar_is_told(tmp_path: Path) -> None:
    dataset = make_rich_dataset()
    export(dataset, tmp_path / "rich")
    path = tmp_path / "rich/data/chunk-000/file-000.parquet"
    table = parquet.read_table(path)
    rewards = table["next.reward"].to_pylist()
    column = table.schema.get_field_index("next.reward")
    values = pa.array([*rewards[:-1], 7.0], pa.float32())
    changed = table.set_column(column, table.schema.field(column), values)
    parquet.write_table(changed, path)

    with pytest.raises(DataError, match=r"'next.reward' has other values.*sidecar=False"):
        minari.import_dataset(tmp_path / "rich", "again-v0")
    made = minari.import_dataset(tmp_path / "rich", "again-v0", sidecar=False)
    assert made[2].rewards[-1] == 7.0


def change_info(root: Path, **changes: Any) -> None:
    info = json.loads((root / "meta/info.json").read_text())
    write_info(root, {**info, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codebase_version": "v1.6"}, "version 'v1.6'"),
        ({"fps": 0}, "fps is 0"),
        ({"features": []}, "has no features"),
        ({"features": {"action": {"dtype": "float32"}}}, "feature 'action' has no dtype and shape"),
        ({"total_episodes": 4}, "counts 4 episodes, and 3"),
        ({"data_path": "../{chunk_index}.parquet"}, "no file"),
        ({"data_path": "{chunk_index.__class__}/{secret}.parquet"}, "has the field 'secret'"),
    ],
)
def test_an_info_file_that_cannot_be_is_refused_by_name(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    root = make_foreign_folder(tmp_path / "real")
    change_info(root, **changes)

    with pytest.raises(DataError if "no file" not in message else DatasetNotFoundError) as caught:
        minari.import_dataset(root, "real-v0", ends="truncated")
    assert message in str(caught.value)
    assert "real-v0" not in minari.list_local_datasets()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"frame_index": np.array([0, 1, 2, 0, 1, 0, 1, 3, 2])}, "frame 2 of episode 2"),
        ({"episode_index": np.array([0, 0, 1, 1, 1, 2, 2, 2, 2])}, "frame 2 of episode 0"),
        ({"observation__state": np.array([[1.0, np.nan]] * 9, np.float64)}, None),
        ({"timestamp": None}, "no column 'timestamp'"),
    ],
)
def test_columns_that_contradict_the_metadata_are_named(
    columns: dict[str, Any], message: str | None, tmp_path: Path
) -> None:
    root = make_foreign_folder(tmp_path / "real", **columns)

    if message is None:
        made = minari.import_dataset(root, "real-v0", ends="truncated")
        assert made[0].observations["state"].shape == (3, 2)
        return
    with pytest.raises(DataError, match=message):
        minari.import_dataset(root, "real-v0", ends="truncated")
    assert "real-v0" not in minari.list_local_datasets()


def test_values_of_another_shape_or_type_than_described_are_refused(tmp_path: Path) -> None:
    root = make_foreign_folder(tmp_path / "real")
    info = json.loads((root / "meta/info.json").read_text())
    for changed in ({"shape": [4]}, {"dtype": "float64"}, {"shape": [1, 3]}):
        features = {**info["features"]}
        features["observation.state"] = {**features["observation.state"], **changed}
        write_info(root, {**info, "features": features})
        with pytest.raises(DataError, match=r"file-000.parquet: observation.state"):
            minari.import_dataset(root, "real-v0", ends="truncated")


def test_links_out_of_the_folder_are_not_followed_but_those_of_a_cache_are(tmp_path: Path) -> None:
    root = make_foreign_folder(tmp_path / "hub/snapshots/1234")
    blobs = tmp_path / "hub/blobs"
    blobs.mkdir()
    data = root / "data/chunk-000/file-000.parquet"
    data.rename(blobs / "abc")
    try:
        data.symlink_to(blobs / "abc")
    except OSError:
        pytest.skip("links cannot be made here")

    assert len(minari.import_dataset(root, "cached-v0", ends="truncated")) == 3
    elsewhere = tmp_path / "secret.parquet"
    (blobs / "abc").rename(elsewhere)
    data.unlink()
    data.symlink_to(elsewhere)
    with pytest.raises(DataError, match="links are not followed"):
        minari.import_dataset(root, "other-v0", ends="truncated")


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    root = make_foreign_folder(tmp_path / "real")
    (root / "data/chunk-000/file-000.parquet").write_bytes(b"PAR1 and no more")

    with pytest.raises(DatasetDamagedError, match=r"file-000.parquet is no whole Parquet file"):
        minari.import_dataset(root, "real-v0", ends="truncated")
