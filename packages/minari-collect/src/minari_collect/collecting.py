"""Collecting a dataset with many workers."""

from __future__ import annotations

import contextlib
import os
import queue
import time
import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from minari_collect.callbacks import EpisodeMetadataCallback, StepDataCallback
from minari_collect.collect_folder import RunFolder
from minari_collect.collect_progress import ProgressCallback, ProgressMeter
from minari_collect.collect_schedule import Range, Schedule
from minari_collect.collect_task import (
    EnvLike,
    Failure,
    Part,
    Recipe,
    Task,
    TaskResult,
    episode_seeds,
    run_task,
    to_bytes,
)
from minari_collect.policies import Policy
from minari_collect.process_slots import ProcessSlots
from minari_core.caller_warnings import warn_caller
from minari_core.columns import JsonValue
from minari_core.dataset import MinariDataset
from minari_core.dataset_id import chosen_id
from minari_core.description import DatasetDescription
from minari_core.errors import DataError, RecordingError
from minari_core.formats import check_format
from minari_core.gymnasium_compat import env_spec_from_json, env_spec_to_json
from minari_core.locations import staging_root
from minari_core.publishing import check_id_is_free, publish
from minari_core.shard_folder import ShardFolder
from minari_core.storage import Storage

_QUEUED_PER_WORKER = 2
_SECONDS_BETWEEN_LOOKS = 0.5
_GRACE_SECONDS = 30.0
_REPORTED_FAILURES = 5


