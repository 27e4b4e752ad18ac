"""Validate JSON from a remote, which may be huge, deep, or of the wrong types."""

from __future__ import annotations

import json

from minari_core.errors import MetadataError
from minari_core.json_values import JsonObject, JsonValue

_DEEPEST = 100
_LARGEST_COUNT = 2**63 - 1
_TEXT_KEYS = ("dataset_id", "data_format", "minari_version", "env_spec")
_COUNT_KEYS = ("total_episodes", "total_steps")


def read_json_object(text: bytes, where: str, largest: int) -> JsonObject:
    """Read a JSON object.

    Args:
        text: What a remote sent.
        where: Its name for an error message.
        largest: The most bytes it may have.

    Raises:
        MetadataError: It is too large, too deep, or no JSON object.
    """
    if len(text) > largest:
        raise MetadataError(f"{where} is larger than {largest} bytes")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MetadataError(f"{where} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise MetadataError(f"{where} is not a JSON object")
    if _is_deeper(content, _DEEPEST):
        raise MetadataError(f"{where} is nested deeper than {_DEEPEST} levels")
    return content


def check_metadata(metadata: JsonObject, where: str) -> None:
    """Raise if a known key of a dataset's metadata has the wrong type.

    Raises:
        MetadataError: It is; the message names the key.
    """
    for key in _TEXT_KEYS:
        value = metadata.get(key)
        if value is not None and not isinstance(value, str):
            raise MetadataError(f"{where}: {key!r} is {_shorten(value)}, not text")
    for key in _COUNT_KEYS:
        value = metadata.get(key, 0)
        if type(value) is int and value > _LARGEST_COUNT:
            # Its digits could fill the screen, and to write them is slow, or refused by Python.
            raise MetadataError(f"{where}: {key!r} is larger than {_LARGEST_COUNT}")
        if type(value) is not int or value < 0:
            raise MetadataError(f"{where}: {key!r} is {_shorten(value)}, not a count")


def _shorten(value: JsonValue) -> str:
    if type(value) is int and abs(value) > _LARGEST_COUNT:
        return "a number of very many digits"
    return repr(str(value)[:80])


def _is_deeper(value: JsonValue, levels: int) -> bool:
    waiting: list[tuple[JsonValue, int]] = [(value, 1)]
    while waiting:
        inner, level = waiting.pop()
        if not isinstance(inner, dict | list):
            continue
        if level > levels:
            return True
        children = inner.values() if isinstance(inner, dict) else inner
        waiting.extend((child, level + 1) for child in children)
    return False
