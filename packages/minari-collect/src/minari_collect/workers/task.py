"""The work of a worker: collect the episodes of a task into a folder of shards.

Everything here must work in a fresh process on another machine, with nothing but a `Task`.
"""

from __future__ import annotations

import contextlib
import socket
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from minari_collect.workers.environment import borrow_environment, get_remote, load_recipe
from minari_collect.workers.messages import (
    RUN_NAME,
    Failure,
    Recipe,
    Task,
    TaskOutput,
    TaskResult,
    derive_seeds,
)
from minari_collect.workers.output_recording import TaskCollector, VectorTaskCollector
from minari_collect.workers.policies import PolicyRunner, VectorPolicyRunner
from minari_collect.workers.timeout import EpisodeTimeoutError, EpisodeWatch
from minari_collect.workers.transport import send_output, wrap_write_errors
from minari_core.errors import DatasetWriteError

_PAUSE_SECONDS = 1.0


def run_task(task: Task) -> TaskResult:
    """Collect the episodes of a task.

    Episodes that fail are left out and reported; the environment is made anew after each. A
    worker that cannot write reports what is left of the task after a pause: another one takes
    it meanwhile, and a full disk does not use up all tasks of a run.
    """
    recipe = load_recipe(task)
    outputs: list[TaskOutput] = []
    failures: list[Failure] = []
    try:
        with _work_folder(task) as folder:
            collect = _collect_in_order if recipe.num_envs == 1 else _collect_together
            for result in collect(task, recipe, folder):
                if isinstance(result, TaskOutput):
                    outputs.append(result)
                else:
                    failures.append(result)
    except DatasetWriteError as error:
        reason = "".join(traceback.format_exception(error))
        known = {failure.episode for failure in failures}
        for output in outputs:
            known.update(range(output.first, output.stop))
        failures += [
            Failure(episode, derive_seeds(task.seed, episode)[0], reason, is_of_worker=True)
            for episode in range(task.first, task.stop)
            if episode not in known
        ]
        time.sleep(_PAUSE_SECONDS)
    return TaskResult(tuple(outputs), tuple(failures))


@contextlib.contextmanager
def _work_folder(task: Task) -> Iterator[Path]:
    """Open the folder to write to: that of the run, or one of this worker's own for the while.

    Raises:
        DatasetWriteError: It is not there, or cannot be made.
    """
    folder = Path(task.folder)
    if task.transport == "folder":
        if not (folder / RUN_NAME).exists():
            raise DatasetWriteError(
                f"worker {socket.gethostname()} does not see the work folder {folder} of the run; "
                "give work_dir_is_shared=False, or a remote"
            )
        yield folder
        return
    with contextlib.ExitStack() as stack:
        with wrap_write_errors(folder):
            if task.folder:
                folder.mkdir(parents=True, exist_ok=True)
            own = tempfile.TemporaryDirectory(
                prefix="minari-collect-", dir=task.folder or None, ignore_cleanup_errors=True
            )
            path = stack.enter_context(own)
        yield Path(path)


def _collect_in_order(task: Task, recipe: Recipe, folder: Path) -> Iterator[TaskOutput | Failure]:
    first = task.first
    while first < task.stop:
        output, failure = _collect_up_to_failure(task, recipe, folder, first)
        if output is not None:
            yield output
        if failure is None:
            return
        yield failure
        first = failure.episode + 1


def _collect_up_to_failure(
    task: Task, recipe: Recipe, folder: Path, first: int
) -> tuple[TaskOutput | None, Failure | None]:
    """Collect from an episode on, up to the end of the task or the first failure."""
    progress = _Progress(first)
    collector: TaskCollector | None = None
    failure: Failure | None = None
    try:
        try:
            watch = EpisodeWatch(recipe.episode_timeout, may_exit=task.may_exit)
            with borrow_environment(recipe) as env, watch:
                collector = TaskCollector(env, folder, **recipe.collector)
                _collect_single(task, recipe, collector, progress, watch)
        except (KeyboardInterrupt, DatasetWriteError):
            raise
        except BaseException as error:  # an environment may also exit
            failure = progress.describe_failure(task.seed, error)
        if collector is None or not progress.done:
            return None, failure
        output, written = collector.finish_output().complete(first, range(progress.done))
        return send_output(output, written, task.transport, get_remote(recipe), task.run), failure
    finally:
        if collector is not None:
            collector.discard()


