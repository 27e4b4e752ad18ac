"""Returns on a scale from a random policy (0) to an expert (1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import gymnasium
import numpy as np
import numpy.typing as npt

from minari_core.errors import MetadataError

if TYPE_CHECKING:
    from minari_core.dataset import MinariDataset

Policy: TypeAlias = Callable[..., object]
"""Takes an observation and gives an action."""

_SEED = 123


def get_normalized_score(
    dataset: MinariDataset, returns: float | npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Put undiscounted returns on the scale of a dataset's reference scores.

    ``(return - ref_min_score) / (ref_max_score - ref_min_score)``, as D4RL defines it (Fu et
    al., 2020, https://arxiv.org/abs/2004.07219, section 6).

    Args:
        dataset: A dataset with ``ref_min_score`` and ``ref_max_score`` in its metadata.
        returns: Undiscounted returns of episodes, of any shape.

    Returns:
        The scores, float64 of the same shape: 0 for a random policy, 1 for the expert.

    Raises:
        MetadataError: The dataset has no reference scores, or they are equal.
    """
    scores = [dataset.metadata.get(name) for name in ("ref_min_score", "ref_max_score")]
    lowest, highest = scores
    if not isinstance(lowest, int | float) or not isinstance(highest, int | float):
        raise MetadataError(
            f"dataset {dataset.id!r} has ref_min_score={lowest!r} and ref_max_score={highest!r}; "
            "a normalized score needs both as numbers"
        )
    if lowest == highest:
        raise MetadataError(f"dataset {dataset.id!r} has equal reference scores, {lowest}")
    return (np.asarray(returns, dtype=np.float64) - lowest) / (highest - lowest)


def random_policy(environment: gymnasium.Env[object, object]) -> Policy:
    """A policy of random actions, the same ones every time."""
    space = environment.action_space
    space.seed(_SEED)
    return lambda _: space.sample()


def reference_score(
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
