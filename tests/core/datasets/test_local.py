"""Listing, loading and deleting local datasets."""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

import minari
from minari_core import (
    MinariDataset,
    MinariWarning,
    delete_dataset,
    list_local_datasets,
    load_dataset,
    verify_dataset,
)
from minari_core.errors import (
    DatasetIdError,
    DatasetNotFoundError,
    DatasetWriteError,
    MinariError,
)
from minari_core.testing import simple_episode
from minari_core.testing.expectations import expect_same_episode
from tests.core.helpers.numbered import (
    create,
    ids,
)
from tests.core.helpers.refusing import without_descriptors

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


def test_local_datasets_are_listed_by_number_of_version() -> None:
    assert list_local_datasets() == {}
    for name in ("b-v10", "b-v2", "tests/a/x-v0", "tests/a/x-v1", "tests-v0", "c-v0-v1"):
        create(name, buffer=[])
    listed = list_local_datasets()
    assert set(listed) == {"b-v10", "b-v2", "tests/a/x-v0", "tests/a/x-v1", "tests-v0", "c-v0-v1"}
    assert list(listed).index("b-v2") < list(listed).index("b-v10")
    latest = list_local_datasets(latest_version=True)
    assert set(latest) == {"b-v10", "tests/a/x-v1", "tests-v0", "c-v0-v1"}
    assert set(list_local_datasets(prefix="b-v1")) == set()
    assert set(list_local_datasets(prefix="b-v10")) == {"b-v10"}
    assert set(list_local_datasets(prefix="tests/")) == {"tests/a/x-v0", "tests/a/x-v1"}
    assert set(list_local_datasets(True, False, "tests/a/x")) == {"tests/a/x-v1"}
    assert set(list_local_datasets(True, True, "tests/a/x")) == {"tests/a/x-v1"}
    with pytest.warns(DeprecationWarning, match="give prefix="):
        old = list_local_datasets(True, "tests/a/x")  # type: ignore[arg-type]  # as before 0.2
    assert set(old) == {"tests/a/x-v1"}
    assert listed["b-v2"]["total_episodes"] == 0


def test_a_list_says_how_large_a_columnar_dataset_is(datasets_root: Path) -> None:
    dataset = create("large-v0", buffer=[simple_episode(1, 50_000)])
    create("odd-v0", buffer=[])
    manifest = datasets_root / "odd-v0" / "data" / "metadata.json"
    content = json.loads(manifest.read_bytes())
    content["columnar"]["shards"] = [{"file": [], "bytes": "many"}]
    manifest.write_text(json.dumps(content), encoding="utf-8")

    listed = list_local_datasets()

    assert listed["large-v0"]["dataset_size"] == dataset.storage.get_size() > 1
    # What is wrong with its shards is said when it is opened.
    assert "dataset_size" not in listed["odd-v0"]


def test_what_is_no_dataset_is_passed_over(datasets_root: Path) -> None:
    create("tests/good-v0")
    (datasets_root / "file.txt").write_text("x")
    (datasets_root / "empty").mkdir()
    (datasets_root / "foreign-v0" / "data" / "x").mkdir(parents=True)
    (datasets_root / "tests" / "half-v0" / "data").mkdir(parents=True)
    (datasets_root / "no version" / "data").mkdir(parents=True)
    (datasets_root / "no version" / "data" / "metadata.json").write_text("{}")
    (datasets_root / ".hidden-v0" / "data").mkdir(parents=True)
    (datasets_root / ".hidden-v0" / "data" / "metadata.json").write_text("{}")
    os.symlink(datasets_root, datasets_root / "loop")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        listed = list_local_datasets(prefix="tests")
    assert list(listed) == ["tests/good-v0"]
    with pytest.raises(DatasetNotFoundError, match="half-v0"):
        load_dataset("tests/half-v0")


@pytest.mark.parametrize("text", ["{", "[]", "", '{"total_steps": "x"}', '{"dataset_id": "a-v0"}'])
def test_a_damaged_dataset_is_warned_about_by_name(text: str, datasets_root: Path) -> None:
    create("tests/good-v0")
    create("tests/bad-v1")
    (datasets_root / "tests" / "bad-v1" / "data" / "metadata.json").write_text(text)
    with pytest.warns(MinariWarning, match="tests/bad-v1") as caught:
        listed = list_local_datasets()
    assert [warning.category for warning in caught].count(MinariWarning) == 1
    assert list(listed) == ["tests/good-v0"]


