"""Episodes as video files, read again by the libraries that show such files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from gymnasium import spaces

import minari
from minari import EpisodeBuffer
from minari.replay.replaying import find_replay
from minari_core.cache.entries import list_entries
from tests.helpers.command_line import CommandLine
from tests.minari.command_line.conftest import cli  # noqa: F401  # the fixture
from tests.minari.replay.test_replaying import is_gone
from tests.minari.replay.toys import FAULTY_STEP, NAME, STEPS, Toy, frame, record, register

image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari.MinariWarning")
Frames = npt.NDArray[np.uint8]
PROGRAM = """
from minari.command_line.app import main
main()
"""


@pytest.fixture(autouse=True)
def _registered(datasets_root: Path) -> Iterator[None]:
    with register():
        yield


def read_images(path: Path) -> tuple[Frames, list[int]]:
    """All frames of a file, and how many milliseconds each is shown."""
    frames, times = [], []
    with image.open(path) as opened:
        for number in range(opened.n_frames):
            opened.seek(number)
            frames.append(np.asarray(opened.convert("RGB")))
            times.append(int(opened.info["duration"]))
    return np.array(frames), times


def create(shape: tuple[int, ...] = (17, 22, 3), steps: int = 40) -> minari.MinariDataset:
    """A dataset of one episode without a seed or an environment, and two columns of images."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (2, steps + 1, *shape), dtype=np.uint8)
    buffer = EpisodeBuffer(
        observations={"back": images[0], "front": images[1]},
        actions=np.zeros(steps, dtype=np.int64),
        rewards=np.zeros(steps),
        terminations=np.arange(steps) == steps - 1,
        truncations=np.zeros(steps, dtype=bool),
    )
    return minari.create_dataset_from_buffers(
        "tests/images-v0",
        [buffer],
        observation_space=spaces.Dict(
            {name: spaces.Box(0, 255, shape, np.uint8) for name in ("back", "front")}
        ),
        action_space=spaces.Discrete(2),
    )


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_a_replay_becomes_a_webp_without_loss_at_the_rate_of_the_environment(
    tmp_path: Path,
) -> None:
    done = []
    video = minari.render_episode(
        record(), 1, tmp_path / "replay.webp", progress=lambda *each: done.append(each)
    )

    frames, times = read_images(video.path)
    assert np.array_equal(frames, [frame(step) for step in range(STEPS + 1)])
    assert times == [40] * (STEPS + 1)
    assert (video.frames, video.fps, video.source) == (STEPS + 1, 25, "replay")
    assert video.is_whole
    assert video.description == "every observation is exactly the recorded one"
    assert done[-1][0] <= done[-1][1] == 2 * (STEPS + 1)
    assert list_names(tmp_path) == ["replay.webp"]


@pytest.mark.parametrize("shape", [(17, 22, 3), (16, 16), (9, 8, 1), (8, 9, 4)])
def test_image_observations_are_their_own_frames(tmp_path: Path, shape: tuple[int, ...]) -> None:
    dataset = create(shape)
    video = minari.render_episode(dataset, 0, str(tmp_path / "images.webp"), fps=24)

    frames, times = read_images(tmp_path / "images.webp")
    wanted = dataset[0].observations["back"].reshape(41, *shape[:2], -1)[..., :3]
    assert np.array_equal(frames, np.broadcast_to(wanted, (41, *shape[:2], 3)))
    assert (sum(times), set(times)) == (round(41 * 1000 / 24), {41, 42})
    assert (video.source, video.description, video.is_whole) == ("observations/back", "", True)


def test_a_gif_has_the_frames_and_no_more_of_them_a_second_than_gif_can(tmp_path: Path) -> None:
    dataset = create(steps=5)
    front = "observations/front"
    video = minari.render_episode(dataset, 0, tmp_path / "a.gif", column=front, fps=30)

    frames, times = read_images(tmp_path / "a.gif")
    assert video.source == front
    assert frames.shape == (6, 17, 22, 3)
    # Of 374 pixels with as many colours, 256 are exact.
    exact = (frames == dataset[0].observations["front"]).all(axis=-1).mean()
    assert exact > 0.3
    assert (sum(times), set(times)) == (200, {30, 40})
    with pytest.raises(minari.RenderError, match="60 frames a second, of which GIF has at most 50"):
        minari.render_episode(dataset, 0, tmp_path / "b.gif", fps=60)
    assert list_names(tmp_path) == ["a.gif"]