def collect_dataset(
    dataset_name: str | None = None,
    env: EnvLike | None = None,
    policy: Policy | None = None,
    *,
    dataset_id: str | None = None,
    total_episodes: int | None = None,
    total_steps: int | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    seed: int | None = None,
    resume: bool = False,
    num_envs: int = 1,
    env_kwargs: Mapping[str, Any] | None = None,
    reset_options: Mapping[str, Any] | None = None,
    max_episode_steps: int | None = None,
    episode_timeout: float | None = None,
    max_attempts: int = 3,
    skip_failed: bool = False,
    episodes_per_task: int | None = None,
    work_dir: str | os.PathLike[str] | None = None,
    work_dir_is_shared: bool = True,
    progress: ProgressCallback | bool | None = None,
    step_data_callback: type[StepDataCallback] | StepDataCallback = StepDataCallback,
    episode_metadata_callback: (
        type[EpisodeMetadataCallback] | EpisodeMetadataCallback
    ) = EpisodeMetadataCallback,
    record_infos: bool = False,
    max_buffer_steps: int | None = None,
    data_format: str | None = None,
    algorithm_name: str | None = None,
    author: str | Iterable[str] | None = None,
    author_email: str | Iterable[str] | None = None,
    code_permalink: str | None = None,
    description: str | None = None,
    eval_env: str | gymnasium.Env[Any, Any] | EnvSpec | None = None,
    ref_min_score: float | None = None,
    ref_max_score: float | None = None,
    requirements: Iterable[str] | None = None,
) -> MinariDataset:
    """Collect episodes with many workers, and make one dataset of them.

    Episode k is reset with a seed that follows from ``seed`` and k alone, and the dataset has the
    episodes in the order of k. So for an environment and a policy that depend on their seeds
    alone, the data does not depend on how many workers there are, how fast they are, and which
    of them fail. The shards that the workers write are linked into the dataset, not copied.

    Args:
        dataset_name: The id of the new dataset, ``(namespace/…)name-vN``.
        env: An environment's id or spec, or a function without arguments that makes one.
        policy: Takes an observation and returns an action; None acts at random. With a second
            argument it has a state: it gets None first, and then what it returned last beside
            the action. Its method ``reset``, if there is one, is called before each episode, with
            a seed of the episode if it takes ``seed``.
        dataset_id: Another name of ``dataset_name``.
        total_episodes: How many episodes to collect.
        total_steps: How many steps to collect at least; whole episodes are kept, and the first
            ones that have so many steps together make the dataset.
        workers: How many workers there are; one for each processor if None.
        executor: Who runs them: anything with the interface of `concurrent.futures.Executor`,
            such as Dask's ``Client.get_executor()``, ``mpi4py.futures.MPIPoolExecutor`` or
            `minari_collect.ray.RayExecutor`; processes of this machine if None.
        seed: What everything random follows from; chosen at random if None.
        resume: Go on with what an earlier run of this name has left, if there is anything.
        num_envs: How many environments each worker steps together; with more than one, the policy
            gets batches of observations and returns batches of actions, and its ``reset`` gets
            ``mask``, if it takes that, which says whose episodes begin.
        env_kwargs: Arguments for making the environment.
        reset_options: Options of each reset.
        max_episode_steps: After how many steps an episode is cut.
        episode_timeout: After how many seconds an episode counts as failed.
        max_attempts: How often an episode is begun until it counts as failed for good.
        skip_failed: Make the dataset without the episodes that failed for good, with a warning,
            instead of raising an error.
        episodes_per_task: How many episodes a worker collects at a time; chosen if None.
        work_dir: Where the shards wait; a hidden folder under the datasets' root if None. On
            another file system than the root they are copied at the end.
        work_dir_is_shared: Whether the workers see the same ``work_dir``. If not, each uses its
            own folder of that name, and the shards travel with the results.
        progress: Called with a `CollectProgress` whenever something is done; None shows a line
            on a terminal, True shows it anywhere, False nowhere.
        step_data_callback: As in `DataCollectorV0`.
        episode_metadata_callback: As in `DataCollectorV0`.
        record_infos: As in `DataCollectorV0`.
        max_buffer_steps: As in `DataCollectorV0`.
        data_format: How the dataset is stored; ``"columnar"`` if None.
        algorithm_name: The algorithm that chose the actions.
        author: Who made the dataset, one or several.
        author_email: How to reach them.
        code_permalink: A link to the version of the code that made the dataset.
        description: What the dataset is about.
        eval_env: The environment to evaluate on, if it is another one.
        ref_min_score: The mean return of a random policy.
        ref_max_score: The mean return of an expert.
        requirements: What must be installed to make the environment, as pip writes it.

    Returns:
        The new dataset.

    Raises:
        DatasetIdError: The id is malformed, or given twice.
        DatasetExistsError: The id is taken, or an earlier run has left something that is not to
            be resumed.
        DatasetBusyError: A run of this name is going on.
        DataError: The arguments do not say how much to collect.
        RecordingError: Episodes failed for good; the message has their seeds and tracebacks. As
            after every error and after Ctrl-C, everything that is complete waits for
            ``resume=True``.
        DatasetWriteError: The file system refused.
    """
    new_id = chosen_id(dataset_name, dataset_id)
    check_id_is_free(new_id)
    chosen_format = check_format(data_format)
    _check_amount(total_episodes, total_steps, env, seed)
    count = _worker_count(workers, executor)
    described = DatasetDescription(
        algorithm_name=algorithm_name,
        author=author,
        author_email=author_email,
        code_permalink=code_permalink,
        description=description,
        eval_env=eval_env,
        ref_min_score=ref_min_score,
        ref_max_score=ref_max_score,
        requirements=requirements,
    )
    recipe = Recipe(
        env=env if env is not None else "",
        policy=policy,
        seed=0 if seed is None else int(seed),
        num_envs=num_envs,
        env_kwargs=dict(env_kwargs or {}),
        reset_options=reset_options,
        max_episode_steps=max_episode_steps,
        episode_timeout=episode_timeout,
        collector={
            "step_data_callback": step_data_callback,
            "episode_metadata_callback": episode_metadata_callback,
            "record_infos": record_infos,
            "max_buffer_steps": max_buffer_steps,
        },
    )
    folder = RunFolder(
        Path(work_dir).absolute() if work_dir is not None else default_work_dir(new_id)
    )
    settled: dict[str, JsonValue] = {
        "dataset_id": new_id,
        "seed": seed,
        "env": _env_text(recipe.env),
        "record_infos": record_infos,
        "max_episode_steps": max_episode_steps,
    }
    schedule = Schedule(
        total_episodes=total_episodes,
        total_steps=total_steps,
        workers=count,
        max_attempts=max_attempts,
        num_envs=num_envs,
        episodes_per_task=episodes_per_task,
    )
    meter = ProgressMeter(progress, total_episodes, total_steps)
    fresh_seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> 1)
    with folder.opened(settled, resume=resume) as agreed:
        known_seed = agreed["seed"]
        if not isinstance(known_seed, int):
            folder.settle({**agreed, "seed": fresh_seed})
            known_seed = fresh_seed
        recipe = replace(recipe, seed=known_seed)
        schedule.done(folder.parts(), ())
        run = _Run(recipe, folder, schedule, meter, work_dir_is_shared)
        run.drive(executor, count)
        _check_failures(schedule, folder, skip_failed)
        parts = _wanted_parts(schedule, folder, total_episodes, total_steps)
        if not parts:
            raise DataError(f"nothing was collected for dataset {new_id!r}")
        first = folder.storage(parts[0][0])
        spec = first.metadata.get("env_spec")
        metadata = described.metadata(
            env_spec_from_json(spec) if isinstance(spec, str) else None,
            first.observation_space,
            first.action_space,
        )
        data = publish(new_id, metadata, chosen_format, lambda new: _fill(new, folder, parts))
    folder.remove()
    return MinariDataset(data)


