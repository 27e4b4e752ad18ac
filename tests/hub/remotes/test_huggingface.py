"""The Hugging Face Hub in the public Minari's layout, through huggingface_hub as it is."""

from __future__ import annotations

import json

import pytest

import minari
from minari_hub import download_dataset, get_remote_metadata, list_remote_datasets, upload_dataset
from tests.hub.helpers.datasets import collect, files_of, is_intact, make_shards, public_dataset
from tests.hub.helpers.fault_proxy import Answer, Fault, FaultProxy, status
from tests.hub.helpers.hugging_face_server import HuggingFaceServer

URL = "hf://farama"


def put_public(server: HuggingFaceServer, dataset_id: str) -> None:
    """A dataset as the public Minari leaves it on the Hub."""
    repository, _, rest = dataset_id.partition("/")
    repo_id = f"farama/{repository}"
    for name, content in public_dataset(dataset_id).items():
        server.put(repo_id, name[len(repository) + 1 :], content)
    if rest:
        files = server.repositories[repo_id].files
        known = json.loads(files.get("namespace_metadata.json", b"{}"))
        known.setdefault("datasets", []).append(dataset_id)
        server.put(repo_id, "namespace_metadata.json", json.dumps(known).encode())


def test_the_datasets_of_every_repository_are_listed(hugging_face: HuggingFaceServer) -> None:
    ids = ["D4RL/door/human-v2", "D4RL/pen/human-v2", "alone-v0", "minigrid/a-v0", "x/y-v0"]
    for dataset_id in ids:
        put_public(hugging_face, dataset_id)
    hugging_face.put("farama/README", "README.md", b"no dataset")
    hugging_face.put("others/D4RL", "namespace_metadata.json", b'{"datasets": ["D4RL/z-v0"]}')

    listed = list_remote_datasets(URL)

    assert sorted(listed) == sorted(ids)
    assert listed["alone-v0"]["minari_version"] == "0.5.2"
    assert list(list_remote_datasets(URL, prefix="D4RL/door")) == ["D4RL/door/human-v2"]
    assert get_remote_metadata("x/y-v0", remote_path=URL)["total_steps"] == 40


def test_a_list_of_datasets_that_is_wrong_costs_only_its_own_entries(
    hugging_face: HuggingFaceServer,
) -> None:
    put_public(hugging_face, "D4RL/door/human-v2")
    put_public(hugging_face, "x/y-v0")
    listed = ["x/y-v0", "x/gone-v0", "../evil-v0", 3, "D4RL/door/human-v9"]
    hugging_face.put(
        "farama/x", "namespace_metadata.json", json.dumps({"datasets": listed}).encode()
    )

    with pytest.warns(minari.MinariWarning, match="gone-v0"):
        found = list_remote_datasets(URL)

    # As everywhere: in the order of namespaces, names and versions.
    assert list(found) == ["D4RL/door/human-v2", "x/y-v0"]


def test_a_dataset_of_the_public_minari_is_downloaded(hugging_face: HuggingFaceServer) -> None:
    for dataset_id in ["D4RL/door/human-v2", "alone-v0"]:
        put_public(hugging_face, dataset_id)

        download_dataset(f"{URL}/{dataset_id}")

        assert sorted(files_of(dataset_id)) == ["main_data.hdf5", "metadata.json"]
        published = public_dataset(dataset_id)[f"{dataset_id}/data/main_data.hdf5"]
        assert files_of(dataset_id)["main_data.hdf5"] == published
        assert dataset_id in minari.list_local_datasets()


@pytest.mark.parametrize("dataset_id", ["alone-v0", "space/x-v0", "a/b/c/x-v0"])
def test_a_dataset_goes_up_and_comes_down(hugging_face: HuggingFaceServer, dataset_id: str) -> None:
    make_shards(dataset_id, shards=3)
    files = files_of(dataset_id)

    upload_dataset(dataset_id, remote_path=URL, token="secret")
    minari.delete_dataset(dataset_id)

    assert list(list_remote_datasets(URL)) == [dataset_id]
    download_dataset(dataset_id, remote_path=URL)
    assert is_intact({dataset_id: files})


