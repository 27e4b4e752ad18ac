"""Collecting a dataset with many workers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from minari_collect.callbacks import EpisodeMetadataCallback, StepDataCallback
from minari_collect.runs.arguments import (
    check_amount,
    check_callable,
    check_callback,
    check_env,
    check_executor,
    check_mapping,
    check_seconds,
)
from minari_collect.runs.coordinator import CollectRun
from minari_collect.runs.folder import RunFolder
from minari_collect.runs.progress import ProgressCallback, ProgressMeter
from minari_collect.runs.schedule import Schedule
from minari_collect.workers.environment import make_env
from minari_collect.workers.messages import EnvLike, OpenRemote, Part, Recipe, Way
from minari_collect.workers.policies import Policy
from minari_core import MinariDataset
from minari_core.arguments import check_count, check_count_or_none
from minari_core.datasets.card import DatasetCard
from minari_core.environments.env_specs import env_spec_from_json, env_spec_to_json
from minari_core.errors import DataError, RecordingError
from minari_core.formats.columnar.shard_folder import ShardFolder
from minari_core.formats.registry import check_format
from minari_core.json_values import JsonValue
from minari_core.local.dataset_id import choose_id
from minari_core.local.locations import staging_root
from minari_core.local.publishing import check_id_is_free, publish
from minari_core.messages import warn_caller
from minari_core.storage.base import Storage

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
    remote: OpenRemote | None = None,
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
        work_dir_is_shared: Whether the workers see the same ``work_dir``. If not, each writes to
            its own folder of that name, or its temporary folder, and the shards travel with the
            results.
        remote: Opens a remote through which the shards travel instead, such as
            ``functools.partial(minari.open_remote, "gs://bucket/folder")``; what went through
            it stays there.
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
        DataError: An argument is not what it should be, and nothing was begun; or the arguments
            do not say how much to collect.
        RecordingError: The environment cannot be made here, and nothing was begun. Or episodes
            failed for good; the message has their seeds and tracebacks. As
            after every error and after Ctrl-C, everything that is complete waits for
            ``resume=True``.
        DatasetWriteError: The file system refused.
    """
    new_id = choose_id(dataset_name, dataset_id)
    check_id_is_free(new_id)
    chosen_format = check_format(data_format)
    total_episodes = check_count_or_none("total_episodes", total_episodes)
    total_steps = check_count_or_none("total_steps", total_steps)
    check_amount(total_episodes, total_steps)
    check_env(env)
    seed = check_count_or_none("seed", seed, 0)
    num_envs = check_count("num_envs", num_envs)
    max_attempts = check_count("max_attempts", max_attempts)
    max_episode_steps = check_count_or_none("max_episode_steps", max_episode_steps)
    max_buffer_steps = check_count_or_none("max_buffer_steps", max_buffer_steps)
    episodes_per_task = check_count_or_none("episodes_per_task", episodes_per_task)
    episode_timeout = check_seconds("episode_timeout", episode_timeout)
    check_mapping("env_kwargs", env_kwargs)
    check_mapping("reset_options", reset_options)
    check_callable("policy", policy, "a function of an observation, or None to act at random")
    check_callable("remote", remote, "a function that opens a remote, or None")
    if not isinstance(progress, bool):
        check_callable("progress", progress, "a function of a CollectProgress, True, False or None")
    check_callback("step_data_callback", step_data_callback)
    check_callback("episode_metadata_callback", episode_metadata_callback)
    check_executor(executor)
    count = _worker_count(check_count_or_none("workers", workers), executor)
    described = DatasetCard(
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
        seed=seed or 0,
        num_envs=num_envs,
        env_kwargs=dict(env_kwargs or {}),
        reset_options=reset_options,
        max_episode_steps=max_episode_steps,
        episode_timeout=episode_timeout,
        open_remote=remote,
        collector={
            "step_data_callback": step_data_callback,
            "episode_metadata_callback": episode_metadata_callback,
            "record_infos": record_infos,
            "max_buffer_steps": max_buffer_steps,
        },
    )
    if executor is None:
        # What other machines have installed cannot be told from here.
        _check_environment(recipe)
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
    way = _way(remote, work_dir_is_shared)
    meter = ProgressMeter(progress, total_episodes, total_steps)
    fresh_seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> 1)
    with folder.opened(settled, resume=resume) as agreed:
        known_seed = agreed["seed"]
        if not isinstance(known_seed, int):
            folder.settle({**agreed, "seed": fresh_seed})
            known_seed = fresh_seed
        recipe = replace(recipe, seed=known_seed)
        schedule.start_from(folder.parts())
        work_folder = "" if way != "folder" and work_dir is None else str(folder.path)
        CollectRun(recipe, folder, schedule, meter, way, work_folder).drive(executor, count)
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


def _way(remote: OpenRemote | None, is_shared: bool) -> Way:
    if remote is not None:
        return "remote"
    return "folder" if is_shared else "result"


def _worker_count(workers: int | None, executor: Executor | None) -> int:
    if workers is not None:
        return workers
    known = getattr(executor, "_max_workers", None)
    return known if isinstance(known, int) else os.cpu_count() or 1


def _check_environment(recipe: Recipe) -> None:
    """Make a named environment once, before anything is written that names it."""
    if not isinstance(recipe.env, str | EnvSpec):
        return
    name = recipe.env if isinstance(recipe.env, str) else recipe.env.id
    try:
        make_env(replace(recipe, num_envs=1)).close()
    except Exception as error:  # an environment raises whatever it likes
        raise RecordingError(
            f"environment {name!r} cannot be made: {type(error).__name__}: {error}; nothing was "
            "begun"
        ) from error


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
    failed = "1 episode failed" if len(failures) == 1 else f"{len(failures)} episodes failed"
    so_far = f"the {schedule.episodes} others wait in {folder.path} for resume=True"
    told = [f"episode {f.episode} (seed {f.seed}):\n{f.reason}" for f in failures]
    if len(told) > _REPORTED_FAILURES:
        told[_REPORTED_FAILURES:] = [f"and {len(told) - _REPORTED_FAILURES} more"]
    text = "\n".join(told)
    if schedule.is_hopeless:
        raise RecordingError(
            f"{failed} and none succeeded meanwhile, so the run was stopped; {so_far}:\n{text}"
        )
    if skip_failed:
        verb = "is" if len(failures) == 1 else "are"
        warn_caller(f"{failed} and {verb} not in the dataset:\n{text}")
        return
    raise RecordingError(f"{failed}; {so_far}, perhaps with skip_failed=True:\n{text}")


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
