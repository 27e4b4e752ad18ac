"""What a worker does: collect some episodes into a folder of shards.

Everything here must work in a fresh process on another machine, with nothing but a `Task`.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

from minari_collect.data_collector import DataCollectorV0
from minari_collect.episode_watch import EpisodeTimeoutError, EpisodeWatch
from minari_collect.policies import Policy, PolicyRunner, VectorPolicyRunner
from minari_collect.staging import CollectorStaging
from minari_collect.vector_collector import DISABLED, VectorDataCollector
from minari_core.errors import MissingDependencyError, RecordingError
from minari_core.manifest import Manifest, sync_file, sync_folder, write_manifest
from minari_core.shard_folder import ShardFolder

_FOLDER_FORMAT = "episodes-{first:012d}-{stop:012d}"
_ENV_STREAM, _POLICY_STREAM = 0, 1

EnvLike = str | EnvSpec | Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What all episodes of a run have in common."""

    env: EnvLike
    """The id or the spec of an environment, or what makes one."""
    policy: Policy | None
    """Chooses the actions; None chooses them at random."""
    seed: int
    """What the seeds of all episodes follow from."""
    num_envs: int = 1
    """How many environments a worker steps together."""
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of ``gymnasium.make``."""
    reset_options: Mapping[str, Any] | None = None
    """Options of each reset."""
    max_episode_steps: int | None = None
    """After how many steps an episode is cut."""
    episode_timeout: float | None = None
    """How many seconds an episode may take."""
    collector: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the collector."""


@dataclass(frozen=True, slots=True)
class Task:
    """Some episodes for a worker to collect."""

    recipe: bytes
    """The pickled `Recipe`."""
    run: str
    """A word that tells this run from others in the same process."""
    first: int
    """The first episode."""
    stop: int
    """One past the last episode."""
    folder: str
    """Where finished folders of shards go."""
    send_files: bool
    """Whether the shards travel in the result, because the folder is not shared."""
    may_exit: bool
    """Whether the process may be ended when an episode hangs beyond help."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An episode that could not be collected."""

    episode: int
    """Which episode."""
    seed: int
    """The seed that its environment was reset with."""
    reason: str
    """The traceback, or what else is known."""


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive episodes that were collected."""

    first: int
    """The first episode."""
    stop: int
    """One past the last episode."""
    steps: int
    """How many steps they have."""
    files: Mapping[str, bytes] | None = None
    """The files of their folder, if it does not travel by itself."""

    @property
    def name(self) -> str:
        """The name of the folder of their shards."""
        return _FOLDER_FORMAT.format(first=self.first, stop=self.stop)


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What became of a task."""

    parts: tuple[Part, ...]
    """What was collected."""
    failures: tuple[Failure, ...]
    """What was not."""


def episode_seeds(seed: int, episode: int) -> tuple[int, int]:
    """The seeds of an episode's environment and policy; they follow from the two numbers alone.

    Args:
        seed: The seed of the run.
        episode: The number of the episode.

    Returns:
        Two integers of 31 bits, which every environment takes.
    """
    drawn = np.random.SeedSequence(seed, spawn_key=(episode,)).generate_state(2)
    return int(drawn[_ENV_STREAM] >> 1), int(drawn[_POLICY_STREAM] >> 1)


def to_bytes(recipe: Recipe) -> bytes:
    """Pickle a recipe, with cloudpickle where pickle cannot.

    Raises:
        MissingDependencyError: Only cloudpickle could, and it is not installed.
    """
    try:
        pickled = pickle.dumps(recipe)
        # What is defined in the main module of a script is not there in a worker.
        if b"__main__" not in pickled:
            return pickled
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        reason: Exception | None = error
        pickled = b""
    else:
        reason = None
    try:
        import cloudpickle  # type: ignore[import-untyped]  # ships no types
    except ImportError:
        if reason is None:
            return pickled
        raise MissingDependencyError(
            f"env, policy or a callback cannot be sent to workers: {reason}; define them in a "
            "module that the workers can import, or install cloudpickle"
        ) from reason
    return bytes(cloudpickle.dumps(recipe))


def run_task(task: Task) -> TaskResult:
    """Collect the episodes of a task.

    Episodes that fail are left out and reported; the environment is made anew after each.
    """
    recipe = _recipe_of(task)
    if recipe.num_envs > 1:
        return _collect_batched(task, recipe)
    parts: list[Part] = []
    failures: list[Failure] = []
    first = task.first
    while first < task.stop:
        part, failed = _collect(task, recipe, first)
        if part is not None:
            parts.append(part)
        if failed is None:
            break
        failures.append(failed)
        first = failed.episode + 1
    return TaskResult(tuple(parts), tuple(failures))


