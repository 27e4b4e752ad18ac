"""Replays that the page asks for, by its requests alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import minari
from minari.replay.replaying import Trust
from minari.viewer.data import PageData
from minari.viewer.protocol import Protocol
from minari_core.cache.entries import list_entries
from minari_hub.command_line.wording import translate_advice
from tests.minari.replay.test_replaying import is_gone
from tests.minari.replay.toys import NAME, STEPS, frame, record, register
from tests.minari.viewer.test_protocol import PORT, get, get_json

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari.MinariWarning")


@pytest.fixture(autouse=True)
def _registered(datasets_root: Path) -> Iterator[None]:
    with register():
        yield


def wait(protocol: Protocol, position: int) -> Any:
    """What is said of a replay when it is no longer being made."""
    answer = get_json(protocol, f"/replay?position={position}")
    while answer["state"] == "running":
        time.sleep(0.05)
        answer = get_json(protocol, f"/replay?position={position}")
    return answer


def wait_for_file(path: Path) -> str:
    while not (path.exists() and path.read_text(encoding="utf-8")):
        time.sleep(0.05)
    return path.read_text(encoding="utf-8")


def test_a_replay_begins_when_it_is_asked_for_and_its_frames_are_a_column() -> None:
    protocol = Protocol(PageData(record()[1:]), PORT)
    assert get_json(protocol, "/replay?position=0") == {"state": "idle", "text": ""}
    assert get(protocol, "/frames?position=0&column=replay")[0] == 404

    assert get_json(protocol, "/replay?position=0&start=true")["state"] == "running"
    assert wait(protocol, 0) == {
        "state": "done",
        "text": "every observation is exactly the recorded one",
        "shape": [STEPS + 1, 24, 32, 3],
    }
    status, headers, body = get(protocol, "/frames?position=0&column=replay&start=10&count=9")
    assert (status, headers["X-Frames"]) == (200, "3")
    assert body == np.array([frame(step) for step in (10, 11, 12)]).tobytes()
    _, headers, body = get(protocol, "/frames?position=0&column=replay&start=99")
    assert (headers["X-Frames"], body) == ("0", b"")


def test_what_fails_is_told_and_may_be_tried_again() -> None:
    protocol = Protocol(PageData(record(fault="raise")), PORT)
    for _ in range(2):
        assert get_json(protocol, "/replay?position=1&start=true")["state"] == "running"
        answer = wait(protocol, 1)
        assert answer["state"] == "failed"
        assert "episode 1 raised RuntimeError in step 5: no physics today" in answer["text"]
    assert get_json(protocol, "/replay?position=0")["state"] == "idle"


def test_one_is_made_at_a_time_and_none_when_the_page_is_closed(tmp_path: Path) -> None:
    told = tmp_path / "told"
    data = PageData(record(fault="hang", told=str(told)), Trust(paths=True))
    protocol = Protocol(data, PORT)
    get_json(protocol, "/replay?position=0&start=true")
    first = int(wait_for_file(told))
    told.unlink()
    get_json(protocol, "/replay?position=1&cancel=true")
    assert get_json(protocol, "/replay?position=0")["state"] == "running"
    get_json(protocol, "/replay?position=1&start=true")
    assert get_json(protocol, "/replay?position=0")["state"] == "idle"
    assert is_gone(first)
    second = int(wait_for_file(told))
    assert get_json(protocol, "/replay?position=1&cancel=true")["state"] == "idle"
    assert is_gone(second)
    get_json(protocol, "/replay?position=1&start=true")
    data.replays.close()
    assert list_entries() == []


def test_why_there_is_no_replay_is_said_in_the_words_of_who_sees_it() -> None:
    dataset = record(seeds=(None, 3))
    assert (
        "without a seed"
        in get_json(Protocol(PageData(dataset), PORT), "/replay?position=0")["text"]
    )
    gym.registry.pop(NAME)
    for words, advice in (
        (str, "Pass trust_entry_point=True"),
        (translate_advice, "--trust-entry-point"),
    ):
        answer = get_json(Protocol(PageData(dataset, words=words), PORT), "/replay?position=1")
        assert answer["state"] == "impossible"
        assert advice in answer["text"]
    trusting = Protocol(PageData(dataset, Trust(entry_point=True)), PORT)
    assert get_json(trusting, "/replay?position=1")["state"] == "idle"
    assert minari.load_dataset(dataset.id).env_spec is not None


@pytest.mark.parametrize(
    "target", ["/replay?position=0&start=true", "/checks?start=true", "/statistics?start=true"]
)
def test_no_link_or_frame_of_another_page_begins_anything(target: str) -> None:
    protocol = Protocol(PageData(record()), PORT)
    foreign = {"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate"}
    assert get(protocol, target, **foreign)[0] == 403
    assert get_json(protocol, "/replay?position=0")["state"] == "idle"
    assert get_json(protocol, "/checks")["state"] == "idle"
    assert get_json(protocol, "/statistics")["state"] == "idle"
