"""Spaces that a caller gives in place of those of a dataset whose types nothing here reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

from gymnasium.spaces import Space

from minari_core.environments.space_json import is_same_space, space_from_json
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


class HasSpaces(Protocol):
    """Whatever has the spaces of a dataset."""

    @property
    def observation_space(self) -> Space[Any]:
        """The space of the observations."""
        ...

    @property
    def action_space(self) -> Space[Any]:
        """The space of the actions."""
        ...


def collect_given(
    observation_space: Space[Any] | None, action_space: Space[Any] | None
) -> GivenSpaces:
    """Return those spaces that are given."""
    spaces = {"observation_space": observation_space, "action_space": action_space}
    return {key: space for key, space in spaces.items() if space is not None}


def select_needed(given: GivenSpaces, metadata: Mapping[str, object]) -> GivenSpaces:
    """Return those of the given spaces that stand for one of a type that nothing here reads."""
    return {key: space for key, space in given.items() if _has_unknown_type(metadata.get(key), key)}


def check_given(given: GivenSpaces, dataset: HasSpaces) -> None:
    """Raise a `SpaceError` if a space is given that is not that of the dataset."""
    for key, space in given.items():
        known = getattr(dataset, key)
        if known is not space and not is_same_space(known, space):
            raise SpaceError(
                f"the dataset says that its {key} is {known}, not {space}; leave {key} out"
            )


def _has_unknown_type(text: object, key: str) -> bool:
    """Return whether a text is the JSON of a space of a type that nothing here reads."""
    try:
        space_from_json(text, key)  # type: ignore[arg-type]  # whatever a file says
    except UnknownSpaceError:
        return True
    except SpaceError:
        return False
    return False
