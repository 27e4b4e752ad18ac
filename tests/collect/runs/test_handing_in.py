"""What a task has finished is handed in while it goes on, and nothing else depends on when."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from minari_collect import CollectProgress, collect_dataset
from minari_collect.workers import finished_episodes
from minari_collect.workers.messages import derive_seeds
from minari_core.local.verifying import verify_dataset
from tests.collect.helpers.collect_work import (
    AfterOutputs,
    Brief,
    Counting,
    NoisySum,
    NoisySums,
    OwnEnds,
    Slow,
    Troubled,
)
from tests.collect.helpers.one_by_one import fingerprint

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*is (set to )?None", "ignore:.*is recorded as it is"
)
needs_masks = pytest.mark.skipif(
    not hasattr(gymnasium.vector, "AutoresetMode"), reason="resets by mask are newer"
)
NUM_ENVS = [1, pytest.param(4, marks=needs_masks)]


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every task hands in whatever it has, as soon as it has it."""
    for name in ("FIRST_SECONDS", "MOST_SECONDS", "CALL_SECONDS"):
        monkeypatch.setattr(finished_episodes, name, 0.0)


class Recording(ThreadPoolExecutor):
    """One thread, which notes the tasks that it is given."""

    def __init__(self) -> None:
        super().__init__(1)
        self.tasks: list[tuple[int, int]] = []

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.tasks.append((args[0].first, args[0].stop))
        return super().submit(function, *args, **kwargs)


def collected(name: str, executor: Any, num_envs: int = 1, **more: Any) -> Any:
    return collect_dataset(
        f"tests/{name}-v0",
        **{
            "env": Counting,
            "policy": NoisySum() if num_envs == 1 else NoisySums(),
            "total_episodes": 30,
            "seed": 3,
            "num_envs": num_envs,
            "executor": executor,
            "workers": 1,
            "episodes_per_task": 15,
            **more,
        },
    )


@pytest.mark.usefixtures("_at_once")
@pytest.mark.parametrize("buffer", [None, 4], ids=["large buffer", "small buffer"])
@pytest.mark.parametrize("num_envs", NUM_ENVS)
def test_when_a_task_hands_in_changes_neither_the_data_nor_the_tasks(
    num_envs: int, buffer: int | None, datasets_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: list[set[str]] = []

    def list_parts(progress: CollectProgress) -> None:
        run = datasets_root / ".staging" / "run-tests%made-v0"
        parts.append({path.name for path in run.iterdir() if path.is_dir()})

    executor = Recording()
    arguments: dict[str, Any] = {"env": Brief, "record_infos": True}
    made = collected(
        "made", executor, num_envs, **arguments, max_buffer_steps=buffer, progress=list_parts
    )
    monkeypatch.undo()
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(datasets_root))
    seldom = Recording()
    wanted = collected("wanted", seldom, num_envs, **arguments)

    assert fingerprint(made) == fingerprint(wanted)
    assert executor.tasks == seldom.tasks == [(0, 15), (15, 30)]
    assert len(parts[-1]) > 6
    assert all(name.startswith("episodes-") for name in parts[-1])
    assert not verify_dataset("tests/made-v0").problems


@pytest.mark.parametrize("buffer", [None, 4], ids=["large buffer", "small buffer"])
@pytest.mark.parametrize("num_envs", [1, pytest.param(2, marks=needs_masks)])
def test_what_is_finished_is_handed_in_while_a_long_episode_goes_on(
    num_envs: int, buffer: int | None, datasets_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By then a small buffer has been written, with a part of the long episode.
    monkeypatch.setattr(finished_episodes, "FIRST_SECONDS", 0.1)
    folder = datasets_root / ".staging" / "run-tests%long-v0"
    waits_at = derive_seeds(3, 2)[0]

    dataset = collected(
        "long",
        Recording(),
        num_envs,
        env=AfterOutputs,
        env_kwargs={"folder": str(folder), "seed": waits_at},
        policy=None,
        total_episodes=6,
        episodes_per_task=6,
        max_buffer_steps=buffer,
    )

    assert [len(e) == 3 for e in dataset] == [True, True, False, True, True, True]
    assert dataset[2].rewards[-1] == 1.0
    for number, episode in enumerate(dataset):
        seed = derive_seeds(3, number)[0]
        wanted = seed + np.arange(len(episode) + 1) / 4096
        np.testing.assert_array_equal(episode.observations[:, 0], wanted)
    assert not verify_dataset("tests/long-v0").problems


@pytest.mark.usefixtures("_at_once")
@pytest.mark.parametrize("num_envs", NUM_ENVS)
def test_where_results_alone_travel_a_task_goes_on_in_another_call(
    num_envs: int, monkeypatch: pytest.MonkeyPatch, datasets_root: Path
) -> None:
    executor = Recording()
    made = collected("made", executor, num_envs, work_dir_is_shared=False)
    monkeypatch.undo()
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(datasets_root))
    wanted = collected("wanted", Recording(), num_envs, work_dir_is_shared=False)

    assert fingerprint(made) == fingerprint(wanted)
    assert {stop for _, stop in executor.tasks} == {15, 30}
    assert len(executor.tasks) > 6


