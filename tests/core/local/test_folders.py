"""The folders under the datasets' root: what may not be read, and what is only linked."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

from minari_core import (
    MinariDataset,
    MinariWarning,
    create_dataset_from_buffers,
    create_namespace,
    delete_dataset,
    list_leftovers,
    list_local_datasets,
    list_local_namespaces,
    load_dataset,
    verify_dataset,
)
from minari_core.datasets.local import find_committed_recordings
from minari_core.errors import DatasetAccessError, DatasetWriteError
from minari_core.local.dataset_id import MOST_PARTS
from minari_core.local.folders import walk_folders
from minari_core.testing import simple_episode
from tests.core.helpers.refusing import unreadable, without_privileges


def create(dataset_id: str) -> MinariDataset:
    return create_dataset_from_buffers(
        dataset_id,
        [simple_episode(0, 3)],
        observation_space=spaces.Box(-np.inf, np.inf, (2,), np.float64),
        action_space=spaces.Discrete(3),
        algorithm_name="none",
        author="Ada",
        author_email="ada@example.org",
        code_permalink="https://example.org",
    )


def test_a_foreign_folder_that_nobody_may_read_is_passed_over(datasets_root: Path) -> None:
    create("tests/good-v0")
    create_namespace("described")
    (datasets_root / "lost+found").mkdir()
    (datasets_root / "elsewhere" / "inside").mkdir(parents=True)
    os.symlink(datasets_root / "elsewhere" / "inside", datasets_root / "link")
    with (
        unreadable(datasets_root / "lost+found"),
        unreadable(datasets_root / "elsewhere"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error")
        assert list(without_privileges(list_local_datasets)) == ["tests/good-v0"]
        assert without_privileges(list_local_namespaces) == ["described", "tests"]
        assert without_privileges(find_committed_recordings) == {}


@pytest.mark.parametrize("part", ["", "data"])
def test_a_dataset_that_may_not_be_read_is_named(part: str, datasets_root: Path) -> None:
    create("tests/good-v0")
    create("tests/bad-v0")
    with unreadable(datasets_root / "tests" / "bad-v0" / part):
        with pytest.warns(MinariWarning, match=r"tests/bad-v0 .*Permission denied"):
            assert list(without_privileges(list_local_datasets)) == ["tests/good-v0"]
        assert without_privileges(find_committed_recordings) == {}
        for bad in ("tests/bad-v0", datasets_root / "tests" / "bad-v0"):
            with pytest.raises(DatasetAccessError, match=r"bad-v0.*may not be read.*ask whoever"):
                without_privileges(lambda bad=bad: load_dataset(bad))  # type: ignore[misc]
        report = without_privileges(lambda: verify_dataset("tests/bad-v0"))
        assert "Permission denied" in str(report.problems[0])


def test_a_root_that_may_not_be_read_has_no_empty_list(datasets_root: Path) -> None:
    create("tests/good-v0")
    with unreadable(datasets_root):
        for call in (list_local_datasets, lambda: load_dataset("tests/other-v0")):
            with pytest.raises(DatasetAccessError, match="may not be read"):
                without_privileges(call)


def test_a_shard_that_may_not_be_read_is_not_called_damaged() -> None:
    folder = Path(str(create("tests/bad-v0").spec.data_path))
    (shard,) = folder.glob("shard-*")
    dataset = load_dataset("tests/bad-v0")
    with unreadable(shard), pytest.raises(DatasetAccessError, match=f"{shard.name} may not be"):
        without_privileges(lambda: dataset[0])


def test_what_a_deletion_could_not_remove_is_said(datasets_root: Path) -> None:
    folder = Path(str(create("tests/bad-v0").spec.data_path))
    folder.chmod(0)
    with pytest.raises(DatasetWriteError, match=r"tests/bad-v0.*Permission denied.*left") as caught:
        without_privileges(lambda: delete_dataset("tests/bad-v0"))
    (trash,) = filter(Path.is_dir, (datasets_root / ".staging").iterdir())
    assert [each.path for each in list_leftovers()] == [str(trash)]
    assert str(trash) in str(caught.value)
    (trash / "data").chmod(0o700)
    assert list_local_datasets() == {}


def test_nothing_is_created_where_nobody_may_look(datasets_root: Path) -> None:
    create("tests/good-v0")
    with (
        unreadable(datasets_root / "tests"),
        pytest.raises(DatasetWriteError, match=r"tests/other-v0.*Permission denied"),
    ):
        without_privileges(lambda: create("tests/other-v0"))
    assert list(list_local_datasets()) == ["tests/good-v0"]


# Links


def test_links_in_circles_do_not_keep_a_listing_from_ending(datasets_root: Path) -> None:
    create("tests/good-v0")
    create_namespace("tests/deep")
    for place in (datasets_root, datasets_root / "tests", datasets_root / "tests" / "deep"):
        for name in ("all", "again", "zero"):
            os.symlink(datasets_root, place / name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(list_local_datasets()) == ["tests/good-v0"]
        assert list_local_namespaces() == ["tests", "tests/deep"]


def test_what_lies_elsewhere_is_listed_through_a_link(datasets_root: Path, tmp_path: Path) -> None:
    create("shared/deep/good-v0")
    create("tests/moved-v0")
    (datasets_root / "shared").rename(tmp_path / "shared")
    (datasets_root / "tests" / "moved-v0").rename(tmp_path / "moved-v0")
    # Names that come before and behind the right one, by a longer path.
    for name in ("a", "z"):
        os.symlink(tmp_path, datasets_root / "tests" / name)
    os.symlink(tmp_path / "shared", datasets_root / "shared")
    os.symlink(tmp_path / "moved-v0", datasets_root / "tests" / "moved-v0")
    with pytest.warns(MinariWarning, match=r"tests/a/.*its metadata says"):
        listed = list_local_datasets()
    assert list(listed) == ["shared/deep/good-v0", "tests/moved-v0"]


def test_a_folder_goes_by_its_own_name_whatever_links_lead_to_it(datasets_root: Path) -> None:
    create("tests/deep/good-v0")
    os.symlink(datasets_root / "tests" / "deep", datasets_root / "alias")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(list_local_datasets()) == ["tests/deep/good-v0"]


def test_of_a_linked_dataset_only_the_link_is_deleted(datasets_root: Path, tmp_path: Path) -> None:
    create("tests/moved-v0")
    (datasets_root / "tests" / "moved-v0").rename(tmp_path / "moved-v0")
    os.symlink(tmp_path / "moved-v0", datasets_root / "tests" / "moved-v0")
    before = sorted(tmp_path.joinpath("moved-v0").rglob("*"))
    delete_dataset("tests/moved-v0")
    assert list_local_datasets() == {}
    assert sorted(tmp_path.joinpath("moved-v0").rglob("*")) == before
    assert not list((datasets_root / ".staging").iterdir())
    create("tests/moved-v0")


def test_old_links_among_what_was_left_are_swept_up(datasets_root: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (datasets_root / ".staging").mkdir(parents=True)
    for name, age in (("delete-old", 48 * 3600), ("delete-new", 0)):
        link = datasets_root / ".staging" / name
        os.symlink(tmp_path / "elsewhere", link)
        os.utime(link, (time.time() - age,) * 2, follow_symlinks=False)
    create("tests/good-v0")
    assert [path.name for path in (datasets_root / ".staging").iterdir()] == ["delete-new"]
    assert (tmp_path / "elsewhere").is_dir()


def test_folders_are_walked_as_deep_as_an_id_has_parts_and_one_more(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(40):
        deep /= "n"
    deep.mkdir(parents=True)
    depths = [name.count("/") + 1 for name, _ in walk_folders(tmp_path)]
    assert depths == list(range(1, MOST_PARTS + 2))
