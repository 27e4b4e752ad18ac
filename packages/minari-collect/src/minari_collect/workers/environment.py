"""The recipe, environment and remote that a thread of a worker keeps between tasks."""

from __future__ import annotations

import contextlib
import pickle
import threading
from collections.abc import Iterator
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

from minari_collect.collectors.vector_environment import DISABLED
from minari_collect.workers.messages import Recipe, ShardRemote, Task
from minari_core.errors import RecordingError

_of_thread = threading.local()


def load_recipe(task: Task) -> Recipe:
    """Load the recipe of a task, once for each run and thread."""
    if getattr(_of_thread, "run", None) != task.run:
        _drop_env()
        _of_thread.recipe = pickle.loads(task.recipe)
        _of_thread.remote = None
        _of_thread.run = task.run
    recipe: Recipe = _of_thread.recipe
    return recipe


def get_remote(recipe: Recipe) -> ShardRemote | None:
    """Get the remote that the shards of this thread travel through, if they do."""
    if recipe.open_remote is None:
        return None
    if _of_thread.remote is None:
        _of_thread.remote = recipe.open_remote()
    remote: ShardRemote = _of_thread.remote
    return remote


def _drop_env() -> None:
    env = getattr(_of_thread, "env", None)
    _of_thread.env = None
    if env is not None:
        with contextlib.suppress(Exception):  # an environment that failed may fail again
            env.close()


@contextlib.contextmanager
def borrow_environment(recipe: Recipe) -> Iterator[Any]:
    """Lend the environment of this thread; after an error, it is closed, and made anew later."""
    if getattr(_of_thread, "env", None) is None:
        _of_thread.env = make_env(recipe)
    try:
        yield _of_thread.env
    except BaseException:
        _drop_env()
        raise


def make_env(recipe: Recipe) -> Any:
    """Make the environment of a recipe, or the vector environment of many."""
    if recipe.num_envs > 1:
        modes: Any = {}
        if hasattr(gymnasium.vector, "AutoresetMode"):
            modes["autoreset_mode"] = DISABLED
        else:
            raise RecordingError("num_envs above 1 needs Gymnasium 1.1 or newer")
        return gymnasium.vector.SyncVectorEnv(
            [lambda: _make_single_env(recipe) for _ in range(recipe.num_envs)], **modes
        )
    return _make_single_env(recipe)


def _make_single_env(recipe: Recipe) -> Any:
    if isinstance(recipe.env, str | EnvSpec):
        limits: dict[str, Any] = dict(recipe.env_kwargs)
        if recipe.max_episode_steps is not None:
            limits["max_episode_steps"] = recipe.max_episode_steps
        return gymnasium.make(recipe.env, **limits)
    env = recipe.env(**recipe.env_kwargs)
    if recipe.max_episode_steps is not None and isinstance(env, gymnasium.Env):
        env = gymnasium.wrappers.TimeLimit(env, recipe.max_episode_steps)
    return env
