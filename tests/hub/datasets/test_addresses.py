"""Where in a URL an id begins, as the manifest at its end says or the kind of remote suggests."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

import minari
from minari_hub import list_remote_datasets, open_remote
from minari_hub.datasets.progress import explain_interrupt
from minari_hub.datasets.remote_dataset import RemoteDataset, locate
from minari_hub.remotes.urls import is_token_of, normalize_dataset_url, takes_token


def put(root: str, name: str, **metadata: object) -> None:
    content = {"data_format": "columnar", "total_episodes": 1, "total_steps": 1, **metadata}
    open_remote(root).create(f"{name}/data/metadata.json", json.dumps(content).encode(), {})


def address(dataset: RemoteDataset) -> tuple[str, str]:
    return dataset.remote.url, dataset.dataset_id


def test_what_the_manifest_says_is_the_id(tmp_path: Path) -> None:
    for root in (tmp_path.as_uri(), f"memory://{uuid.uuid4().hex}"):
        for said, remote in (
            ("a/b/x-v0", root),
            ("b/x-v0", f"{root}/a"),
            ("x-v0", f"{root}/a/b"),
        ):
            place = uuid.uuid4().hex
            put(root, f"{place}/a/b/x-v0", dataset_id=said)
            found = locate(f"{root}/{place}/a/b/x-v0", None)
            assert address(found) == (remote.replace(root, f"{root}/{place}"), said)


@pytest.mark.parametrize("said", [None, "other-v0"])
def test_where_the_manifest_says_nothing_of_it_the_kind_of_remote_decides(
    said: str | None, tmp_path: Path
) -> None:
    metadata = {} if said is None else {"dataset_id": said}
    root, bucket = tmp_path.as_uri(), f"memory://{uuid.uuid4().hex}"
    for each in (root, bucket):
        put(each, "a/b/x-v0", **metadata)
    # In a folder somewhere, only its name; in a bucket, all that follows that.
    assert address(locate(f"{root}/a/b/x-v0", None)) == (f"{root}/a/b", "x-v0")
    assert address(locate(f"{bucket}/a/b/x-v0", None)) == (bucket, "a/b/x-v0")


def test_where_nothing_is_the_error_names_what_was_asked_for(tmp_path: Path) -> None:
    root, bucket = (tmp_path / "remote").as_uri(), f"memory://{uuid.uuid4().hex}"
    put(root, "a/x-v1")
    put(bucket, "a/x-v1")
    with pytest.raises(minari.DatasetNotFoundError, match=r"version, x-v0, doesn't exist.*x-v1"):
        locate(f"{root}/a/x-v0", None)
    with pytest.raises(minari.DatasetNotFoundError, match=r"version, a/x-v0, doesn't.*a/x-v1"):
        locate(f"{bucket}/a/x-v0", None)


def test_of_one_address_nothing_is_asked() -> None:
    url = f"memory://{uuid.uuid4().hex}/x-v0"
    assert address(locate(url, None)) == (url.removesuffix("/x-v0"), "x-v0")


def test_objects_are_listed_without_what_stands_for_a_folder() -> None:
    remote = open_remote(f"memory://{uuid.uuid4().hex}")
    dataset = RemoteDataset(remote, "n/x-v0")
    assert (dataset.prefix, dataset.label) == ("n/x-v0/data/", f"'n/x-v0' on {remote.url}")
    assert dataset.url == f"{remote.url}/n/x-v0"
    for name in ("metadata.json", "sub/file", "empty"):
        remote.create(f"n/x-v0/data/{name}", b"" if name == "empty" else b"{}", {})
    remote.create("n/x-v00/data/metadata.json", b"{}", {})
    assert sorted(dataset.list_objects()) == ["empty", "metadata.json", "sub/file"]
    assert dataset.find_summary() is not None
    assert RemoteDataset(remote, "n/y-v0").find_summary() is None


@pytest.mark.parametrize(("broken", "more"), [(9, ""), (10, ""), (11, "1"), (13, "3")])
def test_as_many_as_ten_broken_datasets_are_named(broken: int, more: str, tmp_path: Path) -> None:
    root = tmp_path.as_uri()
    put(root, "good-v0")
    for number in range(broken):
        put(root, f"bad-v{number}", total_steps=-1)
    with pytest.warns(minari.MinariWarning, match="because they are broken") as caught:
        assert list(list_remote_datasets(root)) == ["good-v0"]
    (message,) = [str(each.message) for each in caught if "broken" in str(each.message)]
    assert message.count("not a count") == min(broken, 10)
    assert message.endswith(f"; and {more} more") == bool(more)


def test_an_interrupt_says_that_what_was_transferred_is_kept_unless_it_says_more() -> None:
    with pytest.raises(KeyboardInterrupt, match="the same call goes on"), explain_interrupt():
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt) as told, explain_interrupt():
        raise KeyboardInterrupt("stop")
    assert told.value.args == ("stop",)


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("GS://bucket/a/x-v0", "gs://bucket/a/x-v0"),
        ("gcp://bucket//a/./x-v0/", "gs://bucket/a/./x-v0"),
        ("s3://bucket/x-v0", "s3://bucket/x-v0"),
        ("file:///a%20b/x-v0", "file:///a%20b/x-v0"),
        ("file://localhost/a b/x-v0", "file:///a%20b/x-v0"),
        ("FILE:///a//b/", "file:///a/b"),
    ],
)
def test_spellings_of_one_url_become_one(url: str, wanted: str) -> None:
    assert normalize_dataset_url(url) == wanted


def test_a_token_is_known_by_its_looks() -> None:
    assert [takes_token(url) for url in ("file:///a", "FILE:///a", "gs://a", "x://a")] == [
        False, False, True, True,
    ]  # fmt: skip
    assert is_token_of("hf://a", "hf_x") is True
    assert is_token_of("gs://a", "hf_x") is False
    assert is_token_of("gcp://a", "a.json") is True
    assert is_token_of("x://a", "a.json") is False
    assert is_token_of("hf://a", "anything") is None
