"""Validate the arguments of public functions."""

from __future__ import annotations

import operator

from minari_core.errors import SamplingError
from minari_core.messages import shown


def whole_number(name: str, value: object, smallest: int | None = None) -> int:
    """A number as Python's own, if it is whole and not too small.

    Raises:
        SamplingError: It is not.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # anything may come from a caller
    except TypeError as error:
        raise SamplingError(f"{name} is {shown(value)}, not a whole number") from error
    if isinstance(value, bool):
        raise SamplingError(f"{name} is {value!r}, not a whole number")
    if smallest is not None and number < smallest:
        raise SamplingError(f"{name} is {value!r}, not at least {smallest}")
    return number


def fraction(name: str, value: object) -> float:
    """A number from 0 to 1 as Python's own.

    Raises:
        SamplingError: It is not.
    """
    try:
        number = float(value)  # type: ignore[arg-type]  # anything may come from a caller
    except (TypeError, ValueError) as error:
        raise SamplingError(f"{name} is {value!r}, not a number") from error
    if not 0 <= number <= 1:
        raise SamplingError(f"{name} is {value!r}, not between 0 and 1")
    return number
