"""Which remote a URL names, and where in it a dataset's id begins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import minari
from minari_core.local.dataset_id import is_url
from minari_hub import open_remote
from minari_hub.remotes.folder import FolderRemote
from minari_hub.remotes.gcs import GcsRemote
from minari_hub.remotes.urls import Address, parse_dataset_url


@pytest.mark.parametrize("url", ["gs://bucket/a/b", "gcp://bucket/a/b/", "GS://bucket//a/b"])
def test_a_bucket_has_several_spellings(url: str) -> None:
    remote = open_remote(url)

    assert isinstance(remote, GcsRemote)
    assert remote.url == "gs://bucket/a/b"


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "with space, é, #2, ? and %41"
    remote = open_remote(folder.as_uri())

    assert isinstance(remote, FolderRemote)
    remote.create("a", b"content", {})
    assert (folder / "a").read_bytes() == b"content"
    assert open_remote(f"file://localhost{tmp_path.as_posix()}").url == tmp_path.as_uri()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("bucket", "is no URL"),
        ("/some/folder", "file:///some/folder"),
        ("gs:bucket", "is no URL"),
        ("gs://", "names no bucket"),
        ("hf://", "names no bucket"),
        ("hf://farama/D4RL", "names more than an organization"),
        ("file://host/folder", "three slashes"),
        ("file:///folder#2", "write %3F or %23"),
        ("file:///folder?x=1", "write %3F or %23"),
        ("nonsense://x/y", "names no remote"),
    ],
)
def test_a_url_that_names_no_remote_is_refused_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(minari.RemoteUrlError, match=why):
        open_remote(url)


def test_the_url_of_a_dataset_can_be_read_in_several_ways() -> None:
    assert list(parse_dataset_url("gs://bucket/D4RL/door/human-v2")) == [
        Address("gs://bucket", "D4RL/door/human-v2"),
        Address("gs://bucket/D4RL", "door/human-v2"),
        Address("gs://bucket/D4RL/door", "human-v2"),
    ]
    assert list(parse_dataset_url("hf://farama/D4RL/door/human-v2/")) == [
        Address("hf://farama", "D4RL/door/human-v2")
    ]
    assert list(parse_dataset_url("file:///a%20b/x-v0")) == [Address("file:///a%20b", "x-v0")]
    assert next(parse_dataset_url("file:///a/x-v0")) == Address("file:///", "a/x-v0")


@pytest.mark.parametrize("url", ["gs://bucket", "gs://bucket/", "gs://bucket/x", "hf://org/x/y"])
def test_a_url_without_an_id_is_refused(url: str) -> None:
    with pytest.raises(minari.DatasetIdError, match="does not end in a dataset id"):
        list(parse_dataset_url(url))


def test_no_dataset_id_is_taken_for_a_url() -> None:
    assert not is_url("D4RL/door/human-v2")
    assert is_url("gs://bucket/x-v0")
    assert is_url("file:///x-v0")


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [
        ("hf://farama", "huggingface_hub", "hf"),
        ("memory://x", "fsspec", "fsspec"),
        ("s3://bucket", "fsspec", "fsspec"),
    ],
)
def test_a_missing_extra_is_named(url: str, package: str, extra: str) -> None:
    program = (
        "import sys\n"
        f"sys.modules[{package!r}] = None\n"
        "import minari\n"
        "from minari_hub import open_remote\n"
        f"try: open_remote({url!r})\n"
        "except minari.MissingDependencyError as error: print(error)\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout

    assert f"pip install 'minari-hub[{extra}]'" in shown
    assert package in shown


def test_a_library_of_a_remote_that_is_too_old_is_named() -> None:
    program = (
        "import sys, types\n"
        "sys.modules['huggingface_hub'] = types.ModuleType('huggingface_hub')\n"
        "from minari_hub import open_remote\n"
        "try: open_remote('hf://farama')\n"
        "except ImportError as error: print(error)\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout

    assert "another version of the package huggingface_hub" in shown
    assert "pip install 'minari-hub[hf]'" in shown


def test_importing_the_hub_loads_no_library_of_a_remote() -> None:
    program = "import sys, minari_hub; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()

    heavy = {"google", "google.cloud.storage", "huggingface_hub", "fsspec", "rich", "requests"}
    assert heavy.isdisjoint(loaded)
