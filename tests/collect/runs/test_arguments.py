"""What the arguments of a run become, and how its failures are told."""

from __future__ import annotations

import os
import re
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minari_collect.runs.arguments import (
    check_progress,
    check_resume,
    check_work_dir,
    count_workers,
    make_recipe,
    make_schedule,
)
from minari_collect.runs.folder import RunFolder
from minari_collect.runs.lengths import EpisodeLengths
from minari_collect.runs.outputs import check_failures
from minari_collect.workers.messages import Failure, Recipe, TaskOutput
from minari_core.errors import DataError, RecordingError
from minari_core.messages import MinariWarning

COLLECTOR: dict[str, Any] = {
    "step_data_callback": print,
    "episode_metadata_callback": print,
    "record_infos": True,
    "max_buffer_steps": None,
}


REMOTE: Any = print


def recipe_of(**arguments: Any) -> Recipe:
    given: dict[str, Any] = {
        "env": "CartPole-v1", "policy": None, "num_envs": 1, "env_kwargs": None,
        "reset_options": None, "max_episode_steps": None, "episode_timeout": None, "remote": None,
        "collector": COLLECTOR, **arguments,
    }  # fmt: skip
    env, policy = given.pop("env"), given.pop("policy")
    return make_recipe(env, policy, **given)


def test_a_recipe_has_what_was_given_as_plain_values() -> None:
    assert recipe_of() == Recipe("CartPole-v1", None, collector=COLLECTOR)
    of_numpy = {**COLLECTOR, "max_buffer_steps": np.int64(7)}
    full = recipe_of(
        env_kwargs={"a": 1}, reset_options={"b": 2}, max_episode_steps=np.int32(3),
        episode_timeout=np.float32(0.5), remote=REMOTE, num_envs=np.int64(2), collector=of_numpy,
    )  # fmt: skip
    assert full == Recipe(
        "CartPole-v1", None, 2, {"a": 1}, {"b": 2}, 3, 0.5, {**COLLECTOR, "max_buffer_steps": 7},
        REMOTE,
    )  # fmt: skip
    assert [type(each) for each in (full.num_envs, full.max_episode_steps)] == [int, int]
    assert recipe_of(episode_timeout=1e-9).episode_timeout == 1e-9


def test_only_batches_need_a_policy_that_is_told_what_begins() -> None:
    class Remembers:
        def __call__(self, observation: Any, state: Any) -> Any:
            return observation, state

    assert recipe_of(policy=Remembers()).num_envs == 1
    with pytest.raises(DataError, match="takes no mask"):
        recipe_of(policy=Remembers(), num_envs=2)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (True, (True, ())),
        (np.bool_(False), (False, ())),
        (["policy"], (True, ["policy"])),
        (("env",), (True, ("env",))),
        ({"env", "policy"}, (True, {"env", "policy"})),
        ([], (True, [])),
    ],
)
def test_a_run_is_resumed_as_it_is_said(given: Any, wanted: Any) -> None:
    assert check_resume(given) == wanted


def test_a_work_folder_is_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert check_work_dir(None) is None
    assert check_work_dir("here") == tmp_path / "here"
    assert check_work_dir(Path("here")) == tmp_path / "here"


def test_what_shows_progress_is_passed_on() -> None:
    for given in (None, True, False, print):
        assert check_progress(given) is given


class Unbounded(Executor):
    _max_workers = None


def test_as_many_workers_as_are_asked_for_or_the_executor_has() -> None:
    processors = os.cpu_count() or 1
    with ThreadPoolExecutor(3) as executor:
        assert count_workers(2, executor) == 2
        assert count_workers(None, executor) == 3
    assert count_workers(np.int64(4), None) == 4  # type: ignore[arg-type]  # as users have it
    assert count_workers(None, None) == processors
    assert count_workers(None, Unbounded()) == processors


