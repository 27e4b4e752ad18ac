"""Ranges of files on the Hugging Face Hub, from a server that answers as it does."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from minari_core.errors import RemoteAccessError, RemoteError
from minari_core.ranges.source import RangeSource
from minari_core.testing import RangeSourceConformance
from minari_hub import stream_dataset
from minari_hub.ranges.hub_source import HubSource
from tests.core.helpers.streams import write_dataset
from tests.helpers.object_server import ObjectServer
from tests.hub.helpers.hugging_face_server import HuggingFaceServer

_CONTENT = bytes(range(256)) * 4000


class TestHubSource(RangeSourceConformance):
    @pytest.fixture(autouse=True)
    def _hub(self, hugging_face: HuggingFaceServer) -> None:
        self.server = hugging_face
        self.server.uses_of_an_address = 10**6

    def new_source(self, tmp_path: Path, objects: Mapping[str, bytes]) -> RangeSource:
        for name, content in objects.items():
            self.server.put("farama/x-v0", f"data/{name}", content)
        return HubSource("hf://farama/x-v0/data")

    def test_a_changed_object_is_an_error_and_never_a_mixture(self, tmp_path: Path) -> None:
        source = self.new_source(tmp_path, {"a": _CONTENT, "metadata.json": b"{}"})
        before = source.version("a")
        self.server.repositories["farama/x-v0"].commits += 1
        self.server.put("farama/x-v0", "data/a", _CONTENT[::-1])

        # A commit keeps what it has, until the manifest of another one is asked for.
        assert source.version("a") == before
        assert list(source.read_ranges("a", [(5, 9)], version=before)) == [(0, _CONTENT[5:9])]
        source.version("metadata.json")
        after = source.version("a")
        assert after != before
        for version, content in ((before, _CONTENT), (after, _CONTENT[::-1])):
            assert list(source.read_ranges("a", [(5, 9)], version=version)) == [(0, content[5:9])]


def test_the_hub_is_asked_once_for_a_file_and_again_when_its_address_has_expired(
    hugging_face: HuggingFaceServer,
) -> None:
    hugging_face.put("farama/x-v0", "data/a", _CONTENT)
    hugging_face.uses_of_an_address = 50
    source = HubSource("hf://farama/x-v0/data")
    version = source.version("a")

    def read() -> int:
        ranges = [(at, at + 1000) for at in range(0, 40_000, 1000)]
        for index, content in source.read_ranges("a", ranges, version=version):
            assert content == _CONTENT[1000 * index : 1000 * index + 1000]
        return sum("/resolve/" in request for request in hugging_face.requests)

    assert read() == 1
    assert read() <= 1 + 32  # whoever meets the expired address at once


def test_a_token_goes_to_the_hub_alone_and_into_no_pickle(
    hugging_face: HuggingFaceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hugging_face.put("farama/x-v0", "data/a", _CONTENT)
    hugging_face.required_token = "hf_secret"
    hugging_face.uses_of_an_address = 50
    source = HubSource("hf://farama/x-v0/data", "hf_secret")
    version = source.version("a")

    assert list(source.read_ranges("a", [(0, 9)], version=version)) == [(0, _CONTENT[:9])]
    sent = list(zip(hugging_face.requests, hugging_face.tokens, strict=True))
    assert [token for request, token in sent if "/resolve/" in request] == ["Bearer hf_secret"]
    assert {token for request, token in sent if "/storage/" in request} == {None}
    pickled = pickle.dumps(source)
    assert b"secret" not in pickled
    assert "secret" not in repr(source)
    with pytest.raises(RemoteAccessError, match="give token=") as refused:
        pickle.loads(pickled).version("a")
    assert "secret" not in str(refused.value)
    monkeypatch.setenv("MINARI_REMOTE_TOKEN", "hf_secret")
    assert pickle.loads(pickled).version("a") == version


def test_a_dataset_in_a_repository_is_streamed_by_its_id_and_by_its_url(
    hugging_face: HuggingFaceServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_CACHE_PATH", str(tmp_path / "cache"))
    local = write_dataset(tmp_path / "data")
    for path in (tmp_path / "data").iterdir():
        hugging_face.put("farama/some", f"x-v0/data/{path.name}", path.read_bytes())

    for stream in (
        stream_dataset("some/x-v0", remote_path="hf://farama"),
        stream_dataset("hf://farama/some/x-v0"),
    ):
        np.testing.assert_array_equal(stream[1].observations, local[1].observations)


def test_files_that_are_opened_together_ask_the_hub_no_more_often_than_it_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [str(number) for number in range(20)]
    folder = tmp_path / "x-v0/data"
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text(name)
    with ObjectServer(tmp_path, requests_per_second=10, limits_hub_alone=True) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        source = HubSource("hf://farama/x-v0/data")

        def read(name: str) -> bytes:
            version = source.version(name)
            ((_, content),) = source.read_ranges(name, [(0, version.size)], version=version)
            return content

        with ThreadPoolExecutor(16) as pool:
            assert list(pool.map(read, names)) == [name.encode() for name in names]
        # On a busy machine, what waited for its turn may come together with what came after it.
        assert server.read_statistics()["refused"] <= 3


def test_what_the_hub_says_of_its_limit_is_waited_for_and_told(
    hugging_face: HuggingFaceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hugging_face.put("farama/x-v0", "data/a", _CONTENT)
    hugging_face.limit = '"resolvers";r=0;t=1'
    source = HubSource("hf://farama/x-v0/data")

    assert source.version("a").size == len(_CONTENT)
    assert len(hugging_face.requests) == 2
    hugging_face.limit = '"resolvers";r=0;t=280'
    with pytest.raises(RemoteError, match=r"429 .*asks to wait for 280 s.*GIVE_UP_AFTER"):
        source.version("a")