def test_an_upload_keeps_what_a_namespace_says_of_itself(hugging_face: HuggingFaceServer) -> None:
    put_public(hugging_face, "D4RL/door/human-v2")
    files = hugging_face.repositories["farama/D4RL"].files
    known = {**json.loads(files["namespace_metadata.json"]), "description": "kept"}
    hugging_face.put("farama/D4RL", "namespace_metadata.json", json.dumps(known).encode())
    collect("D4RL/new-v0")

    upload_dataset("D4RL/new-v0", remote_path=URL, token="secret")

    assert json.loads(files["namespace_metadata.json"]) == {
        "datasets": ["D4RL/door/human-v2", "D4RL/new-v0"],
        "description": "kept",
    }


def test_an_upload_never_replaces_a_dataset(hugging_face: HuggingFaceServer) -> None:
    put_public(hugging_face, "D4RL/x-v0")
    collect("D4RL/x-v0")

    with pytest.raises(minari.DatasetExistsError):
        upload_dataset("D4RL/x-v0", remote_path=URL, token="secret")


def test_the_token_is_sent_where_it_is_given_and_none_otherwise(
    hugging_face: HuggingFaceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_public(hugging_face, "x/y-v0")
    list_remote_datasets(URL)
    assert set(hugging_face.tokens) == {None}

    hugging_face.required_token = "secret"
    with pytest.raises(minari.RemoteAccessError):
        list_remote_datasets(URL, token="wrong")
    assert list(list_remote_datasets(URL, token="secret")) == ["x/y-v0"]
    download_dataset("x/y-v0", remote_path=URL, token="secret")
    assert is_intact({"x/y-v0": files_of("x/y-v0")})


def test_a_hub_that_wants_to_know_who_asks_is_an_error_that_says_how_to_tell(
    hugging_face: HuggingFaceServer,
) -> None:
    put_public(hugging_face, "x/y-v0")
    collect("x/z-v0")
    hugging_face.required_token = "secret"

    for use in (
        lambda: list_remote_datasets(URL),
        lambda: download_dataset("x/y-v0", remote_path=URL),
        lambda: get_remote_metadata("x/y-v0", remote_path=URL),
        lambda: upload_dataset("x/z-v0", remote_path=URL),
    ):
        with pytest.raises(
            minari.RemoteAccessError, match=r"401.*give token=, or set MINARI_REMOTE_TOKEN"
        ):
            use()
    with pytest.raises(minari.RemoteAccessError, match=r"401.*the token is wrong"):
        list_remote_datasets(URL, token="wrong")


@pytest.mark.parametrize("step", ["POST /api/repos/create", "POST .*/commit/"])
def test_an_upload_that_is_forbidden_asks_for_a_token(
    hugging_face: HuggingFaceServer, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    collect("x/z-v0")
    with FaultProxy(hugging_face.url) as proxy:
        monkeypatch.setenv("HF_ENDPOINT", proxy.url)
        proxy.faults = [Fault(step, status(403), before_server=True)]

        with pytest.raises(minari.RemoteAccessError, match=r"403.*give token="):
            upload_dataset("x/z-v0", remote_path=URL)
        with pytest.raises(minari.RemoteAccessError, match=r"403.*lacks the permission"):
            upload_dataset("x/z-v0", remote_path=URL, token="of a reader")


def test_a_token_goes_to_the_hub_and_to_nobody_else(
    hugging_face: HuggingFaceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_public(hugging_face, "x/y-v0")
    with FaultProxy(hugging_face.url) as elsewhere, FaultProxy(hugging_face.url) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)

        def send_on(answer: Answer) -> Answer:
            path = hub.requests[-1].partition(" ")[2]
            return Answer(302, [("Location", elsewhere.url + path)], b"")

        hub.faults = [Fault("/resolve/", send_on, before_server=True)]
        download_dataset("x/y-v0", remote_path=URL, token="secret")

    assert elsewhere.count("/resolve/") > 0
    assert all("authorization" not in headers for headers in elsewhere.headers)
    assert any(headers.get("authorization") == "Bearer secret" for headers in hub.headers)


def test_a_dataset_that_is_not_there_is_an_error(hugging_face: HuggingFaceServer) -> None:
    put_public(hugging_face, "x/y-v0")

    with pytest.raises(minari.DatasetNotFoundError, match="x/y-v0"):
        download_dataset("x/y-v1", remote_path=URL)
    with pytest.raises(minari.DatasetNotFoundError):
        download_dataset("none/y-v1", remote_path=URL)


def test_a_file_that_is_not_what_the_hub_lists_is_refused(
    hugging_face: HuggingFaceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_public(hugging_face, "x/y-v0")
    files = hugging_face.repositories["farama/x"].files
    sound = files["y-v0/data/main_data.hdf5"]

    class Changing(dict[str, bytes]):
        """Lists one content and sends another."""

        # Narrower than the base class's, which takes defaults of any type.
        def get(self, path: str, default: object = None) -> bytes | None:  # type: ignore[override]
            content = super().get(path)
            if content is not None and path.endswith("main_data.hdf5"):
                return content[:-1] + b"x"
            return content

    hugging_face.repositories["farama/x"].files = Changing(files)
    with pytest.raises(minari.RemoteError, match="checksum"):
        download_dataset("x/y-v0", remote_path=URL)
    assert is_intact()

    hugging_face.repositories["farama/x"].files = files
    download_dataset("x/y-v0", remote_path=URL)
    assert files_of("x/y-v0")["main_data.hdf5"] == sound


REQUESTS = [
    r"GET /api/datasets\?",
    "GET .*/tree/",
    "GET .*namespace_metadata",
    "GET .*/resolve/.*h5",
    "POST /api/repos/create",
    "GET /api/datasets/farama/x$",
    "paths-info",
    "preupload",
    "lfs/objects/batch",
    "POST .*/commit/",
]


@pytest.mark.parametrize("before_server", [True, False], ids=["unseen", "done"])
@pytest.mark.parametrize("request_", REQUESTS)
def test_a_fault_that_passes_is_waited_out(
    hugging_face: HuggingFaceServer,
    monkeypatch: pytest.MonkeyPatch,
    request_: str,
    before_server: bool,
) -> None:
    make_shards("x/y-v0", shards=2)
    files = files_of("x/y-v0")
    with FaultProxy(hugging_face.url) as proxy:
        monkeypatch.setenv("HF_ENDPOINT", proxy.url)
        fault = Fault(request_, status(503), times=1, before_server=before_server)
        proxy.faults = [fault]

        upload_dataset("x/y-v0", remote_path=URL, token="secret")
        minari.delete_dataset("x/y-v0")
        assert list(list_remote_datasets(URL)) == ["x/y-v0"]
        download_dataset("x/y-v0", remote_path=URL)

    assert fault.done == 1
    assert is_intact({"x/y-v0": files})


def test_an_upload_to_a_hub_that_stays_away_is_an_error_that_says_what_was_tried(
    hugging_face: HuggingFaceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect("x/y-v0")
    monkeypatch.setenv("MINARI_REMOTE_GIVE_UP_AFTER", "1")
    with FaultProxy(hugging_face.url) as proxy:
        monkeypatch.setenv("HF_ENDPOINT", proxy.url)
        proxy.faults = [Fault("POST /api/repos/create", status(503))]

        with pytest.raises(minari.RemoteError, match=r"503.*tried \d+ times in"):
            upload_dataset("x/y-v0", remote_path=URL, token="secret")