@pytest.mark.parametrize("shape", [(17, 22, 3), (16, 15)])
def test_an_mp4_shows_the_frames_at_their_rate(tmp_path: Path, shape: tuple[int, ...]) -> None:
    av = pytest.importorskip("av")
    dataset = create(shape)
    # H.264 loses noise, and keeps what is smooth.
    steps = np.arange(41, dtype=np.uint8).reshape(41, *[1] * len(shape))
    smooth = np.broadcast_to(steps * 5, (41, *shape))
    episode = replace(dataset[0], observations={"back": smooth, "front": smooth})
    dataset.update_dataset_from_buffer([episode])
    minari.render_episode(dataset, 1, tmp_path / "a.mp4", fps=12.5)

    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        frames = np.array([each.to_ndarray(format="rgb24") for each in container.decode(stream)])
        assert float(stream.average_rate) == 12.5
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
    assert frames.shape == (41, shape[0] + shape[0] % 2, shape[1] + shape[1] % 2, 3)
    shown = frames[:, : shape[0], : shape[1]].astype(int)
    wanted = np.broadcast_to(smooth.reshape(41, *shape[:2], -1), shown.shape).astype(int)
    assert np.abs(shown - wanted).max() <= 3


def test_a_replay_that_goes_elsewhere_is_a_video_until_there(tmp_path: Path) -> None:
    dataset = record(fault="random")
    with pytest.warns(minari.MinariWarning, match=r"a\.webp ends before the episode: at step 6"):
        video = minari.render_episode(dataset, 0, tmp_path / "a.webp")
    frames, _ = read_images(tmp_path / "a.webp")
    assert np.array_equal(frames, [frame(step) for step in range(FAULTY_STEP + 1)])
    assert not video.is_whole

    changed = replace(dataset[0], observations=dataset[0].observations + 1)
    dataset.update_dataset_from_buffer([changed])
    with pytest.raises(minari.ReplayError, match="no frame of episode 2: at step 0 observations"):
        minari.render_episode(dataset, 2, tmp_path / "b.webp")
    assert list_names(tmp_path) == ["a.webp"]


@pytest.mark.parametrize(
    ("path", "arguments", "error", "sentence"),
    [
        ("a.avi", {}, minari.RenderError, r"suffix '\.avi'; .* ends with \.mp4, \.webp, \.gif"),
        ("a.webp", {"fps": 0}, minari.RenderError, "fps is 0"),
        ("a.webp", {"fps": float("nan")}, minari.RenderError, "fps is nan"),
        ("a.webp", {"column": "rewards"}, minari.RenderError, "it has observations/back, obs"),
        ("a.webp", {"column": "replay"}, minari.ReplayError, "without a seed"),
        ("none/a.webp", {}, minari.DatasetWriteError, r"a\.webp could not be written"),
        ("taken.webp", {}, minari.RenderError, "is there already; pass overwrite=True"),
    ],
)
def test_what_cannot_be_written_is_an_error_and_leaves_nothing(
    path: str, arguments: dict[str, Any], error: type[Exception], sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "taken.webp").write_bytes(b"mine")
    dataset = create()
    with pytest.raises(error, match=sentence):
        minari.render_episode(dataset, 0, tmp_path / path, **arguments)
    with pytest.raises(minari.EpisodeIndexError, match="7"):
        minari.render_episode(dataset, 7, tmp_path / "b.webp")
    assert list_names(tmp_path) == ["taken.webp"]
    assert (tmp_path / "taken.webp").read_bytes() == b"mine"
    minari.render_episode(dataset, 0, tmp_path / "taken.webp", overwrite=True)
    assert len(read_images(tmp_path / "taken.webp")[0]) == 41


