"""`verify_dataset` finds what contradicts the spaces of the public layouts, and names its file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from gymnasium import spaces

from minari_core import (
    EpisodeBuffer,
    create_dataset_from_buffers,
    load_dataset,
    verify_dataset,
)
from minari_core.errors import DatasetBusyError

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")

FORMATS = ("hdf5", "arrow", "parquet")


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))


def stored(tmp_path: Path, data_format: str) -> Path:
    """A dataset of three episodes of four steps; its ``data`` folder."""
    buffers = [
        EpisodeBuffer(
            observations=np.full((5, 2), number, np.float32),
            actions=np.zeros(4, np.int64),
            rewards=np.ones(4),
            terminations=np.arange(4) == 3,
            truncations=np.zeros(4, bool),
        )
        for number in range(3)
    ]
    create_dataset_from_buffers(
        "public-v0",
        buffers,
        observation_space=spaces.Box(-9, 9, (2,), np.float32),
        action_space=spaces.Discrete(2),
        data_format=data_format,
    )
    return tmp_path / "public-v0" / "data"


def problems() -> list[tuple[str, str | None, int | None, str]]:
    report = verify_dataset("public-v0")
    return [(each.file, each.column, each.episode, each.message) for each in report.problems]


@pytest.mark.parametrize("data_format", FORMATS)
def test_a_sound_dataset_has_no_problem(tmp_path: Path, data_format: str) -> None:
    data = stored(tmp_path, data_format)
    assert problems() == []
    files = [each for each in data.rglob("*") if each.is_file() and each.name != "metadata.json"]
    report = verify_dataset("public-v0")
    assert report.files == len(files)
    assert report.nbytes == sum(each.stat().st_size for each in files)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("observations", np.zeros((5, 3), np.float32), "shape (3,)"),
        ("observations", np.zeros((5, 2), np.float64), "float32 in the episodes before"),
        ("observations", np.zeros((5, 2), np.int64), "int64"),
        ("actions", np.zeros(4, np.float32), "float32"),
        ("actions", np.zeros((4, 1), np.int64), "shape (1,)"),
    ],
)
def test_an_array_that_contradicts_its_space_is_told(
    tmp_path: Path, name: str, value: np.ndarray, told: str
) -> None:
    with h5py.File(stored(tmp_path, "hdf5") / "main_data.hdf5", "a") as file:
        del file[f"episode_1/{name}"]
        file[f"episode_1/{name}"] = value
    ((file_name, column, episode, message),) = problems()
    assert (file_name, column, episode) == ("main_data.hdf5", name, 1)
    assert told in message


def test_one_precision_in_all_episodes_is_no_problem(tmp_path: Path) -> None:
    data = stored(tmp_path, "hdf5")
    manifest = json.loads((data / "metadata.json").read_text())
    # Of what another program has written there are no checksums.
    del manifest["minari_core"]
    (data / "metadata.json").write_text(json.dumps(manifest))
    with h5py.File(data / "main_data.hdf5", "a") as file:
        for group in file.values():
            del group["observations"]
            group["observations"] = np.zeros((5, 2), np.float64)
    assert problems() == []


def _edit_id_in_hdf5(data: Path) -> None:
    with h5py.File(data / "main_data.hdf5", "a") as file:
        file["episode_1"].attrs["id"] = 7


def _edit_id_in_json(data: Path) -> None:
    path = data / "1" / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "id": 7}))


@pytest.mark.parametrize(
    ("data_format", "edit", "file"),
    [
        ("hdf5", _edit_id_in_hdf5, "main_data.hdf5"),
        ("arrow", _edit_id_in_json, "1/metadata.json"),
        ("parquet", _edit_id_in_json, "1/metadata.json"),
    ],
)
def test_the_id_of_another_episode_is_told(
    tmp_path: Path, data_format: str, edit: Callable[[Path], None], file: str
) -> None:
    edit(stored(tmp_path, data_format))
    assert problems() == [(file, None, 1, "its id is 7, not 1")]


def test_an_episode_that_is_no_group_is_told(tmp_path: Path) -> None:
    with h5py.File(stored(tmp_path, "hdf5") / "main_data.hdf5", "a") as file:
        del file["episode_1"]
        file["episode_1"] = np.zeros(3)
    ((*place, message),) = problems()
    assert place == ["main_data.hdf5", None, 1]
    assert "is not a group" in message


def test_a_missing_file_of_all_episodes_is_told_once(tmp_path: Path) -> None:
    (stored(tmp_path, "hdf5") / "main_data.hdf5").unlink()
    ((file, _, episode, _),) = problems()
    assert (file, episode) == ("main_data.hdf5", None)


@pytest.mark.parametrize("data_format", ["arrow", "parquet"])
def test_a_damaged_table_is_named(tmp_path: Path, data_format: str) -> None:
    name = f"1/part-0.{data_format}"
    (stored(tmp_path, data_format) / name).write_bytes(b"nothing")
    assert [problem[:3] for problem in problems()] == [(name, None, 1)]


@pytest.mark.parametrize("data_format", FORMATS)
def test_a_count_beyond_what_is_stored_is_told_at_once(tmp_path: Path, data_format: str) -> None:
    data = stored(tmp_path, data_format)
    path = data / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "total_episodes": 10**9}))
    found = problems()
    of_manifest = [each for each in found if each[0] == "metadata.json"]
    assert of_manifest == [
        (
            "metadata.json",
            None,
            None,
            "its total_episodes is 1000000000, but the data has 3 of them",
        )
    ]
    assert [episode for _, _, episode, _ in found if episode is not None] == list(range(3, 103))


@pytest.mark.parametrize("data_format", FORMATS)
def test_a_single_missing_episode_is_told_by_its_index(tmp_path: Path, data_format: str) -> None:
    data = stored(tmp_path, data_format)
    if data_format == "hdf5":
        with h5py.File(data / "main_data.hdf5", "a") as file:
            del file["episode_1"]
    else:
        shutil.rmtree(data / "1")
    assert [problem[2] for problem in problems()] == [1]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows refuses in other words")
def test_a_file_that_is_held_open_for_writing_is_busy_and_not_damaged(tmp_path: Path) -> None:
    data = stored(tmp_path, "hdf5")
    dataset = load_dataset("public-v0")
    hold = "import h5py, sys; f = h5py.File(sys.argv[1], 'a'); print('held', flush=True); input()"
    path = str(data / "main_data.hdf5")
    with subprocess.Popen(
        [sys.executable, "-c", hold, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DatasetBusyError, match=r"main_data\.hdf5 is held open for writing"):
            dataset[0]
        with pytest.raises(DatasetBusyError, match="held open for writing"):
            verify_dataset("public-v0")
        holder.communicate("\n")
    assert len(dataset[0]) == 4
    assert problems() == []
