"""Answers at the bounds of what may be asked, what a server leaves, and pages in files."""

from __future__ import annotations

import http.client
import json
import threading
import webbrowser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from gymnasium import spaces

import minari
from minari.replay.process import ReplayCancelledError
from minari.replay.replaying import Trust, find_replay
from minari.viewer import page_file
from minari.viewer.columns import EpisodeColumn
from minari.viewer.data import PageData
from minari.viewer.page_file import _Share, choose_episodes, dataset_page
from minari.viewer.protocol import Protocol
from minari.viewer.replays import EpisodeReplays
from minari.viewer.server import serve
from minari_core.errors import EpisodeIndexError
from tests.minari.replay import toys
from tests.minari.viewer.test_data import create
from tests.minari.viewer.test_page_file import create_returns, read_block, read_content
from tests.minari.viewer.test_parts import make, store
from tests.minari.viewer.test_protocol import OWN, PORT, get, get_json

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari.MinariWarning")


@pytest.fixture
def wide(datasets_root: Path) -> Protocol:
    """The page of an episode of 2001 steps with 300 elements."""
    rows = np.zeros((2002, 300), np.float32)
    rows[:, 1] = np.arange(2002)
    dataset = store(
        [make(1, 2001, observations=rows)],
        observation_space=spaces.Box(-np.inf, np.inf, (300,), np.float32),
    )
    data = PageData(dataset)
    data.episodes.start()
    data.episodes.wait()
    return Protocol(data, PORT)


def test_what_is_not_said_has_a_usual_value(wide: Protocol) -> None:
    place = "position=0&column=observations"
    for stop, width in ((2000, 2), (2001, 3), (1000, 1), (1001, 2)):
        status, headers, body = get(wide, f"/series?{place}&stop={stop}")
        assert (status, headers["X-Width"]) == (200, str(width))
        series = np.frombuffer(body, "<f8").reshape(3, 256, -1)
        assert series[0, 1, 0] == 0
    _, headers, body = get(wide, f"/series?{place}&stop=9&start=3&buckets=2&elements=2")
    assert headers["X-Width"] == "3"
    assert np.frombuffer(body, "<f8").reshape(3, 2, 2)[:2, 1].tolist() == [[3, 6], [5, 8]]
    assert headers["Content-Type"] == "application/octet-stream"
    assert len(get_json(wide, "/values?position=0&step=2001")["observations"]) == 300
    answer = get_json(wide, "/episodes")
    assert (answer["start"], answer["total"], answer["rows"][0]["position"]) == (0, 1, 0)
    assert get_json(wide, "/row?position=0") == {"row": 0}
    # Of several values the last one counts.
    assert get_json(wide, "/row?position=7&position=0") == {"row": 0}
    for digits, status in ((18, 404), (19, 400)):
        assert get(wide, f"/episode?position={'1' * digits}")[0] == status
    assert get(wide, "/episode?position=")[0] == 400


def test_images_are_sent_one_or_so_many_at_a_time(datasets_root: Path) -> None:
    protocol = Protocol(PageData(create([400])), PORT)
    place = "/frames?position=0&column=observations/camera"
    for more, frames in (
        ("", 1), ("&count=3", 3), ("&start=399&count=9", 2), ("&count=0", 0), ("&count=300", 256)
    ):  # fmt: skip
        status, headers, body = get(protocol, place + more)
        assert (status, headers["X-Frames"]) == (200, str(frames))
        assert len(body) == frames * 16 * 12 * 3
        assert headers["Content-Type"] == "application/octet-stream"
    first = get(protocol, f"{place}&start=0")[2]
    assert get(protocol, place)[2] == first != get(protocol, f"{place}&start=1")[2]


