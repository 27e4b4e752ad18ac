"""Listing, loading and deleting local datasets."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path

import pytest

from minari_core import (
    MinariWarning,
    delete_dataset,
    list_local_datasets,
    load_dataset,
)
from minari_core.errors import (
    DatasetIdError,
    DatasetNotFoundError,
    MinariError,
)
from minari_core.testing import simple_episode
from minari_core.testing.expectations import expect_same_episode
from tests.core.helpers.numbered import (
    create,
    ids,
)

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
    assert set(list_local_datasets(prefix="tests/")) == {"tests/a/x-v0", "tests/a/x-v1"}
    assert set(list_local_datasets(True, "tests/a/x")) == {"tests/a/x-v1"}
    assert listed["b-v2"]["total_episodes"] == 0


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
