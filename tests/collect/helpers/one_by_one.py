"""What a run of many workers has to be equal to: one collector around one environment."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from minari_collect import DataCollectorV0
from minari_collect import create_dataset_from_collector_env as create
from minari_collect.workers.messages import derive_seeds
from minari_collect.workers.policies import PolicyRunner
from minari_core.datasets.dataset import MinariDataset


def fingerprint(dataset: MinariDataset) -> str:
    """A hash of every bit of every episode."""
    digest = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, dict):
            for key in sorted(value):
                digest.update(key.encode())
                add(value[key])
        elif isinstance(value, tuple | list):
            for item in value:
                add(item)
        elif isinstance(value, np.ndarray):
            digest.update(f"{value.dtype}{value.shape}".encode() + np.ma.getdata(value).tobytes())
        else:
            digest.update(repr(value).encode())

    for episode in dataset:
        add([episode.observations, episode.actions, episode.rewards, episode.terminations])
        add([episode.truncations, episode.infos, episode.seed, episode.metadata])
    return digest.hexdigest()


def one_by_one(
    make: Callable[[], Any], policy: Any, episodes: int, seed: int, **arguments: Any
) -> MinariDataset:
    """The dataset as a collector around one environment makes it."""
    env = DataCollectorV0(make(), **arguments)
    runner = PolicyRunner(policy, env.action_space)
    for episode in range(episodes):
        env_seed, policy_seed = derive_seeds(seed, episode)
        runner.reset(policy_seed)
        observation, _ = env.reset(seed=env_seed)
        over = False
        while not over:
            observation, _, terminated, truncated, _ = env.step(runner(observation))
            over = bool(terminated or truncated)
    dataset = create("tests/one-by-one-v0", env)
    env.close()
    return dataset
