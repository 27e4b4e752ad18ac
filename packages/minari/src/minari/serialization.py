"""Spaces as JSON, under the names of the public Minari.

A class of spaces that is not Gymnasium's is written and read by functions that are registered::

    @serialize_space.register(MySpace)
    def write(space, to_string=True):
        fields = {"type": "MySpace", "size": space.size}
        return json.dumps(fields) if to_string else fields

    @deserialize_space.register("MySpace")
    def read(fields):
        return MySpace(fields["size"])

Spaces with a dtype and a shape can be those of datasets, in every format.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gymnasium import spaces

from minari_core.environments.own_spaces import register_space_reader, register_space_writer
from minari_core.environments.space_json import (
    space_from_dict,
    space_from_json,
    space_to_json,
)
from minari_core.formats.public.spaces import public_space_json

__all__ = ["deserialize_space", "serialize_space"]


class _Serializer:
    """Write spaces as JSON."""

    register = staticmethod(register_space_writer)
    """Register a function for a class of spaces, as `functools.singledispatch` does."""

    def __call__(self, space: spaces.Space[Any], to_string: bool = True) -> str | dict[str, Any]:
        """Return a space as JSON text, or as the dict that the text would be of.

        It is what the public Minari writes, where that keeps all of the space.
        """
        exact = space_to_json(space)
        text = public_space_json(space)
        if space_to_json(space_from_json(text)) != exact:
            text = exact
        return text if to_string else json.loads(text)


class _Deserializer:
    """Read spaces from JSON."""

    register = staticmethod(register_space_reader)
    """Register a function for the ``"type"`` that the JSON of a space has."""

    def __call__(self, space_dict: str | Mapping[str, Any]) -> spaces.Space[Any]:
        """Return the space that `serialize_space`, or the public Minari's, was given."""
        if isinstance(space_dict, str):
            return space_from_json(space_dict)
        return space_from_dict(dict(space_dict))


serialize_space = _Serializer()
deserialize_space = _Deserializer()
