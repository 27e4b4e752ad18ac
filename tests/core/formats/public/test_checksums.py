"""What this project has stored in a public layout is guarded; what others change of it is known."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces

from minari_core import (
    DatasetChangedError,
    DatasetDamagedError,
    DatasetNotFoundError,
    EpisodeBuffer,
    MinariDataset,
    combine_datasets,
    convert_dataset,
    create_dataset_from_buffers,
    delete_dataset,
    load_dataset,
    verify_dataset,
)

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")

FORMATS = ("hdf5", "arrow", "parquet")
MARK = 1234567.0
"""A number that is found again among the bytes of a file."""


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))


def some_episode(number: int) -> EpisodeBuffer:
    return EpisodeBuffer(
        observations=np.full((5, 2), number, np.float32),
        actions=np.zeros(4, np.int64),
        rewards=np.array([1.0, MARK + number, 2.0, 3.0]),
        terminations=np.arange(4) == 3,
        truncations=np.zeros(4, bool),
        # A value that is missing goes into the sidecar.
        infos={"x": np.arange(5.0), "late": [None, *range(number, number + 4)]},
        seed=7_777_777 + number,
        metadata={"word": f"remarkable-{number}"},
    )


def stored(tmp_path: Path, data_format: str) -> Path:
    """A dataset of three episodes; its ``data`` folder."""
    create_dataset_from_buffers(
        "guarded-v0",
        [some_episode(number) for number in range(3)],
        observation_space=spaces.Box(-9, 9, (2,), np.float32),
        action_space=spaces.Discrete(2),
        data_format=data_format,
        description="as it was",
    )
    return tmp_path / "guarded-v0" / "data"


def found(dataset_id: str = "guarded-v0") -> tuple[list[tuple[str, int | None]], list[str]]:
    """The places of problems, and the remarks."""
    report = verify_dataset(dataset_id)
    problems = [(problem.file, problem.episode) for problem in report.problems]
    return problems, [str(remark) for remark in report.remarks]


def data_file(data: Path, number: int) -> Path:
    (path,) = [*data.glob("*.hdf5"), *data.glob(f"{number}/part*")]
    return path


def flip(path: Path, what: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(what)] ^= 1
    path.write_bytes(content)


def edit_json(path: Path, edit: Callable[[Any], object]) -> None:
    """As Python programs do it, the public Minari among them."""
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("data_format", FORMATS)
def test_whatever_this_project_does_to_a_dataset_leaves_it_sound(
    tmp_path: Path, data_format: str
) -> None:
    stored(tmp_path, data_format)
    dataset = load_dataset("guarded-v0")
    dataset.update_dataset_from_buffer([some_episode(3)])
    dataset.storage.update_metadata({"description": "as it is", "more": {"a": [1.5, None]}})
    convert_dataset(dataset, "converted-v0", data_format="columnar")
    convert_dataset(load_dataset("converted-v0"), "back-v0", data_format=data_format)
    combine_datasets([dataset, load_dataset("back-v0")], "combined-v0", data_format=data_format)
    for dataset_id in ("guarded-v0", "converted-v0", "back-v0", "combined-v0"):
        assert found(dataset_id) == ([], []), dataset_id
    for dataset_id, count in (("guarded-v0", 4), ("back-v0", 4), ("combined-v0", 8)):
        storage: Any = load_dataset(dataset_id).storage
        assert all(storage.get_checksums(number) is not None for number in range(count))


def widen_bounds(content: dict[str, Any]) -> None:
    content["observation_space"] = content["observation_space"].replace("9.0", "8.0")


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize(
    "damage",
    [lambda content: content.update(total_episodes=2, total_steps=8), widen_bounds],
    ids=["fewer episodes", "another space"],
)
def test_nothing_is_added_to_metadata_that_is_damaged(
    tmp_path: Path, data_format: str, damage: Callable[[Any], object]
) -> None:
    data = stored(tmp_path, data_format)
    edit_json(data / "metadata.json", damage)
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    dataset = load_dataset("guarded-v0")
    with pytest.raises(DatasetDamagedError, match="nothing is added"):
        dataset.update_dataset_from_buffer([some_episode(9)])
    with pytest.raises(DatasetDamagedError, match="nothing is added"):
        dataset.storage.update_metadata({"description": "new"})
    after = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    assert {path: after.get(path) for path in before} == before
    assert found()[0]


@pytest.mark.parametrize("data_format", FORMATS)
def test_a_dataset_that_is_replaced_or_deleted_is_no_longer_read(
    tmp_path: Path, data_format: str
) -> None:
    stored(tmp_path, data_format)
    dataset = load_dataset("guarded-v0")
    view = dataset[:1]
    assert len(dataset[0]) == len(view[0])
    delete_dataset("guarded-v0")
    with pytest.raises(DatasetNotFoundError, match="deleted"):
        dataset[0]
    with pytest.raises(DatasetNotFoundError, match="deleted"):
        list(view)
    stored(tmp_path, data_format)
    with pytest.raises(DatasetChangedError):
        dataset[0]
    with pytest.raises(DatasetChangedError):
        list(view)
    assert len(load_dataset("guarded-v0")[0]) > 0


@pytest.mark.parametrize("data_format", FORMATS)
def test_a_flipped_bit_in_an_array_is_told_of_its_episode(tmp_path: Path, data_format: str) -> None:
    data = stored(tmp_path, data_format)
    path = data_file(data, 1)
    flip(path, np.float64(MARK + 1).tobytes())
    assert found()[0] == [(path.relative_to(data).as_posix(), 1)]


@pytest.mark.parametrize("data_format", ["arrow", "parquet"])
def test_a_sidecar_that_is_missing_or_of_another_episode_is_told(
    tmp_path: Path, data_format: str
) -> None:
    data = stored(tmp_path, data_format)
    sidecar = data / "1" / "_minari_core.npz"
    shutil.copyfile(data / "2" / "_minari_core.npz", sidecar)
    assert found()[0] == [(f"1/part-0.{data_format}", 1)]
    sidecar.unlink()
    assert found()[0] == [(f"1/part-0.{data_format}", 1)]


def _rename(group: Any) -> None:
    group.move("infos/x", "infos/y")


def _shorten(group: Any) -> None:
    del group["infos/x"]
    group["infos/x"] = np.arange(4.0)


def _drop_sidecar(group: Any) -> None:
    del group["minari_core"]


@pytest.mark.parametrize("edit", [_rename, _shorten, _drop_sidecar])
def test_infos_that_are_not_those_of_the_episode_are_told(
    tmp_path: Path, edit: Callable[[Any], None]
) -> None:
    with h5py.File(stored(tmp_path, "hdf5") / "main_data.hdf5", "a") as file:
        edit(file["episode_1"])
    assert found()[0] == [("main_data.hdf5", 1)]


@pytest.mark.parametrize(
    ("data_format", "what"),
    [
        ("hdf5", (7_777_778).to_bytes(8, "little")),
        ("hdf5", b"remarkable-1"),
        ("arrow", b"7777778"),
        ("parquet", b"remarkable-1"),
    ],
)
def test_a_flipped_bit_in_the_attributes_of_an_episode_is_told(
    tmp_path: Path, data_format: str, what: bytes
) -> None:
    data = stored(tmp_path, data_format)
    path = data / "main_data.hdf5" if data_format == "hdf5" else data / "1" / "metadata.json"
    flip(path, what)
    problems, remarks = found()
    assert problems == [(path.relative_to(data).as_posix(), 1)]
    assert remarks == []


def change_attributes(data: Path, number: int, changes: dict[str, Any]) -> None:
    """As `update_episode_metadata` of the public Minari."""
    if (data / "main_data.hdf5").exists():
        with h5py.File(data / "main_data.hdf5", "a") as file:
            file[f"episode_{number}"].attrs.update(changes)
    else:
        edit_json(data / str(number) / "metadata.json", lambda content: content.update(changes))


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize(
    "changes", [{"grade": 2}, {"word": "another"}, {"word": "x", **{f"k{i}": i for i in range(9)}}]
)
def test_attributes_that_another_program_has_changed_are_remarked(
    tmp_path: Path, data_format: str, changes: dict[str, Any]
) -> None:
    data = stored(tmp_path, data_format)
    change_attributes(data, 1, changes)
    problems, (remark,) = found()
    assert problems == []
    assert remark.endswith("its metadata was changed by another program (episode 1)")


@pytest.mark.parametrize("data_format", FORMATS)
def test_damage_is_told_beside_what_another_program_has_changed(
    tmp_path: Path, data_format: str
) -> None:
    data = stored(tmp_path, data_format)
    change_attributes(data, 1, {"grade": 2})
    flip(data_file(data, 1), np.float64(MARK + 1).tobytes())
    problems, remarks = found()
    assert [episode for _, episode in problems] == [1]
    assert len(remarks) == 1


def add_as_another_program(data: Path, data_format: str) -> None:
    """Copy the last episode; the manifest is written as the public Minari does."""
    if data_format == "hdf5":
        with h5py.File(data / "main_data.hdf5", "a", track_order=True) as file:
            file.copy("episode_2", "episode_3")
            file["episode_3"].attrs["id"] = 3
    else:
        shutil.copytree(data / "2", data / "3")
        edit_json(data / "3" / "metadata.json", lambda content: content.update(id=3))
    edit_json(
        data / "metadata.json", lambda content: content.update(total_episodes=4, total_steps=16)
    )


@pytest.mark.parametrize("data_format", FORMATS)
def test_episodes_of_another_program_are_remarked_and_those_after_them_are_guarded(
    tmp_path: Path, data_format: str
) -> None:
    data = stored(tmp_path, data_format)
    add_as_another_program(data, data_format)
    problems, (remark,) = found()
    assert problems == []
    assert "it has no checksums" in remark
    assert remark.endswith("(episode 3)")
    load_dataset("guarded-v0").update_dataset_from_buffer([some_episode(4)])
    assert found() == ([], [remark])
    flip(data_file(data, 4), np.float64(MARK + 4).tobytes())
    assert [episode for _, episode in found()[0]] == [4]


@pytest.mark.parametrize("data_format", FORMATS)
def test_a_description_that_another_program_has_changed_is_remarked(
    tmp_path: Path, data_format: str
) -> None:
    data = stored(tmp_path, data_format)
    edit_json(
        data / "metadata.json", lambda content: content.update(description="new", author=["A"])
    )
    assert found() == ([], ["metadata.json: 'author', 'description': changed by another program"])


@pytest.mark.parametrize(
    "edit",
    [
        lambda content: content.update(jpeg_encoding=True),
        lambda content: content.update(
            observation_space=content["observation_space"].replace("9.0", "8.0")
        ),
        lambda content: content["minari_core"].update(infos=None),
        lambda content: content["minari_core"].update(
            checksums=content["minari_core"]["checksums"][:-1]
        ),
        lambda content: content["minari_core"].pop("crc32"),
        lambda content: content.update(mimari_core=content.pop("minari_core")),
        lambda content: content.update(minari_core=None),
        lambda content: content.update(total_episodes=2, total_steps=8),
    ],
)
def test_what_no_program_changes_in_the_manifest_is_guarded(
    tmp_path: Path, edit: Callable[[Any], object]
) -> None:
    edit_json(stored(tmp_path, "hdf5") / "metadata.json", edit)
    assert "metadata.json" in {file for file, _ in found()[0]}


@pytest.mark.parametrize("data_format", FORMATS)
def test_a_dataset_without_checksums_is_verified_by_reading(
    tmp_path: Path, data_format: str
) -> None:
    data = stored(tmp_path, data_format)
    edit_json(data / "metadata.json", lambda content: content.pop("minari_core"))
    change_attributes(data, 1, {"word": "another"})
    problems, (remark,) = found()
    assert problems == []
    assert remark.startswith("metadata.json: its 'minari_core' part")
    assert "was left out by another program" in remark


@pytest.mark.parametrize("data_format", FORMATS)
def test_an_append_that_was_killed_before_the_manifest_is_no_damage(
    tmp_path: Path, data_format: str
) -> None:
    data = stored(tmp_path, data_format)
    before = (data / "metadata.json").read_bytes()
    dataset: MinariDataset = load_dataset("guarded-v0")
    dataset.update_dataset_from_buffer([some_episode(3)])
    (data / "metadata.json").write_bytes(before)
    assert found() == ([], [])
    load_dataset("guarded-v0").update_dataset_from_buffer([some_episode(8)])
    assert found() == ([], [])