class PartStaging(CollectorStaging):
    """Shards of a part, which become visible as a whole when it is complete."""

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        env_spec: str | None,
        parent: Path,
    ) -> None:
        """Describe what will be staged; nothing is written yet."""
        self._parent = parent
        super().__init__(observation_space, action_space, env_spec)

    def _make_folder(self) -> None:
        folder = self._parent / f".part-{uuid.uuid4().hex}"
        folder.mkdir(parents=True)
        self._folder = folder
        self._storage = self._empty()

    def _write_journal(self, *lines: Any) -> None:
        """Keep no journal: a part that is not complete is collected again."""

    def clear(self) -> None:
        """Remove all that is staged."""
        folder = self._folder
        made = folder != Path()
        self._begin_anew()
        if made:
            shutil.rmtree(folder, ignore_errors=True)

    def keep(self, first: int, places: Sequence[int], *, send_files: bool) -> Part:
        """Make a part of some of the episodes, under its final name.

        Args:
            first: The number of the first episode.
            places: Which of the recorded episodes, in the order of their numbers.
            send_files: Whether to read the files instead.
        """
        storage, folder = self._storage, self._folder
        if list(places) != list(range(storage.total_episodes)):
            # What was cut short by an error, or did not count, is left out.
            whole = ShardFolder(folder, Manifest(self._metadata, self._empty().layout))
            whole.append_storage(storage, places)
            for entry in storage.layout.shards:
                if entry.file not in {kept.file for kept in whole.layout.shards}:
                    (folder / entry.file).unlink()
            storage = whole
        count = len(places)
        write_manifest(folder, Manifest(self._metadata, storage.layout))
        for entry in storage.layout.shards:
            sync_file(folder / entry.file)
        part = Part(first, first + count, storage.total_steps)
        if send_files:
            names = ["metadata.json", *(entry.file for entry in storage.layout.shards)]
            files = {name: (folder / name).read_bytes() for name in names}
            return Part(part.first, part.stop, part.steps, files)
        put_in_place(folder, self._parent / part.name)
        self._begin_anew()
        return part


def put_in_place(folder: Path, target: Path) -> None:
    """Give a complete folder its name; whoever comes first with an episode has it."""
    try:
        os.rename(folder, target)
    except OSError:
        if not target.exists():
            raise
        shutil.rmtree(folder, ignore_errors=True)
        return
    sync_folder(target.parent)


class _PartCollector(DataCollectorV0):
    """Records one environment into a part."""

    def __init__(self, env: gymnasium.Env[Any, Any], parent: Path, **arguments: Any) -> None:
        self._parent = parent
        super().__init__(env, **arguments)

    def _new_staging(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        env_spec: str | None,
    ) -> CollectorStaging:
        return PartStaging(observation_space, action_space, env_spec, self._parent)

    @property
    def part(self) -> PartStaging:
        """What was recorded, complete up to here."""
        self.finished_episodes()
        return _as_part(self._staging)


class _VectorPartCollector(VectorDataCollector):
    """Records many environments into a part."""

    def __init__(self, envs: Any, parent: Path, **arguments: Any) -> None:
        self._parent = parent
        super().__init__(envs, **arguments)

    def _new_staging(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        env_spec: str | None,
    ) -> CollectorStaging:
        return PartStaging(observation_space, action_space, env_spec, self._parent)

    @property
    def part(self) -> PartStaging:
        """What was recorded, complete up to here."""
        self.finished_episodes()
        return _as_part(self._staging)


def _as_part(staging: CollectorStaging) -> PartStaging:
    if not isinstance(staging, PartStaging):
        raise RecordingError("a collector of a part stages elsewhere")
    return staging


_of_thread = threading.local()


def _recipe_of(task: Task) -> Recipe:
    """The recipe, unpickled once for each run and thread."""
    if getattr(_of_thread, "run", None) != task.run:
        _drop_env()
        _of_thread.recipe = pickle.loads(task.recipe)
        _of_thread.run = task.run
    recipe: Recipe = _of_thread.recipe
    return recipe


def _drop_env() -> None:
    env = getattr(_of_thread, "env", None)
    _of_thread.env = None
    if env is not None:
        with contextlib.suppress(Exception):  # an environment that failed may fail again
            env.close()


@contextlib.contextmanager
def _environment(recipe: Recipe) -> Iterator[Any]:
    """The environment of this thread, which is made anew after an error."""
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
            [lambda: _single_env(recipe) for _ in range(recipe.num_envs)], **modes
        )
    return _single_env(recipe)


