"""The page in one file: which episodes it has, what it leaves out, and that data is no markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import minari
from minari import EpisodeBuffer
from minari.replay.replaying import find_replay
from minari.viewer import page_file
from minari.viewer.data import PageData
from minari_core.cache.entries import list_entries
from tests.helpers.command_line import in_process
from tests.minari.replay import toys
from tests.minari.viewer.test_data import create

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari.MinariWarning")
HOSTILE = "</script><img src=x onerror=alert(1)>"


def create_returns(returns: list[float]) -> minari.MinariDataset:
    buffers = [
        EpisodeBuffer(
            observations=[0, 0],
            actions=[1],
            rewards=[value],
            terminations=[True],
            truncations=[False],
        )
        for value in returns
    ]
    return minari.create_dataset_from_buffers(
        "tests/returns-v0",
        buffers,
        observation_space=spaces.Discrete(2),
        action_space=spaces.Discrete(2),
    )


def create_wide(folder: Path) -> minari.MinariDataset:
    """One episode that is much too large for a page."""
    steps = 6000
    rng = np.random.default_rng(0)
    buffer = EpisodeBuffer(
        observations=rng.standard_normal((steps + 1, 90)),
        actions=rng.standard_normal((steps, 3)),
        rewards=rng.standard_normal(steps),
        terminations=np.arange(steps) == steps - 1,
        truncations=np.zeros(steps, dtype=bool),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(folder / "datasets"))
        return minari.create_dataset_from_buffers(
            "tests/wide-v0",
            [buffer],
            observation_space=spaces.Box(-np.inf, np.inf, (90,), np.float64),
            action_space=spaces.Box(-np.inf, np.inf, (3,), np.float64),
        )


def read_block(page: str, name: str) -> bytes:
    found = re.search(f'<script type="text/plain" id="{name}">([^<]*)</script>', page)
    assert found is not None
    return zlib.decompress(base64.b64decode(found.group(1)))


def read_content(page: str) -> Any:
    return json.loads(read_block(page, "content"))


def test_the_best_the_median_and_the_worst_are_in_the_file_and_whatever_is_named(
    datasets_root: Path,
) -> None:
    dataset = create_returns([3.0, np.nan, -1.0, 5.0, 4.0, 0.0])

    assert list(read_content(minari.dataset_page(dataset))["episodes"]) == ["0", "2", "3"]
    named = read_content(minari.dataset_page(dataset, episodes=[4, 4, 0]))
    assert list(named["episodes"]) == ["0", "2", "3", "4"]
    assert [row["return"] for row in named["rows"]] == [3.0, -1.0, 5.0, 4.0]
    view = read_content(minari.dataset_page(dataset[[5, 4]], episodes=[4]))
    assert [row["id"] for row in view["rows"]] == [5, 4]
    with pytest.raises(minari.EpisodeIndexError, match="no episode 6"):
        minari.dataset_page(dataset, episodes=[6])
    with pytest.raises(minari.IncompatibleDatasetsError, match="no dataset"):
        minari.dataset_page("tests/returns-v0")  # type: ignore[arg-type]  # on purpose
    assert read_content(minari.dataset_page(dataset[[1]]))["rows"][0]["return"] == "nan"
    assert read_content(minari.dataset_page(dataset[:0]))["episodes"] == {}


@pytest.mark.parametrize("data_format", ["columnar", "arrow"])
def test_values_and_images_in_the_file_are_those_of_the_episodes(
    data_format: str, datasets_root: Path
) -> None:
    dataset = create([1, 40, 3], data_format)
    data = PageData(dataset)
    page = minari.dataset_page(dataset, episodes=range(3))
    content = read_content(page)

    for position, episode in enumerate(dataset):
        found = content["episodes"][str(position)]
        for step in (0, len(episode) - 1, len(episode)):
            shown = {
                path: [element[step] for element in elements]
                for path, elements in found["texts"].items()
                if step < len(elements[0])
            }
            assert shown == data.read_values(position, step)
        (camera,) = (each for each in found["description"]["columns"] if each["kind"] == "image")
        first = camera["first_chunk"]
        images = []
        for number in range(first, first + -(-camera["rows"] // 32)):
            block = np.frombuffer(read_block(page, f"frames-{number}"), dtype=np.uint8)
            images.append(np.cumsum(block.reshape(-1, 16, 12, 3), axis=0, dtype=np.uint8))
        assert np.array_equal(np.concatenate(images), episode.observations["camera"])


def test_of_too_many_images_every_kth_is_kept(
    datasets_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = create([100])
    monkeypatch.setattr(page_file, "_MOST_IMAGES", 40_000)

    page = minari.dataset_page(dataset)

    (camera,) = (
        each
        for each in read_content(page)["episodes"]["0"]["description"]["columns"]
        if each["kind"] == "image"
    )
    assert camera["rows"] == len(range(0, 101, camera["stride"]))
    block = np.frombuffer(read_block(page, "frames-0"), dtype=np.uint8).reshape(-1, 16, 12, 3)
    shown = np.cumsum(block, axis=0, dtype=np.uint8)
    stored = dataset[0].observations["camera"][:: camera["stride"]]
    assert np.array_equal(shown, stored[:32])
    assert 2 <= camera["stride"] <= 3


def test_a_file_is_small_whatever_the_dataset_is_and_says_what_it_lacks(tmp_path: Path) -> None:
    page = minari.dataset_page(create_wide(tmp_path))

    assert 400_000 < len(page.encode()) < 1_000_000
    description = read_content(page)["episodes"]["0"]["description"]
    assert description["length"] < description["steps"] == 6000
    columns = {column["path"]: column for column in description["columns"]}
    assert columns["observations"]["dims"] == 8
    assert columns["observations"]["rows"] == description["length"] + 1
    assert columns["rewards"]["rows"] == description["length"]


def test_the_file_runs_its_own_script_alone_and_has_no_address(datasets_root: Path) -> None:
    dataset = create([3])
    dataset.storage.update_metadata({"description": HOSTILE, "author": [HOSTILE]})

    page = minari.dataset_page(dataset)

    assert HOSTILE not in page
    assert ["description", HOSTILE] in read_content(page)["answers"]["/dataset"]["facts"]
    assert str(datasets_root) not in json.dumps(read_content(page))
    assert not re.findall(r'(?:src|href)="(?!data:,")', page)
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    for text, kind in ((scripts[0], "script"), (styles[0], "style")):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in page


def test_the_command_writes_the_file_or_names_what_is_wrong(
    datasets_root: Path, tmp_path: Path
) -> None:
    create_returns([1.0, 2.0, 3.0, 4.0])
    path = tmp_path / "page.html"

    done = in_process("minari", "page", "tests/returns-v0", "-o", str(path), "--episode", "3")
    assert done.code == 0
    assert [row["id"] for row in read_content(path.read_text("utf-8"))["rows"]] == [0, 1, 3]
    lost = tmp_path / "none" / "page.html"
    done = in_process("minari", "page", "tests/returns-v0", "-o", str(lost))
    assert done.code != 0
    assert "could not be written" in done.err
    done = in_process("minari", "page", "tests/returns-v0", "-o", str(path), "--episode", "9")
    assert done.code != 0
    assert "no episode 9" in done.err


def read_replay(page: str, position: int) -> tuple[Any, Any]:
    """What is said of a replay in the file, and its frames."""
    replay = read_content(page)["episodes"][str(position)]["description"]["replay"]
    block = np.frombuffer(read_block(page, f"frames-{replay['first_chunk']}"), dtype=np.uint8)
    return replay, np.cumsum(block.reshape(replay["shape"]), axis=0, dtype=np.uint8)


def test_replays_in_the_cache_are_in_the_file_and_others_if_they_are_asked_for(
    datasets_root: Path,
) -> None:
    with toys.register():
        dataset = toys.record()
        assert "replay" not in read_content(minari.dataset_page(dataset))["episodes"]["0"]
        assert list_entries() == []

        find_replay(dataset, dataset[1])
        page = minari.dataset_page(dataset[1:])
        replay, frames = read_replay(page, 0)
        assert replay["text"] == "every observation is exactly the recorded one"
        assert np.array_equal(frames, [toys.frame(step) for step in range(toys.STEPS + 1)])
        assert len(list_entries()) == 1

        noted: list[tuple[int, int]] = []
        page = minari.dataset_page(
            dataset,
            episodes=[0, 1],
            replay=True,
            progress=lambda done, total: noted.append((done, total)),
        )
        assert len(list_entries()) == 2
        assert {read_replay(page, position)[0]["state"] for position in (0, 1)} == {"done"}
        assert noted[-1] == (toys.STEPS + 1, 2 * (toys.STEPS + 1))


def test_the_file_has_no_frame_of_a_replay_that_went_elsewhere(
    datasets_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with toys.register():
        dataset = toys.record(fault="random")
        replay, frames = read_replay(minari.dataset_page(dataset, replay=True), 0)
        assert "at step 6 observations differs by 1" in replay["text"]
        assert np.array_equal(frames, [toys.frame(step) for step in range(toys.FAULTY_STEP + 1)])

        # Of every second frame the last one stands for no step after it.
        size = len(page_file._encode_chunk(lambda row: toys.frame(row).tobytes(), range(6)))
        monkeypatch.setattr(page_file, "_MOST_IMAGES", 2 * (size - 1))
        replay, _ = read_replay(minari.dataset_page(dataset), 0)
        assert (replay["stride"], replay["until"], replay["shape"][0]) == (2, 6, 3)


def test_nothing_is_replayed_that_is_not_trusted_or_has_no_seed(
    datasets_root: Path, tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    with toys.register():
        dataset = toys.record(seeds=(None, 3))
        with pytest.raises(minari.ReplayError, match="episode 0 was recorded without a seed"):
            minari.dataset_page(dataset, episodes=[0], replay=True)
        command = ("minari", "page", str(dataset.id), "-o", str(path), "--replay")
        assert in_process(*command).code != 0
        assert not path.exists()
    done = in_process(*command)
    assert done.code != 0
    assert "--trust-entry-point" in done.err
    assert list_entries() == []
