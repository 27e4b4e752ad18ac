"""Spaces that a caller gives in place of those of a dataset whose types nothing here reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from gymnasium.spaces import Space

from minari_core.environments.space_json import space_from_json
from minari_core.errors import SpaceError, UnknownSpaceError

GivenSpaces: TypeAlias = Mapping[str, Space[Any]]
"""The given spaces by ``"observation_space"`` and ``"action_space"``."""

NONE_GIVEN: GivenSpaces = {}


def read_space(text: str, key: str, given: GivenSpaces) -> Space[Any]:
    """Read a space, or return the given one if its type is unknown.

    Args:
        text: The space as JSON.
        key: The key that the dataset has it under.
        given: The spaces that were given for this dataset.

    Raises:
        UnknownSpaceError: Its type is unknown, and none is given.
        SpaceError: The text is not a space.
    """
    try:
        return space_from_json(text, key)
    except UnknownSpaceError:
        if key not in given:
            raise
        return given[key]


def has_unknown_type(text: object, key: str) -> bool:
    """Return whether a text is the JSON of a space of a type that nothing here reads."""
    try:
        space_from_json(text, key)  # type: ignore[arg-type]  # whatever a file says
    except UnknownSpaceError:
        return True
    except SpaceError:
        return False
    return False
