"""Several remotes: the first that has what is wanted serves it, and what fails is passed over."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

import minari
from minari_core.local.locations import dataset_folder
from minari_hub import (
    download_dataset,
    download_namespace_metadata,
    ensure_downloaded,
    get_remote_metadata,
    list_remote_datasets,
    list_remote_namespaces,
    open_remote,
    upload_dataset,
    upload_namespace,
    verify_remote_dataset,
)
from tests.hub.helpers.datasets import files_of, is_intact, leftovers, make_shards, public_dataset
from tests.hub.helpers.fault_proxy import Fault, FaultProxy, cut, status
from tests.hub.helpers.hugging_face_server import HuggingFaceServer
from tests.hub.helpers.servers import Bucket, free_port

HUB = "hf://farama"

Call = Callable[[str, list[str]], object]


def load(dataset_id: str, remotes: list[str]) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_REMOTE", " ".join(remotes))
        return minari.load_dataset(dataset_id, download=True)


# Whatever asks for one dataset.
ASKS: list[Call] = [
    lambda name, remotes: download_dataset(name, remote_path=remotes),
    lambda name, remotes: ensure_downloaded(name, remote_path=remotes),
    lambda name, remotes: get_remote_metadata(name, remote_path=remotes),
    lambda name, remotes: verify_remote_dataset(name, remote_path=remotes),
    load,
]
every_ask = pytest.mark.parametrize(
    "ask", ASKS, ids=["download", "ensure", "metadata", "verify", "load"]
)


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    """Two folders that are remotes, without datasets."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    return [(tmp_path / name).as_uri() for name in ("one", "two")]


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> str:
    """A remote at whose address nobody listens."""
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("MINARI_REMOTE_GIVE_UP_AFTER", "0")
    return HUB


def publish(dataset_id: str, *remotes: str, shards: int = 1) -> dict[str, bytes]:
    """Put a dataset to remotes, and none here; return its files."""
    make_shards(dataset_id, shards, steps=20)
    for remote in remotes:
        upload_dataset(dataset_id, remote_path=remote)
    files = files_of(dataset_id)
    minari.delete_dataset(dataset_id)
    return files


@every_ask
def test_what_the_first_remote_does_not_have_the_second_gives_without_a_word(
    folders: list[str], ask: Call
) -> None:
    publish("other-v0", folders[0])
    publish("some/x-v0", folders[1])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ask("some/x-v0", folders)


@every_ask
def test_a_remote_out_of_reach_is_passed_over_with_a_warning_that_names_it(
    folders: list[str], unreachable: str, ask: Call
) -> None:
    publish("some/x-v0", folders[1])

    with pytest.warns(minari.MinariWarning, match="hf://farama is passed over: .*refused") as told:
        ask("some/x-v0", [unreachable, *folders])

    assert len(told) == 1
    assert told[0].filename == __file__


@every_ask
def test_a_dataset_that_no_remote_has_is_one_error_with_what_each_has(
    folders: list[str], ask: Call
) -> None:
    publish("some/x-v1", folders[0])
    publish("some/y-v0", folders[1])

    with pytest.raises(minari.DatasetNotFoundError) as missing:
        ask("some/x-v0", folders)

    first, second = str(missing.value).split("; ", 1)
    assert folders[0] in first
    assert "of its versions there are some/x-v1" in first
    assert "Couldn't find any version for dataset some/x in" in second
    assert folders[1] in second


@every_ask
def test_what_may_lie_on_a_remote_out_of_reach_is_not_said_to_be_nowhere(
    folders: list[str], unreachable: str, ask: Call
) -> None:
    with (
        pytest.warns(minari.MinariWarning, match="passed over"),
        pytest.raises(minari.RemoteError) as failed,
    ):
        ask("some/x-v0", [unreachable, folders[0]])

    assert type(failed.value) is minari.RemoteError
    assert all(url in str(failed.value) for url in (unreachable, folders[0]))


def test_a_bucket_that_does_not_exist_is_a_failure(bucket: Bucket, folders: list[str]) -> None:
    publish("some/x-v0", folders[0])
    remotes = ["gs://no-such-bucket", folders[0]]

    with pytest.warns(minari.MinariWarning, match="gs://no-such-bucket is passed over: .*404"):
        download_dataset("some/x-v0", remote_path=remotes)
    with pytest.warns(minari.MinariWarning, match="gs://no-such-bucket is passed over: .*404"):
        assert list(list_remote_datasets(remotes)) == ["some/x-v0"]
    with (
        pytest.warns(minari.MinariWarning, match="passed over"),
        pytest.raises(minari.DatasetNotFoundError, match=r"no-such-bucket.*; Couldn't find any"),
    ):
        download_dataset("some/y-v0", remote_path=remotes)


