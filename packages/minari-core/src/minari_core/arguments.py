"""Validate the numbers that public functions, and settings, are called with."""

from __future__ import annotations

import operator
import re

import numpy as np

from minari_core.errors import DataError, SamplingError
from minari_core.messages import format_value

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kMGT]?)i?B?", re.IGNORECASE | re.ASCII)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def check_whole_number(name: str, value: object, smallest: int | None = None) -> int:
    """Return a number of what is sampled as Python's own, if it is whole and not too small.

    Raises:
        SamplingError: It is not.
    """
    number = _to_int(value)
    if number is None:
        raise SamplingError(f"{name} is {format_value(value)}, not a whole number")
    if smallest is not None and number < smallest:
        raise SamplingError(f"{name} is {value!r}, not at least {smallest}")
    return number


def check_count(name: str, value: object, smallest: int = 1) -> int:
    """Return a number of what is recorded as Python's own, if it is whole and not too small.

    Raises:
        DataError: It is not.
    """
    return _check_count(name, value, smallest, "")


def check_count_or_none(name: str, value: object, smallest: int = 1) -> int | None:
    """Return a number as `check_count` does, or None.

    Raises:
        DataError: It is neither.
    """
    return None if value is None else _check_count(name, value, smallest, ", or None")


def check_fraction(name: str, value: object) -> float:
    """Return a number from 0 to 1 as Python's own.

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


def parse_size(text: str) -> int | None:
    """Return the bytes that a text says; None if it says none.

    Example:
        >>> parse_size("500MB"), parse_size("1.5 k"), parse_size("much")
        (500000000, 1500, None)
    """
    matched = _SIZE.fullmatch(text.strip())
    return None if matched is None else int(float(matched[1]) * _UNITS[matched[2].lower()])


def _check_count(name: str, value: object, smallest: int, otherwise: str) -> int:
    number = _to_int(value)
    if number is None or number < smallest:
        rule = f"a whole number of at least {smallest}{otherwise}"
        raise DataError(f"{name} is {format_value(value)}; give {rule}")
    return number


def _to_int(value: object) -> int | None:
    """Python's own whole number; None for anything else, and for booleans."""
    if isinstance(value, bool | np.bool_):  # which numpy 1 takes for an index, with a warning
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]  # anything may come from a caller
    except TypeError:
        return None
