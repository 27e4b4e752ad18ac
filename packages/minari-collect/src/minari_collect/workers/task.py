"""The work of a worker: collect the episodes of a task into a folder of shards.

Everything here must work in a fresh process on another machine, with nothing but a `Task`.
"""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from minari_collect.workers.environment import borrow_environment, get_remote, load_recipe
from minari_collect.workers.finished_episodes import FinishedEpisodes
from minari_collect.workers.messages import (
    Failure,
    Recipe,
    Task,
    TaskResult,
    derive_seeds,
)
from minari_collect.workers.output_recording import TaskCollector, VectorTaskCollector
from minari_collect.workers.policies import PolicyRunner, VectorPolicyRunner
from minari_collect.workers.timeout import EpisodeTimeoutError, EpisodeWatch
from minari_collect.workers.work_folder import open_work_folder
from minari_core.errors import DatasetWriteError
from minari_core.messages import keep_warnings

_PAUSE_SECONDS = 1.0


def run_task(task: Task) -> TaskResult:
    """Collect the episodes of a task.

    Episodes that fail are left out and reported; the environment is made anew after each. A
    worker that cannot write reports what is left of the task after a pause: another one takes
    it meanwhile, and a full disk does not use up all tasks of a run.

    What is in the result neither as an output nor as a failure was not begun.
    """
    with keep_warnings() as warnings:
        return _run_task(task, FinishedEpisodes(task, warnings))


def _run_task(task: Task, finished: FinishedEpisodes) -> TaskResult:
    recipe = load_recipe(task)
    failures: list[Failure] = []
    try:
        with open_work_folder(task) as folder:
            collect = _collect_in_order if recipe.num_envs == 1 else _collect_together
            failures.extend(collect(task, recipe, folder, finished))
    except DatasetWriteError as error:
        reason = "".join(traceback.format_exception(error))
        known = {failure.episode for failure in failures}
        failures += [
            Failure(episode, derive_seeds(task.seed, episode)[0], reason, is_of_worker=True)
            for episode in finished.list_missing(task.first, task.stop)
            if episode not in known
        ]
        time.sleep(_PAUSE_SECONDS)
    return TaskResult(tuple(finished.outputs), tuple(failures))


def _collect_in_order(
    task: Task, recipe: Recipe, folder: Path, finished: FinishedEpisodes
) -> Iterator[Failure]:
    first = task.first
    while first < task.stop and not finished.is_enough:
        failure = _collect_up_to_failure(task, recipe, folder, finished, first)
        if failure is None:
            return
        yield failure
        first = failure.episode + 1


def _collect_up_to_failure(
    task: Task, recipe: Recipe, folder: Path, finished: FinishedEpisodes, first: int
) -> Failure | None:
    """Collect from an episode on, up to the end of the task or the first failure."""
    current = _Current(first)
    failure: Failure | None = None
    with contextlib.ExitStack() as stack:
        try:
            watch = EpisodeWatch(recipe.episode_timeout, may_exit=task.may_exit)
            with borrow_environment(recipe) as env, watch:
                collector = TaskCollector(env, folder, **recipe.collector)
                stack.callback(collector.discard)
                finished.follow(collector, get_remote(recipe))
                _collect_single(task, recipe, collector, current, finished, watch)
        except (KeyboardInterrupt, DatasetWriteError):
            raise
        except BaseException as error:  # an environment may also exit
            failure = _describe_failure(task, current.episode, error)
        finished.hand_in(is_last=True)
    return failure


def _collect_together(
    task: Task, recipe: Recipe, folder: Path, finished: FinishedEpisodes
) -> Iterator[Failure]:
    """Collect with many environments.

    If one fails, what was begun is collected episode by episode, to find which it was.
    """
    while task.first < task.stop and not finished.is_enough:
        deal = _Deal(task.first, task.stop)
        error = _collect_batch(task, recipe, folder, finished, deal)
        if error is None:
            return
        if deal.next == task.first:
            # Environments that cannot be made fail with the episode that would be the first.
            deal.take()
        begun = finished.list_missing(task.first, deal.next)
        for episode in begun if task.stop - task.first > 1 else ():
            single = replace(task, first=episode, stop=episode + 1)
            yield from _collect_together(single, recipe, folder, finished)
        if task.stop - task.first == 1:
            yield _describe_failure(task, task.first, error)
        task = replace(task, first=deal.next)


