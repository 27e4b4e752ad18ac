"""Seeds and options of resets, as they are recorded with the episodes."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, cast

from minari_core.episodes import check_seed
from minari_core.errors import DataError
from minari_core.json_values import from_json_text, to_json_text


def convert_seed(seed: Any) -> int | None:
    """Convert a seed to the integer that is recorded.

    Raises:
        DataError: It is not a whole number of 64 bits.
    """
    if seed is None:
        return None
    try:
        # A numpy integer is as good, but no JSON.
        number = operator.index(seed)
    except TypeError as error:
        raise DataError(f"seed {seed!r} is not a whole number, so it cannot be recorded") from error
    check_seed(number)
    return int(number)


def copy_options(options: object) -> dict[str, object] | None:
    """Copy the options of a reset, as they are recorded.

    Raises:
        DataError: They cannot be stored as JSON.
    """
    if options is None:
        return None
    if not isinstance(options, Mapping):
        raise DataError(f"options {options!r} is no dict, so it cannot be recorded")
    # What was a dict comes back as a dict.
    return cast("dict[str, object]", from_json_text(to_json_text(options, "options")))
