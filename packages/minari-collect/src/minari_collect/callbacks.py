"""Callbacks that choose what is recorded of steps and episodes, and checks of what they return."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium

from minari_core.episodes import describe_rewards
from minari_core.errors import DataError, RecordingError
from minari_core.messages import format_value


class StepDataCallback:
    """Make the record of a reset or step from what the environment returned.

    Override `__call__` to change values or to add keys. Added keys become columns of their own
    (`EpisodeData.extras`) with one row for the reset and one for each step; they may be nested
    dicts, and are masked where a call does not return them.

    Example:
        >>> class WithAngle(StepDataCallback):
        ...     def __call__(self, env, **step):
        ...         data = super().__call__(env, **step)
        ...         data["angle"] = float(env.unwrapped.state[2])
        ...         return data
    """

    def __call__(
        self,
        env: gymnasium.Env[Any, Any],
        obs: Any,
        info: dict[str, Any],
        action: Any = None,
        rew: Any = None,
        terminated: bool | None = None,
        truncated: bool | None = None,
    ) -> dict[str, Any]:
        """Make the record of a reset or a step.

        Args:
            env: The environment that the collector wraps.
            obs: The observation that it returned.
            info: The info that it returned.
            action: The action of the step, None for a reset.
            rew: The reward of the step, None for a reset.
            terminated: Whether the step terminated the episode, None for a reset.
            truncated: Whether the step truncated the episode, None for a reset. A callback may
                set it; the episode then ends there, and stepping on begins the next one.

        Returns:
            The keys ``observation, action, reward, terminated, truncated, info``, and any more.
        """
        return {
            "observation": obs,
            "action": action,
            "reward": rew,
            "terminated": terminated,
            "truncated": truncated,
            "info": info,
        }


class EpisodeMetadataCallback:
    """Make the metadata of an episode; by default, statistics of its rewards.

    Override `__call__` to store other metadata, which can be read, and filtered by, without
    reading the steps.
    """

    def __call__(self, episode: Mapping[str, Any]) -> dict[str, Any]:
        """Make the metadata of an episode when it is about to be written.

        Args:
            episode: ``observations, actions, rewards, terminations, truncations, infos, id,
                seed, options`` and ``total_steps``; each is read or copied only if it is looked
                at. The id is the one in a dataset that is made of all that was recorded.

        Returns:
            Numbers, text, lists and dicts of them. None says that there is no value: the
            episode's metadata does not have the key then, at whatever depth it lies in dicts.
        """
        return {**describe_rewards(episode["rewards"])}


_STEP_KEYS = ("observation", "action", "reward", "terminated", "truncated", "info")


def instantiate_callback(callback: Any, name: str) -> Any:
    """Return a callback that is given as an object, or an instance of one that is given as a class.

    Raises:
        DataError: It cannot be called.
    """
    instance = callback() if isinstance(callback, type) else callback
    if not callable(instance):
        raise DataError(f"{name} is {format_value(callback)}, which cannot be called")
    return instance


def check_step_data(data: object) -> Mapping[str, Any]:
    """Return what a step callback returned, if it is a dict.

    Raises:
        RecordingError: It is not a dict.
    """
    if not isinstance(data, Mapping):
        raise RecordingError(
            f"the step_data_callback returned {format_value(data)}, not a dict; return what "
            "super().__call__ returned, with changes"
        )
    return data


def get_required(data: Mapping[str, Any], key: str) -> Any:
    """Get the value of a key that a step callback has to return.

    Raises:
        RecordingError: It is missing.
    """
    if key not in data:
        raise RecordingError(
            f"the step_data_callback returned the keys {sorted(map(str, data))}, without {key!r}; "
            "call super().__call__ and change what it returns"
        )
    return data[key]


def select_extras(data: Mapping[str, Any]) -> dict[str, Any]:
    """Select the keys that a step callback has added."""
    return {key: value for key, value in data.items() if key not in _STEP_KEYS}


def make_episode_metadata(
    callback: Callable[[Mapping[str, Any]], object], episode: Mapping[str, Any]
) -> dict[str, object]:
    """Call an episode metadata callback, and copy what it returns, if that is a dict.

    Raises:
        RecordingError: It is not a dict.
    """
    metadata = callback(episode)
    if not isinstance(metadata, Mapping):
        raise RecordingError(
            f"the episode_metadata_callback returned {format_value(metadata)}, not a dict; return "
            "{} for an episode without metadata"
        )
    return dict(metadata)
