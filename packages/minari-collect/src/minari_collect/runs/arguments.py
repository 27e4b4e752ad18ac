"""Validate the arguments of `collect_dataset` before anything starts."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.envs.registration import EnvSpec

from minari_collect.runs.identity import COMPARED
from minari_collect.runs.progress import ProgressCallback
from minari_collect.runs.schedule import Schedule
from minari_collect.workers.environment import make_env
from minari_collect.workers.messages import EnvLike, OpenRemote, Recipe
from minari_collect.workers.policies import Policy, check_takes_mask
from minari_core.arguments import check_count, check_count_or_none
from minari_core.environments.space_json import space_to_json
from minari_core.errors import DataError, RecordingError
from minari_core.formats.registry import check_format_holds
from minari_core.messages import format_value


def make_recipe(
    env: EnvLike | None,
    policy: Policy | None,
    *,
    num_envs: int,
    env_kwargs: Mapping[str, Any] | None,
    reset_options: Mapping[str, Any] | None,
    max_episode_steps: int | None,
    episode_timeout: float | None,
    remote: OpenRemote | None,
    collector: Mapping[str, Any],
) -> Recipe:
    """Validate what each episode depends on, except for the seed, and make a recipe of it.

    Raises:
        DataError: An argument has another type or value than it should.
    """
    rule = "an id, a spec, or a function that makes an environment"
    if env is None:
        raise DataError(f"give env: {rule}")
    if not isinstance(env, str | EnvSpec) and not callable(env):
        raise DataError(f"env is {format_value(env)}; give {rule}")
    _check_callable("policy", policy, "a function of an observation, or None to act at random")
    _check_callable("remote", remote, "a function that opens a remote, or None")
    _check_mapping("env_kwargs", env_kwargs)
    _check_mapping("reset_options", reset_options)
    for name in ("step_data_callback", "episode_metadata_callback"):
        if not callable(collector[name]):
            text = format_value(collector[name])
            raise DataError(f"{name} is {text}, which cannot be called; give a callback")
    if check_count("num_envs", num_envs) > 1:
        check_takes_mask(policy)
    max_buffer_steps = check_count_or_none("max_buffer_steps", collector["max_buffer_steps"])
    return Recipe(
        env=env,
        policy=policy,
        num_envs=check_count("num_envs", num_envs),
        env_kwargs=dict(env_kwargs or {}),
        reset_options=reset_options,
        max_episode_steps=check_count_or_none("max_episode_steps", max_episode_steps),
        episode_timeout=_check_seconds("episode_timeout", episode_timeout),
        open_remote=remote,
        collector={**collector, "max_buffer_steps": max_buffer_steps},
    )


def make_schedule(
    total_episodes: int | None,
    total_steps: int | None,
    *,
    workers: int,
    max_attempts: int,
    num_envs: int,
    episodes_per_task: int | None,
) -> Schedule:
    """Validate how much is collected, and how it is dealt out, and make a schedule of it.

    Raises:
        DataError: A number is not whole or too small, or the amount is given twice or not at all.
    """
    total_episodes = check_count_or_none("total_episodes", total_episodes)
    total_steps = check_count_or_none("total_steps", total_steps)
    if (total_episodes is None) == (total_steps is None):
        raise DataError("give one of total_episodes and total_steps")
    return Schedule(
        total_episodes=total_episodes,
        total_steps=total_steps,
        workers=workers,
        max_attempts=check_count("max_attempts", max_attempts),
        num_envs=num_envs,
        episodes_per_task=check_count_or_none("episodes_per_task", episodes_per_task),
    )


def check_resume(resume: object) -> tuple[bool, Collection[str]]:
    """Return whether a run may be resumed, and the arguments that count as the same then.

    Raises:
        DataError: It is neither a bool nor names of such arguments.
    """
    if isinstance(resume, bool | np.bool_):
        return bool(resume), ()
    if isinstance(resume, list | tuple | set | frozenset) and all(
        name in COMPARED for name in resume
    ):
        return True, resume
    raise DataError(
        f"resume is {format_value(resume)}; give True, False, or a list of the arguments that "
        f"count as the same although they look different, of {', '.join(COMPARED)}"
    )


def check_work_dir(work_dir: object) -> Path | None:
    """Return the absolute path of a work folder, if there is one.

    Raises:
        DataError: It is no path.
    """
    if work_dir is None:
        return None
    if not isinstance(work_dir, str | os.PathLike) or "\0" in str(work_dir) or not str(work_dir):
        raise DataError(f"work_dir is {format_value(work_dir)}; give the path of a folder, or None")
    return Path(work_dir).absolute()


def check_progress(
    progress: ProgressCallback | bool | None,
) -> ProgressCallback | bool | None:
    """Return what shows the progress, if it can.

    Raises:
        DataError: It is neither a callable, a bool nor None.
    """
    if not isinstance(progress, bool):
        rule = "a function of a CollectProgress, True, False or None"
        _check_callable("progress", progress, rule)
    return progress


def count_workers(workers: int | None, executor: Executor | None) -> int:
    """Return the number of workers: the argument, or that of the executor or this machine.

    Raises:
        DataError: It is not a whole number of at least 1, or the executor is none.
    """
    if executor is not None and (
        isinstance(executor, type) or not callable(getattr(executor, "submit", None))
    ):
        raise DataError(
            f"executor is {format_value(executor)}; give an object with the interface of "
            "concurrent.futures.Executor, or None for processes of this machine"
        )
    workers = check_count_or_none("workers", workers)
    if workers is not None:
        return workers
    known = getattr(executor, "_max_workers", None)
    return known if isinstance(known, int) else os.cpu_count() or 1


def check_environment(recipe: Recipe, data_format: str) -> None:
    """Make the environment once, before anything is written that needs it, and check its spaces.

    Raises:
        RecordingError: A named environment cannot be made here.
        SpaceError: A space cannot be stored, or not in the data format.
    """
    try:
        with contextlib.closing(make_env(replace(recipe, num_envs=1))) as env:
            observation_space, action_space = env.observation_space, env.action_space
    except Exception as error:  # an environment raises whatever it likes
        if not isinstance(recipe.env, str | EnvSpec):
            return  # a function may do better in a worker, or when it is called again
        name = recipe.env if isinstance(recipe.env, str) else recipe.env.id
        raise RecordingError(
            f"environment {name!r} cannot be made: {type(error).__name__}: {error}; nothing was "
            "begun"
        ) from error
    space_to_json(observation_space, "observation_space")
    space_to_json(action_space, "action_space")
    check_format_holds(data_format, observation_space, action_space)


def _check_seconds(name: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Real) or not float(value) > 0:
        raise DataError(
            f"{name} is {format_value(value)}; give a number of seconds above 0, or None"
        )
    return float(value)


def _check_callable(name: str, value: object, rule: str) -> None:
    if value is not None and not callable(value):
        raise DataError(f"{name} is {format_value(value)}; give {rule}")


def _check_mapping(name: str, value: object) -> None:
    if value is not None and not isinstance(value, Mapping):
        raise DataError(f"{name} is {format_value(value)}; give a dict, or None")
