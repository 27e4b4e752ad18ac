"""Datasets that files of demonstrations hold."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

import minari
from minari import EpisodeBuffer, MinariDataset

OBSERVATIONS = spaces.Dict(
    {
        "camera": spaces.Box(0, 255, (4, 5, 3), np.uint8),
        "robot": spaces.Dict({"joints": spaces.Box(-np.inf, np.inf, (3,), np.float64)}),
        "pair": spaces.Tuple([spaces.Discrete(4), spaces.MultiBinary(2)]),
    }
)
ACTIONS = spaces.Box(-1, 1, (2,), np.float32)


def make_episode(
    number: int,
    steps: int,
    observation_space: spaces.Space[Any] = OBSERVATIONS,
    action_space: spaces.Space[Any] = ACTIONS,
    **fields: Any,
) -> EpisodeBuffer:
    """An episode of values that its spaces sample."""
    observation_space.seed(number)
    action_space.seed(number)
    buffer = EpisodeBuffer(observations=[observation_space.sample()], **fields)
    for step in range(steps):
        buffer = buffer.add_step_data(
            {
                "observation": observation_space.sample(),
                "action": action_space.sample(),
                "reward": float(np.random.default_rng(number + step).normal()),
                "terminated": step + 1 == steps and number % 2 == 0,
                "truncated": step + 1 == steps and number % 2 == 1,
                "info": {},
            }
        )
    return buffer


def make_dataset(
    name: str = "robots/lift-v0",
    observation_space: spaces.Space[Any] = OBSERVATIONS,
    action_space: spaces.Space[Any] = ACTIONS,
) -> MinariDataset:
    """Twelve episodes, so that numbers of two digits come after 9, of all that can be said."""
    rng = np.random.default_rng(0)
    episodes = []
    for number in range(12):
        steps = 1 + number % 4
        infos = {
            "contact": rng.normal(size=(steps + 1, 2)).astype(np.float32),
            "words": [f"word {row}" for row in range(steps + 1)],
        }
        if number % 3 == 0:
            infos["rare"] = rng.integers(0, 9, steps + 1)
        episodes.append(
            make_episode(
                number,
                steps,
                observation_space,
                action_space,
                seed=2**63 + number if number % 2 else None,
                options={"low": 0.5} if number == 3 else None,
                metadata={"quality": f"grade {number}"},
            )
        )
        episodes[-1].infos = infos
    dataset = minari.create_dataset_from_buffers(
        name,
        episodes,
        observation_space=observation_space,
        action_space=action_space,
        description="Lift the cube.",
        author="Ada",
    )
    dataset.set_splits({"train": [0, 1, 2, 10], "valid": [11]})
    return minari.load_dataset(name)
