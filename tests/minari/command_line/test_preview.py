"""`minari upload` shows an episode on the page of a dataset, where there is a picture of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import gymnasium
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import minari
from minari.command_line.preview import draw_preview
from minari.replay.replaying import find_cached_replay, find_replay
from tests.helpers.command_line import CommandLine
from tests.hub.helpers.hugging_face_server import HuggingFaceServer

# Read when huggingface_hub is imported, which happens after this.
os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HuggingFaceServer]:
    with HuggingFaceServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def make_film(dataset_id: str, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    images = np.zeros((200, *shape), np.uint8)
    # Frames that are alike would be joined by the encoder.
    greys = np.where(np.arange(200) // 3 % 2, 60, 190) + np.arange(200) // 4
    images += greys.astype(np.uint8).reshape(200, *(1 for _ in shape))
    minari.create_dataset_from_arrays(
        dataset_id,
        observations={"camera": images, "state": np.zeros((200, 2))},
        actions=np.zeros(200, np.int64),
        rewards=np.zeros(200),
        terminals=np.zeros(200, bool),
    )
    return images


@pytest.mark.parametrize("shape", [(24, 32, 3), (24, 32, 1), (24, 32), (24, 32, 4)])
@pytest.mark.filterwarnings("ignore::minari.MinariWarning")
def test_a_picture_moves_through_the_images_of_an_episode(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    images = make_film("film/a-v0", shape)

    file = draw_preview("film/a-v0", tmp_path)

    assert file is not None
    with Image.open(file) as picture:
        assert (picture.n_frames, picture.size) == (67, (32, 24))  # type: ignore[attr-defined]  # of a WebP
        picture.seek(66)
        last = np.asarray(picture.convert("RGB")).mean()
    assert abs(last - images[198].mean()) < 4


def record(steps: int) -> minari.MinariDataset:
    env = minari.DataCollectorV0(gymnasium.make("CartPole-v1"))
    env.action_space.seed(0)
    env.reset(seed=3)
    for _ in range(steps):
        env.step(env.action_space.sample())
    return minari.create_dataset_from_collector_env("cart/a-v0", env)


@pytest.mark.filterwarnings("ignore::minari.MinariWarning")
def test_a_replay_is_drawn_if_it_is_in_the_cache_and_never_made(tmp_path: Path) -> None:
    pytest.importorskip("pygame")
    dataset = record(5)

    assert draw_preview("cart/a-v0", tmp_path) is None
    assert find_cached_replay(dataset, dataset[0]) is None
    assert not (tmp_path / "preview.webp").exists()

    replay = find_replay(dataset, dataset[0])
    file = draw_preview("cart/a-v0", tmp_path)

    assert len(replay) == 6
    assert file is not None
    with Image.open(file) as picture:
        assert 1 < picture.n_frames <= 6  # type: ignore[attr-defined]  # of a WebP
        assert max(picture.size) == 320


@pytest.mark.filterwarnings("ignore::minari.MinariWarning")
def test_an_upload_gives_the_page_its_picture(server: HuggingFaceServer, cli: CommandLine) -> None:
    make_film("film/a-v0", (24, 32, 3))
    minari.create_dataset_from_arrays(
        "film/b-v0",
        observations=np.zeros((3, 2)),
        actions=np.zeros(3, np.int64),
        rewards=np.zeros(3),
        terminals=np.zeros(3, bool),
    )

    done = cli("upload", "film/a-v0", "film/b-v0", "--remote", "hf://farama")

    assert done.code == 0, done.err
    files = server.repositories["farama/film"].files
    with Image.open(BytesIO(files["a-v0/preview.webp"])) as picture:
        assert picture.format == "WEBP"
    page = files["README.md"].decode()
    assert page.count("(<a-v0/preview.webp>)") == 1
    assert "b-v0/preview" not in page + "".join(files)
