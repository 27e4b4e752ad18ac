"""What lists a remote costs, shows, and leaves out."""

from __future__ import annotations

import json
import warnings

import pytest

import minari
import minari_core
from minari_core.formats.shards.entry import FORMAT_VERSION
from minari_hub import get_remote_metadata, list_remote_datasets, open_remote, upload_dataset
from tests.hub.helpers.datasets import collect, public_dataset
from tests.hub.helpers.fault_proxy import Answer, Fault, FaultProxy, replace_text, status
from tests.hub.helpers.servers import Bucket

LISTING = r"GET /storage/v1/b/[^/]+/o\?"


def put_summarised(remote_url: str, dataset_id: str, **metadata: object) -> None:
    """A manifest as an upload of this project leaves it."""
    content = {"dataset_id": dataset_id, "data_format": "columnar", **metadata}
    open_remote(remote_url).create(
        f"{dataset_id}/data/metadata.json",
        json.dumps(content).encode(),
        {"minari": json.dumps({"metadata": content, "format_version": 1})},
    )


def test_datasets_of_this_project_are_listed_in_one_request(
    bucket: Bucket, proxy: FaultProxy
) -> None:
    for number in range(12):
        put_summarised(bucket.url, f"many/x-v{number}", total_steps=number)
        bucket.put(f"many/x-v{number}/data/shard.h5", b"data")
    proxy.forget()

    listed = list_remote_datasets(bucket.url)

    assert list(listed) == [f"many/x-v{number}" for number in range(12)]
    assert [each["total_steps"] for each in listed.values()] == list(range(12))
    assert len(proxy.requests) == 1
    assert proxy.count(LISTING) == 1


def test_a_server_that_knows_globs_sends_the_manifests_only(
    python_bucket: Bucket, python_proxy: FaultProxy
) -> None:
    for number in range(3):
        put_summarised(python_bucket.url, f"x-v{number}")
        for shard in range(20):
            python_bucket.put(f"x-v{number}/data/shard-{shard}.h5", b"data")
    python_proxy.forget()

    assert list(list_remote_datasets(python_bucket.url)) == ["x-v0", "x-v1", "x-v2"]
    assert len(python_proxy.requests) == 1
    assert "matchGlob" in python_proxy.requests[0]
    # Each of the 60 shards would be described in over a hundred bytes.
    assert python_proxy.bytes_sent < 60 * 100


def test_the_pages_of_a_long_list_are_followed(bucket: Bucket, proxy: FaultProxy) -> None:
    for number in range(7):
        put_summarised(bucket.url, f"x-v{number}")
    proxy.forget()
    proxy.page_size = 3

    assert list(list_remote_datasets(bucket.url)) == [f"x-v{number}" for number in range(7)]
    assert proxy.count(LISTING) == 3
    assert len(proxy.requests) == 3


def test_a_later_page_that_fails_once_is_asked_for_again(bucket: Bucket, proxy: FaultProxy) -> None:
    for number in range(7):
        put_summarised(bucket.url, f"x-v{number}")
    proxy.forget()
    proxy.page_size = 3
    proxy.faults = [Fault("pageToken", status(503), times=1)]

    assert len(list_remote_datasets(bucket.url)) == 7
    assert proxy.count(LISTING) == 4


def test_the_metadata_of_other_datasets_are_read_one_request_each(
    bucket: Bucket, proxy: FaultProxy
) -> None:
    for number in range(5):
        for name, content in public_dataset(f"D4RL/x-v{number}").items():
            bucket.put(name, content)
    proxy.forget()

    listed = list_remote_datasets(bucket.url)

    assert list(listed) == [f"D4RL/x-v{number}" for number in range(5)]
    assert listed["D4RL/x-v3"]["minari_version"] == "0.5.2"
    assert proxy.count(LISTING) == 1
    assert proxy.count("alt=media") == 5
    assert len(proxy.requests) == 6


