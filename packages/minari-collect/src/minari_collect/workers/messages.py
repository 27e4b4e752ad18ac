"""The messages between the coordinator of a run and its workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from gymnasium.envs.registration import EnvSpec

from minari_collect.workers.policies import Policy

RUN_NAME = "run.json"
"""The file that says what a run is, in its folder."""

INCOMPLETE_PREFIX = ".part-"
"""How the names of folders begin whose shards are not complete."""

WORKER_PREFIX = ".worker-"
"""How the names of the locks begin that workers hold in the folder of a run."""

_FOLDER_FORMAT = "episodes-{first:012d}-{stop:012d}"
_ENV_STREAM, _POLICY_STREAM = 0, 1

EnvLike: TypeAlias = str | EnvSpec | Callable[..., Any]
"""An environment's id or spec, or a function that makes one."""
Transport: TypeAlias = Literal["folder", "result", "remote"]
"""How shards get from the workers to the coordinator."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The recipe that all episodes of a run have in common."""

    env: EnvLike
    """The id or the spec of an environment, or a function that makes one."""
    policy: Policy | None
    """Chooses the actions; None chooses them at random."""
    num_envs: int = 1
    """Number of environments that a worker steps together."""
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of ``gymnasium.make``."""
    reset_options: Mapping[str, Any] | None = None
    """Options of each reset."""
    max_episode_steps: int | None = None
    """The number of steps after which an episode is truncated."""
    episode_timeout: float | None = None
    """Number of seconds that an episode may take."""
    collector: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the collector."""
    open_remote: OpenRemote | None = None
    """Opens the remote through which shards travel, if they do."""


@dataclass(frozen=True, slots=True)
class Task:
    """Some episodes for a worker to collect."""

    recipe: bytes
    """The pickled `Recipe`."""
    seed: int
    """The seed of the run, from which those of all episodes are derived."""
    run: str
    """A name that tells this run from others in the same process."""
    number: int
    """Another one for each task, because some engines run equal calls only once."""
    first: int
    """The first episode."""
    stop: int
    """One past the last episode."""
    folder: str
    """The destination of finished folders of shards; the worker's temporary folder if empty."""
    transport: Transport
    """How the shards get to the coordinator: they lie in a folder that it sees, or they travel in
    the result, or through a remote."""
    may_exit: bool
    """Whether the process may be ended when an episode hangs beyond help."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An episode that could not be collected."""

    episode: int
    """The index of the episode."""
    seed: int
    """The seed that its environment was reset with."""
    reason: str
    """The traceback, or whatever else is known."""
    is_of_worker: bool = False
    """Whether the worker could not write, which is not the episode's fault."""


@dataclass(frozen=True, slots=True)
class TaskOutput:
    """Consecutive episodes that a task collected."""

    first: int
    """The first episode."""
    stop: int
    """One past the last episode."""
    steps: int
    """Number of their steps."""
    files: Mapping[str, bytes] | None = None
    """The files of their folder, if they travel in the result."""
    objects: Mapping[str, tuple[str, int]] | None = None
    """For each file the name and the size of its object, if they travel through a remote."""

    @property
    def name(self) -> str:
        """The name of the folder of their shards."""
        return _FOLDER_FORMAT.format(first=self.first, stop=self.stop)


@dataclass(frozen=True, slots=True)
class TaskResult:
    """The outcome of a task."""

    outputs: tuple[TaskOutput, ...]
    """The outputs of what was collected."""
    failures: tuple[Failure, ...]
    """The failures of what was not."""


def derive_seeds(seed: int, episode: int) -> tuple[int, int]:
    """Derive the seeds of an episode's environment and policy, from the two numbers alone.

    Args:
        seed: The seed of the run.
        episode: The number of the episode.

    Returns:
        Two integers of 31 bits, which every environment takes.
    """
    drawn = np.random.SeedSequence(seed, spawn_key=(episode,)).generate_state(2)
    return int(drawn[_ENV_STREAM] >> 1), int(drawn[_POLICY_STREAM] >> 1)


class ShardRemote(Protocol):
    """A store that keeps bytes under names; every ``minari_hub.Remote`` is one."""

    def create(self, name: str, content: bytes, metadata: Mapping[str, str], /) -> None:
        """Create an object.

        Args:
            name: Its name, names joined by ``/``.
            content: What it holds.
            metadata: Empty here.
        """
        ...

    def read(self, name: str, start: int, stop: int, /) -> bytes:
        """Read bytes ``start`` to ``stop`` of an object, or fewer where it ends before."""
        ...


OpenRemote: TypeAlias = Callable[[], ShardRemote]
"""Opens a remote, in each process on its own."""