def _collect_batch(
    task: Task, recipe: Recipe, folder: Path, finished: FinishedEpisodes, deal: _Deal
) -> BaseException | None:
    """Collect what is dealt, or return why it could not be."""
    with contextlib.ExitStack() as stack:
        try:
            watch = EpisodeWatch(recipe.episode_timeout, may_exit=task.may_exit)
            with borrow_environment(recipe) as envs, watch:
                collector = VectorTaskCollector(envs, folder, **recipe.collector)
                stack.callback(collector.discard)
                finished.follow(collector, get_remote(recipe))
                _collect_vector(task, recipe, collector, deal, finished, watch)
        except (KeyboardInterrupt, DatasetWriteError):
            raise
        except BaseException as error:  # an environment may also exit
            return error
        finished.hand_in()
    return None


@dataclass(slots=True)
class _Current:
    """The episode that a worker collects."""

    episode: int


class _Deal:
    """Deals episodes to environments, in order."""

    def __init__(self, first: int, stop: int) -> None:
        self.next = first
        """The first episode that was not dealt."""
        self.stop = stop
        """One past the last episode; it stands for what does not count."""

    def take(self) -> int:
        """Take the next episode, or what does not count if there is none."""
        taken = self.next
        self.next = min(taken + 1, self.stop)
        return taken

    def finish(self) -> None:
        """Deal no more."""
        self.stop = self.next


def _describe_failure(task: Task, episode: int, error: BaseException) -> Failure:
    reason = "".join(traceback.format_exception(error))
    if isinstance(error, EpisodeTimeoutError):
        reason = f"the episode took too long\n{reason}"
    return Failure(episode, derive_seeds(task.seed, episode)[0], reason)


def _collect_single(
    task: Task,
    recipe: Recipe,
    collector: TaskCollector,
    current: _Current,
    finished: FinishedEpisodes,
    watch: EpisodeWatch,
) -> None:
    policy = PolicyRunner(recipe.policy, collector.action_space)
    while current.episode < task.stop and not finished.is_enough:
        env_seed, policy_seed = derive_seeds(task.seed, current.episode)
        with watch.episode():
            policy.reset(policy_seed)
            options = None if recipe.reset_options is None else dict(recipe.reset_options)
            observation, _ = collector.reset(seed=env_seed, options=options)
            over = False
            while not over:
                action = policy(observation)
                observation, _, terminated, truncated, _ = collector.step(action)
                over = bool(terminated or truncated) or collector.is_over
                if not over and time.monotonic() >= finished.due:
                    with watch.pause():
                        finished.hand_in()
        finished.note(current.episode)
        current.episode += 1


def _collect_vector(
    task: Task,
    recipe: Recipe,
    collector: VectorTaskCollector,
    deal: _Deal,
    finished: FinishedEpisodes,
    watch: EpisodeWatch,
) -> None:
    """Collect all episodes that are dealt, each in whatever environment is free.

    Environments that are left without an episode are stepped on, because Gymnasium steps all
    environments or none; what they do does not count. They repeat the last episode that was dealt,
    because any other one may fail, and what is collected here would fail with it.
    """
    count = recipe.num_envs
    policy = VectorPolicyRunner(recipe.policy, collector.single_action_space, count)
    # The episode of each environment; what is past the end does not count.
    current = [deal.take() for _ in range(count)]
    started = [time.monotonic()] * count

    def begin(mask: npt.NDArray[np.bool_] | None) -> Any:
        chosen = range(count) if mask is None else np.flatnonzero(mask).tolist()
        seeds = [derive_seeds(task.seed, min(episode, deal.next - 1)) for episode in current]
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
    while min(current) < deal.stop:
        with watch.episode():
            observations, _, terminated, truncated, _ = collector.step(policy(observations))
        over = np.logical_or(terminated, truncated)
        ends = collector.find_ends(over)
        if over.any() or ends.any():
            # What a callback does not end is ended by the reset, after the others.
            cut = np.flatnonzero(over & ~ends).tolist()
            ended = np.flatnonzero(ends).tolist() + cut
            for env in ended:
                finished.note(current[env] if current[env] < deal.stop else None)
            if finished.is_enough:
                deal.finish()
            for env in sorted(ended):
                current[env] = deal.take()
            if min(current) < deal.stop or cut:
                over |= ends
                with watch.episode():
                    observations = begin(over)
        now = time.monotonic()
        begun = [started[env] for env in range(count) if current[env] < deal.stop]
        limit = recipe.episode_timeout
        if limit is not None and now - min(begun, default=now) > limit:
            raise EpisodeTimeoutError
        if now >= finished.due:
            finished.hand_in()
            pause = time.monotonic() - now
            started = [begin_time + pause for begin_time in started]
