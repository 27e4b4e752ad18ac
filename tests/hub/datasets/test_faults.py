"""Downloads over bad connections: each ends in the right bytes or in a clear error."""

from __future__ import annotations

import pytest

import minari
from minari_hub import download_dataset, upload_dataset
from minari_hub.remotes import gcs
from minari_hub.transfer.retrying import Patience
from tests.hub.helpers.datasets import collect, files_of, is_intact, leftovers, make_shards
from tests.hub.helpers.fault_proxy import Answer, Fault, FaultProxy, cut, flip, shorten, status
from tests.hub.helpers.servers import Bucket

CONTENT = "GET .*h5.*alt=media"
MANIFEST = r"GET .*metadata\.json.*alt=media"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same number of tries, sooner after one another."""
    monkeypatch.setattr(Patience, "from_environment", lambda: Patience(6.0, 0.02, 0.1))


@pytest.fixture
def published(bucket: Bucket, proxy: FaultProxy) -> dict[str, bytes]:
    """A dataset of six shards on the remote; nothing is here."""
    make_shards("x-v0", shards=6)
    upload_dataset("x-v0", remote_path=bucket.url)
    files = files_of("x-v0")
    minari.delete_dataset("x-v0")
    proxy.forget()
    return files


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_a_fault_that_passes_is_waited_out(
    published: dict[str, bytes], bucket: Bucket, proxy: FaultProxy, code: int
) -> None:
    proxy.faults = [Fault("", status(code), every=2, times=8)]

    download_dataset("x-v0", remote_path=bucket.url)

    assert is_intact({"x-v0": published})
    assert leftovers() == []


@pytest.mark.parametrize(("every", "after"), [(1, 100_000), (2, 0), (2, 1), (3, 300_000)])
def test_connections_that_drop_go_on_where_they_were(
    published: dict[str, bytes], bucket: Bucket, proxy: FaultProxy, every: int, after: int
) -> None:
    proxy.faults = [Fault("alt=media", cut(after), every=every, times=30)]

    download_dataset("x-v0", remote_path=bucket.url)

    assert is_intact({"x-v0": published})
    # No byte was sent twice, but for what lay in buffers when the connection dropped.
    total = sum(map(len, published.values()))
    dropped = sum(fault.done for fault in proxy.faults)
    assert proxy.bytes_sent < total + 50_000 + dropped * 66_000


@pytest.mark.parametrize("pattern", [CONTENT, MANIFEST])
def test_a_flipped_byte_is_found_and_fetched_again(
    published: dict[str, bytes], bucket: Bucket, proxy: FaultProxy, pattern: str
) -> None:
    proxy.faults = [Fault(pattern, flip(1234), times=2)]

    download_dataset("x-v0", remote_path=bucket.url)

    assert proxy.faults[0].done == 2
    assert is_intact({"x-v0": published})


@pytest.mark.parametrize("pattern", [CONTENT, MANIFEST])
def test_a_byte_that_is_flipped_every_time_is_an_error(
    published: dict[str, bytes], bucket: Bucket, proxy: FaultProxy, pattern: str
) -> None:
    proxy.faults = [Fault(pattern, flip(1234))]

    with pytest.raises(minari.RemoteError, match="3 times"):
        download_dataset("x-v0", remote_path=bucket.url)

    assert is_intact()
    proxy.forget()
    download_dataset("x-v0", remote_path=bucket.url)
    assert is_intact({"x-v0": published})


def test_an_object_that_ends_too_soon_once_is_completed(
    published: dict[str, bytes], bucket: Bucket, proxy: FaultProxy
) -> None:
    proxy.faults = [Fault(CONTENT, shorten(1000), times=3)]

    download_dataset("x-v0", remote_path=bucket.url)

    assert is_intact({"x-v0": published})


def test_an_object_that_always_ends_too_soon_is_an_error_that_names_it(
    published: dict[str, bytes], bucket: Bucket, proxy: FaultProxy
) -> None:
    def nothing(answer: Answer) -> Answer:
        return Answer(answer.status, answer.headers, b"")

    proxy.faults = [Fault(CONTENT, nothing)]

    with pytest.raises(minari.RemoteError, match=r"sends less of 'x-v0/data/shard-.*h5' than"):
        download_dataset("x-v0", remote_path=bucket.url)
    assert is_intact()


def test_an_object_longer_than_it_is_listed_is_an_error(
    published: dict[str, bytes], bucket: Bucket, proxy: FaultProxy
) -> None:
    def longer(answer: Answer) -> Answer:
        return Answer(answer.status, answer.headers, answer.body + b"more")

    proxy.faults = [Fault(CONTENT, longer)]

    with pytest.raises(minari.RemoteError, match="more"):
        download_dataset("x-v0", remote_path=bucket.url)
    assert is_intact()


def test_a_manifest_longer_than_it_is_listed_is_an_error(
    published: dict[str, bytes], bucket: Bucket, proxy: FaultProxy
) -> None:
    def longer(answer: Answer) -> Answer:
        return Answer(answer.status, answer.headers, answer.body + b"more")

    proxy.faults = [Fault(MANIFEST, longer)]

    with pytest.raises(minari.RemoteError, match="more"):
        download_dataset("x-v0", remote_path=bucket.url)
    assert is_intact()


def test_a_remote_that_stays_away_is_an_error_and_the_next_call_goes_on(
    published: dict[str, bytes],
    bucket: Bucket,
    proxy: FaultProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Patience, "from_environment", lambda: Patience(0.3, 0.02, 0.1))
    monkeypatch.setattr(gcs, "WORKERS", 1)
    answered = 0

    def fail_later(answer: Answer) -> Answer:
        nonlocal answered
        answered += 1
        return answer if answered <= 3 else status(503)(answer)

    proxy.faults = [Fault(CONTENT, fail_later)]
    with pytest.raises(minari.RemoteError, match=r"503.*tried \d+ times in"):
        download_dataset("x-v0", remote_path=bucket.url)
    assert is_intact()

    proxy.forget()
    download_dataset("x-v0", remote_path=bucket.url)

    assert is_intact({"x-v0": published})
    assert proxy.count(CONTENT) == 3
    assert leftovers() == []


def test_an_object_that_was_replaced_meanwhile_is_not_mixed_with_the_old_one(
    published: dict[str, bytes], bucket: Bucket, proxy: FaultProxy
) -> None:
    names = [name for name in bucket.names() if name.endswith(".h5")]

    def replace(answer: Answer) -> Answer:
        bucket.put(names[0], published[names[1].rpartition("/")[2]])
        return cut(100_000)(answer)

    proxy.faults = [Fault(names[0].rpartition("/")[2], replace, times=1)]

    with pytest.raises(minari.MinariError):
        download_dataset("x-v0", remote_path=bucket.url)
    assert is_intact()


def test_parts_of_another_version_are_thrown_away(
    published: dict[str, bytes], bucket: Bucket, proxy: FaultProxy
) -> None:
    proxy.faults = [Fault(CONTENT, status(404), times=1)]
    with pytest.raises(minari.RemoteObjectNotFoundError):
        download_dataset("x-v0", remote_path=bucket.url)
    assert leftovers()
    # Another dataset takes the place of the first, on the remote as here.
    for name in bucket.names():
        bucket.itself.blob(name).delete()
    collect("x-v0")
    files = files_of("x-v0")
    upload_dataset("x-v0", remote_path=bucket.url)
    minari.delete_dataset("x-v0")

    download_dataset("x-v0", remote_path=bucket.url)

    assert is_intact({"x-v0": files})
    assert leftovers() == []


def test_a_damaged_journal_costs_time_and_nothing_else(
    published: dict[str, bytes], bucket: Bucket, proxy: FaultProxy
) -> None:
    for damage in [b"", b"{", b"[]", b'{"source": 3}', b'{"objects": [1]}', b"\xff" * 9]:
        proxy.faults = [Fault(CONTENT, status(404), times=1)]
        with pytest.raises(minari.RemoteObjectNotFoundError):
            download_dataset("x-v0", remote_path=bucket.url)
        (journal,) = [path for path in leftovers() if path.name == "journal.json"]
        journal.write_bytes(damage)
    proxy.forget()

    download_dataset("x-v0", remote_path=bucket.url)

    assert is_intact({"x-v0": published})
