"""Wrappers with which a single environment resets itself while it is stepped.

`gymnasium.wrappers.Autoreset` resets in the step after the one that ended an episode; that step's
action does not count. Before Gymnasium 1.0, `AutoResetWrapper` resets within the step that ends the
episode, whose last observation and info are then among the infos.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium

from minari_collect.collectors.episode_statistics import find_statistics_keys
from minari_collect.vector_buffers.batched_infos import FINAL_INFO_KEY, FINAL_OBSERVATION_KEYS
from minari_core.errors import RecordingError

_NEXT_STEP_CLASS: Any = getattr(gymnasium.wrappers, "Autoreset", None)
_SAME_STEP_CLASS: Any = None
if _NEXT_STEP_CLASS is None:
    _SAME_STEP_CLASS = getattr(gymnasium.wrappers, "AutoResetWrapper", None)


class NextStepAutoreset:
    """An environment that resets itself in the step after the last one of an episode."""

    def __init__(self, wrapper: Any) -> None:
        """Watch the wrapper that resets."""
        self._wrapper = wrapper

    @property
    def is_due(self) -> bool:
        """Whether the next step is a reset, whatever wrappers around this one have returned."""
        return bool(self._wrapper.autoreset)


class SameStepAutoreset:
    """An environment that resets itself within the last step of an episode."""

    is_due = False
    """The next step is never a reset."""

    def __init__(self, statistics_keys: frozenset[str]) -> None:
        """Know the keys of infos that wrappers outside add after the reset."""
        self._statistics_keys = statistics_keys

    def split_step(self, info: dict[str, Any]) -> tuple[Any, dict[str, Any], dict[str, Any]] | None:
        """Split the info of a step that has reset the environment.

        Returns:
            The last observation of the episode, its info, and the info of the reset; None if
            there was no reset.
        """
        key = next((key for key in FINAL_OBSERVATION_KEYS if key in info), None)
        if key is None:
            return None
        final = dict(info.get(FINAL_INFO_KEY) or {})
        final.update((name, info[name]) for name in self._statistics_keys if name in info)
        others = {key, FINAL_INFO_KEY, *self._statistics_keys}
        return info[key], final, {name: item for name, item in info.items() if name not in others}


def find_autoreset(env: gymnasium.Env[Any, Any]) -> NextStepAutoreset | SameStepAutoreset | None:
    """Find the wrapper that resets an environment, anywhere in its stack.

    Raises:
        RecordingError: It resets within a step, inside a wrapper that changes observations, so
            that last observations are not those of the others' kind.
    """
    outside: list[Any] = []
    for wrapper in _list_stack(env):
        if _NEXT_STEP_CLASS is not None and isinstance(wrapper, _NEXT_STEP_CLASS):
            return NextStepAutoreset(wrapper)
        if _SAME_STEP_CLASS is not None and isinstance(wrapper, _SAME_STEP_CLASS):
            for outer in outside:
                if isinstance(outer, gymnasium.ObservationWrapper):
                    raise RecordingError(
                        f"{type(outer).__name__} is around AutoResetWrapper and does not change "
                        "the last observation of an episode, which is in the infos; put "
                        "AutoResetWrapper around it"
                    )
            return SameStepAutoreset(find_statistics_keys(env, wrapper))
        outside.append(wrapper)
    return None


def _list_stack(env: Any) -> Iterator[Any]:
    while isinstance(env, gymnasium.Wrapper):
        yield env
        env = env.env
