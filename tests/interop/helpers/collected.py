"""Datasets for the clients."""

from __future__ import annotations

from typing import Any

import gymnasium

import minari


def collect(
    dataset_id: str, env: gymnasium.Env[Any, Any], data_format: str, episodes: int = 6
) -> minari.MinariDataset:
    """Record whole episodes under a random policy."""
    collector = minari.DataCollector(env, record_infos=True, data_format=data_format)
    collector.action_space.seed(3)
    for seed in range(episodes):
        collector.reset(seed=seed)
        over = False
        while not over:
            _, _, terminated, truncated, _ = collector.step(collector.action_space.sample())
            over = terminated or truncated
    return collector.create_dataset(dataset_id)
