"""What a download installs, what it refuses, and that the local root stays whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

import minari
import minari_core
from minari_core.local.locations import dataset_folder, datasets_root, staging_root
from minari_hub import (
    download_dataset,
    ensure_downloaded,
    list_remote_datasets,
    upload_dataset,
)
from minari_hub.datasets import remote_dataset
from tests.hub.helpers.datasets import (
    collect,
    files_of,
    is_intact,
    leftovers,
    make_shards,
    public_dataset,
)
from tests.hub.helpers.fault_proxy import Answer, Fault, FaultProxy, replace_text
from tests.hub.helpers.servers import Bucket

LISTING = r"GET /storage/v1/b/[^/]+/o\?"


@pytest.fixture(params=["bucket", "python_bucket", "folder", "memory"])
def remote_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return (tmp_path / "shared").as_uri()
    if request.param == "memory":
        return f"memory://{tmp_path.name}"
    bucket: Bucket = request.getfixturevalue(request.param)
    return bucket.url


def published(url: str, dataset_id: str = "x-v0", shards: int = 3) -> dict[str, bytes]:
    """The files of a dataset that is on a remote, and no longer here."""
    make_shards(dataset_id, shards)
    upload_dataset(dataset_id, remote_path=url)
    files = files_of(dataset_id)
    minari.delete_dataset(dataset_id)
    return files


def test_lunar_lander_makes_the_whole_round_trip(remote_url: str) -> None:
    collect("LunarLander/again-v0", "LunarLander-v3", episodes=2)
    original = collect("LunarLander/test-v0", "LunarLander-v3", episodes=4)
    episodes = list(original)
    local = minari_core.list_local_datasets()
    for dataset_id in local:
        upload_dataset(dataset_id, remote_path=remote_url)
        minari.delete_dataset(dataset_id)
    assert minari.list_local_datasets() == {}

    there = minari.list_remote_datasets(remote_url)
    for each in local.values():
        del each["dataset_size"]  # that of the files here
    assert there == {name: {**each, "remote_path": remote_url} for name, each in local.items()}
    download_dataset("LunarLander/test-v0", remote_path=remote_url)

    assert minari.verify_dataset("LunarLander/test-v0").problems == ()
    loaded = minari.load_dataset("LunarLander/test-v0")
    assert len(loaded) == len(episodes) == 4
    for one, other in zip(loaded, episodes, strict=True):
        assert (one.id, one.seed, one.options) == (other.id, other.seed, other.options)
        for key in ("observations", "actions", "rewards", "terminations", "truncations"):
            first, second = getattr(one, key), getattr(other, key)
            assert first.dtype == second.dtype
            np.testing.assert_array_equal(first, second)
        assert one.infos.keys() == other.infos.keys()
        for key in one.infos:
            np.testing.assert_array_equal(one.infos[key], other.infos[key])
    assert loaded.recover_environment().spec == original.recover_environment().spec
    assert leftovers() == []


def test_a_download_is_the_uploaded_files_byte_by_byte(remote_url: str) -> None:
    files = published(remote_url)

    download_dataset(dataset_name="x-v0", remote_path=remote_url)

    assert is_intact({"x-v0": files})
    assert leftovers() == []


def test_the_documented_call_uses_the_remote_of_the_environment(
    remote_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(remote_url, "door-cloned-v0")
    monkeypatch.setenv("MINARI_REMOTE", remote_url)

    minari.download_dataset(dataset_name="door-cloned-v0")

    assert minari.list_local_datasets().keys() == {"door-cloned-v0"}


@pytest.mark.parametrize("dataset_id", ["human-v2", "D4RL/door/human-v2"])
def test_a_full_url_works_wherever_an_id_does(remote_url: str, dataset_id: str) -> None:
    files = published(f"{remote_url}/some/prefix", dataset_id)
    url = f"{remote_url}/some/prefix/{dataset_id}"

    download_dataset(url)

    assert is_intact({dataset_id: files})
    assert minari.load_dataset(url, download=True).id == dataset_id
    minari.delete_dataset(dataset_id)
    assert minari.load_dataset(dataset_id=url, download=True).id == dataset_id


def test_a_full_url_is_enough_to_load_what_is_here(bucket: Bucket, proxy: FaultProxy) -> None:
    published(bucket.url, "D4RL/door/human-v2")
    url = f"{bucket.url}/D4RL/door/human-v2"
    proxy.forget()
    with pytest.raises(minari.DatasetNotFoundError, match="local dataset"):
        minari.load_dataset(url)
    with pytest.raises(minari.DatasetIdError):
        minari.load_dataset(f"{bucket.url}/no version")
    assert proxy.requests == []

    download_dataset(url)
    proxy.forget()

    assert minari.load_dataset(url).id == "D4RL/door/human-v2"
    assert minari.load_dataset(dataset_id=url, download=True).id == "D4RL/door/human-v2"
    assert proxy.requests == []


def test_loading_downloads_what_is_not_here_and_only_that(
    bucket: Bucket, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(bucket.url)
    monkeypatch.setenv("MINARI_REMOTE", bucket.url)
    with pytest.raises(minari.DatasetNotFoundError):
        minari.load_dataset("x-v0")

    assert len(minari.load_dataset("x-v0", download=True)) == 3
    proxy.forget()
    assert len(minari.load_dataset("x-v0", download=True)) == 3
    assert ensure_downloaded("x-v0") == "x-v0"
    assert proxy.requests == []


def test_a_dataset_of_the_public_minari_without_a_metadata_file_is_here_too(
    bucket: Bucket, proxy: FaultProxy
) -> None:
    data = dataset_folder("old-v0") / "data"
    data.mkdir(parents=True)
    (data / "main_data.hdf5").touch()

    assert ensure_downloaded("old-v0", remote_path=bucket.url) == "old-v0"
    assert proxy.requests == []
    with pytest.raises(minari.DatasetNotFoundError, match="any version for dataset old in"):
        ensure_downloaded(f"{bucket.url}/old-v0")


def test_a_dataset_that_is_here_is_left_as_it_is_with_a_warning(remote_url: str) -> None:
    published(remote_url)
    collect("x-v0")
    before = files_of("x-v0")

    with pytest.warns(minari.MinariWarning, match="force_download=True"):
        download_dataset("x-v0", remote_path=remote_url)

    assert is_intact({"x-v0": before})


def test_force_download_replaces_a_dataset(remote_url: str) -> None:
    files = published(remote_url)
    collect("x-v0")

    download_dataset("x-v0", force_download=True, remote_path=remote_url)

    assert is_intact({"x-v0": files})
    assert leftovers() == []


def test_force_download_that_fails_leaves_the_dataset_as_it_is(bucket: Bucket) -> None:
    published(bucket.url)
    shard = next(name for name in bucket.names() if name.endswith(".h5"))
    bucket.itself.blob(shard).delete()
    collect("x-v0")
    before = files_of("x-v0")

    with pytest.raises(minari.DatasetDamagedError, match=Path(shard).name):
        download_dataset("x-v0", force_download=True, remote_path=bucket.url)

    assert is_intact({"x-v0": before})


def test_a_dataset_that_is_not_there_is_an_error_that_names_what_is(bucket: Bucket) -> None:
    for dataset_id in ["x-v0", "x-v10", "xx-v1"]:
        for name, content in public_dataset(dataset_id).items():
            bucket.put(name, content)

    with pytest.raises(minari.DatasetNotFoundError, match=r"versions there are x-v0, x-v10$"):
        download_dataset("x-v1", remote_path=bucket.url)
    with pytest.raises(minari.DatasetNotFoundError, match=r"did you mean xx-v1\?$"):
        download_dataset("xxx-v1", remote_path=bucket.url)
    with pytest.raises(minari.DatasetNotFoundError, match="list_remote_datasets"):
        download_dataset("other-v1", remote_path=bucket.url)
    assert is_intact()


def test_an_advice_is_given_where_it_takes_no_time(
    remote_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect("x-v0")
    upload_dataset("x-v0", remote_path=remote_url)
    with pytest.raises(minari.DatasetNotFoundError, match=r"did you mean x-v0\?$"):
        download_dataset("a/x-v0", remote_path=remote_url)

    # As if all of a disk were looked through.
    monkeypatch.setattr(remote_dataset, "_SUGGESTION_SECONDS", 0.0)
    with pytest.raises(minari.DatasetNotFoundError, match=r"list_remote_datasets.* shows which"):
        download_dataset("a/x-v0", remote_path=remote_url)
    # What is not for the advice alone takes its time.
    assert list(list_remote_datasets(remote_url)) == ["x-v0"]


def test_data_of_the_public_minari_arrive_as_files(remote_url: str, bucket: Bucket) -> None:
    objects = public_dataset("D4RL/door/human-v2")
    for name, content in objects.items():
        bucket.put(name, content)
    bucket.put("D4RL/door/human-v2/data/", b"")
    bucket.put("D4RL/door/human-v2/data/0/part.arrow", b"in a folder")
    bucket.put("D4RL/door/human-v2/README.md", b"not of the data")

    download_dataset("D4RL/door/human-v2", remote_path=bucket.url)

    files = files_of("D4RL/door/human-v2")
    assert sorted(files) == ["0/part.arrow", "main_data.hdf5", "metadata.json"]
    assert files["main_data.hdf5"] == objects["D4RL/door/human-v2/data/main_data.hdf5"]
    assert list(minari.list_local_datasets()) == ["D4RL/door/human-v2"]


def _remove(path: Path) -> None:
    path.unlink()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _without_last_episode(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["episode_2"]


@pytest.mark.parametrize(
    ("data_format", "name", "damage"),
    [
        ("hdf5", "main_data.hdf5", _remove),
        ("hdf5", "main_data.hdf5", _cut),
        ("hdf5", "main_data.hdf5", _without_last_episode),
        ("arrow", "2/metadata.json", _remove),
        ("arrow", "2/part-0.arrow", _remove),
        ("arrow", "2/part-0.arrow", _cut),
        ("parquet", "0/part-0.parquet", _remove),
        ("parquet", "0/part-0.parquet", _cut),
    ],
)
def test_a_dataset_in_a_public_layout_is_not_replaced_by_one_that_lacks_episodes(
    tmp_path: Path, data_format: str, name: str, damage: Callable[[Path], None]
) -> None:
    shared = tmp_path / "shared"
    minari.convert_dataset(collect("first-v0"), "x-v0", data_format=data_format)
    upload_dataset("x-v0", remote_path=shared.as_uri())
    before = files_of("x-v0")
    damage(shared / "x-v0" / "data" / name)

    with pytest.raises(minari.DatasetDamagedError, match="'x-v0' on file"):
        download_dataset("x-v0", force_download=True, remote_path=shared.as_uri())

    assert files_of("x-v0") == before
    assert len(list(minari.load_dataset("x-v0"))) == 3


@pytest.mark.parametrize("data_format", ["arrow", "parquet"])
def test_folders_of_episodes_that_the_metadata_does_not_count_are_left_out(
    tmp_path: Path, data_format: str
) -> None:
    shared = tmp_path / "shared"
    minari.convert_dataset(collect("first-v0"), "x-v0", data_format=data_format)
    upload_dataset("x-v0", remote_path=shared.as_uri())
    files = files_of("x-v0")
    shutil.copytree(shared / "x-v0/data/2", shared / "x-v0/data/3")
    minari.delete_dataset("x-v0")

    download_dataset("x-v0", remote_path=shared.as_uri())

    assert files_of("x-v0") == files


HOSTILE_NAMES = [
    "../../../evil",
    "..",
    "../x-v0/data/metadata.json",
    "/etc/evil",
    "..\\..\\evil",
    "C:\\evil",
    "C:evil",
    "a\0b",
    ".hidden",
    "a/../../../../evil",
    "nul",
    "metadata.json/x",
    "METADATA.JSON",
    "x" * 400,
    "/".join("abcdefghijklmnopqrstuvwxyz"),
]


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=lambda name: repr(name[:24]))
def test_a_hostile_object_name_is_refused_before_anything_is_written(
    bucket: Bucket, proxy: FaultProxy, name: str, tmp_path: Path
) -> None:
    for object_name, content in public_dataset("x-v0").items():
        bucket.put(object_name, content)
    bucket.put("x-v0/data/HOSTILE", b"evil")
    proxy.faults = [Fault(LISTING, replace_text("x-v0/data/HOSTILE", f"x-v0/data/{name}"))]

    with pytest.raises(minari.UntrustedNameError, match="remote file name"):
        download_dataset("x-v0", remote_path=bucket.url)

    assert is_intact()
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert [path.name for path in written if b"evil" in path.read_bytes()] == []
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=lambda name: repr(name[:24]))
def test_a_hostile_shard_name_in_a_manifest_is_refused(bucket: Bucket, name: str) -> None:
    files = published(bucket.url, shards=1)
    manifest = json.loads(files["metadata.json"])
    manifest["columnar"]["shards"][0]["file"] = name
    bucket.itself.blob("x-v0/data/metadata.json").delete()
    bucket.put("x-v0/data/metadata.json", json.dumps(manifest).encode())

    with pytest.raises(minari.MinariError):
        download_dataset("x-v0", remote_path=bucket.url)
    assert is_intact()


def test_an_object_that_no_manifest_names_is_never_looked_at(
    bucket: Bucket, proxy: FaultProxy
) -> None:
    files = published(bucket.url)
    bucket.put("x-v0/data/.DS_Store", b"left by somebody's file manager")
    bucket.put("x-v0/data/con", b"evil")
    proxy.forget()

    download_dataset("x-v0", remote_path=bucket.url)

    assert is_intact({"x-v0": files})
    assert proxy.count("DS_Store") == 0


@pytest.mark.skipif(os.name != "posix", reason="links need a right on Windows")
def test_a_link_in_a_shared_folder_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"of somebody else")
    shared = tmp_path / "shared"
    for name, content in public_dataset("x-v0").items():
        (shared / name).parent.mkdir(parents=True, exist_ok=True)
        (shared / name).write_bytes(content)
    (shared / "x-v0" / "data" / "link.h5").symlink_to(secret)
    (shared / "x-v0" / "data" / "up").symlink_to(tmp_path)

    download_dataset("x-v0", remote_path=shared.as_uri())

    assert sorted(files_of("x-v0")) == ["main_data.hdf5", "metadata.json"]
    (shared / "y-v0").symlink_to(shared / "x-v0")
    with pytest.raises((minari.DatasetNotFoundError, minari.UntrustedNameError)):
        download_dataset("y-v0", remote_path=shared.as_uri())


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b'{"a":' * 150 + b"1" + b"}" * 150,
        b'{"dataset_id": "other-v0"}',
        b'{"dataset_id": ["x-v0"]}',
        b'{"total_steps": 1e3}',
        b'{"total_episodes": ' + b"9" * 4000 + b"}",
        b'{"total_episodes": -' + b"9" * 4000 + b"}",
        b'{"data_format": ' + b"9" * 4000 + b"}",
        b'{"data_format": "columnar", "columnar": 3}',
        b'{"data_format": "columnar", "columnar": {"version": 1}}',
        b'{"data_format": "columnar", "columnar": {"version": 1, "uid": "", "schemas": [],'
        b' "shards": [{"file": "a.h5", "bytes": -5}]}}',
    ],
    ids=lambda text: repr(text[:40]),
)
def test_hostile_metadata_are_a_clear_error(bucket: Bucket, manifest: bytes) -> None:
    bucket.put("x-v0/data/metadata.json", manifest)
    bucket.put("x-v0/data/a.h5", b"data")

    with pytest.raises(minari.MetadataError, match="x-v0") as caught:
        download_dataset("x-v0", remote_path=bucket.url)
    assert len(str(caught.value)) < 400
    assert is_intact()


def test_a_huge_manifest_is_refused_before_it_is_read(bucket: Bucket, proxy: FaultProxy) -> None:
    bucket.put("x-v0/data/metadata.json", b'{"dataset_id": "x-v0"}')
    proxy.faults = [Fault(LISTING, _grow)]

    with pytest.raises(minari.MetadataError, match="more than"):
        download_dataset("x-v0", remote_path=bucket.url)
    assert proxy.count("alt=media") == 0
    assert is_intact()


def _grow(answer: Answer) -> Answer:
    content = json.loads(answer.body)
    for item in content["items"]:
        item["size"] = "999999999999"
    return Answer(answer.status, answer.headers, json.dumps(content).encode())


def test_a_shard_of_another_size_than_the_manifest_says_is_found_before_it_is_fetched(
    bucket: Bucket, proxy: FaultProxy
) -> None:
    published(bucket.url, shards=2)
    shard = next(name for name in bucket.names() if name.endswith(".h5"))
    bucket.itself.blob(shard).delete()
    bucket.put(shard, b"short")
    proxy.forget()

    with pytest.raises(minari.DatasetDamagedError, match=r"has 5 bytes, and its manifest says"):
        download_dataset("x-v0", remote_path=bucket.url)
    assert proxy.count("h5.*alt=media") == 0
    assert is_intact()


def test_a_shard_that_a_shared_folder_damaged_is_found_by_the_manifest(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    files = published(shared.as_uri(), shards=2)
    shard = max((shared / "x-v0" / "data").glob("*.h5"))
    content = bytearray(shard.read_bytes())
    content[1000] ^= 1
    shard.write_bytes(content)

    with pytest.raises(minari.DatasetDamagedError, match="CRC-32"):
        download_dataset("x-v0", remote_path=shared.as_uri())
    assert is_intact()

    content[1000] ^= 1
    shard.write_bytes(content)
    download_dataset("x-v0", remote_path=shared.as_uri())
    assert is_intact({"x-v0": files})


def test_too_little_space_is_found_before_the_first_byte(
    bucket: Bucket, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(bucket.url)
    proxy.forget()
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: SimpleNamespace(total=1, used=1, free=100_000)
    )

    with pytest.raises(minari.DatasetWriteError, match=r"more bytes, and .* has 100,000 free"):
        download_dataset("x-v0", remote_path=bucket.url)
    assert proxy.count("h5.*alt=media") == 0
    assert is_intact()


@pytest.mark.skipif(os.name != "posix", reason="limits of a process are a matter of POSIX")
def test_a_file_system_that_refuses_is_an_error_and_the_next_call_goes_on(
    bucket: Bucket, proxy: FaultProxy
) -> None:
    files = published(bucket.url)
    program = (
        "import resource, minari\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "try:\n"
        f"    minari.download_dataset('x-v0', remote_path={bucket.url!r})\n"
        "except minari.DatasetWriteError as error:\n"
        "    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )

    assert done.stdout.startswith("dataset 'x-v0' could not be downloaded: "), done.stderr
    assert is_intact()
    assert leftovers() != []
    proxy.forget()
    download_dataset("x-v0", remote_path=bucket.url)
    assert is_intact({"x-v0": files})
    assert proxy.bytes_sent < sum(map(len, files.values()))


def test_an_id_inside_a_dataset_is_refused(bucket: Bucket) -> None:
    published(bucket.url, "x-v0/inside-v0")
    minari.delete_namespace("x-v0")
    collect("x-v0")
    before = files_of("x-v0")

    with pytest.raises(minari.DatasetExistsError, match="inside the dataset"):
        download_dataset("x-v0/inside-v0", remote_path=bucket.url)
    assert is_intact({"x-v0": before})


@pytest.mark.parametrize(
    "call",
    [
        lambda: download_dataset("no version"),
        lambda: download_dataset("../x-v0"),
        lambda: download_dataset(),
        lambda: download_dataset("x-v0", dataset_id="x-v0"),
        lambda: download_dataset("gs://bucket/../x"),
        lambda: ensure_downloaded("../x-v0"),
    ],
)
def test_a_malformed_id_is_refused_before_any_request(call: Callable[[], object]) -> None:
    with pytest.raises(minari.DatasetIdError):
        call()


def test_staged_files_are_hidden_from_the_local_list(bucket: Bucket, proxy: FaultProxy) -> None:
    published(bucket.url)
    seen: list[tuple[list[str], bool]] = []

    def look(answer: Answer) -> Answer:
        seen.append((list(minari.list_local_datasets()), dataset_folder("x-v0").exists()))
        return answer

    proxy.faults = [Fault("alt=media", look)]
    download_dataset("x-v0", remote_path=bucket.url)

    assert seen == [([], False)] * 4
    assert staging_root().parent == datasets_root()
