"""Write and read the arrays inside a space's JSON: bounds, counts and starts, with their dtypes.

An array whose elements are all the same is one number, any other is nested lists. What is not
finite is text (``"Infinity"``, ``"-Infinity"``, ``"NaN"``), and so is every number of an extended
precision, whose digits no JSON number is sure to keep. JSON that is read is checked before
memory is allocated for it.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from minari_core.errors import SpaceError
from minari_core.messages import format_value

NumberArray: TypeAlias = NDArray[Any]
"""An array of dtype kind b, i, u or f; which one is only known at run time."""

INFINITY = "Infinity"
MINUS_INFINITY = "-Infinity"
NOT_A_NUMBER = "NaN"
_NON_FINITE = {INFINITY: math.inf, MINUS_INFINITY: -math.inf, NOT_A_NUMBER: math.nan}

_WIDEST_JSON_FLOAT = 8
_LONGEST_NUMBER = 100
_DTYPE = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64|96|128)|[<>=|]?[biuf](1|2|4|8|12|16)")
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII)


def dtype_to_json(dtype: object, kinds: str, where: str) -> str:
    """Name a dtype, such as ``"float32"``, or ``">f4"`` where its byte order is not the native one.

    Args:
        dtype: What the space calls its dtype.
        kinds: The numpy kinds that are allowed, such as ``"iu"``.
        where: The space, for the error message.

    Raises:
        SpaceError: It is not a dtype, or of another kind.
    """
    if not isinstance(dtype, np.dtype) or dtype.kind not in kinds:
        raise SpaceError(f"{where}: a space of dtype {dtype} cannot be kept")
    return str(dtype)


def dtype_from_json(name: object, kinds: str, where: str) -> np.dtype[Any]:
    """Return the dtype of a name, if it is numeric.

    Raises:
        SpaceError: It is of another kind, or one that this platform does not have.
    """
    if not isinstance(name, str) or _DTYPE.fullmatch(name) is None:
        raise SpaceError(f'{where}: "dtype" must name a dtype of numbers, not {format_value(name)}')
    try:
        dtype = np.dtype(name)
    except TypeError as error:
        raise SpaceError(f"{where}: the dtype {name!r} does not exist on this platform") from error
    if dtype.kind not in kinds:
        raise SpaceError(f"{where}: the dtype {name!r} is of the wrong kind for this space")
    return dtype


def shape_from_json(value: object, where: str) -> tuple[int, ...]:
    """Return a shape from a list of sizes.

    Raises:
        SpaceError: It is not a list of whole numbers that are 0 or more.
    """
    if not isinstance(value, list) or not all(
        isinstance(size, int) and not isinstance(size, bool) and size >= 0 for size in value
    ):
        raise SpaceError(
            f'{where}: "shape" must be a list of whole numbers, not {format_value(value)}'
        )
    return tuple(value)


def infer_shape(value: object) -> tuple[int, ...]:
    """Return the shape of nested lists, from their first elements; ``()`` for a number."""
    shape: list[int] = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)


def array_to_json(
    array: NumberArray, *, unbounded: NDArray[np.bool_] | None = None, marker: str = INFINITY
) -> object:
    """Return one number where all elements are the same, else nested lists.

    Args:
        array: Numbers of any shape.
        unbounded: Where, if anywhere, the element means "no bound"; of the array's shape.
        marker: What is written there.
    """
    if array.size == 0:
        return []
    if _is_uniform(array) and (unbounded is None or _is_uniform(unbounded)):
        single: object = _to_json_numbers(array.reshape(-1)[:1], unbounded, marker)[0]
        return single
    nested: object = _to_json_numbers(array, unbounded, marker).tolist()
    return nested


def _is_uniform(array: NDArray[Any]) -> bool:
    # -0.0 equals 0.0 but is not the same bound, so equality alone would lose a sign.
    same_sign = array.dtype.kind != "f" or np.unique(np.signbit(array)).size == 1
    return bool(same_sign and (array == array.flat[0]).all())


def _to_json_numbers(
    array: NDArray[Any], unbounded: NDArray[np.bool_] | None, marker: str
) -> NDArray[np.object_]:
    values = array.astype(object)
    if array.dtype.kind == "f":
        if array.dtype.itemsize > _WIDEST_JSON_FLOAT:
            finite = np.isfinite(array)
            values[finite] = [str(number) for number in array[finite]]
        values[np.isposinf(array)] = INFINITY
        values[np.isneginf(array)] = MINUS_INFINITY
        values[np.isnan(array)] = NOT_A_NUMBER
    if unbounded is not None:
        values[unbounded.reshape(-1)[: array.size].reshape(array.shape)] = marker
    return values


def array_from_json(
    value: object,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    where: str,
    *,
    marker: str | None = None,
) -> tuple[NumberArray, NDArray[np.bool_]]:
    """Read what `array_to_json` wrote, or the nested lists of the public Minari.

    Args:
        value: One number, or lists nested as ``shape`` says.
        shape: The shape of the result; its size has been checked by the caller.
        dtype: The dtype of the result, of kind b, i, u or f.
        where: What is read, for the error message.
        marker: The text that stands for "no bound" among whole numbers, if any may.

    Returns:
        The array, and where the marker stood (the array is 0 there).

    Raises:
        SpaceError: The lists are not of that shape, or an element is not a number that
            the dtype holds.
    """
    uniform = not isinstance(value, list)
    flat = [value] if uniform else _flatten(value, shape, where)
    marked: npt.NDArray[np.bool_] = np.zeros(len(flat), dtype=np.bool_)
    if marker is not None and dtype.kind == "i":
        marked = np.array([element == marker for element in flat], dtype=np.bool_)
        flat = [0 if element == marker else element for element in flat]
    numbers = _read_numbers(flat, dtype, where)
    try:
        if uniform:
            return np.full(shape, numbers[0], dtype=dtype), np.full(shape, marked[0])
        return numbers.reshape(shape), marked.reshape(shape)
    except (ValueError, OverflowError, MemoryError) as error:
        raise SpaceError(f"{where}: an array of shape {format_value(shape)}: {error}") from error


def _flatten(value: object, shape: tuple[int, ...], where: str) -> list[object]:
    if math.prod(shape) == 0 and value == []:
        return []
    level = [value]
    for size in shape:
        inner: list[object] = []
        for item in level:
            if not isinstance(item, list) or len(item) != size:
                raise SpaceError(
                    f"{where}: the nested lists are not of shape {format_value(shape)}"
                )
            inner.extend(item)
        level = inner
    return level


def _read_numbers(flat: Sequence[object], dtype: np.dtype[Any], where: str) -> NumberArray:
    if dtype.kind == "f":
        return _read_floats(flat, dtype, where)
    whole = [_read_whole_number(element, dtype.kind == "b", where) for element in flat]
    if dtype.kind in "iu" and whole:
        limits = np.iinfo(dtype.name)
        for extreme in (min(whole), max(whole)):
            if not limits.min <= extreme <= limits.max:
                raise SpaceError(
                    f"{where}: {format_value(extreme)} is outside the range of {dtype}"
                )
    return np.array(whole, dtype=dtype)


def _read_whole_number(element: object, is_bool: bool, where: str) -> int:
    if isinstance(element, int) and (element in (0, 1) if is_bool else type(element) is int):
        return element
    expected = "true or false" if is_bool else "a whole number"
    raise SpaceError(f"{where}: expected {expected}, not {format_value(element)}")


def _read_floats(flat: Sequence[object], dtype: np.dtype[Any], where: str) -> NumberArray:
    exact: NDArray[np.floating[Any]]
    if dtype.itemsize > _WIDEST_JSON_FLOAT:
        exact = np.array([_read_extended_float(item, where) for item in flat], dtype=np.longdouble)
    else:
        exact = np.array([_read_float(item, where) for item in flat], dtype=np.float64)
    # A finite number that becomes infinite is found below: numpy's warning would repeat it.
    with np.errstate(over="ignore"):
        result = exact.astype(dtype)
    lost = np.isinf(result) != np.isinf(exact)
    if lost.any():
        raise SpaceError(f"{where}: {exact[lost][0]} is outside the range of {dtype}")
    return result


def _read_float(element: object, where: str) -> float:
    if isinstance(element, str) and element in _NON_FINITE:
        return _NON_FINITE[element]
    if isinstance(element, int | float) and not isinstance(element, bool):
        try:
            return float(element)
        except OverflowError as error:
            raise SpaceError(f"{where}: {format_value(element)} is too large") from error
    raise SpaceError(f"{where}: expected a number, not {format_value(element)}")


def _read_extended_float(element: object, where: str) -> np.longdouble:
    if isinstance(element, str) and element not in _NON_FINITE:
        if len(element) <= _LONGEST_NUMBER and _DECIMAL.fullmatch(element):
            with warnings.catch_warnings():
                # Of a number that is too large numpy warns, whatever its error state is.
                warnings.simplefilter("ignore", RuntimeWarning)
                number = np.longdouble(element)
            if np.isfinite(number):
                return number
        raise SpaceError(f"{where}: expected a number, not {format_value(element)}")
    return np.longdouble(_read_float(element, where))
