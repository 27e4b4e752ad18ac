"""Returns on a scale from a random policy (0) to an expert (1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import gymnasium
import numpy as np

Policy: TypeAlias = Callable[..., object]
"""Takes an observation and gives an action."""

_SEED = 123


def make_random_policy(environment: gymnasium.Env[object, object]) -> Policy:
    """A policy of random actions, the same ones every time."""
    space = environment.action_space
    space.seed(_SEED)
    return lambda _: space.sample()


def compute_reference_score(
    environment: gymnasium.Env[object, object], policy: Policy, episodes: int
) -> float:
    """The mean undiscounted return of a policy.

    Args:
        environment: Where to run it; it is reset with a fixed seed first.
        policy: Takes an observation and gives an action.
        episodes: How many episodes to run.
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