def default_work_dir(dataset_id: str) -> Path:
    """Where the parts of a run of this name wait, unless another folder is given."""
    # No id has a percent sign, so that two ids never share a folder.
    return staging_root() / f"run-{dataset_id.replace('/', '%')}"


@dataclass
class _Run:
    """A run that is going on."""

    recipe: Recipe
    folder: RunFolder
    schedule: Schedule
    meter: ProgressMeter
    is_shared: bool

    def __post_init__(self) -> None:
        self._pickled = to_bytes(self.recipe)
        self._name = uuid.uuid4().hex
        # Of any thread; a queue that callbacks may fill while it is being read.
        self._ended: queue.SimpleQueue[Future[TaskResult]] = queue.SimpleQueue()
        self._in_flight: dict[Future[TaskResult], tuple[Range, float]] = {}

    def drive(self, executor: Executor | None, workers: int) -> None:
        """Collect all that is missing."""
        self._tell()
        own = ProcessSlots(workers) if executor is None else None
        limit = workers if own is not None else workers * _QUEUED_PER_WORKER
        chosen = own or executor
        try:
            while True:
                while len(self._in_flight) < limit:
                    wanted = self.schedule.next_range(len(self._in_flight))
                    if wanted is None:
                        break
                    self._submit(chosen, wanted, may_exit=own is not None)
                if not self._in_flight:
                    break
                done = self._finished()
                for future in done:
                    if future not in self._in_flight:
                        continue  # nobody waited for it any longer
                    wanted, _ = self._in_flight.pop(future)
                    if own is not None:
                        own.release(future)
                    self._settle(future, wanted, is_own=own is not None)
                if done:
                    self._tell()
                elif own is None:
                    self._give_up_on_the_silent()
        finally:
            for future in self._in_flight:
                future.cancel()
            if own is not None:
                own.shutdown()
        self._tell(is_last=True)

    def _submit(self, executor: Executor | None, wanted: Range, *, may_exit: bool) -> None:
        if executor is None:
            raise RecordingError("there is no executor")
        task = Task(
            recipe=self._pickled,
            run=self._name,
            first=wanted.first,
            stop=wanted.stop,
            folder=str(self.folder.path),
            send_files=not self.is_shared,
            may_exit=may_exit,
        )
        future = executor.submit(run_task, task)
        self._in_flight[future] = (wanted, time.monotonic())
        future.add_done_callback(self._ended.put)

    def _finished(self) -> list[Future[TaskResult]]:
        """Calls that have ended, after a while at the latest; each costs the same however many."""
        finished: list[Future[TaskResult]] = []
        with contextlib.suppress(queue.Empty):
            finished.append(self._ended.get(timeout=_SECONDS_BETWEEN_LOOKS))
            while True:
                finished.append(self._ended.get_nowait())
        return finished

    def _settle(self, future: Future[TaskResult], wanted: Range, *, is_own: bool) -> None:
        try:
            result = future.result()
        except BrokenExecutor as error:
            if not is_own:
                raise RecordingError(
                    f"the executor is broken ({error}), and only its owner can start another; "
                    "what is complete waits for resume=True"
                ) from error
            self._lose(wanted, f"its worker process ended: {error}")
        except Exception as error:
            self._lose(wanted, f"its worker failed: {type(error).__name__}: {error}")
        else:
            self.schedule.done(map(self.folder.receive, result.parts), result.failures)

    def _lose(self, wanted: Range, reason: str) -> None:
        self.schedule.lost(
            wanted,
            [
                Failure(episode, episode_seeds(self.recipe.seed, episode)[0], reason)
                for episode in range(wanted.first, wanted.stop)
            ],
        )

    def _give_up_on_the_silent(self) -> None:
        """Count tasks as lost that an engine says nothing of, long after they should be done."""
        if self.recipe.episode_timeout is None:
            return
        for future, (wanted, since) in list(self._in_flight.items()):
            if not future.running():
                self._in_flight[future] = (wanted, time.monotonic())
                continue
            patience = _GRACE_SECONDS + self.recipe.episode_timeout * (len(wanted) + 1)
            if time.monotonic() - since > patience:
                future.cancel()
                del self._in_flight[future]
                self._lose(wanted, f"nothing was heard of its worker for {patience:.0f} seconds")

    def _tell(self, *, is_last: bool = False) -> None:
        schedule = self.schedule
        self.meter.update(
            schedule.episodes, schedule.steps, len(schedule.failures), is_last=is_last
        )