def test_a_token_is_long_and_new_for_each_server(datasets_root: Path) -> None:
    data = PageData(create([1]))
    one, other = Protocol(data, PORT), Protocol(data, PORT)
    assert len(one.token) == len(other.token) == 32
    assert one.token != other.token
    assert Protocol(data, PORT, "mine").token == "mine"
    # Without a token the page is there for who has the cookie, and nothing else takes a token.
    assert get(one, "/")[0] == 200
    status, headers, _ = one.respond("GET", f"/dataset?token={one.token}", OWN)
    assert (status, "Set-Cookie" in headers) == (403, False)
    assert one.respond("POST", f"/?token={one.token}", OWN)[0] == 405
    for host in (f"127.0.0.1:{PORT}", f"localhost:{PORT}"):
        status, headers, _ = one.respond("GET", f"/?token={one.token}", {"host": host})
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    kinds = {"/": "html", "/page.css": "css", "/page.js": "javascript"}
    for target, kind in kinds.items():
        assert get(one, target)[1]["Content-Type"] == f"text/{kind}; charset=utf-8"
    status, headers, body = get(one, "/nothing")
    assert (headers["Content-Type"], body) == (
        "text/plain; charset=utf-8",
        b"there is nothing here\n",
    )
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert get(one, "/page.js", **link)[0] == 403
    assert get(one, "/", **{**link, "origin": "http://evil.example"})[0] == 403
    assert get_json(one, "/dataset")["id"] == "tests/shown-v0"
    assert get(one, "/episodes?sort=colour")[1]["Content-Type"].startswith("application/json")


@pytest.mark.parametrize("answer", ["checks", "statistics"])
def test_nothing_begins_without_being_asked_for(answer: str, datasets_root: Path) -> None:
    data = PageData(create([1]))
    describe = getattr(data.summaries, f"describe_{answer}")
    assert describe() == {"state": "idle"}
    protocol = Protocol(data, PORT)
    for target in (f"/{answer}", f"/{answer}?start=false", f"/{answer}?start="):
        assert get_json(protocol, target) == {"state": "idle"}


