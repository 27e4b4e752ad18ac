"""The answers to the page's requests, without a socket; and to requests of everybody else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minari
from minari.viewer.data import PageData
from minari.viewer.protocol import Protocol, Response
from tests.minari.viewer.test_data import create

pytestmark = pytest.mark.filterwarnings("ignore:.*is set to None:minari.MinariWarning")
PORT = 8123
OWN = {"host": f"127.0.0.1:{PORT}"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> minari.MinariDataset:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(tmp_path_factory.mktemp("datasets")))
        return create([3, 40])


@pytest.fixture(scope="module")
def protocol(dataset: minari.MinariDataset) -> Protocol:
    data = PageData(dataset)
    data.episodes.start()
    data.episodes.wait()
    return Protocol(data, PORT)


def get(protocol: Protocol, target: str, **headers: str) -> Response:
    cookie = {"cookie": f"other=1; minari-{PORT}={protocol.token}"}
    return protocol.respond("GET", target, {**OWN, **cookie, **headers})


def get_json(protocol: Protocol, target: str) -> Any:
    status, headers, body = get(protocol, target)
    assert status == 200, body
    assert headers["Content-Type"].startswith("application/json")
    return json.loads(body)


def test_the_first_address_gives_a_cookie_that_no_script_reads(protocol: Protocol) -> None:
    status, headers, body = protocol.respond("GET", f"/?token={protocol.token}", OWN)

    assert status == 200
    assert headers["Set-Cookie"] == (
        f"minari-{PORT}={protocol.token}; Path=/; HttpOnly; SameSite=Strict"
    )
    assert b"url=/" in body
    assert protocol.token.encode() not in body


@pytest.mark.parametrize("target", ["/", "/page.js", "/dataset", "/episodes", "/nothing"])
@pytest.mark.parametrize(
    "cookie", ["", f"minari-{PORT}=", f"minari-{PORT}=wrong", "minari-1=x", "=;;\x00", "ü=ü"]
)
def test_without_the_cookie_nothing_is_answered(
    protocol: Protocol, target: str, cookie: str
) -> None:
    status, headers, body = protocol.respond("GET", target, {**OWN, "cookie": cookie})

    assert status == 403
    assert "Set-Cookie" not in headers
    assert b"tests/shown-v0" not in body


def test_another_token_gives_no_cookie(protocol: Protocol) -> None:
    for token in ("wrong", "ü", protocol.token[:-1]):
        status, headers, _ = protocol.respond("GET", f"/?token={token}", OWN)
        assert (status, "Set-Cookie" in headers) == (403, False)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "evil:8123", ""])
def test_a_foreign_host_is_misdirected(protocol: Protocol, host: str) -> None:
    assert get(protocol, "/dataset", host=host)[0] == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": f"http://127.0.0.1:{PORT + 1}"}, 403),
        ({"origin": f"http://localhost:{PORT}"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"}, 403),
        ({"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate"}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
    ],
)
def test_pages_of_others_are_refused(
    protocol: Protocol, headers: dict[str, str], status: int
) -> None:
    assert get(protocol, "/", **headers)[0] == status


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", ""])
def test_only_get_is_answered(protocol: Protocol, method: str) -> None:
    cookie = {"cookie": f"minari-{PORT}={protocol.token}"}
    assert protocol.respond(method, "/dataset", {**OWN, **cookie})[0] == 405


def test_every_answer_forbids_what_a_page_could_be_made_to_do(protocol: Protocol) -> None:
    for target in ("/", "/page.css", "/page.js", "/dataset", "/nothing", "/series?position=x"):
        _, headers, body = get(protocol, target)
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Length"] == str(len(body))


def test_the_page_is_the_page(protocol: Protocol) -> None:
    kinds = {"/": b"<!doctype html>", "/page.css": b":root", "/page.js": b'"use strict"'}
    for target, start in kinds.items():
        status, _, body = get(protocol, target)
        assert status == 200
        assert body.startswith(start)


def test_the_page_takes_nothing_from_elsewhere_and_is_small(protocol: Protocol) -> None:
    bodies = {target: get(protocol, target)[2] for target in ("/", "/page.css", "/page.js")}
    assert sum(len(bodies[target]) for target in ("/page.css", "/page.js")) <= 60_000
    for body in bodies.values():
        assert b"https://" not in body
        assert b"innerHTML" not in body
        # The one address is the name of SVG's elements, which nobody fetches.
        assert body.replace(b"http://www.w3.org/2000/svg", b"").count(b"http://") == 0


def test_series_frames_and_values_are_sent_as_they_are(
    protocol: Protocol, dataset: minari.MinariDataset
) -> None:
    episode = dataset[1]
    status, headers, body = get(
        protocol, "/series?position=1&column=observations/state&start=0&stop=41&buckets=10"
    )
    assert (status, headers["X-Width"]) == (200, "5")
    series = np.frombuffer(body, "<f8").reshape(3, 3, 9)
    assert series[0, 2, 0] == episode.observations["state"][:5, 2].min()
    _, _, body = get(
        protocol,
        "/series?position=1&column=observations/state&start=0&stop=41&buckets=10&elements=2",
    )
    assert np.array_equal(np.frombuffer(body, "<f8").reshape(3, 2, 9), series[:, :2])
    status, headers, body = get(
        protocol, "/frames?position=1&column=observations/camera&start=39&count=32"
    )
    assert (status, headers["X-Frames"]) == (200, "2")
    assert body == episode.observations["camera"][39:].tobytes()
    values = get_json(protocol, "/values?position=1&step=7")
    assert values["rewards"] == [str(episode.rewards[7])]


def test_lists_and_descriptions_are_sent_as_json(protocol: Protocol) -> None:
    assert get_json(protocol, "/dataset")["id"] == "tests/shown-v0"
    answer = get_json(protocol, "/episodes?sort=length&descending=true&conditions=length%3E2")
    assert [row["length"] for row in answer["rows"]] == [40, 3]
    assert get_json(protocol, "/row?position=0&sort=length&descending=true") == {"row": 1}
    assert get_json(protocol, "/episode?position=1")["length"] == 40
    assert get_json(protocol, "/distributions")["lengths"]["count"] == 2
    assert "actions" in get_json(protocol, "/columns")["columns"]


def test_checks_run_when_they_are_asked_for(dataset: minari.MinariDataset) -> None:
    protocol = Protocol(PageData(dataset), PORT)
    assert get_json(protocol, "/checks") == {"state": "idle"}
    answer = get_json(protocol, "/checks?start=true")
    while answer["state"] == "running":
        answer = get_json(protocol, "/checks")
    assert answer == {"state": "done", "findings": []}


def test_statistics_of_all_steps_are_computed_when_they_are_asked_for(
    dataset: minari.MinariDataset,
) -> None:
    protocol = Protocol(PageData(dataset), PORT)
    assert get_json(protocol, "/statistics") == {"state": "idle"}
    answer = get_json(protocol, "/statistics?start=true")
    while answer["state"] == "running":
        answer = get_json(protocol, "/statistics")
    assert (answer["state"], answer["failure"]) == ("done", None)
    shown = {column["path"]: column for column in answer["columns"]}
    wanted = dataset.statistics()
    # Images are left out.
    assert set(wanted) - set(shown) == {"observations/camera"}
    for path, column in shown.items():
        found = wanted[path]
        assert (column["rows"], column["elements"]) == (found.count, found.mean.size)
        fields = (found.mean, found.std, found.min, found.max, found.nonfinite)
        assert column["statistics"] == np.transpose([each.ravel() for each in fields]).tolist()

    empty = Protocol(PageData(dataset[:0]), PORT)
    answer = get_json(empty, "/statistics?start=true")
    while answer["state"] == "running":
        answer = get_json(empty, "/statistics")
    assert "no episode" in answer["failure"]


@pytest.mark.parametrize(
    ("target", "status", "sentence"),
    [
        ("/nothing", 404, "nothing here"),
        ("/../protocol.py", 404, "nothing here"),
        ("/episode?position=2", 404, "no episode 2 among 2"),
        ("/episode?position=-1", 400, "whole number"),
        ("/episode?position=1e3", 400, "whole number"),
        ("/episode?position=٣", 400, "whole number"),
        (f"/episode?position={'9' * 40}", 400, "whole number"),
        ("/episode", 400, "position is missing"),
        ("/series?position=0&column=none&stop=2", 404, "no column 'none'"),
        ("/episodes?sort=colour", 200, "no 'colour'"),
        ("/episodes?conditions=%3C%3C", 200, "no condition"),
    ],
)
def test_a_wrong_request_is_told(
    protocol: Protocol, target: str, status: int, sentence: str
) -> None:
    found, _, body = get(protocol, target)
    assert (found, sentence in body.decode()) == (status, True), body


@given(
    st.sampled_from(["GET", "POST"]),
    st.sampled_from(
        ["/", "/series?", "/frames?", "/episodes?", "/values?", "?", "//", "http://[/"]
    ),
    st.text(max_size=30),
    st.dictionaries(st.sampled_from(["host", "cookie", "origin"]), st.text(max_size=20)),
    st.booleans(),
)
def test_whatever_is_asked_has_an_answer(
    protocol: Protocol, method: str, path: str, rest: str, headers: dict[str, str], own: bool
) -> None:
    given_headers = {**OWN, "cookie": f"minari-{PORT}={protocol.token}"} if own else headers
    status, _, body = protocol.respond(method, path + rest, given_headers)
    assert status in {200, 400, 403, 404, 405, 421}
    assert protocol.token.encode() not in body


def test_a_dataset_that_is_deleted_while_it_is_shown_is_an_answer(
    datasets_root: Path,
) -> None:
    deleted = create([30], "hdf5")
    protocol = Protocol(PageData(deleted), PORT)
    minari.delete_dataset(deleted.id)

    status, _, body = get(protocol, "/episode?position=0")

    assert status == 500
    assert "shown-v0" in json.loads(body)["error"]