@pytest.mark.parametrize(
    ("episodes", "steps", "is_right"),
    [(1, None, True), (None, 1, True), (1, 1, False), (None, None, False)],
)
def test_a_run_is_of_episodes_or_of_steps(
    episodes: int | None, steps: int | None, is_right: bool
) -> None:
    options: Any = {"workers": 2, "max_attempts": 3, "num_envs": 1, "episodes_per_task": None}
    if is_right:
        schedule = make_schedule(episodes, steps, **options)
        assert (schedule.total_episodes, schedule.total_steps) == (episodes, steps)
    else:
        with pytest.raises(DataError, match=r"^give one of total_episodes and total_steps$"):
            make_schedule(episodes, steps, **options)


def fail(count: int, episodes: int = 30, workers: int = 5) -> tuple[Any, RunFolder]:
    """A schedule of which some episodes failed for good, after others that did not."""
    options: Any = {"max_attempts": 1, "num_envs": 1, "episodes_per_task": 1}
    schedule = make_schedule(episodes, None, workers=workers, **options)
    schedule.add_results([TaskOutput(count, episodes, 3)], ())
    for episode in range(count):
        schedule.add_results((), [Failure(episode, 70 + episode, f"reason {episode}")])
    return schedule, RunFolder(Path("/folder"))


@pytest.mark.parametrize(
    ("count", "begins", "verb", "more"),
    [
        (1, "1 episode failed", "is", ""),
        (2, "2 episodes failed", "are", ""),
        (5, "5 episodes failed", "are", ""),
        (6, "6 episodes failed", "are", "\nand 1 more"),
        (9, "9 episodes failed", "are", "\nand 4 more"),
    ],
)
def test_failures_are_told_one_by_one_up_to_five(
    count: int, begins: str, verb: str, more: str
) -> None:
    schedule, folder = fail(count)
    reports = [f"episode {k} (seed {70 + k}):\nreason {k}" for k in range(min(count, 5))]
    text = re.escape("\n".join(reports) + more)
    with pytest.raises(RecordingError) as refused:
        check_failures(schedule, folder, skip_failed=False)
    wait = f"the {30 - count} others wait in {folder.path} for resume=True"
    assert re.fullmatch(
        rf"{begins}; {re.escape(wait)}, perhaps with skip_failed=True:\n{text}", str(refused.value)
    )
    with pytest.warns(MinariWarning, match=rf"^{begins} and {verb} not in the dataset:\n{text}$"):
        check_failures(schedule, folder, skip_failed=True)


def test_a_run_without_failures_has_nothing_to_tell() -> None:
    check_failures(*fail(0), skip_failed=False)


@pytest.mark.parametrize(("count", "workers", "is_stopped"), [
    (19, 1, False), (20, 1, True), (23, 6, False), (24, 6, True),
])  # fmt: skip
def test_a_run_is_hopeless_after_failures_in_a_row_whether_they_are_skipped_or_not(
    count: int, workers: int, is_stopped: bool
) -> None:
    schedule, folder = fail(count, workers=workers)
    assert schedule.is_hopeless == is_stopped
    if is_stopped:
        with pytest.raises(
            RecordingError, match="and none succeeded meanwhile, so the run was sto"
        ):
            check_failures(schedule, folder, skip_failed=True)


def test_lengths_of_episodes_are_known_by_their_sums() -> None:
    lengths = EpisodeLengths()
    for episodes, steps in ((1, 10), (2, 40), (1, 20)):
        lengths.add(episodes, steps)
    assert (lengths.episodes, lengths.steps, lengths.mean) == (4, 70, 17.5)
    # Of sums of n independent lengths: the squares over n, less what the mean explains.
    squares = 10**2 / 1 + 40**2 / 2 + 20**2 / 1
    assert lengths.variance == pytest.approx((squares - 70 * 17.5) / 2)
    assert lengths.estimate_waiting(3, 2) == pytest.approx(3 * 17.5 + 2 * lengths.variance / 17.5)
    alike = EpisodeLengths()
    alike.add(2, 20)
    alike.add(3, 30)
    assert alike.variance == 0
    assert [alike.count_fitting(steps, 0) for steps in (0, 9, 10, 19, 20)] == [0, 0, 1, 1, 2]
    assert [alike.count_fitting(steps, 2) for steps in (-20, -1, 0, 10)] == [0, 0, 0, 1]