@needs_masks
@pytest.mark.usefixtures("_at_once")
def test_an_episode_that_fails_takes_nothing_along_that_was_handed_in(tmp_path: Path) -> None:
    bad = derive_seeds(3, 9)[0]
    arguments: dict[str, Any] = {
        "env": Troubled,
        "env_kwargs": {"kind": "raise", "times": 99, "seeds": [bad], "marks": str(tmp_path)},
        "skip_failed": True,
    }
    with pytest.warns(UserWarning, match="^1 episode failed"):
        single = collected("single", Recording(), **arguments)
    with pytest.warns(UserWarning, match="^1 episode failed"):
        batched = collected("batched", Recording(), 4, **arguments)

    assert [e.seed for e in single] == [derive_seeds(3, k)[0] for k in range(30) if k != 9]
    assert fingerprint(batched) == fingerprint(single)


@needs_masks
@pytest.mark.parametrize("at_once", [False, True])
def test_a_callback_may_end_episodes_where_it_likes(
    at_once: bool, request: pytest.FixtureRequest
) -> None:
    if at_once:
        request.getfixturevalue("_at_once")
    single = collected("single", Recording(), step_data_callback=OwnEnds)
    batched = collected("batched", Recording(), 4, step_data_callback=OwnEnds)

    assert fingerprint(batched) == fingerprint(single)
    for number, episode in enumerate(single):
        assert episode.seed == derive_seeds(3, number)[0]
        early = episode.seed % 3 == 0
        assert bool(episode.terminations[-1]) == early
        assert len(episode) == 2 if early else bool(episode.truncations[-1])


class LosesResults(Recording):
    """The first calls do all their work, and their results are lost."""

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        def lose(*args: Any) -> Any:
            function(*args)
            raise ConnectionError("the node is gone after its work")

        return super().submit(lose if len(self.tasks) < 2 else function, *args, **kwargs)


def test_what_a_worker_had_handed_in_is_not_collected_again_when_it_is_gone() -> None:
    executor = LosesResults()
    made = collected("made", executor)

    assert executor.tasks == [(0, 15), (15, 30)]
    assert [e.seed for e in made] == [derive_seeds(3, k)[0] for k in range(30)]


PROGRAM = """
from minari_collect import collect_dataset
from tests.collect.helpers.collect_work import NoisySum, Slow
if __name__ == "__main__":
    collect_dataset("tests/killed-v0", Slow, NoisySum(), total_episodes=60, seed=3, workers=1,
                    episodes_per_task=60)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_a_killed_run_of_one_long_task_keeps_what_was_handed_in(
    datasets_root: Path, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    process = subprocess.Popen(
        [sys.executable, str(program)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stderr=subprocess.DEVNULL,
    )
    folder = datasets_root / ".staging" / "run-tests%killed-v0"
    deadline = time.monotonic() + 60
    while not any(folder.glob("episodes-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) != 0

    told: list[CollectProgress] = []
    executor = Recording()
    made = collect_dataset(
        "tests/killed-v0",
        Slow,
        NoisySum(),
        total_episodes=60,
        executor=executor,
        episodes_per_task=60,
        resume=True,
        progress=told.append,
    )

    # On a slow machine one is all that was finished when something was handed in first.
    assert told[0].episodes >= 1
    assert executor.tasks == [(told[0].episodes, 60)]
    wanted = collected("wanted", Recording(), total_episodes=60)
    assert fingerprint(made) == fingerprint(wanted)
