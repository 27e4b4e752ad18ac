"""The spaces that the public formats can hold, and their JSON text for the public Minari."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from minari_core.columns import has_fixed_values
from minari_core.environments.gymnasium_compat import text_characters
from minari_core.environments.space_json import space_from_dict, space_to_dict
from minari_core.errors import SpaceError

_SMALLEST_IMAGE_SIDE = 32
_WIDEST = 8


def check_holdable(
    space: spaces.Space[Any], where: str, data_format: str, *, holds_empty_spaces: bool
) -> None:
    """Raise unless a public format can hold every value of a space.

    Args:
        space: The space.
        where: What it is the space of, for the message.
        data_format: The name of the format, for the message.
        holds_empty_spaces: Whether the format can hold spaces whose values have no elements.

    Raises:
        SpaceError: It cannot hold a subspace; the message names that.
    """
    for subspace, name in _walk_subspaces(space, where):
        reason = _find_obstacle(subspace)
        if reason is None and not holds_empty_spaces and _is_empty(subspace):
            reason = f"Arrow has no column for an empty {type(subspace).__name__} space"
        if reason is not None:
            raise SpaceError(
                f"{name} cannot be stored in data format {data_format!r}: {reason}; store it as "
                "'columnar', which holds every space of Gymnasium"
            )


def _walk_subspaces(
    space: spaces.Space[Any], where: str
) -> Iterator[tuple[spaces.Space[Any], str]]:
    yield space, where
    if isinstance(space, spaces.Dict):
        for key, subspace in space.spaces.items():
            yield from _walk_subspaces(subspace, f"{where}[{key!r}]")
    elif isinstance(space, spaces.Tuple):
        for index, subspace in enumerate(space.spaces):
            yield from _walk_subspaces(subspace, f"{where}[{index}]")


def _find_obstacle(space: spaces.Space[Any]) -> str | None:
    if type(space) not in _WRITERS and not _is_own(space):
        return f"it has no place for a {type(space).__name__} space"
    if space.dtype is not None and np.dtype(space.dtype).itemsize > _WIDEST:
        return f"it has no numbers of dtype {np.dtype(space.dtype)}"
    if isinstance(space, spaces.Dict):
        for key in space.spaces:
            if not is_plain_name(key):
                return f"{key!r} is no name that HDF5 keeps as one key"
    if isinstance(space, spaces.Text):
        for character in text_characters(space):
            if not is_plain_text(character):
                return f"its charset has {character!r}, which the format's strings cannot hold"
    return None


def _is_own(space: spaces.Space[Any]) -> bool:
    """Return whether a space is of a class of others, whose values are arrays."""
    is_gymnasiums = type(space).__module__.partition(".")[0] == "gymnasium"
    return not is_gymnasiums and has_fixed_values(space)


def _is_empty(space: spaces.Space[Any]) -> bool:
    if isinstance(space, spaces.Dict | spaces.Tuple):
        return not space.spaces
    return space.shape is not None and 0 in space.shape


def find_oldest_reader(both_spaces: Sequence[spaces.Space[Any]], data_format: str) -> str:
    """Find the oldest release of the public Minari that reads a dataset, from 0.5.0 on.

    Each release reads the datasets of those before it alone, by the ``minari_version`` in them.

    Args:
        both_spaces: The spaces of the observations and of the actions.
        data_format: The name of the format.
    """
    oldest = "0.5.3" if data_format == "parquet" else "0.5.0"
    for space in both_spaces:
        for subspace, _ in _walk_subspaces(space, ""):
            if is_image_space(subspace):
                # Only 0.5.4 is told whether they are stored as JPEG.
                return "0.5.4"
            if isinstance(subspace, spaces.MultiDiscrete | spaces.MultiBinary):
                oldest = max(oldest, "0.5.2")
    return oldest


def is_plain_text(text: str) -> bool:
    """Return whether text survives as a NUL-terminated UTF-8 string."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def is_plain_name(name: object) -> bool:
    """Return whether text survives as one name in an HDF5 path."""
    return (
        isinstance(name, str) and name not in ("", ".") and "/" not in name and is_plain_text(name)
    )


def is_image_space(space: spaces.Space[Any]) -> bool:
    """Return whether the values of a space are stored as JPEG where ``jpeg_encoding`` is set."""
    return (
        isinstance(space, spaces.Box)
        and len(space.shape) in (2, 3)
        and min(space.shape[:2]) >= _SMALLEST_IMAGE_SIDE
        and space.dtype == np.uint8
        and bool((space.low == 0).all())
        and bool((space.high == 255).all())
    )


def public_space_json(space: spaces.Space[Any]) -> str:
    """Write a space as the JSON text that the public Minari reads.

    Args:
        space: A space that `check_holdable` accepts.
    """
    return json.dumps(_write_space(space))


def public_description_json(text: str) -> str:
    """Write a description of an unknown type as JSON text, with what is known as it is public.

    Args:
        text: The description, as JSON.
    """
    return json.dumps(_publish_fields(json.loads(text)))


def _publish_fields(fields: Any) -> Any:
    try:
        return _write_space(space_from_dict(fields))
    except SpaceError:
        inner = fields.get("subspaces") if isinstance(fields, dict) else None
        if inner is None or fields.get("type") not in ("Dict", "Tuple"):
            return fields
    if isinstance(inner, dict):
        inner = {key: _publish_fields(value) for key, value in inner.items()}
    elif isinstance(inner, list):
        inner = [_publish_fields(value) for value in inner]
    return {**fields, "subspaces": inner}


def _write_space(space: spaces.Space[Any]) -> dict[str, Any]:
    if type(space) not in _WRITERS:
        return space_to_dict(space)
    return {"type": type(space).__name__, **_WRITERS[type(space)](space)}


def _box(space: Any) -> dict[str, Any]:
    low, high = space.low.tolist(), space.high.tolist()
    return {"dtype": str(space.dtype), "shape": list(space.shape), "low": low, "high": high}


def _discrete(space: Any) -> dict[str, Any]:
    return {"dtype": str(space.dtype), "start": int(space.start), "n": int(space.n)}


def _multi_discrete(space: Any) -> dict[str, Any]:
    start = space.start.tolist()
    return {"dtype": str(space.dtype), "nvec": space.nvec.tolist(), "start": start}


def _multi_binary(space: Any) -> dict[str, Any]:
    size = space.n
    return {"n": int(size) if isinstance(size, int | np.integer) else [int(n) for n in size]}


def _text(space: Any) -> dict[str, Any]:
    return {
        "max_length": int(space.max_length),
        "min_length": int(space.min_length),
        "charset": "".join(text_characters(space)),
    }


def _dict(space: Any) -> dict[str, Any]:
    return {"subspaces": {key: _write_space(value) for key, value in space.spaces.items()}}


def _tuple(space: Any) -> dict[str, Any]:
    return {"subspaces": [_write_space(subspace) for subspace in space.spaces]}


_WRITERS: dict[type, Any] = {
    spaces.Box: _box,
    spaces.Discrete: _discrete,
    spaces.MultiDiscrete: _multi_discrete,
    spaces.MultiBinary: _multi_binary,
    spaces.Text: _text,
    spaces.Dict: _dict,
    spaces.Tuple: _tuple,
}
