"""Compute what the default callback stores of an episode's rewards in its metadata."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt


def describe_rewards(rewards: npt.ArrayLike) -> dict[str, float]:
    """Return the sum, mean, standard deviation, maximum and minimum of an episode's rewards.

    ``minari_collect.recording.reward_statistics`` computes the same for many episodes at once.

    Args:
        rewards: Shape (T,), or (T, k) for vector rewards.
    """
    given = np.asarray(rewards)
    # Infinite rewards are data: their mean is infinite or NaN, which is no mistake.
    with np.errstate(invalid="ignore", over="ignore"):
        return {
            "rewards_sum": float(given.sum()),
            "rewards_mean": float(given.mean()),
            "rewards_std": float(given.std()),
            "rewards_max": float(given.max()),
            "rewards_min": float(given.min()),
        }


_KEYS = frozenset(describe_rewards([0.0]))


def renew_reward_metadata(
    metadata: Mapping[str, object], rewards: npt.ArrayLike
) -> Mapping[str, object]:
    """Return the metadata of an episode with what it says about rewards computed from them.

    Args:
        metadata: The metadata; all other keys stay, and none is added.
        rewards: The rewards of the episode, at least one.
    """
    stale = [key for key in _KEYS.intersection(metadata) if _is_number(metadata[key])]
    if not stale:
        return metadata
    found = describe_rewards(rewards)
    return {key: found[key] if key in stale else value for key, value in metadata.items()}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
