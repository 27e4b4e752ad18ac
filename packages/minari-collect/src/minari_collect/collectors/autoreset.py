"""Wrappers with which a single environment resets itself while it is stepped.

`gymnasium.wrappers.Autoreset` resets in the step after the one that ended an episode; that step's
action does not count. Before Gymnasium 1.0, `AutoResetWrapper` resets within the step that ends the
episode, whose last observation and info are then among the infos.
"""

from __future__ import annotations

from typing import Any

import gymnasium

from minari_collect.collectors.episode_statistics import find_statistics_keys
from minari_collect.collectors.outer_wrappers import find_changing, list_wrappers
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
        RecordingError: It resets within a step, inside a wrapper that may change observations, so
            that last observations would not be those of the others' kind.
    """
    for wrapper in list_wrappers(env):
        if _NEXT_STEP_CLASS is not None and isinstance(wrapper, _NEXT_STEP_CLASS):
            return NextStepAutoreset(wrapper)
        if _SAME_STEP_CLASS is not None and isinstance(wrapper, _SAME_STEP_CLASS):
            changing = find_changing(env, wrapper)
            if changing is not None:
                name = type(changing).__name__
                raise RecordingError(
                    f"{name} is around AutoResetWrapper and has a step of its own, which may "
                    "change observations, but never gets the last one of an episode, which is in "
                    f"the infos; put AutoResetWrapper around {name}"
                )
            return SameStepAutoreset(find_statistics_keys(env, wrapper))
    return None
