"""Datasets of arrays, which flat files hold."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

import minari
from minari import EpisodeBuffer, MinariDataset


def make_dataset(
    name: str = "maze/walk-v0",
    observation_space: spaces.Space[Any] | None = None,
    action_space: spaces.Space[Any] | None = None,
    *,
    with_cost: bool = False,
) -> MinariDataset:
    """Five episodes that end either way, or both ways at once, with infos of all kinds."""
    observation_space = observation_space or spaces.Box(-1, 1, (3,), np.float32)
    action_space = action_space or spaces.Box(-1, 1, (2,), np.float32)
    observation_space.seed(0)
    action_space.seed(0)
    rng = np.random.default_rng(0)
    episodes = []
    for number in range(5):
        steps = 1 + number
        observations = [observation_space.sample() for _ in range(steps + 1)]
        last = np.arange(steps) == steps - 1
        infos: dict[str, Any] = {
            "qpos": rng.normal(size=(steps + 1, 4)),
            "words": [f"word {row}" for row in range(steps + 1)],
        }
        if number % 2:
            infos["rare"] = rng.integers(0, 9, steps + 1)
        if with_cost:
            infos["costs"] = rng.normal(size=steps)
        episodes.append(
            EpisodeBuffer(
                observations=_stack(observations),
                actions=np.stack([action_space.sample() for _ in range(steps)]),
                rewards=rng.normal(size=steps),
                terminations=last & (number != 1),
                truncations=last & (number in (1, 2)),
                infos=infos,
                seed=number or None,
                options={"low": 0.5} if number == 3 else None,
                metadata={"quality": f"grade {number}"},
            )
        )
    return minari.create_dataset_from_buffers(
        name,
        episodes,
        observation_space=observation_space,
        action_space=action_space,
        description="Walk the maze.",
        author="Ada",
        step_infos=["costs"] if with_cost else (),
    )


def _stack(values: list[Any]) -> Any:
    if isinstance(values[0], dict):
        return {key: _stack([value[key] for value in values]) for key in values[0]}
    return np.stack(values)