def _check_amount(
    total_episodes: int | None, total_steps: int | None, env: EnvLike | None, seed: int | None
) -> None:
    if (total_episodes is None) == (total_steps is None):
        raise DataError("give one of total_episodes and total_steps")
    amount = total_episodes if total_steps is None else total_steps
    if amount is None or amount < 1:
        raise DataError(f"{amount} episodes or steps cannot be collected; ask for at least 1")
    if env is None:
        raise DataError("give env: an id, a spec, or a function that makes an environment")
    if seed is not None and seed < 0:
        raise DataError(f"seed is {seed}; it cannot be negative")


def _worker_count(workers: int | None, executor: Executor | None) -> int:
    if workers is not None:
        if workers < 1:
            raise DataError(f"workers is {workers}; there must be at least 1")
        return workers
    known = getattr(executor, "_max_workers", None)
    return known if isinstance(known, int) else os.cpu_count() or 1


def _env_text(env: EnvLike) -> str:
    """What tells one environment from another when a run is resumed."""
    if isinstance(env, str):
        return env
    if isinstance(env, EnvSpec):
        return env_spec_to_json(env)
    return f"{getattr(env, '__module__', '')}:{getattr(env, '__qualname__', type(env).__name__)}"


def _check_failures(schedule: Schedule, folder: RunFolder, skip_failed: bool) -> None:
    failures = schedule.failures
    if not failures:
        return
    told = [f"episode {f.episode} (seed {f.seed}):\n{f.reason}" for f in failures]
    if len(told) > _REPORTED_FAILURES:
        told[_REPORTED_FAILURES:] = [f"and {len(told) - _REPORTED_FAILURES} more"]
    text = "\n".join(told)
    if skip_failed:
        warn_caller(f"{len(failures)} episodes failed and are not in the dataset:\n{text}")
        return
    raise RecordingError(
        f"{len(failures)} episodes failed; the {schedule.episodes} others wait in {folder.path} "
        f"for resume=True, perhaps with skip_failed=True:\n{text}"
    )


def _wanted_parts(
    schedule: Schedule, folder: RunFolder, total_episodes: int | None, total_steps: int | None
) -> list[tuple[Part, int]]:
    """The parts of the dataset, and how many episodes of each."""
    wanted: list[tuple[Part, int]] = []
    steps = 0
    for part in schedule.parts:
        count = part.stop - part.first
        if total_episodes is not None:
            count = min(count, total_episodes - part.first)
        elif total_steps is not None and steps + part.steps >= total_steps:
            lengths = np.cumsum(folder.storage(part).episode_lengths())
            count = int(np.searchsorted(lengths, total_steps - steps)) + 1
        if count <= 0:
            break
        wanted.append((part, count))
        steps += part.steps
        if total_steps is not None and steps >= total_steps:
            break
    return wanted


def _fill(new: Storage, folder: RunFolder, parts: list[tuple[Part, int]]) -> None:
    whole = [part for part, count in parts if count == part.stop - part.first]
    if isinstance(new, ShardFolder):
        new.append_linked(folder.storage(part) for part in whole)
    else:
        for part in whole:
            new.append_storage(folder.storage(part))
    # Only the last part can be cut.
    last, count = parts[-1]
    if count < last.stop - last.first:
        new.append_storage(folder.storage(last), range(count))
