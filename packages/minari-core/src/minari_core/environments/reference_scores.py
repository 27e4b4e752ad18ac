"""Measure the reference returns that scores are normalized by: a random policy's, an expert's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import gymnasium
import numpy as np

Policy: TypeAlias = Callable[..., object]
"""A function from an observation to an action."""

_SEED = 123


def make_random_policy(environment: gymnasium.Env[object, object]) -> Policy:
    """Make a policy of uniformly random actions, with a fixed seed."""
    space = environment.action_space
    space.seed(_SEED)
    return lambda _: space.sample()


def compute_reference_score(
    environment: gymnasium.Env[object, object], policy: Policy, episodes: int
) -> float:
    """Estimate the mean undiscounted return of a policy.

    Args:
        environment: The environment to run it in; the first reset has a fixed seed.
        policy: A function from an observation to an action.
        episodes: The number of episodes to run.
    """
    returns: list[float] = []
    observation, _ = environment.reset(seed=_SEED)
    for _ in range(episodes):
        total, over = 0.0, False
        while not over:
            observation, reward, terminated, truncated, _ = environment.step(policy(observation))
            total += float(reward)
            over = terminated or truncated
        returns.append(total)
        observation, _ = environment.reset()
    return float(np.mean(returns))