def test_the_first_remote_that_has_an_id_serves_it_and_the_copy_knows_that(
    folders: list[str],
) -> None:
    publish("some/x-v0", folders[0], shards=1)
    two = publish("some/x-v0", folders[1], shards=2)
    publish("some/y-v0", folders[1])

    listed = list_remote_datasets(folders)
    assert {name: each["remote_path"] for name, each in listed.items()} == {
        "some/x-v0": folders[0],
        "some/y-v0": folders[1],
    }
    assert listed["some/x-v0"]["total_episodes"] == 1
    assert get_remote_metadata("some/x-v0", remote_path=folders) == listed["some/x-v0"]
    download_dataset("some/x-v0", remote_path=folders[::-1])

    assert is_intact({"some/x-v0": two})
    origins = json.loads((dataset_folder("some/x-v0") / ".origins.json").read_text())
    assert origins["urls"] == [f"{folders[1]}/some/x-v0"]


def test_what_a_dataset_says_of_its_place_is_not_believed(folders: list[str]) -> None:
    folder = Path(folders[0].removeprefix("file://"))
    for name, content in public_dataset("some/x-v0", remote_path="gs://evil").items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    assert list_remote_datasets(folders[0])["some/x-v0"]["remote_path"] == folders[0]


def test_lists_are_merged_before_versions_are_chosen(folders: list[str]) -> None:
    for number, folder in [(1, folders[0]), (2, folders[1]), (10, folders[0]), (9, folders[1])]:
        publish(f"some/x-v{number}", folder)

    assert list(list_remote_datasets(folders)) == [f"some/x-v{number}" for number in (1, 2, 9, 10)]
    assert list(list_remote_datasets(folders, latest_version=True)) == ["some/x-v10"]
    assert list(list_remote_datasets(folders, prefix="some/x-v2")) == ["some/x-v2"]


