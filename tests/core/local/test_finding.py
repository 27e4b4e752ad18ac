"""Ids and paths: which are meant, where they lie, and what is said of those that are not there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from minari_core.errors import (
    DatasetIdError,
    DatasetNotFoundError,
    MetadataError,
    MinariError,
    NamespaceError,
)
from minari_core.local import dataset_id as ids
from minari_core.local.dataset_id import (
    check_namespace,
    choose_id,
    choose_id_or_path,
    has_prefix,
    is_url,
    parse_dataset_id,
    select_latest_versions,
)
from minari_core.local.finding import build_not_found_error, list_local_ids, suggest_ids
from minari_core.local.folders import has_data_folder, remove_folder, walk_folders
from minari_core.local.locations import (
    dataset_folder,
    datasets_root,
    is_path,
    locate_data,
    staging_root,
)
from minari_core.local.namespaces import (
    NAMESPACE_METADATA,
    create_namespace,
    delete_namespace,
    get_namespace_metadata,
    list_local_namespaces,
    make_namespaces,
    namespace_hierarchy,
    update_namespace_metadata,
)
from minari_core.local.verifying import verify_dataset
from minari_core.messages import MinariWarning


def place(dataset_id: str) -> Path:
    """Make what looks like a dataset."""
    data = datasets_root() / dataset_id / "data"
    data.mkdir(parents=True)
    (data / "metadata.json").write_text("{}")
    return data


def test_the_longest_parts_and_ids_are_taken() -> None:
    assert parse_dataset_id("x" * 117 + "-v0").name == "x" * 117
    assert parse_dataset_id("é" * 117 + "-v0").version == 0
    assert parse_dataset_id("名" * 84 + "-v0").name == "名" * 84  # of 255 bytes
    assert parse_dataset_id("x/" * 31 + "a-v0").namespace == "/".join("x" * 31)
    assert parse_dataset_id("a-v10").version == 10
    check_namespace("/".join("x" * 32))
    with pytest.raises(DatasetIdError, match="has 33 parts, more than 32"):
        check_namespace("/".join("x" * 33))
    for name in ("com1", "LPT9", "aux"):
        with pytest.raises(DatasetIdError, match="Windows reserves"):
            check_namespace(name)
    for name in ("com0", "lpt10", "data1"):
        check_namespace(name)
    assert parse_dataset_id("a/b-v3").unversioned == "a/b"
    assert ids.DatasetId("", "b", 3).unversioned == "b"


def test_an_id_is_given_once_and_as_text() -> None:
    assert choose_id("a-v0") == choose_id(None, "a-v0") == "a-v0"
    path = Path("a")
    assert choose_id_or_path(path, None) is path
    both = "both dataset_name='a-v0' and dataset_id='b-v0' are given; they mean the same, so give"
    with pytest.raises(DatasetIdError, match=both):
        choose_id("a-v0", "b-v0")
    with pytest.raises(DatasetIdError, match="no dataset_name is given"):
        choose_id(None)
    for bad in (path, 3):
        with pytest.raises(DatasetIdError, match=r"^dataset id .* is of type .*, not a string"):
            choose_id(bad)  # type: ignore[arg-type]  # from a caller


@pytest.mark.parametrize(
    ("dataset_id", "prefix", "has"),
    [
        ("a-v1", "a-v1", True),
        ("a-v12", "a-v1", False),
        ("a-v1-test-v0", "a-v1", True),
        ("ab-v1", "a", True),
        ("b-v1", "a", False),
        ("a1-v1", "a", True),
        ("a-v1", "", True),
        ("a-v1", "a-v", True),
    ],
)
def test_a_prefix_ends_where_a_version_does(dataset_id: str, prefix: str, has: bool) -> None:
    assert has_prefix(dataset_id, prefix) is has


def test_the_highest_version_is_a_number_and_urls_are_no_ids() -> None:
    assert select_latest_versions(["b-v9", "b-v10", "a/b-v3", "a/b-v2", "A-v0"]) == [
        *("A-v0", "b-v10", "a/b-v3")
    ]
    assert is_url("hf://x")
    assert is_url("a+b.c-1://")
    for text in ("a/b-v0", "1a://", "x:/", "://"):
        assert not is_url(text)


THERE = [f"door/human-v{number}" for number in range(12)] + ["door/expert-v0", "other/Human-v1", ""]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (
            "door/human-v99",
            "of its versions there are " + ", ".join(f"door/human-v{n}" for n in range(2, 12)),
        ),
        ("dor/human-v3", "did you mean door/human-v3 or other/Human-v1?"),
        ("dor/human-v99", "did you mean door/human-v11 or other/Human-v1?"),
        ("DOOR/EXPERT-v0", "did you mean door/expert-v0?"),
        ("door/exper-v0", "did you mean door/expert-v0?"),
        ("x/y-v0", ""),
    ],
)
def test_what_may_be_meant_is_said(wanted: str, said: str) -> None:
    assert suggest_ids(wanted, THERE) == said


def test_of_many_that_may_be_meant_three_are_said() -> None:
    there = [f"{name}/same-v0" for name in "abcde"]
    assert suggest_ids("f/same-v0", there).count("same") == 3


def test_local_ids_are_of_folders_that_look_like_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list_local_ids() == set()
    for name in ("a-v0", "n/b-v1", "no version", ".hidden/c-v0"):
        place(name)
    (datasets_root() / "empty-v0" / "data").mkdir(parents=True)
    assert list_local_ids() == {"a-v0", "n/b-v1"}
    error = build_not_found_error("n/b-v7", "Download it")
    assert str(error) == (
        f"Dataset n/b-v7 not found locally at {datasets_root()}/n/b-v7. Download it; of its "
        "versions there are n/b-v1"
    )
    assert str(build_not_found_error("x/y-v0")).endswith(
        "/x/y-v0; list_local_datasets() shows which there are"
    )
    with pytest.raises(DatasetIdError, match=r"^hf://x is the URL of a remote dataset; verify_rem"):
        verify_dataset("hf://x")
    with pytest.raises(DatasetNotFoundError, match="n/b-v7 not found locally"):
        verify_dataset(dataset_id="n/b-v7")
    assert not verify_dataset("a-v0").ok


def test_datasets_lie_where_the_variable_says_else_at_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("MINARI_DATASETS_PATH", "~/some")
    assert datasets_root() == tmp_path / "some"
    assert staging_root() == tmp_path / "some" / ".staging"
    assert dataset_folder("n/a-v0") == tmp_path / "some" / "n" / "a-v0"
    monkeypatch.setenv("MINARI_DATASETS_PATH", "")
    assert datasets_root() == tmp_path / ".minari" / "datasets"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", "below")
    assert datasets_root() == tmp_path / "below"
    with pytest.raises(DatasetIdError):
        dataset_folder("../a-v0")


@pytest.mark.parametrize(
    ("given", "is_one"),
    [
        *(("~", True), (".", True), ("..", True), ("./a", True), ("../a", True), ("/a", True)),
        *(("\\a", True), ("C:\\a", True), ("c:/a", True), (Path("a"), True)),
        *(("a/b-v0", False), ("a.b", False), ("", False), (".a", False), (3, False)),
        *(("hf://a", False), ("C:a", False)),
    ],
)
def test_paths_are_told_from_ids(given: Any, is_one: bool) -> None:
    assert is_path(given) is is_one


def test_the_data_of_a_dataset_is_found_at_its_path_or_below(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = place("a-v0")
    assert locate_data(data) == locate_data(data.parent) == locate_data(str(data)) == data
    monkeypatch.setenv("HOME", str(data.parent.parent))
    monkeypatch.setenv("USERPROFILE", str(data.parent.parent))
    assert locate_data("~/a-v0") == data
    with pytest.raises(DatasetNotFoundError, match=f"^{tmp_path} holds no dataset, nor does its"):
        locate_data(tmp_path)
    for none in (tmp_path / "none", data / "metadata.json"):
        with pytest.raises(DatasetNotFoundError, match=f"^{none} is no folder$"):
            locate_data(none)
    assert has_data_folder(data.parent)
    assert not has_data_folder(data)


def test_the_folders_below_a_dataset_are_none_of_the_root(tmp_path: Path) -> None:
    root = datasets_root()
    assert list(walk_folders(root)) == []
    place("n/a-v0")
    (root / "n" / "a-v0" / "data" / "inner").mkdir()
    (root / "half-v0" / "data" / "inner").mkdir(parents=True)
    (root / "file").touch()
    assert sorted(walk_folders(root)) == [
        *(("half-v0", False), ("half-v0/data", False), ("n", False), ("n/a-v0", True)),
    ]


@pytest.mark.skipif(os.name != "posix", reason="has links")
def test_of_a_folder_all_goes_and_of_a_link_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import shutil

    folder, outside = tmp_path / "folder", tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    link = tmp_path / "link"
    link.symlink_to(outside)
    remove_folder(link)
    assert not link.is_symlink()

    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, "no more")

    for without_descriptors in (False, True):
        (folder / "a" / "b").mkdir(parents=True)
        (folder / "a" / "file").touch()
        (folder / "link").symlink_to(outside)
        with monkeypatch.context() as patch:
            if without_descriptors:
                patch.setattr(shutil, "rmtree", refuse)
            remove_folder(folder)
        assert not folder.exists()
    assert os.listdir(outside) == ["kept"]
    with pytest.raises(FileNotFoundError):
        remove_folder(folder)


def test_namespaces_that_a_failure_made_go_again_unless_others_use_them() -> None:
    create_namespace("kept")
    for fails in (True, False):
        try:
            with make_namespaces("kept/a/b", {"kept/a": {"x": 1}}):
                assert get_namespace_metadata("kept/a") == {"x": 1}
                assert get_namespace_metadata("kept/a/b") == {}
                if fails:
                    raise KeyError
        except KeyError:
            assert list_local_namespaces() == ["kept"]
            assert os.listdir(datasets_root() / "kept") == [NAMESPACE_METADATA]

    def fail_beside_others() -> None:
        with make_namespaces("kept/c/d"):
            (datasets_root() / "kept" / "c" / "other").touch()
            raise KeyError

    with pytest.raises(KeyError):
        fail_beside_others()
    assert list_local_namespaces() == ["kept", "kept/a", "kept/a/b", "kept/c"]
    with make_namespaces(""):
        pass
    assert namespace_hierarchy(None) == []


def test_what_is_said_of_a_namespace_is_json_and_kept(tmp_path: Path) -> None:
    create_namespace("n", url="x")
    assert get_namespace_metadata("n") == {"url": "x"}
    update_namespace_metadata("n")
    assert get_namespace_metadata("n") == {"description": None}
    with pytest.raises(MetadataError):
        update_namespace_metadata("n", thing=object())
    (datasets_root() / "n" / NAMESPACE_METADATA).write_text("[]")
    with pytest.raises(MinariError, match=f"{NAMESPACE_METADATA} is not a JSON object"):
        get_namespace_metadata("n")
    (datasets_root() / "n" / NAMESPACE_METADATA).write_text("{")
    with pytest.raises(MinariError, match=f"{NAMESPACE_METADATA} cannot be read"):
        get_namespace_metadata("n")
    with pytest.raises(DatasetIdError, match="namespace 3 is a int, not text"):
        create_namespace(3)  # type: ignore[arg-type]  # from a caller
    for number in range(7):
        (datasets_root() / "n" / f"{number}").touch()
    with pytest.raises(NamespaceError, match=r"Namespace 'n' is not empty\. .*: 0, 1, 2, 3, 4$"):
        delete_namespace("n")
    with pytest.warns(MinariWarning, match="Namespace 'm' does not exist"):
        delete_namespace("m")
