"""Take the fields out of a space's JSON, which nobody has checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import gymnasium

from minari_core.environments.space_budget import SpacePath
from minari_core.errors import SpaceError
from minari_core.messages import format_value

Fields: TypeAlias = dict[str, Any]

_LONGEST_REASON = 300


def take_field(
    fields: Fields, name: str, expected: type | tuple[type, ...], path: SpacePath
) -> Any:
    """Return a field of one of the expected types.

    Raises:
        SpaceError: It is missing, or of another type.
    """
    if name not in fields:
        raise SpaceError(f'{path.name}: "{name}" is missing')
    value = fields[name]
    if not isinstance(value, expected):
        kinds = expected if isinstance(expected, tuple) else (expected,)
        names = " or ".join("null" if kind is type(None) else kind.__name__ for kind in kinds)
        raise SpaceError(f'{path.name}: "{name}" must be a {names}, not {format_value(value)}')
    return value


def take_whole_number(fields: Fields, name: str, path: SpacePath) -> int:
    """Return a field that is a whole number.

    Raises:
        SpaceError: It is missing, or something else.
    """
    value = take_field(fields, name, int, path)
    if isinstance(value, bool):
        raise SpaceError(f'{path.name}: "{name}" must be a whole number, not {value}')
    return int(value)


def require(holds: bool, rule: str, path: SpacePath) -> None:
    """Raise unless a rule holds.

    Raises:
        SpaceError: It does not.
    """
    # Gymnasium 0.29.1 checks by assertions, which `python -O` leaves out.
    if not holds:
        raise SpaceError(f"{path.name}: {rule}")


@contextmanager
def translate_gymnasium_errors(path: SpacePath) -> Iterator[None]:
    """Raise whatever Gymnasium refuses as a fault of the space that was read.

    Raises:
        SpaceError: Gymnasium refused it.
    """
    try:
        yield
    except SpaceError:
        raise
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        MemoryError,
        NotImplementedError,
        TypeError,
        ValueError,
        gymnasium.error.Error,
    ) as error:
        reason = str(error)[:_LONGEST_REASON] or type(error).__name__
        raise SpaceError(f"{path.name}: Gymnasium refuses it: {reason}") from error


def refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make the dict of a JSON object, whose keys must differ.

    Raises:
        SpaceError: A key is there twice.
    """
    fields: dict[str, Any] = {}
    for key, value in pairs:
        if key in fields:
            raise SpaceError(f"the key {format_value(key)} is there twice")
        fields[key] = value
    return fields
