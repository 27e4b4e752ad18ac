"""What a file has and a dataset does not is listed, whatever the layout."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

import minari
from minari.command_line.app import app
from tests.helpers.command_line import CommandLine
from tests.minari.interchange.demonstrations.examples import write_trajectories
from tests.minari.interchange.flat.examples import make_dataset
from tests.minari.interchange.lerobot.helpers import make_foreign_folder, make_old_folder

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))


def list_left_out(path: Path, **options: Any) -> set[str]:
    losses: list[minari.Loss] = []
    minari.import_dataset(path, "made-v0", losses=losses, **options)
    return {loss.what for loss in losses}


def write_flat(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["observations"] = np.arange(4.0)[:, None]
        file["actions"], file["rewards"] = np.zeros((4, 1)), np.zeros(4)
        file["terminals"], file["timeouts"] = [0, 1, 0, 0], [0, 1, 0, 0]
        file["metadata/weights"], file["metadata/name"] = np.zeros((2, 2)), "SAC"
        file["words"] = "no column"
        file.attrs["made"] = "today"
        file["rewards"].attrs["unit"] = "cm"


FLAT_LEFT_OUT = {"words", "metadata/weights", "attribute made", "attribute unit of rewards"}
FLAT_TAKEN_SO = {"timeouts", "end of the last episode"}


def test_of_flat_files(tmp_path: Path) -> None:
    write_flat(tmp_path / "flat.hdf5")

    assert list_left_out(tmp_path / "flat.hdf5") == FLAT_LEFT_OUT | FLAT_TAKEN_SO


def test_of_flat_files_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_flat(tmp_path / "flat.hdf5")
    command = CommandLine(app, "minari", capsys, monkeypatch)

    said = json.loads(command("import", str(tmp_path / "flat.hdf5"), "x-v0", "--json").out)

    assert {loss["what"] for loss in said["losses"]} == FLAT_LEFT_OUT | FLAT_TAKEN_SO


def test_the_older_way_to_import_says_that_it_passes_over_what_an_export_kept(
    tmp_path: Path,
) -> None:
    minari.export_dataset(make_dataset(), tmp_path / "own.hdf5", "d4rl")

    with pytest.warns(minari.MinariWarning, match="left out minari: an export kept it"):
        minari.import_flat_hdf5(tmp_path / "own.hdf5", "own-v0")


def test_of_ogbench(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    minari.export_dataset(make_dataset(), path, "ogbench")
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("README.txt", "hello")

    assert list_left_out(path) == {"README.txt"}


def write_demonstration(path: Path, names: tuple[str, ...]) -> None:
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["env_args"], data.attrs["date"] = "{}", "today"
        data.attrs["nothing"] = h5py.Empty("f")
        for name in names:
            rows = 1 if name == "initial_state" else 3
            data[f"demo_0/{name}"] = np.zeros((rows, 1))
        data["demo_0/obs"].attrs["unit"] = "cm"
        data["demo_0"].attrs["success"] = True
        data["demo_0"].attrs["nobody"] = h5py.Empty("f")
        file["videos"] = np.zeros(3)
        file.attrs["made"] = "today"


DEMONSTRATION_LEFT_OUT = {"videos", "attribute made", "attribute nothing", "attribute nobody"}


@pytest.mark.parametrize(
    ("names", "options", "more"),
    [
        (("obs", "next_obs", "actions", "dones"), {}, set()),
        (("obs", "next_obs", "actions"), {"next_observations": "ignore"}, {"next_obs"}),
        (("obs", "initial_state", "actions"), {}, {"initial_state"}),
    ],
)
def test_of_robomimic_and_isaac_lab(
    names: tuple[str, ...], options: dict[str, Any], more: set[str], tmp_path: Path
) -> None:
    path = tmp_path / "lift.hdf5"
    write_demonstration(path, names)

    found = list_left_out(path, ends="terminated", **options)

    assert found == DEMONSTRATION_LEFT_OUT | {"attribute unit of obs", "rewards"} | more
    made = minari.load_dataset("made-v0")
    assert made.metadata["source_metadata"] == {"env_args": {}, "date": "today"}
    assert made[0].metadata["success"] is True


def test_of_maniskill_and_what_else_its_resets_were_given_is_kept(tmp_path: Path) -> None:
    path = write_trajectories(tmp_path / "trajectory.h5")
    with h5py.File(path, "a") as file:
        file["traj_9"].attrs["operator"] = "Ada"
        file["traj_9/obs"].attrs["unit"] = "cm"
        file.attrs["made"] = "today"
    said = json.loads(path.with_suffix(".json").read_text())
    said["episodes"][0]["reset_kwargs"] = {"seed": [1, 2], "level": 3}
    path.with_suffix(".json").write_text(json.dumps(said))

    found = list_left_out(path)

    assert found == {"attribute unit of obs", "attribute made", "rewards"}
    metadata = [episode.metadata for episode in minari.load_dataset("made-v0")]
    assert [each.get("operator") for each in metadata] == ["Ada", None]
    assert {"seed": [1, 2], "level": 3} in [each.get("reset_kwargs") for each in metadata]


def test_trajectories_of_maniskill_with_one_number_are_refused(tmp_path: Path) -> None:
    path = write_trajectories(tmp_path / "trajectory.h5")
    said = json.loads(path.with_suffix(".json").read_text())
    said["episodes"].append(said["episodes"][0])
    path.with_suffix(".json").write_text(json.dumps(said))

    with pytest.raises(minari.DataError, match=r"has episode_id .* twice"):
        minari.import_dataset(path, "made-v0")


def test_of_rlds_whose_splits_and_description_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "walk"
    dataset = make_dataset()
    minari.export_dataset(dataset, path, "rlds")
    (path / "minari.json").unlink()
    (first,) = path.glob("*.tfrecord*")
    name = first.name.partition("-train")[0]
    first.rename(path / f"{name}-train.tfrecord-00000-of-00001")
    minari.export_dataset(dataset[:2], tmp_path / "other", "rlds")
    (other,) = (tmp_path / "other").glob("*.tfrecord*")
    other.rename(path / f"{name}-test.tfrecord-00000-of-00001")
    info = json.loads((path / "dataset_info.json").read_text())
    (train,) = info["splits"]
    info["splits"] = [train, {**train, "name": "test", "shardLengths": ["2"]}]
    info["citation"], info["releaseNotes"] = "@misc{x}", {"1.0.0": "first"}
    (path / "dataset_info.json").write_text(json.dumps(info))
    features = json.loads((path / "features.json").read_text())
    del features["featuresDict"]["features"]["episode_metadata"]
    (path / "features.json").write_text(json.dumps(features))

    found = list_left_out(path)

    assert "episode_metadata/minari" in found
    made = minari.load_dataset("made-v0")
    assert made.splits["train"].episode_indices.tolist() == [0, 1, 2, 3, 4]
    assert made.splits["test"].episode_indices.tolist() == [5, 6]
    assert made.metadata["citation"] == "@misc{x}"
    assert made.metadata["description"] == "Walk the maze."
    source: Any = made.metadata["source_metadata"]
    assert source["releaseNotes"] == {"1.0.0": "first"}


@pytest.mark.parametrize("make_folder", [make_foreign_folder, make_old_folder])
def test_of_lerobot_whose_splits_are_kept(make_folder: Any, tmp_path: Path) -> None:
    path = make_folder(tmp_path / "arm")
    (path / "meta/modality.json").write_text("{}")
    info = json.loads((path / "meta/info.json").read_text())
    info["splits"], info["teleoperator"] = {"train": "0:1", "test": "1:2", "odd": "x"}, "leader"
    (path / "meta/info.json").write_text(json.dumps(info))
    for file in (path / "data").rglob("*.parquet"):
        table = parquet.read_table(file)
        parquet.write_table(table.append_column("weight", pa.array([0.0] * len(table))), file)
    is_old = (path / "meta/episodes.jsonl").exists()
    if is_old:
        lines = (path / "meta/episodes.jsonl").read_text().splitlines()
        added = [json.dumps({**json.loads(line), "operator": "Ada"}) for line in lines]
        (path / "meta/episodes.jsonl").write_text("\n".join(added))
    else:
        (file,) = (path / "meta/episodes").rglob("*.parquet")
        table = parquet.read_table(file)
        parquet.write_table(table.append_column("operator", pa.array(["Ada"] * len(table))), file)

    found = list_left_out(path, ends="terminated")

    assert {"meta/modality.json", "operator", "weight", "split odd"} <= found
    made = minari.load_dataset("made-v0")
    assert {name: view.episode_indices.tolist() for name, view in made.splits.items()} == {
        "train": [0],
        "test": [1],
    }
    said: Any = made.metadata["lerobot"]
    assert said["teleoperator"] == "leader"


def test_a_feature_that_was_added_beside_what_an_export_wrote(tmp_path: Path) -> None:
    path = tmp_path / "arm"
    minari.export_dataset(make_dataset(), path, "lerobot", fps=10, task="walk")
    info = json.loads((path / "meta/info.json").read_text())
    info["features"]["observation.extra"] = {"dtype": "float32", "shape": [1], "names": None}
    (path / "meta/info.json").write_text(json.dumps(info))

    assert list_left_out(path) == {"observation.extra"}


def test_of_parquet(tmp_path: Path) -> None:
    path = tmp_path / "tables"
    minari.export_dataset(make_dataset(), path, "parquet", as_json=True)
    (path / "more.parquet").write_bytes((path / "steps.parquet").read_bytes())

    assert list_left_out(path) == {"more.parquet"}
