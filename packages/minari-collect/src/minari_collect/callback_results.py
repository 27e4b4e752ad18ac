"""Are callbacks callable, and is what they return what was asked for?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minari_core.errors import DataError, RecordingError
from minari_core.showing import shown

STEP_KEYS = ("observation", "action", "reward", "terminated", "truncated", "info")


def made(callback: Any, name: str) -> Any:
    """An object of a callback that is given as a class or as an object.

    Raises:
        DataError: It cannot be called.
    """
    made_of_class = callback() if isinstance(callback, type) else callback
    if not callable(made_of_class):
        raise DataError(f"{name} is {shown(callback)}, which cannot be called")
    return made_of_class


def step_data(data: object) -> Mapping[str, Any]:
    """What a step callback returned.

    Raises:
        RecordingError: It is no dict.
    """
    if not isinstance(data, Mapping):
        raise RecordingError(
            f"the step_data_callback returned {shown(data)}, not a dict; return what "
            "super().__call__ returned, with changes"
        )
    return data


def required(data: Mapping[str, Any], key: str) -> Any:
    """What a step callback has to return.

    Raises:
        RecordingError: It did not.
    """
    if key not in data:
        raise RecordingError(
            f"the step_data_callback returned the keys {sorted(map(str, data))}, without {key!r}; "
            "call super().__call__ and change what it returns"
        )
    return data[key]


def extras_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that a step callback has added."""
    return {key: value for key, value in data.items() if key not in STEP_KEYS}


def episode_metadata(metadata: object) -> dict[str, object]:
    """A copy of what an episode metadata callback returned.

    Raises:
        RecordingError: It is no dict.
    """
    if not isinstance(metadata, Mapping):
        raise RecordingError(
            f"the episode_metadata_callback returned {shown(metadata)}, not a dict; return {{}} "
            "for an episode that there is nothing to say of"
        )
    return dict(metadata)
