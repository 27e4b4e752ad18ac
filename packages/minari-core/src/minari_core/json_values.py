"""Write values as strict JSON text and read them back, numpy's scalars and arrays included.

Plain values look as in any JSON. What JSON cannot say is an object with one ``$`` key:
``{"$array": {"dtype": "<f8", "shape": [2], "data": [0.5, 1.0]}}``, ``{"$tuple": [1, 2]}``,
``{"$float": "nan"}`` for values that are not finite, ``{"$int": "0x1f…"}`` for whole numbers
beyond 64 bits, ``{"$complex": [real, imaginary]}``, ``{"$bytes": "00ff"}``, ``{"$text": [code
points]}`` for text with two surrogates in a row, which JSON reads back as the one character that
they encode, and ``{"$dict": [[key, value], …]}`` for a dict with keys that are not text, that start
with ``$``, or that have such surrogates.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import TypeAlias, TypeGuard

import numpy as np

from minari_core.errors import DataError
from minari_core.messages import advise_text, format_value

JsonValue: TypeAlias = (
    bool | int | float | str | list["JsonValue"] | Mapping[str, "JsonValue"] | None
)
JsonObject: TypeAlias = dict[str, JsonValue]

NOT_PLAIN = "its key is not text that JSON can keep"
"""The reason for leaving out a column whose key is not plain; see `is_plain_key`."""

_ARRAY_KINDS = "biufcU"
# An item of a larger number has no exact counterpart among Python's own.
_LARGEST_ITEM_NBYTES = {"c": 16, "U": math.inf}
# Reading is recursive, and must have room wherever it is called from.
_DEEPEST = 100
_LONGEST_PATH = 60
# An array of text takes as much memory as its dtype says, whatever is in it.
_LARGEST_TEXT_ARRAY_NBYTES = 1 << 24
_LARGEST_PLAIN_INT = 1 << 64
_JOINED_BY_JSON = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def to_json_text(value: object, where: str) -> str:
    """Write a value as JSON.

    Args:
        value: None, booleans, numbers, text, bytes, lists, tuples, dicts, numpy scalars and
            arrays of numbers, nested in any way.
        where: The value's name for an error message.

    Raises:
        DataError: A value of another type is in it, or it is nested more than 100 deep; the
            message says where.
    """
    return json.dumps(_mark(value, where, 0), allow_nan=False, separators=(",", ":"))


def is_plain_key(key: object) -> TypeGuard[str]:
    """Return whether a key is text that JSON reads back unchanged."""
    return isinstance(key, str) and _JOINED_BY_JSON.search(key) is None


def from_json_text(text: str) -> object:
    """Read what `to_json_text` wrote.

    Raises:
        ValueError: The text is not JSON, or its marks are malformed.
    """
    try:
        return _unmark(json.loads(text))
    except (RecursionError, TypeError, KeyError, OverflowError, MemoryError) as error:
        raise ValueError(f"malformed JSON value: {error!r}") from error


def to_plain_json(value: object, where: str) -> object:
    """Convert numpy scalars and arrays in a value to Python's own numbers and lists.

    Raises:
        DataError: Something in it is not JSON.
    """
    if isinstance(value, np.generic | np.ndarray) and value.dtype.kind not in "mM":
        value = value.tolist()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise DataError(f"{where}: {value} is not JSON")
        return value
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise DataError(f"{where}: the key {format_value(key)} is not text")
        return {str(key): to_plain_json(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
        return [to_plain_json(item, f"{where}[{index}]") for index, item in enumerate(items)]
    said = f"{where}: {type(value).__name__} {format_value(value)} is not JSON"
    raise DataError(f"{said}{advise_text(value)}")


def _mark(value: object, where: str, depth: int) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return {"$text": list(map(ord, value))} if _JOINED_BY_JSON.search(value) else str(value)
    if isinstance(value, np.generic | np.ndarray):
        return _mark_array(value, where)
    if isinstance(value, int):
        return int(value) if abs(value) <= _LARGEST_PLAIN_INT else {"$int": hex(value)}
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": repr(float(value))}
    if isinstance(value, complex):
        return {"$complex": [_mark(value.real, where, 0), _mark(value.imag, where, 0)]}
    if isinstance(value, bytes):
        return {"$bytes": value.hex()}
    if depth >= _DEEPEST:
        raise DataError(f"{where[:_LONGEST_PATH]}…: nested more than {_DEEPEST} deep")
    depth += 1
    if isinstance(value, list):
        return [_mark(item, f"{where}[{index}]", depth) for index, item in enumerate(value)]
    if isinstance(value, tuple):
        items = [_mark(item, f"{where}[{index}]", depth) for index, item in enumerate(value)]
        return {"$tuple": items}
    if isinstance(value, Mapping):
        if all(is_plain_key(key) and not key.startswith("$") for key in value):
            return {key: _mark(item, f"{where}.{key}", depth) for key, item in value.items()}
        pairs = [
            [_mark(key, f"{where} key", depth), _mark(item, f"{where}[{format_value(key)}]", depth)]
            for key, item in value.items()
        ]
        return {"$dict": pairs}
    said = f"{where}: {type(value).__name__} {format_value(value)} cannot be kept as JSON"
    raise DataError(f"{said}{advise_text(value)}")


def _mark_array(value: object, where: str) -> object:
    if np.ma.is_masked(value):
        raise DataError(f"{where}: a masked array cannot be kept as JSON")
    array = np.asarray(value)
    if array.dtype.kind == "U" and array.ndim == 0:
        return _mark(str(array[()]), where, 0)
    kind, itemsize = array.dtype.kind, array.dtype.itemsize
    if kind not in _ARRAY_KINDS or itemsize > _LARGEST_ITEM_NBYTES.get(kind, 8):
        raise DataError(
            f"{where}: an array of dtype {array.dtype} cannot be kept as JSON{advise_text(array)}"
        )
    if kind == "U" and itemsize * max(array.size, 1) > _LARGEST_TEXT_ARRAY_NBYTES:
        raise DataError(
            f"{where}: an array of text with {array.nbytes} bytes is too large for JSON"
        )
    data = [_mark(item, where, 0) for item in array.ravel().tolist()]
    return {"$array": {"dtype": array.dtype.str, "shape": list(array.shape), "data": data}}


def _unmark(value: object) -> object:
    if isinstance(value, list):
        return [_unmark(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (key, content) = next(iter(value.items()))
        if key == "$tuple":
            return tuple(_unmark(item) for item in content)
        if key == "$float":
            return float(content)
        if key == "$int":
            return int(content, 16)
        if key == "$complex":
            real, imaginary = (float(_unmark(part)) for part in content)  # type: ignore[arg-type]  # malformed ones raise
            return complex(real, imaginary)
        if key == "$bytes":
            return bytes.fromhex(content)
        if key == "$text":
            return "".join(map(chr, content))
        if key == "$dict":
            return {_unmark(name): _unmark(item) for name, item in content}
        if key == "$array":
            return _unmark_array(content)
    return {key: _unmark(item) for key, item in value.items()}


def _unmark_array(content: Mapping[str, object]) -> object:
    dtype, shape, data = content["dtype"], content["shape"], content["data"]
    if not isinstance(dtype, str) or not isinstance(shape, list) or not isinstance(data, list):
        raise ValueError(f"not an array: {content!r}")
    stored = np.dtype(dtype)
    if stored.kind not in _ARRAY_KINDS:
        raise ValueError(f"an array of dtype {dtype}")
    if stored.kind == "U" and stored.itemsize * max(len(data), 1) > _LARGEST_TEXT_ARRAY_NBYTES:
        raise ValueError(f"an array of dtype {dtype} and {len(data)} elements")
    items = [_unmark(item) for item in data]
    if stored.kind in "iu":
        # Before 2.0, numpy wraps integers that are too large.
        limits = np.iinfo(stored)
        for item in items:
            if not (isinstance(item, int) and limits.min <= item <= limits.max):
                raise ValueError(f"an array of dtype {dtype} with {item!r}")
    array = np.array(items, dtype=stored).reshape(shape)
    return array[()] if not shape else array
