"""The batched infos of a vector environment, split by sub-environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

FINAL_OBSERVATION_KEYS = ("final_obs", "final_observation")
FINAL_INFO_KEY = "final_info"
_FINAL_KEYS = frozenset((*FINAL_OBSERVATION_KEYS, FINAL_INFO_KEY))
NOT_BATCHED = frozenset((*_FINAL_KEYS, *(f"_{key}" for key in _FINAL_KEYS)))


def select_env_info(infos: Mapping[Any, Any], env: int, num_envs: int) -> dict[str, Any]:
    """Select the info of one environment from a batch, as the environment gave it.

    Args:
        infos: A batch as Gymnasium makes it.
        env: Which environment.
        num_envs: How many there are.
    """
    info: dict[str, Any] = {}
    for key, value in infos.items():
        if key in NOT_BATCHED:
            continue
        is_flag = isinstance(key, str) and key.startswith("_") and key[1:] in infos
        if is_flag and is_mask(value, num_envs):
            continue
        mask = infos.get(f"_{key}")
        if mask is not None and is_mask(mask, num_envs) and not mask[env]:
            continue
        if isinstance(value, dict):
            info[key] = select_env_info(value, env, num_envs)
        elif isinstance(value, np.ndarray | list | tuple) and _has_length(value, num_envs):
            info[key] = value[env]
        else:
            info[key] = value
    return info


def find_final_info(infos: Mapping[str, Any], env: int, num_envs: int) -> dict[str, Any] | None:
    """Select the info of the last step of an episode that was reset within the step, if any."""
    final = infos.get(FINAL_INFO_KEY)
    if isinstance(final, dict):
        return select_env_info(final, env, num_envs)
    if isinstance(final, np.ndarray | list | tuple) and _has_length(final, num_envs):
        info = final[env]
        return info if isinstance(info, dict) else None
    return None


def is_mask(value: object, num_envs: int) -> bool:
    """Return whether a value is a flag for each environment."""
    return isinstance(value, np.ndarray) and value.dtype == np.bool_ and value.shape == (num_envs,)


def _has_length(value: Any, num_envs: int) -> bool:
    return not (isinstance(value, np.ndarray) and value.ndim == 0) and len(value) == num_envs