@pytest.fixture
def opened(datasets_root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(webbrowser, "open", found.append)
    return found


def test_a_server_answers_until_it_is_closed_and_leaves_nothing(
    opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[bool] = []
    close = Protocol.close

    def note(self: Protocol) -> None:
        closed.append(True)
        close(self)

    monkeypatch.setattr(Protocol, "close", note)
    dataset = create([1, 2])
    with minari.view_dataset(dataset, trust_paths=True, skip_wrappers=["x"]) as view:
        assert opened == [view.address]
        parts = urlsplit(view.address)
        assert parts.port is not None
        connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=30)
        connection.request("GET", f"/?{parts.query}")
        first = connection.getresponse()
        cookie = str(first.getheader("Set-Cookie")).partition(";")[0]
        first.read()
        assert first.getheader("Connection") is None
        # The connection stays open, and lists are read without being asked for.
        answer: Any = {"progress": 0}
        while answer["progress"] < 1:
            connection.request("GET", "/episodes", headers={"Cookie": cookie})
            response = connection.getresponse()
            answer = json.loads(response.read())
        assert "return" in answer["keys"]
        for target, status in (("/episode?position=x", 400), ("/nothing", 404)):
            connection.request("GET", target, headers={"Cookie": cookie})
            response = connection.getresponse()
            response.read()
            assert (response.status, response.getheader("Connection")) == (status, "close")
        connection.close()
        before = [thread.name for thread in threading.enumerate()]
        assert "minari-view" in before
        assert closed == []
    assert closed == [True]
    assert not any(
        thread.name == "minari-view" and "serve_forever" in repr(thread)
        for thread in threading.enumerate()
    )
    # Its port is free again.
    with minari.view_dataset(dataset, port=parts.port, open_browser=False) as again:
        assert urlsplit(again.address).port == parts.port
    assert opened == [view.address]


def test_trust_is_passed_on_to_replays(opened: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    original = PageData.__init__

    def note(self: PageData, dataset: Any, trust: Any = None, words: Any = str) -> None:
        given.append((trust, words))
        original(self, dataset, trust, words)

    monkeypatch.setattr(PageData, "__init__", note)
    dataset = create([1])
    minari.view_dataset(dataset, open_browser=False).close()
    minari.view_dataset(
        dataset,
        open_browser=False,
        trust_entry_point=True,
        trust_paths=True,
        skip_wrappers=["x"],
    ).close()
    with serve(dataset):
        pass
    assert given == [(Trust(), str), (Trust(True, True, ["x"]), str), (None, str)]
    assert opened == []


def test_the_latest_replays_are_kept(datasets_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minari.viewer.replays._MOST_KEPT", 2)
    with toys.register():
        dataset = toys.record(seeds=(1, 2, 3))
        made = find_replay(dataset, dataset[0])
        monkeypatch.setattr(
            "minari.viewer.replays.find_replay", lambda dataset, episode, *_, **how: made
        )
        replays = EpisodeReplays(dataset, Trust(), str)

        def start(episode: int) -> None:
            while replays.describe(episode, 1, start=True)["state"] == "running":
                pass

        start(0)
        start(1)
        assert replays.get(0) is made
        start(2)
        # The one that was looked at last stays.
        assert replays.get(0) is made
        assert replays.get(2) is made
        with pytest.raises(LookupError, match="there is no replay of episode 1"):
            replays.get(1)
        assert replays.describe(0, 1) == {
            "state": "done",
            "text": made.describe(),
            "shape": list(made.shape),
        }

        def fail(dataset: Any, episode: Any, *_: Any, progress: Any, **how: Any) -> Any:
            progress(3, 9)
            assert replays.describe(1, 1) == {"state": "running", "text": "", "done": 3, "total": 9}
            raise ValueError("odd")

        monkeypatch.setattr("minari.viewer.replays.find_replay", fail)
        while replays.describe(1, 1, start=True)["state"] == "running":
            if replays.describe(1, 1)["state"] == "failed":
                break
        told = {"state": "failed", "text": "the replay failed: ValueError: odd"}
        assert replays.describe(1, 1) == told
        replays.describe(1, 1, cancel=True)
        assert replays.describe(1, 1) == told

        def hang(dataset: Any, episode: Any, *_: Any, cancelled: Any, **how: Any) -> Any:
            cancelled.wait()
            raise ReplayCancelledError("cancelled")

        monkeypatch.setattr("minari.viewer.replays.find_replay", hang)
        assert replays.describe(1, 1, start=True)["state"] == "running"
        # What was tried again and given up has not failed.
        assert replays.describe(1, 1, cancel=True) == {"state": "idle", "text": ""}
        assert replays.describe(2, None)["state"] == "done"
        impossible = EpisodeReplays(dataset, Trust(), lambda error: f"told: {error}")
        found = impossible.describe(2, None)
        assert found["state"] == "impossible"
        assert str(found["text"]).startswith("told: episode 2 was recorded without a seed")
        impossible.close()


@pytest.mark.parametrize(
    ("returns", "chosen"),
    [
        ([3.0], [0]),
        ([3.0, 1.0], [0, 1]),
        ([1.0, 2.0, 3.0, 4.0], [0, 1, 3]),
        ([5.0, 1.0, 2.0, 3.0, 4.0], [0, 1, 3]),
        ([np.nan, 2.0, np.nan, 1.0], [1, 3]),
        ([np.nan, np.nan], [0]),
        ([2.0, 2.0, 2.0], [0, 1, 2]),
    ],
)
def test_the_worst_the_median_and_the_best_are_chosen(
    returns: list[float], chosen: list[int], datasets_root: Path
) -> None:
    data = PageData(create_returns(returns))
    # Where no return is known, the first stands for all.
    places = sorted({0, (len(returns) - 1) // 2, len(returns) - 1})
    assert choose_episodes(data) in ([0], places)
    data.episodes.start()
    data.episodes.wait()
    assert choose_episodes(data) == chosen
    assert choose_episodes(data, [0]) == sorted({*chosen, 0})
    with pytest.raises(EpisodeIndexError, match=f"has no episode {len(returns)} to put into"):
        choose_episodes(data, [len(returns)])


def test_a_share_has_the_final_row_of_what_has_one() -> None:
    def cut(rows: int, length: int, steps: int) -> int:
        column = EpisodeColumn("x", "x", (), "numbers", (), "float64", rows)
        return _Share(8, steps, 1).cut(column, length)

    assert [cut(5, 5, steps) for steps in (3, 5, 9)] == [3, 5, 5]
    assert [cut(6, 5, steps) for steps in (3, 5, 9)] == [4, 6, 6]
    assert cut(4, 5, 9) == 4


def encode(count: int, most: int, at_once: int = 32) -> tuple[int, list[str]]:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 255, (count, 300), np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_file, "_CHUNK_FRAMES", at_once)
        return page_file._encode_images(lambda row: rows[row].tobytes(), 300, range(count), most)


def test_every_kth_image_is_kept_for_the_smallest_k_that_fits() -> None:
    whole, chunks = encode(20, 1 << 20)
    assert (whole, len(chunks)) == (1, 1)
    size = sum(map(len, chunks))
    assert encode(20, size)[0] == 1
    assert encode(20, size - 1)[0] == 2
    assert encode(20, size // 4 + 100)[0] in (4, 5)
    stride, (last,) = encode(20, 1)
    assert (stride, len(page_file._encode_chunk(lambda row: bytes(300), range(1))) > 0) == (
        20,
        True,
    )
    assert len(last) < size / 10
    stride, pieces = encode(7, 1 << 20, at_once=3)
    assert (stride, len(pieces)) == (1, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_file, "_CHUNK_NBYTES", 600)
        assert len(encode(7, 1 << 20)[1]) == 4
        patch.setattr(page_file, "_CHUNK_NBYTES", 1)
        assert len(encode(7, 1 << 20)[1]) == 7


@pytest.mark.parametrize(
    ("most", "elements", "steps"),
    [
        (400_000, 256, 40),
        (41 * 100 + 80, 256, 40),
        (41 * 100 + 79, 64, 40),
        (41 * 64 + 80, 64, 40),
        (41 * 64 + 79, 16, 40),
        (41 * 16 + 79, 8, 40),
        (41 * 8 + 80, 8, 40),
        (41 * 8 + 79, 8, 39),
        (11 * 8 + 20, 8, 10),
        (1, 8, 1),
    ],
)
def test_a_page_has_as_many_elements_and_steps_as_fit(
    most: int, elements: int, steps: int, datasets_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_file, "_MOST_VALUES", most)
    rows = np.random.default_rng(0).standard_normal((41, 100))
    dataset = store(
        [make(1, 40, observations=rows)],
        observation_space=spaces.Box(-np.inf, np.inf, (100,), np.float64),
    )

    (episode,) = read_content(dataset_page(dataset))["episodes"].values()

    description = episode["description"]
    assert (description["length"], description["steps"]) == (steps, 40)
    columns = {column["path"]: column for column in description["columns"]}
    assert columns["observations"]["dims"] == min(elements, 100)
    assert columns["observations"]["rows"] == steps + 1
    assert columns["rewards"]["rows"] == steps
    texts = episode["texts"]["observations"]
    assert texts == [
        [str(value) for value in rows[: steps + 1, each]] for each in range(min(elements, 100))
    ]


def test_a_page_is_as_small_as_it_has_to_be(
    datasets_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.random.default_rng(0).standard_normal((401, 8))
    dataset = store(
        [make(1, 400, observations=rows)],
        observation_space=spaces.Box(-np.inf, np.inf, (8,), np.float64),
    )
    whole = read_content(dataset_page(dataset))["episodes"]["0"]["description"]
    assert whole["length"] == 400
    monkeypatch.setattr(page_file, "_MOST_CONTENT", 12_000)
    page = dataset_page(dataset)
    content = read_content(page)
    size = len(page.partition('id="content">')[2].partition("<")[0])
    assert 6_000 < size <= 12_000
    assert 1 < content["episodes"]["0"]["description"]["length"] < 400
    monkeypatch.setattr(page_file, "_MOST_CONTENT", 1)
    assert read_content(dataset_page(dataset))["episodes"]["0"]["description"]["length"] == 1


def test_a_page_says_what_was_checked_if_it_was(datasets_root: Path) -> None:
    dataset = create([30])
    answers = read_content(dataset_page(dataset, check=True))["answers"]
    assert answers["/checks"]["state"] == answers["/statistics"]["state"] == "done"
    assert answers["/dataset"]["location"] is None
    assert answers["/distributions"]["lengths"]["count"] == 1
    assert answers["/columns"]["episodes"] == 1
    page = dataset_page(dataset)
    content = read_content(page)
    assert content["answers"]["/checks"] == content["answers"]["/statistics"] == {"state": "idle"}
    assert content["list"]["progress"] == 1
    assert page.count("<style>") == page.count("</body>") == 1
    assert "<title>tests/shown-v0 – Minari</title>" in page
    assert '<script src="/page.js"' not in page
    assert len(read_block(page, "frames-0")) == 31 * 16 * 12 * 3
