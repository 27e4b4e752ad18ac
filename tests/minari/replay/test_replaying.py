"""Replays in a process of their own: faithful, unfaithful, failing and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import minari
from minari.replay import process
from minari.replay.replaying import Trust, find_replay
from minari_core.cache.entries import list_entries
from tests.minari.replay.toys import FAULTY_STEP, NAME, STEPS, frame, record, register

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari.MinariWarning")


@pytest.fixture(autouse=True)
def _registered(datasets_root: Path) -> Iterator[None]:
    with register():
        yield


def list_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_replay_has_every_frame_and_is_made_once(tmp_path: Path) -> None:
    dataset = record()
    done = []
    replay = find_replay(dataset, dataset[1], progress=lambda *each: done.append(each))

    assert len(replay) == STEPS + 1
    assert replay.outcome.difference is None
    assert replay.outcome.fps == 25
    assert replay.describe() == "every observation is exactly the recorded one"
    for step in range(STEPS + 1):
        assert np.array_equal(replay.read(step, step + 1)[0], frame(step))
    assert np.array_equal(replay.read(5, 99), [frame(step) for step in range(5, STEPS + 1)])
    assert done == [(each, STEPS + 1) for each in range(1, STEPS + 2)]
    (entry,) = list_entries()
    assert (entry.kind, entry.what, entry.is_in_use) == ("replays", "tests/toy-v0, episode 1", True)

    done.clear()
    again = find_replay(minari.load_dataset("tests/toy-v0")[1:], dataset[1])
    assert done == []
    assert np.array_equal(again.read(0, 99), replay.read(0, 99))
    del again, replay
    assert [each.is_in_use for each in list_entries()] == [False]


def test_a_replay_that_goes_elsewhere_ends_where_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = record(fault="random")
    replay = find_replay(dataset, dataset[0])

    assert len(replay) == FAULTY_STEP + 1
    assert replay.outcome.rows == STEPS + 1
    assert "at step 6 observations differs by 1: from there on" in replay.describe()

    made = []
    find_replay(dataset, dataset[0], progress=lambda *each: made.append(each))
    assert made == []
    # What is installed may be why.
    monkeypatch.setattr("minari.replay.replaying._describe_installed", lambda: "others")
    del replay
    find_replay(dataset, dataset[0], progress=lambda *each: made.append(each))
    assert len(made) == FAULTY_STEP + 1
    assert len(list_entries()) == 1


def test_another_first_observation_leaves_no_frame() -> None:
    dataset = record()
    changed = replace(dataset[0], observations=dataset[0].observations + 1)
    replay = find_replay(dataset, changed)

    assert len(replay) == 0
    assert replay.read(0, 10).shape[0] == 0
    assert replay.describe().startswith("at step 0 observations differs by 1")


def test_rounding_is_told() -> None:
    dataset = record(fault="rounding")
    replay = find_replay(dataset, dataset[0])

    assert len(replay) == STEPS + 1
    assert "from step 6 on observations differ by rounding, at most by" in replay.describe()


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("raise", "ReplayToy-v0 of episode 0 raised RuntimeError in step 5: no physics today"),
        ("exit", "raised SystemExit in step 5: 3"),
        ("crash", "ended its process in step 5"),
        ("grow", "changes the shape of its frames"),
        ("blind", "gives no frames as rgb_array; its render modes: rgb_array"),
    ],
)
def test_a_failing_environment_is_an_error_that_names_the_step(
    fault: str, sentence: str, tmp_path: Path
) -> None:
    dataset = record(fault=fault)
    with pytest.raises(minari.ReplayError, match=sentence):
        find_replay(dataset, dataset[0])
    assert list_files(tmp_path / "cache") == []


def test_an_environment_that_hangs_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    dataset = record(fault="hang", told=str(told))
    monkeypatch.setattr(process, "STEP_SECONDS", 1.5)
    with pytest.raises(
        minari.ReplayError, match=r"hangs in step 5: it took more than 1\.5 seconds"
    ):
        find_replay(dataset, dataset[0], Trust(paths=True))
    assert is_gone(int(told.read_text(encoding="utf-8")))
    assert list_files(tmp_path / "cache") == []


def test_a_replay_can_be_cancelled(tmp_path: Path) -> None:
    told = tmp_path / "told"
    dataset = record(fault="hang", told=str(told))
    cancelled = threading.Event()

    def cancel(done: int, total: int) -> None:
        if done == FAULTY_STEP + 1:
            cancelled.set()

    with pytest.raises(process.ReplayCancelledError, match="episode 0 was cancelled"):
        find_replay(dataset, dataset[0], Trust(paths=True), progress=cancel, cancelled=cancelled)
    assert list_files(tmp_path / "cache") == []


def test_what_an_environment_prints_is_no_message() -> None:
    dataset = record(fault="print")
    assert len(find_replay(dataset, dataset[0])) == STEPS + 1


def test_what_may_not_or_cannot_be_replayed_says_why() -> None:
    dataset = record(seeds=(None, 3))
    with pytest.raises(minari.ReplayError, match="episode 0 was recorded without a seed"):
        find_replay(dataset, dataset[0])
    del gym.registry[NAME]
    with pytest.raises(minari.EnvironmentNotRecoverableError, match="trust_entry_point=True"):
        find_replay(dataset, dataset[1])
    assert len(find_replay(dataset, dataset[1], Trust(entry_point=True))) == STEPS + 1
    gym.register(NAME, entry_point="os:system")
    with pytest.raises(minari.UntrustedEnvironmentError, match="os:system"):
        find_replay(dataset, dataset[1])


def test_a_cache_that_is_too_small_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = record()
    monkeypatch.setenv("MINARI_CACHE_SIZE", "100B")
    with pytest.raises(minari.CacheError, match="100"):
        find_replay(dataset, dataset[0])
    assert list_files(tmp_path / "cache") == []


def is_gone(pid: int) -> bool:
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_a_parent_that_is_killed_leaves_no_process_and_no_files(tmp_path: Path) -> None:
    told = tmp_path / "told"
    dataset = record(fault="hang", told=str(told))
    program = """
        import minari
        from minari.replay.replaying import Trust, find_replay
        from tests.minari.replay.toys import register

        with register():
            dataset = minari.load_dataset("tests/toy-v0")
            find_replay(dataset, dataset[0], Trust(paths=True))
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=Path(__file__).parents[3]
    )
    for _ in range(600):
        if told.exists() and told.read_text(encoding="utf-8"):
            break
        time.sleep(0.1)
    parent.send_signal(signal.SIGKILL)
    parent.wait()

    assert is_gone(int(told.read_text(encoding="utf-8")))
    with pytest.raises(minari.MinariError):
        find_replay(dataset, dataset[0])
    changed = replace(dataset[0], observations=dataset[0].observations + 1)
    find_replay(dataset, changed, Trust(paths=True))
    assert list_files(tmp_path / "cache" / ".building") == []