def test_an_uploaded_dataset_is_listed_with_the_metadata_it_has_locally(bucket: Bucket) -> None:
    collect("a/x-v0")
    upload_dataset("a/x-v0", remote_path=bucket.url)

    local = {**minari_core.list_local_datasets()["a/x-v0"], "remote_path": bucket.url}
    del local["dataset_size"]  # that of the files here
    assert list_remote_datasets(bucket.url) == {"a/x-v0": local}
    assert get_remote_metadata("a/x-v0", remote_path=bucket.url) == local


def test_metadata_too_large_to_attach_are_read_from_the_manifest(
    bucket: Bucket, proxy: FaultProxy
) -> None:
    collect("x-v0", description="long " * 3000)
    upload_dataset("x-v0", remote_path=bucket.url)
    proxy.forget()

    listed = list_remote_datasets(bucket.url)

    local = minari_core.list_local_datasets()["x-v0"]
    del local["dataset_size"]  # that of the files here
    assert listed == {"x-v0": {**local, "remote_path": bucket.url}}
    assert len(proxy.requests) == 2


def test_a_prefix_that_ends_in_a_version_is_not_the_beginning_of_another(bucket: Bucket) -> None:
    for name in ["x-v1", "x-v10", "x-v1-test-v0", "y-v1"]:
        put_summarised(bucket.url, name)

    assert list(list_remote_datasets(bucket.url, prefix="x-v1")) == ["x-v1", "x-v1-test-v0"]
    assert list(list_remote_datasets(bucket.url, prefix="x-v")) == ["x-v1", "x-v10", "x-v1-test-v0"]
    assert list(list_remote_datasets(bucket.url, prefix="none")) == []


def test_asking_for_one_dataset_touches_no_other(bucket: Bucket, proxy: FaultProxy) -> None:
    for name, content in [*public_dataset("x-v1").items(), *public_dataset("x-v10").items()]:
        bucket.put(name, content)
    proxy.forget()

    assert get_remote_metadata("x-v1", remote_path=bucket.url)["dataset_id"] == "x-v1"
    assert proxy.count("x-v10") == 0
    minari.download_dataset("x-v1", remote_path=bucket.url)
    assert proxy.count("x-v10") == 0


def test_the_latest_and_the_readable_versions_are_told_apart(bucket: Bucket) -> None:
    for number in [1, 2, 10]:
        put_summarised(bucket.url, f"n/x-v{number}")
    put_summarised(bucket.url, "y-v0", data_format="of the future")
    newer = {"dataset_id": "n/x-v11", "data_format": "columnar"}
    open_remote(bucket.url).create(
        "n/x-v11/data/metadata.json",
        json.dumps({**newer, "columnar": {"version": FORMAT_VERSION + 1}}).encode(),
        {},
    )

    assert list(list_remote_datasets(bucket.url, latest_version=True)) == ["y-v0", "n/x-v11"]
    compatible = list_remote_datasets(
        bucket.url, latest_version=True, compatible_minari_version=True
    )
    assert list(compatible) == ["n/x-v10"]


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"a":' * 150 + b"1" + b"}" * 150,
        b'{"dataset_id": 3}',
        b'{"dataset_id": "other-v0"}',
        b'{"total_steps": -1}',
        b'{"total_steps": "many"}',
        b'{"total_episodes": ' + b"9" * 5000 + b"}",
        b'{"data_format": {}}',
        b'{"minari_version": []}',
        b" " * (17 << 20),
    ],
    ids=lambda text: repr(text[:24]),
)
def test_one_broken_entry_is_left_out_with_a_warning_that_names_it(
    bucket: Bucket, manifest: bytes
) -> None:
    put_summarised(bucket.url, "whole-v0")
    bucket.put("broken-v0/data/metadata.json", manifest)

    with pytest.warns(minari.MinariWarning, match="broken-v0") as caught:
        listed = list_remote_datasets(bucket.url)

    assert list(listed) == ["whole-v0"]
    assert [warning.category for warning in caught].count(minari.MinariWarning) == 1


@pytest.mark.parametrize(
    "attached", ["", "{", "[]", '{"metadata": 3}', '{"metadata": {"dataset_id": 4}}']
)
def test_a_broken_summary_gives_way_to_the_manifest(bucket: Bucket, attached: str) -> None:
    content = json.dumps({"dataset_id": "x-v0", "total_steps": 5}).encode()
    open_remote(bucket.url).create("x-v0/data/metadata.json", content, {"minari": attached})

    assert list_remote_datasets(bucket.url)["x-v0"]["total_steps"] == 5


