"""The infos of a vector environment, split by sub-environment.

They are a batch, as Gymnasium makes it, or with its ``DictInfoToList`` a dict for each environment.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

FINAL_OBSERVATION_KEYS = ("final_obs", "final_observation")
FINAL_INFO_KEY = "final_info"
_FINAL_KEYS = frozenset(
    f"{flag}{key}" for key in (*FINAL_OBSERVATION_KEYS, FINAL_INFO_KEY) for flag in ("", "_")
)

Infos: TypeAlias = Mapping[Any, Any] | Sequence[Mapping[Any, Any]]
"""A batch of infos, or one for each environment."""


def select_env_info(infos: Infos, env: int, num_envs: int) -> dict[str, Any]:
    """Select the info of one environment, as the environment gave it.

    Args:
        infos: The infos of all.
        env: Which environment.
        num_envs: How many there are.
    """
    if not isinstance(infos, Mapping):
        return dict(infos[env])
    info: dict[str, Any] = {}
    flags = {f"_{key}" for key in infos}
    for key, value in infos.items():
        if key in flags and is_mask(value, num_envs):
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


def find_final_info(
    infos: Infos, env: int, num_envs: int, statistics_keys: Collection[str] = ()
) -> dict[str, Any] | None:
    """Select the info of the last step of an episode that was reset within the step, if any.

    Args:
        infos: The infos of all.
        env: Which environment.
        num_envs: How many there are.
        statistics_keys: The keys that belong to the episode though they are beside those of the
            reset; see `drop_final`.
    """
    final = (infos if isinstance(infos, Mapping) else infos[env]).get(FINAL_INFO_KEY)
    info: dict[str, Any] | None = None
    if isinstance(final, dict):
        info = select_env_info(final, env, num_envs) if isinstance(infos, Mapping) else final
    elif isinstance(final, np.ndarray | list | tuple) and _has_length(final, num_envs):
        info = final[env] if isinstance(final[env], dict) else None
    if statistics_keys:
        beside = select_env_info(infos, env, num_envs)
        statistics = {key: beside[key] for key in statistics_keys if key in beside}
        return {**(info or {}), **statistics} if info is not None or statistics else None
    return info


def drop_final(infos: Infos, statistics_keys: Collection[str] = ()) -> Infos:
    """Drop what belongs to episodes that have ended from infos of the resets after them.

    Only where environments are reset within the step: elsewhere, a key of these names is like any
    other.

    Args:
        infos: The infos of all environments.
        statistics_keys: The keys that wrappers add to the infos of a whole batch.
    """
    dropped = _FINAL_KEYS
    if statistics_keys:
        dropped = dropped.union(statistics_keys, (f"_{key}" for key in statistics_keys))
    if isinstance(infos, Mapping):
        return _leave_out(dropped, infos)
    return [_leave_out(dropped, info) for info in infos]


def _leave_out(dropped: frozenset[str], info: Mapping[Any, Any]) -> Mapping[Any, Any]:
    if dropped.isdisjoint(info):
        return info
    return {key: value for key, value in info.items() if key not in dropped}


def is_mask(value: object, num_envs: int) -> bool:
    """Return whether a value is a flag for each environment."""
    return isinstance(value, np.ndarray) and value.dtype == np.bool_ and value.shape == (num_envs,)


def _has_length(value: Any, num_envs: int) -> bool:
    return not (isinstance(value, np.ndarray) and value.ndim == 0) and len(value) == num_envs
