"""What the process of a replay does, in this process; and how what it says becomes an error."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

import minari
from minari.replay import frames as frames_module
from minari.replay import process, replaying, worker
from minari.replay.frames import Outcome, Replay, write_frames, write_outcome
from minari.replay.replaying import Trust, find_cached_replay, find_replay
from minari.replay.stepping import Difference, compare, replay_rows
from minari.replay.worker import Job, Progress, describe_failure, run_job
from minari_core import EpisodeData
from minari_core.errors import CacheError, DatasetDamagedError, ReplayError
from tests.minari.replay import toys
from tests.minari.replay.toys import FAULTY_STEP, STEPS, Toy, frame, record, register

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari.MinariWarning"),
    # Gymnasium says it, too.
    pytest.mark.filterwarnings("ignore:.*(RGB-array|render_modes|render_fps):UserWarning"),
]


@pytest.fixture(autouse=True)
def _registered(datasets_root: Path) -> Iterator[None]:
    with register():
        yield


def choose(entry_point: Any, **arguments: Any) -> EnvSpec:
    return replace(gym.spec(toys.NAME), entry_point=entry_point, kwargs=arguments)


def make_job(folder: Path, episode: EpisodeData, **arguments: Any) -> Job:
    spec = replace(gym.spec(toys.NAME), kwargs=arguments)
    return Job(spec, episode, folder, 1 << 20, "all that is here")


def test_a_job_reports_every_frame_and_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[dict[str, object]] = []
    closed: list[bool] = []
    monkeypatch.setattr(Toy, "close", lambda self: closed.append(True))
    progress = Progress()
    assert (progress.doing, progress.has_begun) == ("when it was made", False)

    run_job(make_job(tmp_path, record()[0]), said.append, progress)

    rows = [{"row": row, "rows": STEPS + 1} for row in range(STEPS + 1)]
    assert said == [*rows, {"done": True}]
    assert closed[-1:] == [True]
    assert (progress.doing, progress.has_begun) == (f"in step {STEPS}", True)
    replay = Replay(tmp_path, "another text")
    assert replay.outcome == Outcome(rows=STEPS + 1, fps=25.0)
    assert np.array_equal(replay.read(0, 99), [frame(step) for step in range(STEPS + 1)])


def test_an_unfaithful_job_ends_with_what_differs_and_is_made_anew_elsewhere(
    tmp_path: Path,
) -> None:
    run_job(make_job(tmp_path, record()[0], fault="random"), lambda said: None, Progress())

    with pytest.raises(DatasetDamagedError, match="was made when other packages were installed"):
        Replay(tmp_path, "another text")
    replay = Replay(tmp_path, "all that is here")
    assert len(replay) == FAULTY_STEP + 1
    assert replay.outcome.difference is not None
    assert replay.outcome.difference.row == FAULTY_STEP + 1
    assert replay.outcome.rounding is None


def test_rounding_is_kept_from_its_first_row_with_the_largest_of_all(tmp_path: Path) -> None:
    run_job(make_job(tmp_path, record()[0], fault="rounding"), lambda said: None, Progress())

    replay = Replay(tmp_path, "")
    episode = minari.load_dataset("tests/toy-v0")[0]
    toy = Toy("rgb_array", fault="rounding")
    apart = [difference.amount or 0.0 for _, difference in replay_rows(episode, toy) if difference]
    assert replay.outcome.rounding is not None
    assert (replay.outcome.rounding.row, replay.outcome.rounding.amount) == (
        FAULTY_STEP + 1,
        max(apart),
    )
    known, found = Difference(3, "x", 0.5, True), Difference(4, "y", 0.25, True)
    assert worker._join_rounding(known, found) == known
    assert worker._join_rounding(found, known) == replace(found, amount=0.5)
    assert worker._join_rounding(None, found) == found
    assert worker._join_rounding(known, None) == known
    assert worker._join_rounding(None, None) is None


class Broken(Toy):
    """Raises, or renders what is no frame."""

    metadata: dict[str, Any] = {}  # noqa: RUF012  # as Gymnasium has it

    def __init__(self, render_mode: str | None = None, where: str = "") -> None:
        super().__init__(render_mode)
        self._where = where

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if self._where == "reset":
            raise RuntimeError("no reset")
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        if self._where == "step" and self._step == 2:
            raise RuntimeError("no step")
        return super().step(action)

    def render(self) -> Any:
        if self._where == "render":
            raise RuntimeError("no picture")
        found = {
            "none": None,
            "flat": np.zeros((8, 8), np.uint8),
            "two": np.zeros((8, 8, 2), np.uint8),
            "floats": np.zeros((8, 8, 3)),
            "grey": np.zeros((8, 8, 1), np.uint8),
            "alpha": np.zeros((8, 8, 4), np.uint8),
        }
        return found.get(self._where, np.zeros((8, 8, 3), np.uint8))


@pytest.mark.parametrize(
    ("where", "doing", "has_begun", "message"),
    [
        ("reset", "in its reset", False, "no reset"),
        ("render", "when step 0 was rendered", False, "no picture"),
        ("step", "in step 2", True, "no step"),
        (
            "none",
            "when step 0 was rendered",
            False,
            "no frames as rgb_array; its render modes: none",
        ),
        ("flat", "when step 0 was rendered", False, "no frames as rgb_array"),
        ("two", "when step 0 was rendered", False, "no frames as rgb_array"),
        ("floats", "when step 0 was rendered", False, "frames of float64, and not of uint8"),
    ],
)
def test_a_failure_says_what_was_done(
    where: str, doing: str, has_begun: bool, message: str, tmp_path: Path
) -> None:
    progress, episode = Progress(), record()[0]
    spec = choose(Broken, where=where)
    job = Job(spec, episode, tmp_path, 1 << 20, "")

    with pytest.raises((RuntimeError, ReplayError), match=message) as caught:
        run_job(job, lambda said: None, progress)

    assert (progress.doing, progress.has_begun) == (doing, has_begun)
    is_ours = isinstance(caught.value, ReplayError)
    assert describe_failure(caught.value, progress) == {
        "error": type(caught.value).__name__,
        "message": str(caught.value),
        "is_ours": is_ours,
        "is_opengl": False,
        "doing": doing,
    }


@pytest.mark.parametrize(("where", "channels"), [("grey", 1), ("alpha", 4), ("", 3)])
def test_frames_have_one_three_or_four_channels(where: str, channels: int, tmp_path: Path) -> None:
    spec = choose(Broken, where=where)
    run_job(Job(spec, record()[0], tmp_path, 1 << 20, ""), lambda said: None, Progress())
    replay = Replay(tmp_path, "")
    assert replay.shape == (STEPS + 1, 8, 8, channels)
    assert replay.outcome.fps is None


@pytest.mark.parametrize(
    ("fps", "found"),
    [(30, 30.0), (0.5, 0.5), (0, None), (-1, None), (999_999, 999_999.0), (1e6, None), ("9", None)],
)
def test_a_rate_is_a_number_that_can_be_one(
    fps: Any, found: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Toy, "metadata", {"render_fps": fps})
    assert worker._find_fps(Toy()) == found


def raise_in(module: str, error: BaseException) -> None:
    """Raise an error in code of a module."""
    space: dict[str, Any] = {"__name__": module, "error": error}
    exec("def fail():\n    raise error", space)
    space["fail"]()


@pytest.mark.parametrize(
    ("module", "is_opengl"),
    [("mujoco.egl", True), ("OpenGL.raw.GL", True), ("mujoco", False), ("farm", False)],
)
def test_what_mujoco_renders_with_is_told_by_the_modules_of_an_error(
    module: str, is_opengl: bool
) -> None:
    def fail(how: str) -> None:
        try:
            raise_in(module, ValueError("no display"))
        except ValueError as error:
            if how == "cause":
                raise RuntimeError("cannot render") from error
            if how == "context":
                int("x")
            raise

    for how in ("itself", "cause", "context"):
        with pytest.raises((ValueError, RuntimeError)) as caught:
            fail(how)
        progress = Progress()
        assert describe_failure(caught.value, progress)["is_opengl"] is is_opengl
        progress.has_begun = True
        assert describe_failure(caught.value, progress)["is_opengl"] is False


def test_a_job_is_as_long_as_is_said_before_it() -> None:
    stream = io.BytesIO((300).to_bytes(8, "little") + b"x" * 300 + b"more")
    assert worker._read_job(stream) == b"x" * 300


def test_frames_take_as_many_bytes_as_they_may(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 255, (5, 40, 50, 3), np.uint8)
    shape, sizes = write_frames(tmp_path, iter(rows), 1 << 30)
    assert shape == rows.shape
    assert sum(sizes) == (tmp_path / "frames").stat().st_size
    assert write_frames(tmp_path, iter(rows), sum(sizes)) == (shape, sizes)
    with pytest.raises(CacheError, match=f"take more than {sum(sizes) - 1} bytes"):
        write_frames(tmp_path, iter(rows), sum(sizes) - 1)
    write_outcome(tmp_path, shape, sizes, Outcome(5, None), "")
    with pytest.raises(DatasetDamagedError):
        Replay(tmp_path, "").read(0, 5)

    shape, sizes = write_frames(tmp_path, iter(()), 0)
    assert (shape, sizes) == ((0, 0, 0, 0), [])


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"shape": [1], "sizes": "x"}'])
def test_a_folder_without_a_description_is_damage(content: str, tmp_path: Path) -> None:
    (tmp_path / frames_module._DESCRIPTION).write_text(content)
    with pytest.raises(DatasetDamagedError, match="has no frames that can be read"):
        Replay(tmp_path, "")


def test_how_faithful_a_replay_is_is_said_in_one_sentence(tmp_path: Path) -> None:
    rounding = Difference(3, "x differs", 0.012345, True)
    difference = Difference(7, "x differs by 1", 1.0)
    shape, sizes = write_frames(tmp_path, iter(np.zeros((2, 8, 8, 3), np.uint8)), 1 << 20)
    for outcome, said in (
        (Outcome(9, 1.0), "every observation is exactly the recorded one"),
        (
            Outcome(9, 1.0, difference, rounding),
            "from step 3 on observations differ by rounding, at most by 0.0123; at step 7 x "
            "differs by 1: from there on the replay is not what was recorded, and it ends",
        ),
    ):
        write_outcome(tmp_path, shape, sizes, outcome, "here")
        replay = Replay(tmp_path, "here")
        assert (replay.outcome, replay.describe()) == (outcome, said)


def test_messages_of_the_process_become_errors_of_their_kind() -> None:
    def make(**fields: Any) -> Exception:
        plain = {"error": "KeyError", "message": "x" * 400, "is_opengl": False, "is_ours": False}
        return process._make_error({**plain, "doing": "in step 3", **fields}, "it")

    plain = make()
    assert (type(plain), str(plain)) == (ReplayError, f"it raised KeyError in step 3: {'x' * 300}")
    ours = make(is_ours=True, error="CacheError", message="full")
    assert (type(ours), str(ours)) == (CacheError, "it: full")
    other = make(is_ours=True, error="DatasetDamagedError", message="odd")
    assert (type(other), str(other)) == (ReplayError, "it: odd")
    unseen = make(is_opengl=True, message="no display")
    assert (type(unseen), str(unseen)) == (process._OpenGLError, "KeyError: no display")
    for said, end in (
        (b"", ""),
        (b" a\n b ", ", and said last: a b"),
        (b"x" * 999, f"{'x' * 300}"),
    ):
        with tempfile.TemporaryFile() as file:
            file.write(said)
            assert process._read_end(file).removeprefix(", and said last: ") == end.removeprefix(
                ", and said last: "
            )


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere MuJoCo needs no choice")
@pytest.mark.parametrize(
    ("chosen", "tried"),
    [("", ["egl", "osmesa"]), ("glfw", ["glfw"])],
)
def test_what_mujoco_renders_with_is_chosen_or_tried(
    chosen: str, tried: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUJOCO_GL", chosen)
    job = make_job(tmp_path, record()[0])
    asked: list[dict[str, str]] = []
    works: set[str] = set()

    def run(job: Job, progress: Any, cancelled: Any, variables: dict[str, str]) -> None:
        asked.append(variables)
        if variables["MUJOCO_GL"] not in works:
            raise process._OpenGLError("no display")

    monkeypatch.setattr(process, "_run", run)

    def start() -> None:
        process.run_job(job, lambda done, total: None, threading.Event())

    with pytest.raises(ReplayError, match=r"MuJoCo cannot render here \(") as caught:
        start()
    assert [each["MUJOCO_GL"] for each in asked] == tried
    assert f"({'; '.join(f'{each}: no display' for each in tried)})" in str(caught.value)
    asked.clear()
    works.add(tried[0])
    start()
    assert [each["MUJOCO_GL"] for each in asked] == tried[:1]


def test_a_replay_is_kept_by_what_decides_about_it(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = record()
    episode = dataset[0]
    spec = gym.spec(toys.NAME)
    key = replaying._make_key(spec, episode)
    assert len(key) == 32
    assert replaying._make_key(spec, replace(episode, rewards=episode.rewards + 1)) == key
    # A class is its name.
    assert replaying._make_key(choose(Toy), episode) == key
    for other in (
        replaying._make_key(choose(Broken), episode),
        replaying._make_key(replace(spec, kwargs={"fault": "x"}), episode),
        replaying._make_key(spec, replace(episode, seed=9)),
        replaying._make_key(spec, replace(episode, options=None)),
        replaying._make_key(spec, replace(episode, actions=episode.actions + 1)),
        replaying._make_key(spec, replace(episode, observations=episode.observations + 1)),
    ):
        assert other != key
    before = replaying._describe_installed()
    assert replaying._describe_installed() == before


def test_what_is_installed_is_told_by_names_of_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = replaying._describe_installed()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "none"), *sys.path, str(tmp_path)])
    assert replaying._describe_installed() == before
    (tmp_path / "farm-1.0.dist-info").mkdir()
    after = replaying._describe_installed()
    assert after != before
    assert len(after) == 32
    monkeypatch.setattr(sys, "path", [""])
    monkeypatch.chdir(tmp_path)
    alone = replaying._describe_installed()
    os.rename("farm-1.0.dist-info", "farm-1.1.dist-info")
    assert replaying._describe_installed() != alone


def test_a_replay_that_is_not_in_the_cache_is_none_whatever_the_reason() -> None:
    dataset = record(seeds=(None, 3))
    assert find_cached_replay(dataset, dataset[0]) is None
    assert find_cached_replay(dataset, dataset[1]) is None
    made = find_replay(dataset, dataset[1])
    found = find_cached_replay(dataset, dataset[1])
    assert found is not None
    assert np.array_equal(found.read(0, 99), made.read(0, 99))
    del gym.registry[toys.NAME]
    assert find_cached_replay(dataset, dataset[1]) is None
    assert find_cached_replay(dataset, dataset[1], Trust(entry_point=True)) is not None


def test_packages_that_a_dataset_needs_are_asked_for_first() -> None:
    dataset = record()
    dataset.storage.update_metadata({"requirements": ["farm-of-nobody>=1"]})
    with pytest.warns(minari.MinariWarning, match="farm-of-nobody"):
        find_replay(dataset, dataset[0])
    dataset.storage.update_metadata({"requirements": "none"})
    bare = minari.create_dataset_from_buffers(
        "tests/bare-v0",
        [dataset[0]],
        observation_space=Toy.observation_space,
        action_space=Toy.action_space,
    )
    with pytest.raises(minari.EnvironmentNotRecoverableError, match="'tests/bare-v0' does not say"):
        find_replay(bare, bare[0])


@pytest.mark.parametrize("shift", [-2, 0, 3])
def test_no_step_comes_after_the_last_observation_that_is_known(shift: int) -> None:
    class Noting(Toy):
        def __init__(self) -> None:
            super().__init__()
            self.taken: list[int] = []

        def step(self, action: Any) -> Any:
            self.taken.append(int(action))
            return self._at.copy(), 0.0, False, False, {}

    episode = replace(record()[0], actions=np.arange(STEPS))
    env = Noting()
    env.reset(seed=3, options={"offset": 2})
    same = np.repeat(env._at[None], STEPS + 1, axis=0)

    rows = list(replay_rows(replace(episode, observations=same), env, shift))

    assert rows == [(row, None) for row in range(STEPS + 1)]
    assert env.taken == [min(max(step + shift, 0), STEPS - 1) for step in range(STEPS)]


@pytest.mark.parametrize(
    ("ends", "is_early"), [(STEPS - 2, True), (STEPS - 1, True), (STEPS, False)]
)
@pytest.mark.parametrize("flag", ["terminated", "truncated"])
def test_an_environment_ends_with_the_last_step_or_too_early(
    ends: int, is_early: bool, flag: str
) -> None:
    class Ending(Toy):
        def step(self, action: Any) -> Any:
            at, reward, *_, info = super().step(action)
            is_over = self._step >= ends
            return (
                at,
                reward,
                is_over and flag == "terminated",
                is_over and flag == "truncated",
                info,
            )

    *_, (row, difference) = replay_rows(record()[0], Ending())

    assert (difference is not None) == is_early
    assert row == (ends if is_early else STEPS)


@pytest.mark.parametrize(
    ("found", "is_rounding"), [(1 + 1.9e-5, True), (1 + 2.1e-5, False), (1 - 1.9e-5, True)]
)
def test_rounding_is_a_hundred_thousandth_of_a_value_and_beside_it(
    found: float, is_rounding: bool
) -> None:
    difference = compare(1.0, found, 2)
    assert difference is not None
    assert difference.is_rounding is is_rounding
    assert difference.amount == abs(found - 1)
    many = compare({"a": 1.0, "b": 1.0, "c": 1.0}, {"a": 1.0, "b": 3.0, "c": 2.0}, 0)
    assert many is not None
    assert many.sentence == "observations/b differs by 2"
    mixed = compare(("x", 1.0), ("y", 1 + 1e-6), 0)
    assert mixed is not None
    assert mixed.sentence == "observations/0 differs"
    whole = compare(np.array([1, 2]), np.array([1, 2.5]), 0)
    assert whole is not None
    assert whole.amount == 0.5
