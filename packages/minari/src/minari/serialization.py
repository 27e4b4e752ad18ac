"""Spaces as JSON, under the names of the public Minari."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gymnasium import spaces

from minari_core.environments.space_json import (
    space_from_dict,
    space_from_json,
    space_to_dict,
    space_to_json,
)


def serialize_space(space: spaces.Space[Any], to_string: bool = True) -> str | dict[str, Any]:
    """Return a space as JSON text, or as the dict that the text would be of."""
    return space_to_json(space) if to_string else space_to_dict(space)


def deserialize_space(space: str | Mapping[str, Any]) -> spaces.Space[Any]:
    """Return the space that `serialize_space`, or the public Minari's, was given."""
    return space_from_json(space) if isinstance(space, str) else space_from_dict(dict(space))
