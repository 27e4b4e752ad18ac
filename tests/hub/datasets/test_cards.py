"""Uploads to the Hugging Face Hub write the page of the repository, with the manifest."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import minari
from minari_hub import upload_dataset
from minari_hub.remotes.huggingface import HuggingFaceRemote
from tests.hub.helpers.datasets import collect, files_of, make_shards
from tests.hub.helpers.hugging_face_server import HuggingFaceServer

URL = "hf://farama"
GIF = b"GIF89a" + bytes(40)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "Episode.GIF"
    file.write_bytes(GIF)
    return file


def files_on(server: HuggingFaceServer, repository: str) -> dict[str, bytes]:
    return server.repositories[f"farama/{repository}"].files


def test_the_page_of_a_dataset_comes_in_the_commit_of_its_manifest(
    hugging_face: HuggingFaceServer, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = collect("farm/cart-v0", episodes=4, description="Pushed at random.")
    dataset.storage.update_metadata({"license": "CC-BY-4.0"})
    commits: list[list[str]] = []
    create_commit = HuggingFaceRemote._commit_once

    def watched(remote: HuggingFaceRemote, repository: str, *rest: object) -> None:
        before = set(files_on(hugging_face, repository)) if hugging_face.repositories else set()
        create_commit(remote, repository, *rest)  # type: ignore[arg-type]  # handed on
        commits.append(sorted(set(files_on(hugging_face, repository)) - before))

    monkeypatch.setattr(HuggingFaceRemote, "_commit_once", watched)
    upload_dataset("farm/cart-v0", remote_path=URL, token="secret", preview=picture)

    assert commits[-1] == [
        "README.md",
        "cart-v0/CITATION.cff",
        "cart-v0/croissant.json",
        "cart-v0/data/metadata.json",
        "cart-v0/episodes.parquet",
        "cart-v0/preview.gif",
        "cart-v0/steps.parquet",
    ]
    files = files_on(hugging_face, "farm")
    assert files["cart-v0/preview.gif"] == GIF
    text = files["README.md"].decode()
    assert "Pushed at random." in text
    assert "![An episode of farm/cart-v0](<cart-v0/preview.gif>)" in text
    assert "| environment | `CartPole-v1` |" in text
    returns = [float(episode.rewards.sum()) for episode in dataset]
    mean = sum(returns) / 4
    said = f"{min(returns):.6g} to {max(returns):.6g}, mean {mean:.6g}"
    assert f"| return of an episode | {said} |" in text
    assert f"| steps of an episode | {said} |" in text
    assert yaml.safe_load(text.split("---\n")[1])["license"] == "cc-by-4.0"


def test_the_line_that_a_page_shows_loads_the_dataset(hugging_face: HuggingFaceServer) -> None:
    make_shards("alone-v0", shards=1)
    upload_dataset("alone-v0", remote_path=URL, token="secret")
    files = files_of("alone-v0")
    minari.delete_dataset("alone-v0")
    text = files_on(hugging_face, "alone-v0")["README.md"].decode()
    namespace: dict[str, object] = {}

    exec(text.split("```python\n")[1].split("```")[0], namespace)

    assert namespace["dataset"].id == "alone-v0"  # type: ignore[attr-defined]  # a dataset
    assert files_of("alone-v0").keys() == files.keys()


def test_a_namespace_has_one_page_and_what_people_wrote_stays(
    hugging_face: HuggingFaceServer,
) -> None:
    hugging_face.put("farama/farm", "README.md", b"\xef\xbb\xbf# By hand\n")
    hugging_face.put("farama/farm", "b-v0/preview.gif", b"by hand")
    for name in ("farm/a-v0", "farm/b-v0"):
        make_shards(name, shards=1)
        upload_dataset(name, remote_path=URL, token="secret")

    text = files_on(hugging_face, "farm")["README.md"].decode()
    assert text.index("# By hand") < text.index("## farm/a-v0") < text.index("## farm/b-v0")
    assert "1K<n<10K" in text
    assert "preview" not in text
    assert files_on(hugging_face, "farm")["b-v0/preview.gif"] == b"by hand"


def test_what_people_put_beside_a_dataset_stays_and_the_rest_comes(
    hugging_face: HuggingFaceServer,
) -> None:
    hugging_face.put("farama/farm", "a-v0/croissant.json", b"by hand")
    make_shards("farm/a-v0", shards=1)
    upload_dataset("farm/a-v0", remote_path=URL, token="secret")
    files = files_on(hugging_face, "farm")
    assert files["a-v0/croissant.json"] == b"by hand"
    assert {"a-v0/CITATION.cff", "a-v0/steps.parquet"} <= set(files)


def test_what_somebody_commits_meanwhile_is_kept(
    hugging_face: HuggingFaceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_shards("farm/a-v0", shards=1)
    operations: Callable[..., object] = HuggingFaceRemote._card_operations
    tries: list[str] = []

    def meanwhile(remote: HuggingFaceRemote, *rest: object) -> object:
        found = list(operations(remote, *rest))  # type: ignore[call-overload]  # an iterator
        if not tries:
            hugging_face.put("farama/farm", "README.md", b"# Written meanwhile\n")
            hugging_face.repositories["farama/farm"].commits += 1
        tries.append("")
        return found

    monkeypatch.setattr(HuggingFaceRemote, "_card_operations", meanwhile)
    upload_dataset("farm/a-v0", remote_path=URL, token="secret")

    assert len(tries) == 2
    text = files_on(hugging_face, "farm")["README.md"].decode()
    assert "# Written meanwhile" in text
    assert "## farm/a-v0" in text


@pytest.mark.parametrize("readme", [b"---\na: [\n---\nwords", b"\xff\xfe", b"x" * (5 << 20)])
def test_a_readme_that_cannot_be_written_costs_no_upload(
    hugging_face: HuggingFaceServer, readme: bytes
) -> None:
    hugging_face.put("farama/farm", "README.md", readme)
    make_shards("farm/a-v0", shards=1)

    with pytest.warns(minari.MinariWarning, match="farm"):
        upload_dataset("farm/a-v0", remote_path=URL, token="secret")

    files = files_on(hugging_face, "farm")
    assert files["README.md"] == readme
    assert json.loads(files["namespace_metadata.json"])["datasets"] == ["farm/a-v0"]


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.txt", GIF), ("a.png", GIF), ("none.gif", None), ("a.gif", b""), ("a.gif", GIF * 400_000)],
)
def test_what_is_no_picture_is_refused_before_anything_is_sent(
    hugging_face: HuggingFaceServer, tmp_path: Path, name: str, content: bytes | None
) -> None:
    make_shards("farm/a-v0", shards=1)
    if content is not None:
        (tmp_path / name).write_bytes(content)

    with pytest.raises(minari.DataError, match="is no picture"):
        upload_dataset("farm/a-v0", remote_path=URL, token="secret", preview=tmp_path / name)

    assert hugging_face.requests == []


def test_a_remote_without_pages_takes_a_dataset_with_a_picture(
    tmp_path: Path, picture: Path
) -> None:
    make_shards("farm/a-v0", shards=1)
    remote = tmp_path / "remote"

    upload_dataset("farm/a-v0", remote_path=remote.as_uri(), preview=picture)

    assert not list(remote.rglob("*.md"))
    assert not list(remote.rglob("preview*"))