def test_only_a_dataset_is_deleted(datasets_root: Path) -> None:
    create("tests/a-v0/b-v0")
    create("tests/c-v0")
    (datasets_root / "tests" / "notes-v0").mkdir()
    for name in ("tests/a-v0", "tests/notes-v0", "tests/none-v0"):
        with pytest.raises(DatasetNotFoundError, match=name):
            delete_dataset(name)
    for name in ("tests", "../x-v0", "", "tests/", "tests/c"):
        with pytest.raises(DatasetIdError):
            delete_dataset(name)
    delete_dataset("tests/c-v0")
    assert list(list_local_datasets()) == ["tests/a-v0/b-v0"]
    assert (datasets_root / "tests").is_dir()
    create("tests/c-v0")


def test_a_namespace_that_is_called_data_is_no_dataset(datasets_root: Path) -> None:
    try:
        create("tests-v0/data/inner-v0")
    except DatasetIdError:
        return
    assert list(list_local_datasets()) == ["tests-v0/data/inner-v0"]
    with pytest.raises(DatasetNotFoundError):
        delete_dataset("tests-v0")
    assert ids(load_dataset("tests-v0/data/inner-v0")) == list(range(6))


def test_a_deleted_dataset_can_be_created_again_under_an_object_that_reads_it() -> None:
    dataset = create()
    first = dataset[0]
    delete_dataset(dataset.id)
    again = create(buffer=[simple_episode(40, 3)])
    expect_same_episode(first, first)
    assert [episode.seed for episode in again] == [40]
    with pytest.raises(MinariError):
        dataset.update_dataset_from_buffer([simple_episode(1, 2)])
    assert [episode.seed for episode in load_dataset(again.id)] == [40]


def test_a_copied_folder_under_another_id_is_not_listed_as_what_it_was(datasets_root: Path) -> None:
    create("tests/a-v0")
    shutil.copytree(datasets_root / "tests" / "a-v0", datasets_root / "tests" / "b-v0")
    with pytest.warns(MinariWarning, match=r"tests/b-v0.*tests/a-v0"):
        assert list(list_local_datasets()) == ["tests/a-v0"]


def as_spelled(folder: Path, spelling: str) -> str | Path:
    spellings: dict[str, str | Path] = {
        "Path": folder,
        "text": str(folder),
        "./": f"./{folder.name}",
        "../": f"../{folder.parent.name}/{folder.name}",
        "~": f"~/{folder.name}",
    }
    return spellings[spelling]


