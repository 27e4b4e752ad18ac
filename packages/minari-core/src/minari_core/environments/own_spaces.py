"""Spaces of other classes than Gymnasium's: how the programs that define them write and read them.

A dataset names a space by its type, and nothing that it names is imported: what a type of another
class means is registered by the program that knows it, or given where the dataset is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import singledispatch
from typing import Any, TypeVar

from gymnasium.spaces import Space

from minari_core.environments.space_budget import SpacePath
from minari_core.environments.space_fields import Fields
from minari_core.errors import SpaceError, UnknownSpaceError
from minari_core.messages import format_value

SpaceReader = Callable[[dict[str, Any]], Any]
_Reader = TypeVar("_Reader", bound=SpaceReader)


@singledispatch
def write_own_space(space: Space[Any], to_string: bool = True) -> Any:
    """Write a space by the function that is registered for its class, or for a base of it.

    Raises:
        NotImplementedError: There is none.
    """
    raise NotImplementedError


def write_as_base(space: Space[Any], to_string: bool = True) -> Any:
    """Stand for Gymnasium's own classes, as which the spaces of subclasses are written."""
    raise NotImplementedError


register_space_writer = write_own_space.register
_readers: dict[str, SpaceReader] = {}


def register_space_reader(kind: str) -> Callable[[_Reader], _Reader]:
    """Return a decorator that registers a function which makes spaces of a type.

    Args:
        kind: The ``"type"`` that the space's JSON has.

    Returns:
        A decorator of a function that takes the JSON object as a dict, and returns the space.
    """

    def register(read: _Reader) -> _Reader:
        _readers[kind] = read
        return read

    return register


def describe_own_space(space: Space[Any], path: SpacePath) -> Fields | None:
    """Describe a space of another class; None if it is to be written as its base class.

    Raises:
        SpaceError: No function is registered for it, or that one fails or returns no JSON object.
    """
    write = write_own_space.dispatch(type(space))
    if write is write_as_base:
        return None
    kind = type(space)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if write is write_own_space.dispatch(object):
        raise UnknownSpaceError(
            f"{path.name}: No serialization method available for {name}, which is not one of "
            "Gymnasium's own spaces, nor a subclass of one; register functions that write and read "
            "it by minari.serialization.serialize_space.register and deserialize_space.register, "
            "or give observation_space or action_space as one of Gymnasium's"
        )
    try:
        described = write(space, to_string=False)
        text = described if isinstance(described, str) else json.dumps(described)
        fields: Any = json.loads(text)
    except Exception as error:  # a function of the caller's may raise anything
        raise SpaceError(
            f"{path.name}: the function registered for {name} does not write it as JSON: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
        raise SpaceError(
            f"{path.name}: the function registered for {name} wrote {format_value(fields)}, which "
            'is no object with text as its "type"'
        )
    return fields


def read_own_space(kind: str, fields: Fields, path: SpacePath) -> Space[Any]:
    """Read a space of a type that is not Gymnasium's.

    Raises:
        UnknownSpaceError: No function is registered for the type.
        SpaceError: The function fails, or returns no space.
    """
    if kind not in _readers:
        argument = "action_space" if path.name.startswith("action") else "observation_space"
        raise UnknownSpaceError(
            f"{path.name}: unknown type {format_value(kind)}, which is none of Gymnasium's spaces. "
            f"No deserialization method available for {format_value(kind)[1:-1]}; "
            "register a function that reads it by "
            f"minari.serialization.deserialize_space.register({kind!r}), or give the space to "
            f"load_dataset as {argument}="
        )
    try:
        space = _readers[kind](dict(fields))
    except Exception as error:  # a function of the caller's may raise anything
        raise SpaceError(
            f"{path.name}: the function registered for type {kind!r} fails: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(space, Space):
        raise SpaceError(
            f"{path.name}: the function registered for type {kind!r} returned "
            f"{format_value(space)}, not a space"
        )
    return space


def has_space_reader(kind: str) -> bool:
    """Return whether a function is registered for a type."""
    return kind in _readers