def _collect_together(task: Task, recipe: Recipe, folder: Path) -> Iterator[TaskOutput | Failure]:
    """Collect with many environments; if one fails, episode by episode, to find which it was."""
    collector: VectorTaskCollector | None = None
    try:
        watch = EpisodeWatch(recipe.episode_timeout, may_exit=task.may_exit)
        with borrow_environment(recipe) as envs, watch:
            collector = VectorTaskCollector(envs, folder, **recipe.collector)
            indices = _collect_vector(task, recipe, collector, watch)
        output, written = collector.finish_output().complete(task.first, indices)
        yield send_output(output, written, task.transport, get_remote(recipe), task.run)
        return
    except (KeyboardInterrupt, GeneratorExit, DatasetWriteError):
        raise
    except BaseException as error:  # an environment may also exit
        if task.stop - task.first == 1:
            yield _Progress(task.first).describe_failure(task.seed, error)
            return
    finally:
        if collector is not None:
            collector.discard()
    for episode in range(task.first, task.stop):
        yield from _collect_together(replace(task, first=episode, stop=episode + 1), recipe, folder)


@dataclass(slots=True)
class _Progress:
    """How many episodes of its task a worker has collected."""

    first: int
    done: int = 0

    def describe_failure(self, seed: int, error: BaseException) -> Failure:
        """Describe the failure of the current episode."""
        episode = self.first + self.done
        reason = "".join(traceback.format_exception(error))
        if isinstance(error, EpisodeTimeoutError):
            reason = f"the episode took too long\n{reason}"
        return Failure(episode, derive_seeds(seed, episode)[0], reason)


def _collect_single(
    task: Task, recipe: Recipe, collector: TaskCollector, progress: _Progress, watch: EpisodeWatch
) -> None:
    policy = PolicyRunner(recipe.policy, collector.action_space)
    for episode in range(progress.first, task.stop):
        env_seed, policy_seed = derive_seeds(task.seed, episode)
        with watch.episode():
            policy.reset(policy_seed)
            options = None if recipe.reset_options is None else dict(recipe.reset_options)
            observation, _ = collector.reset(seed=env_seed, options=options)
            over = False
            while not over:
                action = policy(observation)
                observation, _, terminated, truncated, _ = collector.step(action)
                over = bool(terminated or truncated)
        progress.done += 1


def _collect_vector(
    task: Task, recipe: Recipe, collector: VectorTaskCollector, watch: EpisodeWatch
) -> list[int]:
    """Collect all episodes of a task, each in whatever environment is free.

    Environments that are left without an episode are stepped on, because Gymnasium steps all
    environments or none; what they do does not count. They repeat the last episode of the task,
    because any other one may fail, and what is collected here would fail with it.

    Returns:
        The index of each episode among those that were recorded.
    """
    count = recipe.num_envs
    policy = VectorPolicyRunner(recipe.policy, collector.single_action_space, count)
    waiting = iter(range(task.first, task.stop))
    # The episode of each environment; what is past the end does not count.
    current = [next(waiting, task.stop) for _ in range(count)]
    recorded: list[int] = []
    started = [time.monotonic()] * count

    def begin(mask: npt.NDArray[np.bool_] | None) -> Any:
        chosen = range(count) if mask is None else np.flatnonzero(mask).tolist()
        seeds = [derive_seeds(task.seed, min(episode, task.stop - 1)) for episode in current]
        policy.reset({env: seeds[env][1] for env in chosen})
        options = dict(recipe.reset_options or {})
        if mask is not None:
            options["reset_mask"] = mask
        first = [seed for seed, _ in seeds]
        observations, _ = collector.reset(seed=first, options=options or None)
        for env in chosen:
            started[env] = time.monotonic()
        return observations

    with watch.episode():
        observations = begin(None)
    while min(current) < task.stop:
        with watch.episode():
            observations, _, terminated, truncated, _ = collector.step(policy(observations))
        over = np.logical_or(terminated, truncated)
        if over.any():
            for env in np.flatnonzero(over).tolist():
                recorded.append(current[env])
                current[env] = next(waiting, task.stop)
            if min(current) < task.stop:
                with watch.episode():
                    observations = begin(over)
        now = time.monotonic()
        begun = [started[env] for env in range(count) if current[env] < task.stop]
        limit = recipe.episode_timeout
        if limit is not None and now - min(begun, default=now) > limit:
            raise EpisodeTimeoutError
    index_of = {episode: index for index, episode in enumerate(recorded)}
    return [index_of[episode] for episode in range(task.first, task.stop)]
