"""Replays of episodes, kept in the cache."""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
import threading
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from gymnasium.envs.registration import EnvSpec

from minari.replay.frames import Replay
from minari.replay.process import run_job
from minari.replay.worker import Job
from minari_core import EpisodeData, MinariDataset
from minari_core.cache.opening import open_entry
from minari_core.cache.settings import cache_limit
from minari_core.environments.env_specs import env_spec_to_json
from minari_core.environments.recovery import check_requirements, choose_environment
from minari_core.errors import CacheError, EnvironmentNotRecoverableError, ReplayError
from minari_core.messages import Progress

CACHE_KIND = "replays"
"""The kind of the cache's entries that are replays."""
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Trust:
    """What of a dataset's environment spec is run, as `recover_environment` has it."""

    entry_point: bool = False
    """Whether code that only the dataset names is run."""
    paths: bool = False
    """Whether paths among its arguments are passed on."""
    skip_wrappers: Collection[str] = ()
    """The names of the wrappers to leave out."""


def choose_spec(dataset: MinariDataset, trust: Trust) -> EnvSpec:
    """Choose the environment that the episodes of a dataset are replayed in; nothing is run.

    Raises:
        EnvironmentNotRecoverableError: There is none.
        UntrustedEnvironmentError: The dataset names code that its registration does not.
    """
    spec = dataset.env_spec
    if spec is None:
        raise EnvironmentNotRecoverableError(
            f"dataset {dataset.id!r} does not say which environment it comes from, so that no "
            "episode can be replayed"
        )
    return choose_environment(
        spec,
        trust_entry_point=trust.entry_point,
        trust_paths=trust.paths,
        skip_wrappers=trust.skip_wrappers,
    )


def check_seed(episode: int, seed: int | None) -> None:
    """Raise if an episode has no seed.

    Raises:
        ReplayError: It has none.
    """
    if seed is None:
        raise ReplayError(
            f"episode {episode} was recorded without a seed, so that nothing leads to its first "
            "observation again; record with env.reset(seed=…) to replay episodes"
        )


def find_replay(
    dataset: MinariDataset,
    episode: EpisodeData,
    trust: Trust | None = None,
    *,
    progress: Progress = lambda done, total: None,
    cancelled: threading.Event | None = None,
) -> Replay:
    """Find the replay of an episode in the cache, or make it.

    Whatever decides about it is in its key: seed, options, actions, observations, environment.

    Args:
        dataset: The dataset or view of the episode.
        episode: The episode.
        trust: What of the dataset's spec is run; what is registered here if None.
        progress: Called with the observations that were replayed, and all.
        cancelled: Set by another thread to end it.

    Returns:
        The frames up to where the replay is what was recorded.

    Raises:
        CacheError: The cache is too small, or cannot be written.
        EnvironmentNotRecoverableError: The environment cannot be made here, or may not be run.
        ReplayError: The episode has no seed; or the environment fails, or has no frames.
    """
    check_seed(episode.id, episode.seed)
    spec = choose_spec(dataset, trust or Trust())
    requirements = dataset.storage.metadata.get("requirements")
    if isinstance(requirements, list):
        check_requirements([str(each) for each in requirements])
    installed = _describe_installed()

    def make(folder: Path) -> None:
        job = Job(spec, episode, folder, cache_limit(), installed)
        run_job(job, progress, cancelled or threading.Event())

    replay, _ = open_entry(
        CACHE_KIND,
        _make_key(spec, episode),
        f"{dataset.id}, episode {episode.id}",
        make,
        lambda folder: Replay(folder, installed),
    )
    return replay


def find_cached_replay(
    dataset: MinariDataset, episode: EpisodeData, trust: Trust | None = None
) -> Replay | None:
    """Find the replay of an episode if it is in the cache; nothing is run.

    Args:
        dataset: The dataset or view of the episode.
        episode: The episode.
        trust: As it was made with; what is registered here if None.
    """
    installed = _describe_installed()

    def refuse(folder: Path) -> None:
        raise ReplayError("it is not in the cache")

    try:
        check_seed(episode.id, episode.seed)
        replay, _ = open_entry(
            CACHE_KIND,
            _make_key(choose_spec(dataset, trust or Trust()), episode),
            f"{dataset.id}, episode {episode.id}",
            refuse,
            lambda folder: Replay(folder, installed),
        )
    except (CacheError, EnvironmentNotRecoverableError, ReplayError):
        return None
    return replay


def _make_key(spec: EnvSpec, episode: EpisodeData) -> str:
    entry_point: object = spec.entry_point
    if callable(entry_point):
        entry_point = f"{entry_point.__module__}:{getattr(entry_point, '__qualname__', '')}"
    named = replace(spec, entry_point=str(entry_point), vector_entry_point=None)
    digest = hashlib.sha256(env_spec_to_json(named).encode())
    recorded = (episode.seed, episode.options, episode.actions, episode.observations)
    # From protocol 5 on, arrays that may not be written to are pickled in another way.
    digest.update(pickle.dumps((_VERSION, *recorded), protocol=4))
    return digest.hexdigest()[:32]


def _describe_installed() -> str:
    """Describe the packages that are installed by a text, without opening any."""
    names: set[str] = set()
    for folder in sys.path:
        try:
            names.update(name for name in os.listdir(folder or ".") if name.endswith("-info"))
        except OSError:
            continue
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:32]
