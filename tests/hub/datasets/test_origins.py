"""A URL means one dataset: a local one counts only if it is a copy of that."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import minari
from minari_core.local.locations import dataset_folder
from minari_hub import download_dataset, ensure_downloaded, upload_dataset
from minari_hub.datasets import remote_dataset
from minari_hub.datasets.remote_dataset import locate
from minari_hub.remotes.urls import normalize_dataset_url
from tests.hub.helpers.datasets import collect, files_of, is_intact, make_shards, public_dataset
from tests.hub.helpers.fault_proxy import Fault, FaultProxy, status
from tests.hub.helpers.servers import Bucket

ORIGINS = ".origins.json"


@pytest.fixture
def remote(tmp_path: Path) -> str:
    (tmp_path / "r").mkdir()
    return (tmp_path / "r").as_uri()


def published(remote: str, dataset_id: str = "D4RL/door/human-v0") -> str:
    """The URL of a dataset that is on a remote, and not here."""
    make_shards(dataset_id, shards=2)
    upload_dataset(dataset_id, remote_path=remote)
    minari.delete_dataset(dataset_id)
    return f"{remote}/{dataset_id}"


def forget_origin(dataset_id: str) -> None:
    """Make a copy such as earlier releases left."""
    (dataset_folder(dataset_id) / ORIGINS).unlink()


def load(url: str) -> minari.MinariDataset:
    return minari.load_dataset(url)


def load_or_download(url: str) -> minari.MinariDataset:
    return minari.load_dataset(url, download=True)


def test_a_local_dataset_with_only_the_end_of_the_id_is_another_one(remote: str) -> None:
    url = published(remote)
    collect("human-v0", episodes=1)

    with pytest.raises(minari.DatasetNotFoundError, match="no local dataset is a copy of file:"):
        load(url)
    assert load_or_download(url).id == "D4RL/door/human-v0"
    assert load(url).id == "D4RL/door/human-v0"
    assert len(minari.load_dataset("human-v0")) == 1


def test_a_local_dataset_is_not_that_of_a_bucket_that_is_not_there(bucket: Bucket) -> None:
    collect("c/x-v0", episodes=1)

    for call in (load, load_or_download, ensure_downloaded, download_dataset):
        with pytest.raises(
            minari.DatasetNotFoundError, match=r"for dataset c/x in .*gs://not-there"
        ):
            call("gs://not-there/c/x-v0")


@pytest.mark.parametrize(
    "call",
    [load_or_download, ensure_downloaded, download_dataset],
    ids=["load_dataset", "ensure_downloaded", "download_dataset"],
)
def test_another_dataset_of_the_same_id_is_neither_taken_nor_replaced(
    remote: str, call: Callable[[str], object]
) -> None:
    url = published(remote)
    collect("D4RL/door/human-v0", episodes=1)
    before = files_of("D4RL/door/human-v0")

    with pytest.raises(minari.DatasetExistsError, match=r"another one than .*force_download=True"):
        call(url)
    with pytest.raises(minari.DatasetNotFoundError, match="no local dataset is a copy"):
        load(url)

    assert is_intact({"D4RL/door/human-v0": before})
    download_dataset(url, force_download=True)
    assert len(load(url)) == 2


def test_a_copy_without_an_origin_is_compared_once(bucket: Bucket, proxy: FaultProxy) -> None:
    url = published(bucket.url)
    download_dataset(url)
    forget_origin("D4RL/door/human-v0")
    proxy.forget()

    assert load(url).id == "D4RL/door/human-v0"
    assert proxy.count("GET") > 0
    proxy.forget()
    for _ in range(2):
        assert load(url).id == load_or_download(url).id == "D4RL/door/human-v0"
        with pytest.warns(minari.MinariWarning, match="Skipping Download"):
            download_dataset(url)
    assert proxy.requests == []


def test_without_a_network_a_copy_without_an_origin_is_an_error_that_names_the_way_out(
    bucket: Bucket, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_REMOTE_GIVE_UP_AFTER", "0")
    url = published(bucket.url)
    download_dataset(url)
    proxy.faults = [Fault("", status(503))]
    assert load(url).id == "D4RL/door/human-v0"
    forget_origin("D4RL/door/human-v0")

    for call in (load, load_or_download, ensure_downloaded, download_dataset):
        with pytest.raises(minari.RemoteError, match=r"no recorded origin.*503.*force_download"):
            call(url)


def test_a_copy_that_grew_is_still_a_copy_and_one_made_anew_is_none(remote: str) -> None:
    url = published(remote)
    make_shards("grown-v0", shards=1)
    dataset = load_or_download(url)
    dataset.update_dataset_from_buffer([_buffer(minari.load_dataset("grown-v0"))])

    assert len(load(url)) == 3
    forget_origin("D4RL/door/human-v0")
    assert len(load(url)) == 3
    # Another program puts another dataset into the folder, and leaves the record.
    shutil.rmtree(dataset_folder("D4RL/door/human-v0") / "data")
    shutil.copytree(
        dataset_folder("grown-v0") / "data", dataset_folder("D4RL/door/human-v0") / "data"
    )
    with pytest.raises(minari.DatasetNotFoundError, match="no local dataset is a copy"):
        load(url)


def _buffer(dataset: minari.MinariDataset) -> minari.EpisodeBuffer:
    episode = dataset[0]
    return minari.EpisodeBuffer(
        observations=episode.observations,
        actions=episode.actions,
        rewards=episode.rewards,
        terminations=episode.terminations,
        truncations=episode.truncations,
    )


def test_who_uploads_a_dataset_has_a_copy_of_it(bucket: Bucket, proxy: FaultProxy) -> None:
    collect("cart/one-v0", episodes=1)
    for data_format in (None, "hdf5"):
        url = f"{bucket.url}/{data_format}/cart/one-v0"
        upload_dataset(url, data_format=data_format)
        proxy.forget()
        assert load(url).id == "cart/one-v0"
        assert proxy.requests == []


def test_copies_of_the_public_minari_are_known_by_their_metadata(bucket: Bucket) -> None:
    for name, content in public_dataset("D4RL/door/human-v2").items():
        bucket.put(name, content)
    url = f"{bucket.url}/D4RL/door/human-v2"
    download_dataset(url)
    forget_origin("D4RL/door/human-v2")
    assert ensure_downloaded(url) == "D4RL/door/human-v2"
    forget_origin("D4RL/door/human-v2")
    manifest = dataset_folder("D4RL/door/human-v2") / "data" / "metadata.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "total_steps": 41}))

    with pytest.raises(minari.DatasetExistsError, match="another one than"):
        ensure_downloaded(url)


@pytest.mark.parametrize("own", [None, {}, {"uid": ""}])
def test_a_copy_without_a_uid_that_was_changed_is_a_copy_no_more(
    bucket: Bucket, own: dict[str, str] | None
) -> None:
    for name, content in public_dataset("D4RL/door/human-v2").items():
        bucket.put(name, content)
    url = f"{bucket.url}/D4RL/door/human-v2"
    download_dataset(url)
    manifest = dataset_folder("D4RL/door/human-v2") / "data" / "metadata.json"
    said = {**json.loads(manifest.read_text()), "total_episodes": 3}
    manifest.write_text(json.dumps(said if own is None else {**said, "minari_core": own}))

    with pytest.raises(minari.DatasetNotFoundError, match="no local dataset is a copy"):
        load(url)
    with pytest.raises(minari.DatasetExistsError, match=r"another one than .*force_download=True"):
        download_dataset(url)


def test_a_damaged_record_costs_a_question_and_nothing_else(remote: str) -> None:
    url = published(remote)
    download_dataset(url)
    for damage in (b"", b"{", b"[]", b'{"urls": 3}', b"[" * 10**6, b"\xff"):
        (dataset_folder("D4RL/door/human-v0") / ORIGINS).write_bytes(damage)
        assert load(url).id == "D4RL/door/human-v0"
    assert minari.verify_dataset("D4RL/door/human-v0").remarks == ()


def test_waiting_for_another_download_of_the_id_gives_nobody_another_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (published((tmp_path / name).as_uri(), "x-v0") for name in "ab")

    def download_first(*arguments: object, **options: object) -> object:
        monkeypatch.setattr(remote_dataset, "locate", locate)
        download_dataset(first)
        return locate(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(remote_dataset, "locate", download_first)
    with pytest.raises(minari.DatasetExistsError, match="another one than"):
        ensure_downloaded(second)


@pytest.mark.parametrize(
    ("url", "normalized"),
    [
        ("gs://b/a/x-v0", "gs://b/a/x-v0"),
        ("GCP://b//a/x-v0/", "gs://b/a/x-v0"),
        ("file://localhost/a b/x-v0", "file:///a%20b/x-v0"),
        ("file:///a%20b//x-v0", "file:///a%20b/x-v0"),
        ("hf://farama/x-v0", "hf://farama/x-v0"),
    ],
)
def test_the_spellings_of_a_url_have_one_in_common(url: str, normalized: str) -> None:
    assert normalize_dataset_url(url) == normalized