def _single_env(recipe: Recipe) -> Any:
    if isinstance(recipe.env, str | EnvSpec):
        limits: dict[str, Any] = dict(recipe.env_kwargs)
        if recipe.max_episode_steps is not None:
            limits["max_episode_steps"] = recipe.max_episode_steps
        return gymnasium.make(recipe.env, **limits)
    env = recipe.env(**recipe.env_kwargs)
    if recipe.max_episode_steps is not None and isinstance(env, gymnasium.Env):
        env = gymnasium.wrappers.TimeLimit(env, recipe.max_episode_steps)
    return env


def _collect(task: Task, recipe: Recipe, first: int) -> tuple[Part | None, Failure | None]:
    """Collect from an episode on, up to the end of the task or the first failure."""
    progress = _Progress(first)
    collector: _PartCollector | None = None
    failure: Failure | None = None
    try:
        watch = EpisodeWatch(recipe.episode_timeout, may_exit=task.may_exit)
        with _environment(recipe) as env, watch:
            collector = _PartCollector(env, Path(task.folder), **recipe.collector)
            _collect_single(task, recipe, collector, progress, watch)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        failure = progress.failure(recipe.seed, error)
    if collector is None:
        return None, failure
    try:
        if not progress.done:
            return None, failure
        places = range(progress.done)
        return collector.part.keep(first, places, send_files=task.send_files), failure
    finally:
        collector.discard()


def _collect_batched(task: Task, recipe: Recipe) -> TaskResult:
    """Collect with many environments; one by one, if something fails, to tell what it was."""
    collector: _VectorPartCollector | None = None
    try:
        watch = EpisodeWatch(recipe.episode_timeout, may_exit=task.may_exit)
        with _environment(recipe) as envs, watch:
            collector = _VectorPartCollector(envs, Path(task.folder), **recipe.collector)
            places = _collect_vector(task, recipe, collector, watch)
            part = collector.part.keep(task.first, places, send_files=task.send_files)
            return TaskResult((part,), ())
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        if task.stop - task.first == 1:
            progress = _Progress(task.first)
            return TaskResult((), (progress.failure(recipe.seed, error),))
    finally:
        if collector is not None:
            collector.discard()
    results = [
        _collect_batched(replace(task, first=episode, stop=episode + 1), recipe)
        for episode in range(task.first, task.stop)
    ]
    return TaskResult(
        tuple(part for result in results for part in result.parts),
        tuple(failure for result in results for failure in result.failures),
    )


@dataclass(slots=True)
class _Progress:
    """How far a worker is."""

    first: int
    done: int = 0

    def failure(self, seed: int, error: BaseException) -> Failure:
        """What is reported of an error."""
        episode = self.first + self.done
        reason = "".join(traceback.format_exception(error))
        if isinstance(error, EpisodeTimeoutError):
            reason = f"the episode took too long\n{reason}"
        return Failure(episode, episode_seeds(seed, episode)[0], reason)


def _collect_single(
    task: Task, recipe: Recipe, collector: _PartCollector, progress: _Progress, watch: EpisodeWatch
) -> None:
    policy = PolicyRunner(recipe.policy, collector.action_space)
    for episode in range(progress.first, task.stop):
        env_seed, policy_seed = episode_seeds(recipe.seed, episode)
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
    task: Task, recipe: Recipe, collector: _VectorPartCollector, watch: EpisodeWatch
) -> list[int]:
    """Collect all episodes of a task, each in whatever environment is free.

    Environments that are left without an episode are stepped on, because Gymnasium steps all
    environments or none; what they do does not count.

    Returns:
        The place of each episode among those that were recorded.
    """
    count = recipe.num_envs
    policy = VectorPolicyRunner(recipe.policy, collector.single_action_space, count)
    waiting = iter(range(task.first, task.stop))
    # The episode that each environment is at; what is past the end does not count.
    current = [next(waiting, task.stop) for _ in range(count)]
    recorded: list[int] = []
    started = [time.monotonic()] * count

    def begin(mask: npt.NDArray[np.bool_] | None) -> Any:
        chosen = range(count) if mask is None else np.flatnonzero(mask).tolist()
        seeds = [episode_seeds(recipe.seed, episode) for episode in current]
        policy.reset({env: seeds[env][1] for env in chosen}, count)
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
        oldest = min(started[env] for env in range(count) if current[env] < task.stop or env == 0)
        limit = recipe.episode_timeout
        if limit is not None and time.monotonic() - oldest > limit:
            raise EpisodeTimeoutError
    place_of = {episode: place for place, episode in enumerate(recorded)}
    return [place_of[episode] for episode in range(task.first, task.stop)]
