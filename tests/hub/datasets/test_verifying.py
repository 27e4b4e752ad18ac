"""A remote dataset is verified object by object, whatever is here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import minari
from minari_hub import upload_dataset, verify_remote_dataset
from tests.hub.helpers.datasets import collect, files_of, is_intact, leftovers, make_shards
from tests.hub.helpers.fault_proxy import Fault, FaultProxy, flip, status
from tests.hub.helpers.servers import Bucket

FORMATS = ["columnar", "hdf5", "arrow", "parquet"]


def test_verifying_a_url_as_a_local_dataset_names_what_verifies_it_there() -> None:
    with pytest.raises(minari.DatasetIdError, match=r"a remote dataset; verify_remote_dataset\(\)"):
        minari.verify_dataset("gs://bucket/D4RL/door/human-v2")


def published(tmp_path: Path, data_format: str | None = None) -> tuple[str, Path]:
    """The remote and the folder there of a dataset; a sound one with its id is here."""
    collect("ns/x-v0")
    remote = tmp_path / "remote"
    upload_dataset("ns/x-v0", remote_path=remote.as_uri(), data_format=data_format)
    return remote.as_uri(), remote / "ns" / "x-v0" / "data"


@pytest.mark.parametrize("data_format", FORMATS)
def test_a_sound_remote_dataset_is_ok_and_nothing_of_it_stays(
    tmp_path: Path, data_format: str
) -> None:
    remote, _ = published(tmp_path, data_format)
    before = files_of("ns/x-v0")
    told: list[tuple[int, int]] = []

    report = verify_remote_dataset(
        f"{remote}/ns/x-v0", progress=lambda done, total: told.append((done, total))
    )

    assert report.problems == report.remarks == ()
    assert (report.dataset_id, report.total_episodes) == ("ns/x-v0", 3)
    assert report.data_path == f"{remote}/ns/x-v0"
    assert report.data_format == data_format
    assert told[-1][0] == told[-1][1] > 0
    assert is_intact({"ns/x-v0": before})
    assert leftovers() == []


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("damage", [Path.unlink, _cut], ids=["missing", "cut"])
@pytest.mark.parametrize("data_format", FORMATS)
def test_damage_is_reported_and_the_sound_dataset_here_is_not_taken_for_it(
    tmp_path: Path, data_format: str, damage: Callable[[Path], None]
) -> None:
    remote, folder = published(tmp_path, data_format)
    endings = {"columnar": "h5"}.get(data_format, data_format)
    damage(next(path for path in sorted(folder.rglob(f"*.{endings}"))))

    report = verify_remote_dataset("ns/x-v0", remote_path=remote)

    assert not report.ok
    assert not any(str(tmp_path / "datasets") in str(each) for each in report.problems)
    assert minari.verify_dataset("ns/x-v0").ok
    assert leftovers() == []


def test_each_flipped_byte_of_a_shard_and_of_the_manifest_is_found(tmp_path: Path) -> None:
    remote, folder = published(tmp_path)
    for path in (next(folder.glob("*.h5")), folder / "metadata.json"):
        content = path.read_bytes()
        for index in (1, len(content) // 2, len(content) - 2):
            path.write_bytes(content[:index] + bytes([content[index] ^ 1]) + content[index + 1 :])
            report = verify_remote_dataset("ns/x-v0", remote_path=remote)
            assert not report.ok, f"byte {index} of {path.name}"
        path.write_bytes(content)
    assert verify_remote_dataset("ns/x-v0", remote_path=remote).ok


def test_a_dataset_that_is_not_there_is_an_error(bucket: Bucket) -> None:
    collect("ns/x-v0", episodes=1)

    for url in (f"{bucket.url}/ns/x-v0", "gs://not-there/ns/x-v0"):
        with pytest.raises(
            minari.DatasetNotFoundError,
            match="any version for dataset ns/x in the remote",
        ):
            verify_remote_dataset(url)


def test_an_object_that_always_arrives_damaged_is_a_problem_and_the_others_are_checked(
    bucket: Bucket, proxy: FaultProxy
) -> None:
    make_shards("x-v0", shards=3)
    upload_dataset("x-v0", remote_path=bucket.url)
    shard = next(name for name in bucket.names() if name.endswith(".h5")).rpartition("/")[2]
    proxy.faults = [Fault(f"GET .*{shard}.*alt=media", flip(1234))]

    report = verify_remote_dataset("x-v0", remote_path=bucket.url)

    assert [problem.file for problem in report.problems] == [shard]
    assert "with another checksum than the remote lists" in report.problems[0].message
    assert report.files == 3


def test_a_remote_that_stays_away_is_an_error_and_no_problem_of_the_dataset(
    bucket: Bucket, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_REMOTE_GIVE_UP_AFTER", "0")
    make_shards("x-v0", shards=2)
    upload_dataset("x-v0", remote_path=bucket.url)
    proxy.faults = [Fault("GET .*h5.*alt=media", status(503))]

    with pytest.raises(minari.RemoteError, match="503"):
        verify_remote_dataset("x-v0", remote_path=bucket.url)
    assert leftovers() == []


def test_what_no_manifest_names_is_remarked_and_not_fetched(tmp_path: Path) -> None:
    remote, folder = published(tmp_path)
    (folder / "notes.txt").write_text("of somebody")

    report = verify_remote_dataset("ns/x-v0", remote_path=remote)

    assert report.ok
    assert [remark.file for remark in report.remarks] == ["notes.txt"]


def test_a_manifest_of_another_dataset_or_with_a_hostile_name_is_a_problem(tmp_path: Path) -> None:
    remote, folder = published(tmp_path)
    manifest = json.loads((folder / "metadata.json").read_bytes())
    for changed in (
        {**manifest, "dataset_id": "n/y-v0"},
        {**manifest, "columnar": {**manifest["columnar"], "shards": [{"file": "../../evil"}]}},
        {**manifest, "columnar": 3},
    ):
        (folder / "metadata.json").write_text(json.dumps(changed))
        report = verify_remote_dataset("ns/x-v0", remote_path=remote)
        assert next(problem.file for problem in report.problems) == "metadata.json"
