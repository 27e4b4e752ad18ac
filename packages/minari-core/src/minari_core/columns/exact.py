"""Convert numbers to another dtype, or refuse to: nothing here ever changes a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from minari_core.columns.base import Array

_WHOLE = "iu"


def cast_exactly(array: Array, dtype: np.dtype[np.generic]) -> Array | None:
    """Cast an array to another dtype; return None if that would change a value.

    True and 1 are different values. So are a whole number and the nearest float to it, which
    numpy's own comparison takes for equal.

    Args:
        array: Numbers or booleans of any shape.
        dtype: A dtype of kind b, i, u, f or c.
    """
    if array.dtype == dtype:
        return array
    source, target = array.dtype.kind, dtype.kind
    if (source == "b") != (target == "b") or (source == "c" and target != "c"):
        return None
    if target == "c":
        # One that is not a number in one of its parts equals none, whatever its other part is.
        part = np.dtype(f"f{dtype.itemsize // 2}")
        parts = [array.real, array.imag] if source == "c" else [array]
        exact = all(cast_exactly(each, part) is not None for each in parts)
        return array.astype(dtype) if exact else None
    with np.errstate(all="ignore"):
        cast = array.astype(dtype)
        same = (cast == array) | ((cast != cast) & (array != array))
        if source in _WHOLE and target == "f":
            # Casting a float that is out of range gives whatever the processor likes.
            inside = _is_inside(cast, array.dtype)
            same &= inside & (np.where(inside, cast, 0).astype(array.dtype) == array)
        elif source == "f" and target in _WHOLE:
            same &= _is_inside(array, dtype) & ~(np.signbit(array) & (array == 0))
    return cast if np.all(same) else None


def _is_inside(floats: Array, dtype: np.dtype[np.generic]) -> npt.NDArray[np.bool_]:
    limits = np.iinfo(dtype.name)
    # 2.0**63 is the first float beyond int64; float(limits.max) would round up to it.
    lowest, beyond = float(limits.min), 2.0 ** limits.max.bit_length()
    return np.greater_equal(floats, lowest) & np.less(floats, beyond)


def is_faithful(value: object, dtype: np.dtype[np.generic]) -> bool:
    """Return whether an array of this dtype holds the numbers of nested lists unchanged.

    numpy turns ``[2**63, -1]`` into floats and ``[True, 2]`` into whole numbers.

    Args:
        value: Lists, tuples, numbers and arrays, nested in any way.
        dtype: The dtype that ``numpy.asarray`` chose for it.
    """
    if isinstance(value, list | tuple):
        kinds = set(map(type, value))
        if kinds <= {float} or (kinds <= {int} and dtype.kind in _WHOLE):
            return True
        return all(is_faithful(item, dtype) for item in value)
    if isinstance(value, bool):
        return dtype.kind == "b"
    if isinstance(value, int):
        return dtype.kind in _WHOLE or (dtype.kind in "fc" and _float_holds(value, dtype))
    if isinstance(value, float):
        return dtype.kind in "fc"
    return isinstance(value, complex) or cast_exactly(np.asarray(value), dtype) is not None


def _float_holds(value: int, dtype: np.dtype[np.generic]) -> bool:
    try:
        return int(np.dtype(dtype).type(value).real) == value
    except OverflowError:
        return False