@pytest.mark.parametrize("spelling", ["Path", "text", "./", "../", "~"])
@pytest.mark.parametrize("load", [load_dataset, minari.load_dataset])
def test_a_path_loads_the_folder_of_a_dataset_or_the_data_in_it(
    spelling: str,
    load: Callable[[str | Path], MinariDataset],
    datasets_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dataset = create("tests/numbers-v0")
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(datasets_root / "tests" / "numbers-v0", elsewhere / "copy")
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("HOME", str(elsewhere))
    monkeypatch.setenv("USERPROFILE", str(elsewhere))
    given = as_spelled(elsewhere / "copy", spelling)
    for path in (given, Path(given) / "data" if isinstance(given, Path) else f"{given}/data"):
        loaded = load(path)
        assert loaded.id == minari.load_dataset(path, download=True).id == "tests/numbers-v0"
        assert loaded.storage.data_path == elsewhere / "copy" / "data" or spelling == "../"
        for episode, again in zip(dataset, loaded, strict=True):
            expect_same_episode(episode, again)


def test_what_looks_like_no_path_is_an_id(
    datasets_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create("a/b-v0")
    shutil.copytree(datasets_root / "a", tmp_path / "a")
    shutil.rmtree(datasets_root / "a")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetNotFoundError, match="Dataset a/b-v0 not found locally at"):
        load_dataset("a/b-v0")
    assert load_dataset(Path("a/b-v0")).id == "a/b-v0"


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (3, DatasetIdError, "3 is of type int, not a string"),
        (b"x-v0", DatasetIdError, "of type bytes"),
        (["x-v0"], DatasetIdError, "of type list"),
        ("名" * 100 + "-v0", DatasetIdError, "303 bytes in UTF-8"),
        ("/".join(["ab"] * 39 + ["c-v0"]), DatasetIdError, "40 parts"),
        ("./nothing", DatasetNotFoundError, "nothing is no folder"),
        (".", DatasetNotFoundError, "holds no dataset, nor does its folder 'data'"),
        ("~nobody-of-this-name/x", DatasetNotFoundError, "is no folder"),
        ("C:\\x\\y-v0", DatasetNotFoundError, "is no folder"),
        (r"\\host\x-v0", DatasetNotFoundError, "is no folder"),
        ("./a\0b", DatasetNotFoundError, "is no folder"),
        ("/" + "x" * 5000, DatasetNotFoundError, "is no folder"),
    ],
    ids=lambda value: ascii(value)[:20],
)
@pytest.mark.parametrize("load", [load_dataset, minari.load_dataset])
def test_what_is_neither_an_id_nor_the_path_of_a_dataset_is_refused(
    given: str,
    error: type[Exception],
    message: str,
    load: Callable[[str], MinariDataset],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        load(given)


def test_an_unknown_id_is_answered_by_its_versions_or_by_ids_like_it() -> None:
    for dataset_id in ("D4RL/door/human-v0", "D4RL/door/human-v2", "D4RL/pen/expert-v1", "x-v0"):
        create(dataset_id, buffer=[])
    for unknown, hint in (
        ("D4RL/door/human-v1", "of its versions there are D4RL/door/human-v0, D4RL/door/human-v2"),
        ("D4RL/dor/human-v0", "did you mean D4RL/door/human-v0?"),
        ("d4rl/door/Human-v7", "did you mean D4RL/door/human-v2?"),
        ("human-v2", "did you mean D4RL/door/human-v2?"),
        ("nothing/like/it-v0", "list_local_datasets() shows which there are"),
    ):
        for ask in (load_dataset, verify_dataset, delete_dataset):
            with pytest.raises(DatasetNotFoundError, match=f"; {re.escape(hint)}$"):
                ask(unknown)


@pytest.mark.parametrize("data_format", ["columnar", "hdf5", "arrow", "parquet"])
def test_a_deleted_dataset_takes_no_episodes_and_does_not_come_back(
    data_format: str, datasets_root: Path
) -> None:
    dataset = create("tests/numbers-v0", data_format=data_format)
    delete_dataset("tests/numbers-v0")
    with pytest.raises(DatasetNotFoundError, match="was deleted, or moved"):
        dataset.update_dataset_from_buffer([simple_episode(9, 2)])
    with pytest.raises(DatasetNotFoundError, match="was deleted, or moved"):
        dataset.storage.update_metadata({"author": "Eve"})
    assert not (datasets_root / "tests" / "numbers-v0").exists()


needs_limits = pytest.mark.skipif(not hasattr(os, "fork"), reason="limits of files are POSIX")


@needs_limits
@pytest.mark.parametrize("data_format", ["columnar", "hdf5", "arrow", "parquet"])
def test_a_creation_that_can_open_no_more_files_leaves_nothing(
    data_format: str, datasets_root: Path
) -> None:
    create("tests/warm-v0", data_format=data_format)
    told: list[str] = []
    for free in range(9):
        with without_descriptors(free):
            try:
                create("tests/a-v0", data_format=data_format)
                break
            except DatasetWriteError as error:
                told.append(str(error))
        assert not list((datasets_root / ".staging").glob("*"))
    assert len(told) >= 3
    assert "as many files are open as may be" in told[0]
    assert ids(load_dataset("tests/a-v0")) == ids(load_dataset("tests/warm-v0"))


@needs_limits
def test_a_deletion_that_can_open_no_more_files_deletes_nothing(datasets_root: Path) -> None:
    create("tests/a-v0")
    before = files_below(datasets_root)
    told: list[str] = []
    for free in range(9):
        with without_descriptors(free):
            try:
                delete_dataset("tests/a-v0")
                break
            except DatasetWriteError as error:
                told.append(str(error))
        assert files_below(datasets_root) == before
    assert len(told) >= 2
    for message in told:
        assert message.startswith("dataset 'tests/a-v0' could not be deleted")
        assert "as many files are open as may be" in message
    assert {path.name for path in files_below(datasets_root)} == {"namespace_metadata.json"}


def files_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}
