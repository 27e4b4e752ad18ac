"""The server of objects answers as real ones do, and fails as it is told."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.object_server import FAULTS, ObjectServer

CONTENT = bytes(range(256)) * 2000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("served")
    (path / "a").mkdir()
    (path / "a/b c").write_bytes(CONTENT)
    return path


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[ObjectServer]:
    with ObjectServer(folder) as server:
        yield server


@pytest.fixture
def server(running: ObjectServer) -> ObjectServer:
    running.inject()
    return running


def ask(
    server: ObjectServer, path: str = "/a/b%20c", timeout: float = 10, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", path, headers=sent)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def test_ranges_and_versions_are_as_http_has_them(server: ObjectServer) -> None:
    status, headers, content = ask(server)
    assert (status, content) == (200, CONTENT)
    tag = headers["ETag"]
    status, headers, content = ask(server, Range="bytes=5-999", If_Match=tag)
    assert (status, content) == (206, CONTENT[5:1000])
    assert headers["Content-Range"] == f"bytes 5-999/{len(CONTENT)}"
    assert ask(server, Range="bytes=-9")[2] == CONTENT[-9:]
    assert ask(server, Range="bytes=511999-")[2] == CONTENT[511_999:]
    assert ask(server, Range="bytes=512000-")[0] == 416
    assert ask(server, If_Match='"another"')[0] == 412
    assert [ask(server, path)[0] for path in ("/none", "/a", "/../x", "/a/../../x")] == [404] * 4


def test_it_is_a_bucket_to_who_lists_and_reads(server: ObjectServer) -> None:
    listed = json.loads(ask(server, "/storage/v1/b/any/o?prefix=a/")[2])["items"]
    assert [(item["name"], item["size"]) for item in listed] == [("a/b c", "512000")]
    assert json.loads(ask(server, "/storage/v1/b/any/o?prefix=z")[2])["items"] == []
    path = "/download/storage/v1/b/any/o/a%2Fb%20c"
    assert ask(server, f"{path}?alt=media", Range="bytes=0-9")[2] == CONTENT[:10]
    described = json.loads(ask(server, "/storage/v1/b/any/o/a%2Fb%20c")[2])
    assert described == listed[0]


def test_every_fault_is_what_it_says(server: ObjectServer) -> None:
    tag = ask(server)[1]["ETag"]
    seen = set()
    for kind in FAULTS:
        server.inject({"kind": kind, "first": 1, "seconds": 0.2})
        began = time.monotonic()
        try:
            status, headers, content = ask(
                server, timeout=0.7, Range="bytes=100-299999", If_Match=tag
            )
        except http.client.IncompleteRead as error:
            assert (kind, error.partial) == ("truncated", CONTENT[100:150_050])  # noqa: PT017  # of several kinds
        except ConnectionResetError:
            assert kind == "reset"
        except TimeoutError:
            assert kind == "hanging"
        else:
            expected = CONTENT[100:300_000]
            if kind == "busy":
                assert status == 429
                assert headers["Retry-After"] == "1"
            elif kind == "unavailable":
                assert status == 503
            elif kind == "changed":
                assert status == 412
                tag = ask(server)[1]["ETag"]
            elif kind == "redirect":
                assert status == 302
                there = headers["Location"]
                assert ask(server, there, Range="bytes=3-4")[2] == CONTENT[3:5]
                time.sleep(0.25)
                assert ask(server, there)[0] == 403
            elif kind == "range_ignored":
                assert (status, content) == (200, CONTENT)
            elif kind == "wrong_range":
                assert content == CONTENT[99:299_999]
                assert headers["Content-Range"].startswith("bytes 99-299998/")
            elif kind == "flipped":
                assert (content[0] ^ expected[0], content[1:]) == (1, expected[1:])
            else:
                assert kind in ("slow", "no_etag")
                assert (status, content) == (206, expected)
                assert ("ETag" in headers) == (kind == "slow")
                assert kind == "no_etag" or time.monotonic() - began > 0.2
        seen.add(kind)
        # It struck once.
        assert ask(server, Range="bytes=0-9", If_Match=tag)[0] == 206
    assert seen == set(FAULTS)
    assert server.read_statistics()["faults"] == dict.fromkeys(FAULTS, 1)
    with pytest.raises(ValueError, match="is no fault"):
        server.inject({"kind": "none"})


def test_faults_strike_some_objects_and_every_so_often(server: ObjectServer) -> None:
    server.inject({"kind": "unavailable", "every": 3, "first": 2, "name": "b"})
    assert [ask(server)[0] for _ in range(10)] == [200, 200, 503, 200, 200, 503] + [200] * 4
    server.inject({"kind": "unavailable", "name": "other"})
    assert ask(server)[0] == 200


def test_latency_the_cap_and_the_rate_are_kept(folder: Path) -> None:
    with ObjectServer(folder, latency=0.02, bytes_per_second=2e6, seed=3) as server:
        began = time.monotonic()
        ask(server)
        assert time.monotonic() - began > 0.9 * len(CONTENT) / 2e6
        server.set_latency(0.5)
        began = time.monotonic()
        for _ in range(3):
            ask(server, Range="bytes=0-0")
        assert time.monotonic() - began > 0.3
        seen = server.read_statistics()
        assert seen["requests"] == sum(seen["objects"].values()) == 4
        assert seen["nbytes"] == len(CONTENT) + 3
    with ObjectServer(folder, requests_per_second=5) as server:
        statuses = [ask(server, Range="bytes=0-0")[0] for _ in range(12)]
        assert statuses[:5] == [206] * 5
        assert 429 in statuses