def test_a_real_mujoco_environment_is_replayed_without_a_screen() -> None:
    pytest.importorskip("mujoco")
    collector = minari.DataCollectorV0(gym.make("HalfCheetah-v5", max_episode_steps=3))
    collector.reset(seed=1)
    for _ in range(3):
        collector.step(collector.action_space.sample())
    dataset = minari.create_dataset_from_collector_env("tests/cheetah-v0", collector)
    collector.close()
    replay = find_replay(dataset, dataset[0])

    assert replay.shape == (4, 480, 480, 3)
    assert replay.outcome.difference is replay.outcome.rounding is None
    frames = replay.read(0, 4)
    assert all(each.std() > 1 for each in frames), "all of one colour"
    assert not np.array_equal(frames[0], frames[3])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere MuJoCo needs no choice")
def test_mujoco_that_cannot_render_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mujoco")
    collector = minari.DataCollectorV0(gym.make("HalfCheetah-v5", max_episode_steps=1))
    collector.reset(seed=1)
    collector.step(collector.action_space.sample())
    dataset = minari.create_dataset_from_collector_env("tests/cheetah-v0", collector)
    collector.close()
    # EGL finds no device of this number.
    monkeypatch.setenv("MUJOCO_EGL_DEVICE_ID", "99")
    monkeypatch.setenv("MUJOCO_GL", "egl")
    with pytest.raises(minari.ReplayError, match=r"MuJoCo cannot render here \(egl: .*libegl1"):
        find_replay(dataset, dataset[0])