@pytest.mark.parametrize(
    "name", ["no version", "../x-v0", "a//x-v0", "a/.b/x-v0", "nul-v0/con", "/x-v0", "a\\x-v0"]
)
def test_an_entry_whose_name_is_no_id_is_left_out_with_a_warning(
    bucket: Bucket, proxy: FaultProxy, name: str
) -> None:
    put_summarised(bucket.url, "x-v0")
    put_summarised(bucket.url, "HOSTILE-v0")
    proxy.faults = [Fault(LISTING, replace_text("HOSTILE-v0", name))]

    with pytest.warns(minari.MinariWarning, match="left out of the list"):
        assert list(list_remote_datasets(bucket.url)) == ["x-v0"]


@pytest.mark.parametrize(
    "page",
    [
        "[]",
        "3",
        "{",
        '{"items": 3}',
        '{"items": "text"}',
        '{"items": [3]}',
        '{"items": [{}]}',
        '{"items": [{"name": 3}]}',
        '{"items": [{"name": "x-v0/data/metadata.json", "size": "large"}]}',
        '{"items": [{"name": "x-v0/data/metadata.json", "size": "-5"}]}',
        '{"items": [{"name": "x-v0/data/metadata.json", "size": {}}]}',
        '{"items": [{"name": "x-v0/data/metadata.json", "crc32c": "x"}]}',
        '{"items": [{"name": "x-v0/data/metadata.json", "generation": "x"}]}',
        '{"items": [{"name": "x-v0/data/metadata.json", "metadata": [3]}]}',
        "[" * 100_000,
    ],
    ids=lambda page: page[:70],
)
def test_a_page_that_is_no_list_of_objects_is_an_error_of_the_remote(
    bucket: Bucket, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    monkeypatch.setenv("MINARI_REMOTE_GIVE_UP_AFTER", "0")
    json_type = [("Content-Type", "application/json")]
    proxy.faults = [Fault(LISTING, lambda _: Answer(200, json_type, page.encode()))]

    with pytest.raises(minari.RemoteError, match="could not list"):
        list_remote_datasets(bucket.url)
    with pytest.raises(minari.RemoteError, match="could not list"):
        minari.download_dataset("x-v0", remote_path=bucket.url)


def test_a_page_that_fails_once_is_asked_for_again(bucket: Bucket, proxy: FaultProxy) -> None:
    put_summarised(bucket.url, "x-v0")
    proxy.forget()
    proxy.faults = [Fault(LISTING, status(503), times=1), Fault(LISTING, status(429), times=1)]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(list_remote_datasets(bucket.url)) == ["x-v0"]
    assert proxy.count(LISTING) == 3


def test_a_remote_that_stays_out_of_order_is_an_error_that_says_what_was_tried(
    bucket: Bucket, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_REMOTE_GIVE_UP_AFTER", "1")
    proxy.faults = [Fault("", status(503))]

    with pytest.raises(minari.RemoteError, match=r"could not list .*503.*tried \d+ times in"):
        list_remote_datasets(bucket.url)


def test_reads_that_all_fail_are_no_empty_list(
    bucket: Bucket, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in public_dataset("x-v0").items():
        bucket.put(name, content)
    monkeypatch.setenv("MINARI_REMOTE_GIVE_UP_AFTER", "1")
    proxy.faults = [Fault("alt=media", status(500))]

    with pytest.raises(minari.RemoteError, match="500"):
        list_remote_datasets(bucket.url)


def test_a_bucket_that_is_not_there_is_an_error(bucket: Bucket) -> None:
    with pytest.raises(minari.RemoteObjectNotFoundError, match="no-such-bucket"):
        list_remote_datasets("gs://no-such-bucket")


def test_the_remote_of_the_environment_is_the_default(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_summarised(f"{bucket.url}/some/prefix", "x-v0")
    monkeypatch.setenv("MINARI_REMOTE", f"{bucket.url}/some/prefix/")

    assert list(minari.list_remote_datasets()) == ["x-v0"]
