"""Wrappers that add statistics of a whole episode to the infos of its last step."""

from __future__ import annotations

from typing import Any

import gymnasium

from minari_collect.collectors.outer_wrappers import list_wrappers

# The older Gymnasium has one class for both.
_CLASSES: tuple[Any, ...] = tuple(
    module.RecordEpisodeStatistics
    for module in (gymnasium.wrappers, getattr(gymnasium.wrappers, "vector", None))
    if module is not None
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
    return frozenset(
        str(vars(wrapper).get("_stats_key", _DEFAULT_KEY))
        for wrapper in list_wrappers(env, innermost)
        if isinstance(wrapper, _CLASSES)
    )
