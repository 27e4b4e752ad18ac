"""Tables and questions of commands to the last word, and pictures of episodes at their bounds."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minari
import minari_collect
from minari.command_line import preview
from minari.command_line.cache import _describe_state, _show, _to_json
from minari.command_line.preview import draw_preview
from minari_collect import RecoverableRecording
from minari_core.cache.entry import CacheEntry
from minari_core.cache.settings import cache_root
from tests.helpers.command_line import CommandLine, collect
from tests.minari.replay import toys

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


def entry(number: int, **fields: Any) -> CacheEntry:
    plain: dict[str, Any] = {
        "id": f"columns/{number}",
        "kind": "columns",
        "what": f"cart/{number}-v0",
        "path": "/nowhere",
        "nbytes": 1_500_000 * number,
        "made": 0.0,
        "used": time.time() - 7200 * number,
        "is_pinned": False,
        "is_in_use": False,
    }
    return CacheEntry(**{**plain, **fields})


def test_what_is_kept_is_listed_line_by_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("MINARI_CACHE_SIZE", "2GB")
    entries = [
        entry(1, is_pinned=True, is_in_use=True),
        entry(2, is_in_use=True),
        entry(0, used=time.time() + 3600),
    ]

    _show(entries, as_json=False)

    captured = capsys.readouterr()
    assert [line.rstrip() for line in captured.out.splitlines()] == [
        "Item       Of              Used    Size  State",
        "─" * len("Item       Of              Used    Size  pinned, in use"),
        "columns/1  cart/1-v0    2 hours  1.5 MB  pinned, in use",
        "columns/2  cart/2-v0    4 hours  3.0 MB  in use",
        "columns/0  cart/0-v0  0 seconds     0 B",
    ]
    assert captured.err == f"3 items, 4.5 MB of 2.0 GB, in {cache_root()}\n"
    assert [_describe_state(each) for each in entries] == ["pinned, in use", "in use", ""]
    said = _to_json(entries[1])
    assert 14400 <= float(str(said["age_seconds"])) < 14500
    assert _to_json(entries[2])["age_seconds"] == 0
    assert (said["id"], said["is_in_use"], said["is_pinned"]) == ("columns/2", True, False)


def test_what_is_removed_from_the_cache_is_asked_for_by_number_and_size(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [entry(1), entry(2), entry(3, is_pinned=True), entry(4, is_in_use=True)]
    removed: list[str] = []

    def remove(each: CacheEntry) -> None:
        if each.id == "columns/2":
            raise minari.CacheError("columns/2 is in use")
        removed.append(each.id)

    monkeypatch.setattr("minari_core.cache.entries.list_entries", lambda: entries)
    monkeypatch.setattr("minari_core.cache.entries.remove_entry", remove)
    asked = cli("cache", "clear")
    assert asked.code == 2
    assert "Remove 2 items (4.5 MB)? [y/N]" in asked.err
    assert "columns/2" in asked.out
    assert removed == []
    done = cli("cache", "clear", "--yes", "--json")
    assert done.code == 1
    assert removed == ["columns/1"]
    assert [each["id"] for each in done.json] == ["columns/1"]
    assert "columns/2 is in use" in done.err
    assert "1 item removed" in done.err
    assert "Item" not in done.out


def test_a_recording_is_dropped_or_made_a_dataset_as_is_said(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = RecoverableRecording("collect-1", "2024-05-06", "CartPole-v1", 4, 12_345, 10_419)
    monkeypatch.setattr(minari_collect, "list_recoverable", lambda: [recording])
    dropped: list[str] = []
    monkeypatch.setattr(minari_collect, "discard", dropped.append)
    made = collect("cart/a-v0", episodes=2)
    given: dict[str, Any] = {}

    def recover(name: str, dataset_id: str, **said: Any) -> Any:
        given.update(said, name=name, dataset_id=dataset_id)
        return made

    monkeypatch.setattr(minari_collect, "recover", recover)

    listed = cli("recover", width=100)
    assert listed.err == "minari recover RECORDING --name ID makes a dataset of one\n"
    assert cli("recover", "--json").json == [
        {
            "id": "collect-1",
            "started": "2024-05-06",
            "env_id": "CartPole-v1",
            "total_episodes": 4,
            "total_steps": 12_345,
            "nbytes": 10_419,
        }
    ]
    assert cli("recover", "--discard").code == 2
    assert cli("recover", "collect-1", "--name", "x-v0", "--discard").code == 2
    asked = cli("recover", "collect-1", "--discard")
    assert asked.code == 2
    assert "Drop the recording collect-1 (4 episodes, 12,345 steps)? [y/N]" in asked.err
    assert dropped == []
    assert cli("recover", "collect-1", "--discard", "--yes").err == "collect-1 is dropped\n"
    assert cli("recover", "other", "--discard").err == "other is dropped\n"
    assert dropped == ["collect-1", "other"]
    done = cli("recover", "collect-1", "--name", "x-v0")
    assert (done.out, done.err) == ("", f"cart/a-v0 has 2 episodes, {made.total_steps} steps\n")
    plain = dict.fromkeys(
        ("algorithm_name", "author", "author_email", "code_permalink", "description")
    )
    assert given == {**plain, "name": "collect-1", "dataset_id": "x-v0"}
    options = (
        *("--algorithm-name", "a", "--author", "b", "--author-email", "c"),
        *("--code-permalink", "d", "--description", "e"),
    )
    assert cli("recover", "collect-1", "--name", "x-v0", *options).code == 0
    assert given == {
        "algorithm_name": "a",
        "author": ["b"],
        "author_email": ["c"],
        "code_permalink": "d",
        "description": "e",
        "name": "collect-1",
        "dataset_id": "x-v0",
    }


def film(dataset_id: str, images: Any) -> None:
    count = len(images)
    minari.create_dataset_from_arrays(
        dataset_id,
        observations={"state": np.zeros((count, 2)), "camera": images},
        actions=np.zeros(count, np.int64),
        rewards=np.zeros(count),
        terminals=np.zeros(count, bool),
    )


@pytest.mark.parametrize(("count", "frames", "duration"), [(90, 90, 33), (91, 46, 67), (2, 2, 33)])
def test_of_many_images_so_many_are_shown_as_long_as_all(
    count: int, frames: int, duration: int, tmp_path: Path
) -> None:
    images = np.zeros((count, 10, 12, 3), np.uint8)
    images[:, 3:7] = (np.arange(count) * 67 % 256).astype(np.uint8)[:, None, None, None]
    film("film/a-v0", images)

    file = draw_preview("film/a-v0", tmp_path)

    assert file == tmp_path / "preview.webp"
    with Image.open(file) as picture:
        assert getattr(picture, "n_frames", 1) == frames
        picture.seek(1)
        picture.load()
        assert picture.info["duration"] == duration
        assert picture.info["loop"] == 0


@pytest.mark.parametrize(
    ("shape", "size"), [((320, 320), (320, 320)), ((330, 660), (320, 160)), ((64, 40), (40, 64))]
)
def test_a_picture_is_no_larger_than_so_many_pixels(
    shape: tuple[int, int], size: tuple[int, int], tmp_path: Path
) -> None:
    images = np.random.default_rng(0).integers(0, 255, (2, *shape), np.uint8)
    film("film/a-v0", images)
    file = draw_preview("film/a-v0", tmp_path)
    assert file is not None
    with Image.open(file) as picture:
        assert picture.size == size


def test_without_images_or_pillow_there_is_no_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect("cart/a-v0", episodes=1)
    assert draw_preview("cart/a-v0", tmp_path) is None
    film("film/a-v0", np.zeros((3, 10, 12, 3), np.uint8))
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert draw_preview("film/a-v0", tmp_path) is None
    assert os.listdir(tmp_path) == [name for name in os.listdir(tmp_path) if name != "preview.webp"]


@pytest.mark.parametrize("fps", [None, 12.5])
def test_a_replay_is_looked_for_in_the_first_episodes(
    fps: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with toys.register():
        dataset = toys.record(seeds=(1, 2, 3))
        asked: list[int] = []

        class Found:
            class outcome:  # noqa: N801  # as a replay has it
                pass

            def __len__(self) -> int:
                return 3

            def read(self, start: int, stop: int) -> Any:
                assert stop == start + 1
                return np.full((1, 8, 8, 3), 40 * start, np.uint8)

        found = Found()
        found.outcome.fps = fps  # type: ignore[attr-defined]  # as a replay has it

        def find(_: Any, episode: Any) -> Any:
            asked.append(episode.id)
            return {0: None, 1: []}.get(episode.id, found)

        monkeypatch.setattr("minari.replay.replaying.find_cached_replay", find)
        frames = preview._find_frames(dataset)
        assert frames is not None
        count, read, rate = frames
        assert (count, rate, asked) == (3, fps or 30.0, [0, 1, 2])
        assert [int(read(number)[0, 0, 0]) for number in range(3)] == [0, 40, 80]
        monkeypatch.setattr(preview, "_MOST_EPISODES", 2)
        assert preview._find_frames(dataset) is None