@pytest.mark.parametrize(("suffix", "module"), [("mp4", "av"), ("webp", "PIL"), ("gif", "PIL")])
def test_a_library_that_is_missing_is_named_with_its_extra(
    suffix: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(minari.MissingDependencyError, match=r'pip install "minari\[video\]"'):
        minari.render_episode(create(), 0, tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("suffix", ["mp4", "webp", "gif"])
def test_a_replay_that_cannot_be_read_says_so_and_leaves_nothing(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if suffix == "mp4":
        pytest.importorskip("av")
    dataset = record()
    monkeypatch.setattr("minari.rendering.rendering._FRAMES_AT_ONCE", 8)
    kept = find_replay(dataset, dataset[0])
    frames = Path(list_entries()[0].path) / "contents" / "frames"
    content = bytearray(frames.read_bytes())
    del kept
    content[-3] ^= 0xFF
    frames.write_bytes(content)
    with pytest.raises(minari.DatasetDamagedError, match="frames: chunk 1"):
        minari.render_episode(dataset, 0, tmp_path / f"a.{suffix}")
    assert list_names(tmp_path) == []


def test_the_command_writes_a_video_and_asks_before_it_replaces_one(
    cli: CommandLine,  # noqa: F811  # the fixture
    tmp_path: Path,
) -> None:
    record()
    path = tmp_path / "a.webp"
    done = cli("render", "tests/toy-v0", "1", "-o", str(path), "--fps", "10")
    assert done.code == 0
    assert "13 frames of replay, 10 a second; every observation is exactly" in done.err
    assert read_images(path)[1] == [100] * 13
    before = path.read_bytes()

    refused = cli("render", "tests/toy-v0", "1", "-o", str(path))
    assert (refused.code, "give --yes" in refused.err) == (2, True)
    assert path.read_bytes() == before
    again = cli("render", "tests/toy-v0", "1", "-o", str(path), "--yes", "--json")
    assert again.code == 0
    assert (again.json["frames"], again.json["fps"], again.json["is_whole"]) == (13, 25, True)
    assert read_images(path)[1] == [40] * 13


def test_the_command_says_what_is_wrong_in_its_own_words(
    cli: CommandLine,  # noqa: F811  # the fixture
    tmp_path: Path,
) -> None:
    import gymnasium as gym

    record(fault="random")
    path = str(tmp_path / "a.webp")
    unfaithful = cli("render", "tests/toy-v0", "0", "-o", path)
    assert unfaithful.code == 1
    assert "ends before the episode: at step 6 observations differs by 1" in unfaithful.err
    assert cli("render", "not/there-v0", "0", "-o", path).code == 3
    assert cli("render", "tests/toy-v0", "9", "-o", path, "--yes").code == 1
    assert "suffix" in cli("render", "tests/toy-v0", "0", "-o", f"{path}.txt").err
    del gym.registry[NAME]
    refused = cli("render", "tests/toy-v0", "1", "-o", str(tmp_path / "b.webp"))
    assert (refused.code, "Pass --trust-entry-point" in refused.err) == (1, True)
    trusted = cli(
        "render", "tests/toy-v0", "1", "-o", str(tmp_path / "b.webp"), "--trust-entry-point"
    )
    assert (trusted.code, list_names(tmp_path)) == (1, ["a.webp", "b.webp"])


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_ctrl_c_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    told = tmp_path / "told"
    record(fault="hang", told=str(told))
    command = ["render", "tests/toy-v0", "0", "-o", str(tmp_path / "a.webp")]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *command, "--trust-entry-point", "--trust-paths"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    while not (told.exists() and told.read_text(encoding="utf-8")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "Traceback" not in said
    assert is_gone(int(told.read_text(encoding="utf-8")))
    assert list_names(tmp_path) == ["told"]
    assert list_entries() == []


class Filmed(Toy):
    """An environment that says a rate of its own."""

    metadata: dict[str, Any] = {**Toy.metadata, "render_fps": 12.5}  # noqa: RUF012  # as Gymnasium has it


@pytest.mark.parametrize(
    ("entry_point", "fps", "rate"),
    [
        (f"{__name__}:Filmed", 12.5, 12.5),
        (Filmed, 12.5, 12.5),
        (Filmed, 1000, 1000.0),
        (Filmed, 1001, 30.0),
        (Filmed, 0, 30.0),
        (Filmed, "fast", 30.0),
        ("nowhere:Nothing", None, 30.0),
        (None, None, 30.0),
    ],
)
def test_recorded_images_have_the_rate_of_an_environment_that_is_registered(
    entry_point: Any, fps: Any, rate: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gymnasium as gym

    monkeypatch.setitem(Filmed.metadata, "render_fps", fps)
    gym.registry.pop("Filmed-v0", None)
    creator: Any = entry_point or Filmed
    gym.register("Filmed-v0", entry_point=creator)
    spec = gym.spec("Filmed-v0")
    if entry_point is None:
        del gym.registry["Filmed-v0"]
    images = create(steps=1)
    dataset = minari.create_dataset_from_buffers(
        "tests/filmed-v0",
        [images[0]],
        env=replace(spec, entry_point="farm:Filmed"),
        observation_space=images.observation_space,
        action_space=images.action_space,
    )
    noted: list[tuple[int, int]] = []

    video = minari.render_episode(
        dataset, 0, tmp_path / "a.webp", progress=lambda *each: noted.append(each)
    )

    assert video.fps == rate
    assert set(noted) == {(2, 4), (3, 4)}
    gym.registry.pop("Filmed-v0", None)


def test_an_episode_of_one_image_is_a_picture_that_stands_still(tmp_path: Path) -> None:
    dataset = create(steps=1)
    first = {name: rows[:1] for name, rows in dataset[0].observations.items()}
    still = replace(dataset[0], observations=first, metadata={"final_observation_known": False})
    dataset.update_dataset_from_buffer([still])

    for suffix in ("webp", "gif"):
        video = minari.render_episode(dataset, 1, tmp_path / f"a.{suffix}")
        assert (video.frames, video.fps) == (1, 30)
        with image.open(tmp_path / f"a.{suffix}") as opened:
            assert getattr(opened, "n_frames", 1) == 1
            assert opened.size == (22, 17)


def test_a_gif_has_at_most_so_many_pixels_and_frames_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from minari.rendering import writing

    dataset = create(steps=5)
    monkeypatch.setattr(writing, "_MOST_GIF_PIXELS", 6 * 17 * 22)
    minari.render_episode(dataset, 0, tmp_path / "a.gif", fps=50)
    assert read_images(tmp_path / "a.gif")[1] == [20] * 6
    monkeypatch.setattr(writing, "_MOST_GIF_PIXELS", 6 * 17 * 22 - 1)
    with pytest.raises(minari.RenderError, match=r"would have 2,244 pixels.* 2,243 are the most"):
        minari.render_episode(dataset, 0, tmp_path / "b.gif")
    with pytest.raises(minari.RenderError, match=r"fps is 1000\.5; it must be .* at most 1000"):
        minari.render_episode(dataset, 0, tmp_path / "b.webp", fps=1000.5)
    assert minari.render_episode(dataset, 0, tmp_path / "b.webp", fps=1000).fps == 1000
    with pytest.raises(minari.IncompatibleDatasetsError, match="no dataset"):
        minari.render_episode("tests/images-v0", 0, tmp_path / "c.webp")  # type: ignore[arg-type]  # on purpose


def test_a_file_that_appears_meanwhile_stays(tmp_path: Path) -> None:
    from minari.rendering.writing import Video, write_video

    path = tmp_path / "a.webp"

    def write(video: Video, file: Any) -> None:
        path.write_bytes(b"mine")
        file.write(b"video")

    video = Video(lambda number: np.zeros((8, 8, 3), np.uint8), 3, 7.0)
    assert video.list_times(1000) == [143, 143, 143]
    assert sum(Video(video.read, 700, 7.0).list_times(1000)) == 100_000
    with pytest.raises(minari.RenderError, match="is there already"):
        write_video(path, video, write, overwrite=False)
    assert (path.read_bytes(), list_names(tmp_path)) == (b"mine", ["a.webp"])
    write_video(path, video, write, overwrite=True)
    assert (path.read_bytes(), list_names(tmp_path)) == (b"video", ["a.webp"])
