"""Values as strict JSON text, with numpy's scalars and arrays marked so that they come back.

Plain values look as in any JSON. What JSON cannot say is an object with one ``$`` key:
``{"$array": {"dtype": "<f8", "shape": [2], "data": [0.5, 1.0]}}``, ``{"$tuple": [1, 2]}``,
``{"$float": "nan"}`` for values that are not finite, and ``{"$dict": [[key, value], …]}`` for
a dict with keys that are not text or that start with ``$``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import numpy as np

from minari_core.errors import DataError

_ARRAY_KINDS = "biufU"


def to_json_text(value: object, where: str) -> str:
    """Write a value as JSON.

    Args:
        value: None, booleans, numbers, text, lists, tuples, dicts, numpy scalars and arrays of
            numbers, nested in any way.
        where: The value's name for an error message.

    Raises:
        DataError: A value of another type is in it; the message says where.
    """
    try:
        return json.dumps(_mark(value, where), allow_nan=False, separators=(",", ":"))
    except RecursionError as error:
        raise DataError(f"{where}: nested too deep for JSON") from error


def from_json_text(text: str) -> object:
    """Read what `to_json_text` wrote.

    Raises:
        ValueError: The text is not JSON, or its marks are malformed.
    """
    try:
        return _unmark(json.loads(text))
    except (RecursionError, TypeError, KeyError, OverflowError, MemoryError) as error:
        raise ValueError(f"malformed JSON value: {error!r}") from error


def plain(value: object, where: str) -> object:
    """The value with numpy scalars and arrays as Python's own numbers and lists.

    Raises:
        DataError: Something in it is not JSON.
    """
    if isinstance(value, np.generic | np.ndarray):
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
                raise DataError(f"{where}: the key {key!r} is not text")
        return {str(key): plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
        return [plain(item, f"{where}[{index}]") for index, item in enumerate(items)]
    raise DataError(f"{where}: {type(value).__name__} {value!r} is not JSON")


def _mark(value: object, where: str) -> object:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.generic | np.ndarray):
        return _mark_array(np.asarray(value), where)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": repr(float(value))}
    if isinstance(value, list):
        return [_mark(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, tuple):
        return {"$tuple": [_mark(item, f"{where}[{index}]") for index, item in enumerate(value)]}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: _mark(item, f"{where}.{key}") for key, item in value.items()}
        pairs = [
            [_mark(key, f"{where} key"), _mark(item, f"{where}.{key}")]
            for key, item in value.items()
        ]
        return {"$dict": pairs}
    raise DataError(f"{where}: {type(value).__name__} {value!r} cannot be kept as JSON")


def _mark_array(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], where: str) -> object:
    if array.dtype.kind == "U" and array.ndim == 0:
        return str(array[()])
    if array.dtype.kind not in _ARRAY_KINDS or (
        array.dtype.itemsize > 8 and array.dtype.kind != "U"
    ):
        raise DataError(f"{where}: an array of dtype {array.dtype} cannot be kept as JSON")
    data = [_mark(item, where) for item in array.ravel().tolist()]
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
        if key == "$dict":
            return {_unmark(name): _unmark(item) for name, item in content}
        if key == "$array":
            return _unmark_array(content)
    return {key: _unmark(item) for key, item in value.items()}


def _unmark_array(content: Mapping[str, object]) -> object:
    dtype, shape, data = content["dtype"], content["shape"], content["data"]
    if not isinstance(dtype, str) or not isinstance(shape, list) or not isinstance(data, list):
        raise ValueError(f"not an array: {content!r}")
    if np.dtype(dtype).kind not in _ARRAY_KINDS:
        raise ValueError(f"an array of dtype {dtype}")
    array = np.array([_unmark(item) for item in data], dtype=dtype).reshape(shape)
    return array[()] if not shape else array