def test_an_empty_remote_beside_others_is_a_warning_that_names_it(folders: list[str]) -> None:
    publish("x-v0", folders[0])

    with pytest.warns(minari.MinariWarning, match=f"{folders[1]} has no datasets"):
        assert list(list_remote_datasets(folders)) == ["x-v0"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(list_remote_datasets(folders, prefix="x")) == ["x-v0"]
        assert list_remote_datasets(folders[1]) == {}


def test_a_list_goes_on_without_what_cannot_be_reached_unless_nothing_can(
    folders: list[str], unreachable: str
) -> None:
    publish("some/x-v0", folders[0])
    nowhere = f"{folders[0]}/none"

    with pytest.warns(minari.MinariWarning, match="hf://farama is passed over") as told:
        assert list(list_remote_datasets([unreachable, folders[0]])) == ["some/x-v0"]
    assert len(told) == 1
    with pytest.warns(minari.MinariWarning, match="hf://farama is passed over"):
        assert list_remote_namespaces([folders[0], unreachable]) == ["some"]
    for ask in (list_remote_datasets, list_remote_namespaces):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(minari.RemoteError, match=f"refused.*; .*{nowhere}"):
                ask([unreachable, nowhere])


def test_a_remote_that_fails_in_the_middle_gives_way_to_the_next(
    bucket: Bucket, proxy: FaultProxy, folders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_REMOTE_GIVE_UP_AFTER", "0")
    files = publish("some/x-v0", bucket.url, folders[1], shards=3)
    shard = next(name for name in files if name.endswith(".h5"))
    proxy.faults = [Fault(f"{shard}.*alt=media", status(500))]

    with pytest.warns(minari.MinariWarning, match=f"{bucket.url} is passed over: .*500"):
        download_dataset("some/x-v0", remote_path=[bucket.url, *folders])

    assert is_intact({"some/x-v0": files})
    assert leftovers() == []
    assert minari.load_dataset(f"{folders[1]}/some/x-v0").id == "some/x-v0"


def test_bytes_of_two_remotes_are_never_mixed(
    bucket: Bucket, proxy: FaultProxy, folders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_REMOTE_GIVE_UP_AFTER", "0")
    for remote, extra in ((bucket.url, b"\0"), (folders[0], b"\1")):
        for name, content in public_dataset("some/x-v0").items():
            # What follows the end of an HDF5 file does not count.
            padded = content + (extra * 5000 if name.endswith("hdf5") else b"")
            open_remote(remote).create(name, padded, {})
    main = "main_data.*alt=media"
    proxy.faults = [Fault(main, cut(1000), times=1), Fault(main, status(500))]

    with pytest.warns(minari.MinariWarning, match="is passed over"):
        download_dataset("some/x-v0", remote_path=[bucket.url, folders[0]])

    assert proxy.count(main) >= 2
    there = Path(folders[0].removeprefix("file://"), "some/x-v0/data/main_data.hdf5")
    assert files_of("some/x-v0")["main_data.hdf5"] == there.read_bytes()


@pytest.mark.parametrize("damage", ["manifest", "shard", "name"])
def test_a_damaged_or_hostile_copy_gives_way_to_the_next(folders: list[str], damage: str) -> None:
    files = publish("some/x-v0", *folders)
    data = Path(folders[0].removeprefix("file://")) / "some/x-v0/data"
    shard = next(data.glob("*.h5"))
    manifest = data / "metadata.json"
    if damage == "manifest":
        manifest.write_bytes(b"{")
    elif damage == "shard":
        shard.write_bytes(shard.read_bytes()[:-1] + b"\xff")
    else:
        manifest.write_text(manifest.read_text().replace(shard.name, "../../../evil.h5"))

    with pytest.warns(minari.MinariWarning, match=f"{folders[0]}.* is passed over"):
        download_dataset("some/x-v0", remote_path=folders)

    assert is_intact({"some/x-v0": files})


def test_what_is_wrong_here_is_no_failure_of_a_remote(folders: list[str]) -> None:
    publish("some/x-v0", *folders)
    (dataset_folder("some/x-v0")).mkdir(parents=True)
    (dataset_folder("some/x-v0") / "note.txt").touch()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(minari.DatasetExistsError):
            download_dataset("some/x-v0", remote_path=folders)


def test_an_extra_that_is_not_installed_is_named_and_the_next_remote_asked(
    folders: list[str],
) -> None:
    publish("some/x-v0", folders[0])
    program = (
        "import sys\n"
        "sys.modules['huggingface_hub'] = None\n"
        "import minari_hub\n"
        f"remotes = ['hf://farama', {folders[0]!r}]\n"
        "print(*minari_hub.list_remote_datasets(remotes))\n"
        "minari_hub.download_dataset('some/x-v0', remote_path=remotes, progress=False)\n"
        "try: minari_hub.download_dataset('some/y-v0', remote_path=remotes)\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    assert done.stderr.count("hf://farama is passed over: ") == 3
    assert done.stderr.count("minari-hub[hf]") == 3
    listed, error = done.stdout.splitlines()
    assert listed == "some/x-v0"
    assert "minari-hub[hf]" in error
    assert "Couldn't find any version for dataset some/y in" in error
    assert list(minari.list_local_datasets()) == ["some/x-v0"]


def test_a_refusal_of_the_hub_to_nobody_in_particular_may_mean_that_nothing_is_there(
    hugging_face: HuggingFaceServer, folders: list[str]
) -> None:
    hugging_face.required_token = "secret"
    publish("some/x-v0", folders[0])

    with pytest.warns(minari.MinariWarning, match="not there, or not for everybody"):
        download_dataset("some/x-v0", remote_path=[HUB, folders[0]])
    with (
        pytest.warns(minari.MinariWarning),
        pytest.raises(ValueError, match=r"not for everybody.*Couldn't find any version"),
    ):
        download_dataset("some/y-v0", remote_path=[HUB, folders[0]])


@pytest.mark.parametrize("token", ["hf_secret", "hf://farama=hf_secret gs://other=another"])
def test_a_token_is_sent_to_its_own_remote_and_to_no_other(
    hugging_face: HuggingFaceServer,
    bucket: Bucket,
    proxy: FaultProxy,
    monkeypatch: pytest.MonkeyPatch,
    token: str,
) -> None:
    hugging_face.required_token = "hf_secret"
    publish("some/y-v0", bucket.url)
    remotes = [HUB, bucket.url]
    hugging_face.put("farama/some", "namespace_metadata.json", b'{"datasets": []}')
    proxy.forget()
    monkeypatch.setenv("MINARI_REMOTE_TOKEN", token)

    assert list(list_remote_datasets(remotes, prefix="some/")) == ["some/y-v0"]
    download_dataset("some/y-v0", remote_path=remotes)

    assert set(hugging_face.tokens) == {"Bearer hf_secret"}
    assert proxy.headers
    assert not any("secret" in str(headers) for headers in proxy.headers)


def test_an_upload_goes_to_one_remote_that_is_named(
    folders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_shards("some/x-v0", 1)
    uploads: list[Callable[..., None]] = [
        lambda **options: upload_dataset("some/x-v0", **options),
        lambda **options: upload_namespace("some", **options),
    ]
    for upload in uploads:
        with pytest.raises(
            minari.RemoteUrlError,
            match=r"remote_path='hf://farama-minari' or remote_path='gs://minari-remote'",
        ):
            upload()
        with pytest.raises(minari.RemoteUrlError, match="2 are set"):
            upload(remote_path=folders)
        monkeypatch.setenv("MINARI_REMOTE", " ".join(folders))
        with pytest.raises(minari.RemoteUrlError, match=folders[1]):
            upload()
        monkeypatch.delenv("MINARI_REMOTE")
    assert list_remote_namespaces(folders[0]) == []

    upload_dataset("some/x-v0", remote_path=[folders[1]])
    upload_dataset(f"{folders[0]}/some/x-v0")
    assert list(list_remote_datasets(folders[0])) == list(list_remote_datasets(folders[1]))


def test_a_remote_without_namespaces_is_told_beside_others_and_alone_is_an_empty_list(
    folders: list[str],
) -> None:
    publish("some/x-v0", folders[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list_remote_namespaces(folders[1]) == []
        assert list_remote_namespaces(folders[0]) == ["some"]
    with pytest.warns(minari.MinariWarning, match=f"{folders[1]} has no namespaces") as told:
        assert list_remote_namespaces(folders) == ["some"]
    assert len(told) == 1


def test_namespaces_are_those_of_all_remotes_also_without_datasets(
    folders: list[str], hugging_face: HuggingFaceServer
) -> None:
    publish("some/x-v0", folders[0])
    minari.create_namespace("empty/inside", description="of the second")
    for remote in (folders[1], HUB):
        upload_namespace("empty/inside", remote_path=remote)
        minari.delete_namespace("empty/inside")
        download_namespace_metadata("empty/inside", remote_path=[folders[0], remote])
        assert minari.get_namespace_metadata("empty/inside") == {"description": "of the second"}

    assert list_remote_namespaces(folders) == ["empty", "empty/inside", "some"]
    assert list_remote_namespaces(HUB) == ["empty", "empty/inside"]
    with pytest.raises(minari.NamespaceError) as missing:
        download_namespace_metadata("none", remote_path=folders)
    assert all(
        f"{folder} has no none/namespace_metadata.json" in str(missing.value) for folder in folders
    )


def test_by_default_the_public_organization_is_asked_and_then_the_public_bucket(
    hugging_face: HuggingFaceServer, bucket: Bucket
) -> None:
    public = bucket.itself.client.create_bucket("minari-remote")
    for name, content in public_dataset("D4RL/door/human-v2").items():
        hugging_face.put("farama-minari/D4RL", name.removeprefix("D4RL/"), content)
    hugging_face.put(
        "farama-minari/D4RL",
        "namespace_metadata.json",
        b'{"datasets": ["D4RL/door/human-v2"], "namespaces": ["D4RL/door", "D4RL/none"]}',
    )
    with pytest.warns(minari.MinariWarning, match="gs://minari-remote has no datasets"):
        assert list(minari.list_remote_datasets()) == ["D4RL/door/human-v2"]
    for name, content in public_dataset("old/x-v0").items():
        public.blob(name).upload_from_string(content)
    try:
        listed = minari.list_remote_datasets()
        assert {name: each["remote_path"] for name, each in listed.items()} == {
            "D4RL/door/human-v2": "hf://farama-minari",
            "old/x-v0": "gs://minari-remote",
        }
        assert list_remote_namespaces() == ["D4RL", "D4RL/door", "D4RL/none", "old"]
        for dataset_id in listed:
            minari.download_dataset(dataset_id)
        assert list(minari.list_local_datasets()) == list(listed)
        with pytest.raises(
            ValueError, match="Couldn't find any version for dataset old/y in the remote Farama"
        ):
            minari.download_dataset("old/y-v0")
    finally:
        public.delete(force=True)
