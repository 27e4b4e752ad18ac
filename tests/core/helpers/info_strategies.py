"""Random infos, and what the documented rules say of how they come back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st

keys = st.text(st.characters() | st.characters(categories=["Cs"]), max_size=4) | st.sampled_from(
    ["", "/", ".", "..", "%", "%2F", "a/b", "\x00", "$array", "_index_0", "present", "value", "😀"]
)

_NUMBERS = [
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**53 + 1, 2**63 - 1, 2**63, -(2**63), 2**64, -(2**64), 10**30]),
    st.floats() | st.sampled_from([-0.0, math.nan, math.inf]),
]
_NUMPY_SCALARS = [
    st.integers(-(2**63), 2**63 - 1).map(np.int64),
    st.integers(0, 2**64 - 1).map(np.uint64),
    st.integers(-128, 127).map(np.int8),
    st.floats(width=32).map(np.float32),
    st.floats().map(np.float64),
    st.booleans().map(np.bool_),
]
_TEXTS = st.text(st.characters() | st.characters(categories=["Cs"]), max_size=5)


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    """Small arrays of any numeric dtype, shape and layout in memory."""
    dtype = draw(
        st.sampled_from(["?", "i1", "<i4", "<i8", "<u8", ">f8", "<f4", "<f8", "f2", "c16"])
    )
    shape = tuple(draw(st.lists(st.integers(0, 3), max_size=3)))
    size = math.prod(shape)
    values = np.array(draw(st.lists(st.integers(0, 1), min_size=size, max_size=size)))
    array = (values.reshape(shape) * draw(st.sampled_from([1, 100]))).astype(dtype)
    if array.size and np.dtype(dtype).kind in "fc":
        array.flat[0] = draw(st.sampled_from([np.nan, -0.0, np.inf, 0.5]))
    return np.asfortranarray(array) if draw(st.booleans()) else array


def _nested(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return (
        st.lists(children, max_size=3)
        | st.lists(children, max_size=3).map(tuple)
        | st.dictionaries(keys, children, max_size=3)
        | st.dictionaries(st.integers(0, 3) | st.booleans(), children, max_size=2)
    )


json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        *_NUMBERS,
        *_NUMPY_SCALARS,
        _TEXTS,
        arrays().filter(lambda array: array.dtype.kind != "c"),
    ),
    _nested,
    max_leaves=6,
)
"""Everything that `to_json_text` takes."""

anything = st.recursive(
    st.one_of(st.none(), *_NUMBERS, *_NUMPY_SCALARS, _TEXTS, st.binary(max_size=4), arrays()),
    _nested,
    max_leaves=6,
)
"""Everything that a column keeps, and mixtures of which parts are left out with a warning."""


@st.composite
def row_values(draw: st.DrawFn, count: int) -> list[Any]:
    """The values of one key in consecutive rows: alike, or mixed in any way."""
    alike = st.sampled_from(
        [
            *_NUMBERS,
            *_NUMPY_SCALARS,
            _TEXTS,
            st.binary(max_size=4),
            st.lists(st.integers(-3, 3), max_size=3),
            st.lists(st.floats(), min_size=2, max_size=2),
            st.lists(_TEXTS, max_size=2),
            st.lists(st.integers(0, 1), max_size=3).map(lambda items: np.array(items, dtype="u1")),
            st.dictionaries(st.sampled_from(["a", "/", ""]), st.none() | st.integers(0, 3)),
            st.dictionaries(st.sampled_from(["a", "b"]), st.dictionaries(keys, _TEXTS, max_size=2)),
            anything,
        ]
    )
    values: Any = draw(alike)
    if draw(st.booleans()):
        values = values | st.none()
    return draw(st.lists(values, min_size=count, max_size=count))


def canonical(value: Any, *, empty_dicts: bool = False) -> Any:
    """The value, up to what the rules allow to change.

    A number may get a dtype that holds it exactly, lists of numbers become arrays, and in infos
    a dict without a value is the same as none.

    Args:
        value: A value that was recorded or read.
        empty_dicts: Whether an empty dict is a value, as in metadata.
    """
    if value is None or value is np.ma.masked:
        return None
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return canonical(value[()])
        if value.ndim == 1 and value.dtype == np.uint8 and not np.ma.isMaskedArray(value):
            return [_BYTES[item] for item in value.tolist()]  # images have many
        return [canonical(item) for item in value]
    if isinstance(value, bool | np.bool_):
        return ("truth", bool(value))
    if isinstance(value, np.generic) and not isinstance(value, np.str_):
        value = value.item()
    if isinstance(value, complex):
        return (
            [canonical(value.real), canonical(value.imag)] if value.imag else canonical(value.real)
        )
    if isinstance(value, float) and (math.isnan(value) or value == 0):
        return ("special", repr(value))
    if isinstance(value, int | float):
        return ("special", "0.0") if value == 0 else ("number", value)
    if isinstance(value, list | tuple):
        return [canonical(item, empty_dicts=empty_dicts) for item in value]
    if isinstance(value, Mapping):
        parts = {
            str(key) if isinstance(key, str) else key: canonical(part, empty_dicts=empty_dicts)
            for key, part in value.items()
        }
        present = {key: part for key, part in parts.items() if part is not None}
        return present if present or empty_dicts else None
    return value


_BYTES = [canonical(number) for number in range(256)]


def may_be_left_out(value: Any) -> bool:
    """Whether JSON cannot say the value, so that it is left out where a column must be JSON."""
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind == "c" or value.dtype.itemsize > 8
    if isinstance(value, list | tuple):
        return any(map(may_be_left_out, value))
    if isinstance(value, Mapping):
        return any(map(may_be_left_out, value.values()))
    return isinstance(value, bytes | complex)


def without_what_was_left_out(value: Any, found: Any) -> Any:
    """The value without those parts of it that are not in what was found, but only if JSON
    cannot say them.
    """
    if not may_be_left_out(value):
        return value
    if canonical(found) is None:
        return None
    if isinstance(value, Mapping) and isinstance(found, Mapping):
        return {key: without_what_was_left_out(part, found.get(key)) for key, part in value.items()}
    return value
