"""Find the wrappers around what resets an environment, and those that change observations there.

Where an environment is reset within the step that ends an episode, the last observation is among
the infos, and a wrapper that changes what its step returns does not change that one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium

from minari_core.errors import RecordingError
from minari_core.messages import warn_caller

# The older Gymnasium has another base for wrappers of many environments.
_WRAPPERS: tuple[Any, ...] = (
    gymnasium.Wrapper,
    *(
        getattr(gymnasium.vector, name)
        for name in ("VectorWrapper", "VectorEnvWrapper")
        if hasattr(gymnasium.vector, name)
    ),
)
# The vector environments of before Gymnasium 1.0 step in two halves.
_METHODS = ("step", "step_wait")
# By name, because importing them all would load other libraries. The steps of these classes of
# Gymnasium's return observations as they are, or change those among the infos, too.
_KEEPING = frozenset(
    {
        "ActionWrapper",
        "ArrayConversion",
        "DictInfoToList",
        "HumanRendering",
        "NormalizeReward",
        "OrderEnforcing",
        "PassiveEnvChecker",
        "RecordEpisodeStatistics",
        "RecordVideo",
        "RenderCollection",
        "RewardWrapper",
        "TimeLimit",
        "VectorActionWrapper",
        "VectorEnv",
        "VectorEnvWrapper",
        "VectorListInfo",
        "VectorRewardWrapper",
        "VectorWrapper",
        "VectorizeTransformObservation",
        "Wrapper",
    }
)
_CHANGING = frozenset({"NormalizeObservation", "ObservationWrapper", "VectorObservationWrapper"})


def list_wrappers(env: Any, innermost: Any = None) -> Iterator[Any]:
    """List a stack of wrappers from the outside in.

    Args:
        env: The outermost wrapper, of one environment or of many.
        innermost: Where to stop; the environment itself if None.
    """
    while isinstance(env, _WRAPPERS) and env is not innermost:
        yield env
        env = env.env


def find_changing(env: Any, innermost: Any = None) -> Any:
    """Find a wrapper whose step may return other observations than that of what is within it.

    Args:
        env: The outermost wrapper, of one environment or of many.
        innermost: Where to stop; the environment itself if None.

    Returns:
        The outermost one, preferably one that changes observations for sure; None if there is none.
    """
    found = [wrapper for wrapper in list_wrappers(env, innermost) if _may_change(wrapper)]
    return next(filter(_does_change, found), found[0] if found else None)


def check_finals_are_changed(envs: Any) -> None:
    """Check the wrappers around vector environments that are reset within a step.

    Of one that may leave observations as they are, nobody knows; it is only warned of.

    Raises:
        RecordingError: A wrapper changes all observations but the last ones of episodes.
    """
    wrapper = find_changing(envs)
    if wrapper is None:
        return
    name = type(wrapper).__name__
    text = (
        f"{name} is around environments that are reset within a step, and never gets the last "
        "observations of their episodes, which are in the infos"
    )
    remedy = f"wrap the single environments in {name}, or the collector"
    if _does_change(wrapper):
        raise RecordingError(f"{text}, so they would not be changed like others; {remedy}")
    warn_caller(f"{text}; if it changes observations, those are recorded unchanged: {remedy}")


def _does_change(wrapper: Any) -> bool:
    classes = type(wrapper).__mro__
    return any(each.__name__ in _CHANGING and _is_gymnasiums(each) for each in classes)


def _may_change(wrapper: Any) -> bool:
    methods = (getattr(type(wrapper), name, None) for name in _METHODS)
    return any(method is not None and not _is_keeping(method) for method in methods)


def _is_keeping(method: Any) -> bool:
    if _is_gymnasiums(method):
        return method.__qualname__.partition(".")[0] in _KEEPING
    # A collector around environments returns what it is given.
    return bool(method.__module__.partition(".")[0] == __name__.partition(".")[0])


def _is_gymnasiums(item: Any) -> bool:
    return bool(item.__module__.partition(".")[0] == "gymnasium")
