"""Wrappers that add statistics of a whole episode to the infos of its last step."""

from __future__ import annotations

from typing import Any

import gymnasium

# The older Gymnasium has one class for both, and another base for wrappers of many environments.
_CLASSES: tuple[Any, ...] = tuple(
    module.RecordEpisodeStatistics
    for module in (gymnasium.wrappers, getattr(gymnasium.wrappers, "vector", None))
    if module is not None
)
_WRAPPERS: tuple[Any, ...] = (
    gymnasium.Wrapper,
    *(
        getattr(gymnasium.vector, name)
        for name in ("VectorWrapper", "VectorEnvWrapper")
        if hasattr(gymnasium.vector, name)
    ),
)
_DEFAULT_KEY = "episode"


def find_statistics_keys(env: Any, innermost: Any = None) -> frozenset[str]:
    """Find the keys of infos that a stack of wrappers adds with the last step of an episode.

    A wrapper outside of what resets the environment adds them to what the reset returned, though
    they are of the episode before it.

    Args:
        env: The outermost wrapper, of one environment or of many.
        innermost: Where to stop; the environment itself if None.
    """
    keys = set()
    while isinstance(env, _WRAPPERS) and env is not innermost:
        if isinstance(env, _CLASSES):
            keys.add(str(vars(env).get("_stats_key", _DEFAULT_KEY)))
        env = env.env
    return frozenset(keys)
