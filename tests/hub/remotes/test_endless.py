"""Remotes without end: each call ends in an error that names the remote and the bound."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import pytest

import minari
from minari_hub import download_dataset, list_remote_datasets, open_remote, upload_dataset
from minari_hub.remotes.folder import FolderRemote
from minari_hub.transfer import bounded_http, bounds, measured_answer
from minari_hub.transfer.bounds import TooSlowError, run_within
from minari_hub.transfer.partial_file import PartialFile
from minari_hub.transfer.retrying import Patience
from tests.hub.helpers.datasets import is_intact, make_shards
from tests.hub.helpers.endless_server import EndlessServer
from tests.hub.helpers.memory import measure_growth

Serve = Callable[[str], EndlessServer]

URLS = ["gs://bucket", "hf://farama"]


@pytest.fixture(params=URLS)
def url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    # A slow answer is given up as soon.
    monkeypatch.setenv("MINARI_REMOTE_GIVE_UP_AFTER", "1")
    return str(request.param)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    with ExitStack() as running:

        def start(way: str) -> EndlessServer:
            server: EndlessServer = running.enter_context(EndlessServer(way))
            for name in ("STORAGE_EMULATOR_HOST", "HF_ENDPOINT"):
                monkeypatch.setenv(name, server.url)
            return server

        yield start


def test_pages_that_go_round_are_an_error(url: str, serve: Serve) -> None:
    server = serve("same page")

    with pytest.raises(minari.RemoteError, match=f"could not list {url}: .*circle.*again"):
        list_remote_datasets(url)
    assert server.requests <= 3


def test_pages_without_end_are_an_error(
    url: str, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MOST_PAGES", 7)
    server = serve("new pages")

    with pytest.raises(minari.RemoteError, match=f"could not list {url}: .*more than 7 pages"):
        list_remote_datasets(url)
    with pytest.raises(minari.RemoteError, match=f"could not list {url}: .*more than 7 pages"):
        download_dataset("x/y-v0", remote_path=url)
    # The list of the datasets, that of the files, and for the error that of the datasets again.
    assert server.requests <= 3 * 7


def test_objects_without_end_are_an_error(
    url: str, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MOST_OBJECTS", 7)
    serve("new pages")

    with pytest.raises(minari.RemoteError, match=f"could not list {url}: .*more than 7 objects"):
        list(open_remote(url).find("x/y-v0"))


@pytest.mark.parametrize(
    ("way", "bound"),
    [
        ("body", "more than 1,048,576 bytes"),
        ("packed", "more than 1,048,576 bytes"),
        ("packed oddly", "packed as 'gzip, gzip'"),
        ("headers", "headers without end"),
        ("header", "a line of more than 65,536 bytes"),
        ("status", "a line of more than 65,536 bytes"),
    ],
)
def test_a_list_without_end_is_an_error(
    url: str, serve: Serve, way: str, bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_http, "LARGEST_ANSWER", 1 << 20)
    server = serve(way)

    with pytest.raises(minari.RemoteError, match=f"could not list {url}: .*{bound}"):
        list_remote_datasets(url)
    assert server.requests == 1


@pytest.mark.parametrize("way", ["body", "packed"])
def test_a_list_without_end_takes_no_memory(url: str, serve: Serve, way: str) -> None:
    pytest.importorskip("resource", reason="measures the memory of a process")
    serve(way)
    preparation = (
        "import minari\n"
        "from minari_hub import list_remote_datasets, open_remote\n"
        f"open_remote({url!r})"
    )
    statement = (
        "try:\n"
        f"    list_remote_datasets({url!r})\n"
        "except minari.RemoteError as error:\n"
        "    assert '33,554,432 bytes' in str(error), error"
    )

    # The list would be 3 GB, or 64 MB.
    assert measure_growth(preparation, statement) < 120


def test_a_list_of_a_few_bytes_a_second_is_an_error(url: str, serve: Serve) -> None:
    serve("crawling")

    with pytest.raises(
        minari.RemoteError, match=f"could not list {url}: .*fewer than 100 a second"
    ):
        list_remote_datasets(url)


@pytest.mark.parametrize("what", ["", " content"])
@pytest.mark.parametrize(
    ("way", "bound"),
    [
        ("extensions, slowly", "fewer than 100 a second"),
        ("extensions", "more than 1,048,576 bytes beside the content"),
        ("line", "a line of more than 65,536 bytes"),
        ("trailers", "more than 1,048,576 bytes beside the content"),
        ("continue", "more than 1,048,576 bytes beside the content"),
    ],
)
def test_what_comes_without_end_beside_the_content_is_an_error(
    url: str, serve: Serve, way: str, bound: str, what: str
) -> None:
    serve(way + what)

    with pytest.raises(minari.RemoteError, match=f"could not (list|read) .*{bound}"):
        download_dataset("x/y-v0", remote_path=url)
    assert is_intact()


def test_a_list_that_takes_long_is_an_error(
    url: str, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve("crawling")
    monkeypatch.setattr(measured_answer, "LEAST_RATE", 0)
    monkeypatch.setattr(bounded_http, "_BLOCK", 1)
    monkeypatch.setattr(bounds, "LONGEST_ANSWER", 0.5)
    with pytest.raises(minari.RemoteError, match=f"could not list {url}: .*in 0.5 s, and is not"):
        list_remote_datasets(url)


def test_pages_that_come_slowly_without_end_are_an_error(
    url: str, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve("slow pages")
    monkeypatch.setattr(bounds, "LONGEST_LISTING", 0.5)
    monkeypatch.setattr(bounds, "SECONDS_PER_PAGE", 0.01)

    for call in (
        lambda: list_remote_datasets(url),
        lambda: list(open_remote(url).find("x/y-v0")),
    ):
        server.requests = 0
        with pytest.raises(minari.RemoteError, match=f"could not list {url}: .*name a part of it"):
            call()
        assert 2 <= server.requests <= 12


def test_a_content_that_is_read_at_once_and_takes_long_is_an_error(
    url: str, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve("steady content")
    monkeypatch.setattr(bounds, "LONGEST_ANSWER", 0.5)
    monkeypatch.setattr(bounds, "EXPECTED_RATE", 1 << 30)

    name = "x/y-v0/data/metadata.json"
    with pytest.raises(minari.RemoteError, match=f"could not read '{name}' of {url}: not all of"):
        open_remote(url).read(name, 0, 1 << 20)
    assert server.requests == 1


def test_manifests_that_come_slowly_are_left_out_of_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = (tmp_path / "shared").as_uri()
    make_shards("x-v0", shards=1, steps=20)
    upload_dataset("x-v0", remote_path=url)
    manifest = tmp_path / "shared" / "x-v0" / "data" / "metadata.json"
    for number in range(1, 60):
        copy = tmp_path / "shared" / f"x-v{number}" / "data" / "metadata.json"
        copy.parent.mkdir(parents=True)
        copy.write_text(manifest.read_text().replace("x-v0", f"x-v{number}"))
    read = FolderRemote.read

    def read_slowly(remote: FolderRemote, name: str, start: int, stop: int) -> bytes:
        time.sleep(0.3)
        return read(remote, name, start, stop)

    monkeypatch.setattr(FolderRemote, "read", read_slowly)
    monkeypatch.setattr(bounds, "LONGEST_LISTING", 0.2)
    monkeypatch.setattr(bounds, "SECONDS_PER_PAGE", 0.0)
    with pytest.warns(minari.MinariWarning, match="left out .*name a part of it"):
        found = list_remote_datasets(url)
    assert 0 < len(found) < 30


def test_folders_that_are_listed_slowly_without_end_are_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    class Endless(MemoryFileSystem):  # type: ignore[misc]  # it has no types
        def ls(self, path: str, detail: bool = True, **options: object) -> list[dict[str, str]]:
            time.sleep(0.05)
            return [{"name": f"{path}/{len(path)}", "type": "directory"}]

    monkeypatch.setattr(bounds, "LONGEST_LISTING", 0.5)
    monkeypatch.setattr(bounds, "SECONDS_PER_PAGE", 0.0)
    remote = open_remote("memory://slow")
    monkeypatch.setattr(remote, "_files", Endless())
    with pytest.raises(minari.RemoteError, match=r"could not list memory://slow: .*name a part"):
        list(remote.find())


def test_a_content_of_a_few_bytes_a_second_is_an_error(url: str, serve: Serve) -> None:
    serve("crawling content")

    with pytest.raises(minari.RemoteError, match=r"could not read .*fewer than 100 a second"):
        download_dataset("x/y-v0", remote_path=url)
    assert is_intact()


def test_a_download_that_gets_on_by_a_byte_a_round_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Patience, "from_environment", lambda: Patience(0.0, 0.001, 0.001))
    make_shards("x-v0", shards=1, steps=20)
    url = (tmp_path / "shared").as_uri()
    upload_dataset("x-v0", remote_path=url)
    minari.delete_dataset("x-v0")
    rounds = 0

    def crawl(
        remote: FolderRemote, files: Sequence[PartialFile], stop: Event
    ) -> list[Exception | None]:
        nonlocal rounds
        rounds += 1
        assert rounds < 10
        time.sleep(0.02)
        files[0].write(b"x")
        return [minari.RemoteError(f"{remote.url} hung up") for _ in files]

    monkeypatch.setattr(FolderRemote, "download", crawl)
    with pytest.raises(minari.RemoteError, match=f"{url} hung up"):
        download_dataset("x-v0", remote_path=url)
    assert rounds == 2


def test_work_that_does_not_come_back_is_left_alone() -> None:
    assert run_within(5, lambda: 3, "count") == 3
    with pytest.raises(ZeroDivisionError):
        run_within(5, lambda: 1 // 0, "divide")
    with pytest.raises(TooSlowError, match=r"more than 0\.05 s to sleep"):
        run_within(0.05, lambda: time.sleep(1), "sleep")
