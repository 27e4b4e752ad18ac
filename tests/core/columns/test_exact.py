"""Numbers change their dtype exactly where it holds them, and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core.columns.exact import cast_exactly, is_faithful
from minari_core.columns.fixed import FixedColumn, as_numeric_array
from minari_core.errors import DataError

DTYPES = ["?", "i1", "u1", "i4", ">i4", "i8", "u8", "f2", "f4", "f8", ">f8", "c8", "c16"]
_EDGES = [0, 1, -1, 127, 128, -128, -129, 255, 256, 2**11 + 1, 65504, 65520, 2**24 + 1, 2**31]
_EDGES += [2**53 + 1, 2**63 - 1, 2**63, -(2**63), 2**64 - 1, 2**64 - 2**11, 2**62 + 2**10]
_FLOATS = st.sampled_from([-0.0, 0.5, 0.1, math.nan, math.inf, -math.inf, 1e300, 2.0**64]) | (
    st.sampled_from(_EDGES).map(float)
)


@st.composite
def numbers(draw: st.DrawFn, dtype: np.dtype[Any]) -> Any:
    """An array of one number of a dtype, often at an edge of it or of another."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        edges = [edge for edge in _EDGES if limits.min <= edge <= limits.max]
        return np.array([draw(st.sampled_from(edges))], dtype)
    if dtype.kind == "b":
        return np.array([draw(st.booleans())])
    array = np.zeros(1, dtype)
    with np.errstate(all="ignore"):
        array.real[...] = draw(_FLOATS)
        if dtype.kind == "c":
            array.imag[...] = draw(_FLOATS)
    return array


def holds(dtype: np.dtype[Any], number: Any) -> bool:
    """Whether a dtype has this very number of Python, worked out one by one."""
    if isinstance(number, bool) or dtype.kind == "b":
        return isinstance(number, bool) and dtype.kind == "b"
    if isinstance(number, complex):
        return dtype.kind == "c" and holds(dtype, number.real) and holds(dtype, number.imag)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        is_whole = math.isfinite(number) and int(number) == number
        has_sign = isinstance(number, float) and number == 0 and math.copysign(1, number) < 0
        return is_whole and not has_sign and int(limits.min) <= int(number) <= int(limits.max)
    float_type = np.dtype(f"f{dtype.itemsize // (2 if dtype.kind == 'c' else 1)}").type
    with np.errstate(all="ignore"):
        there = float(float_type(number))
    return there == number or (there != there and number != number)


@given(st.sampled_from(DTYPES), st.sampled_from(DTYPES), st.data())
@settings(max_examples=400)
def test_a_number_is_cast_exactly_where_the_dtype_holds_it(
    source: str, target: str, data: st.DataObject
) -> None:
    array = data.draw(numbers(np.dtype(source)))
    (number,) = array.tolist()
    cast = cast_exactly(array, np.dtype(target))

    assert (cast is not None) == holds(np.dtype(target), number), number
    if cast is not None:
        assert cast.dtype == np.dtype(target)
        again = complex(cast[0])
        for one, other in ((again.real, number.real), (again.imag, number.imag)):
            assert repr(one) == repr(float(other))


def test_one_number_that_does_not_fit_refuses_the_whole_array() -> None:
    assert cast_exactly(np.array([1, 300]), np.dtype("u1")) is None
    assert cast_exactly(np.zeros((0, 2)), np.dtype("u1")) is not None
    array = np.arange(3)
    assert cast_exactly(array, array.dtype) is array
    not_a_number = np.array([complex(math.nan, 0.1)])
    assert cast_exactly(not_a_number, np.dtype("c8")) is None


@given(
    st.recursive(
        st.booleans() | st.sampled_from(_EDGES) | st.sampled_from([0.5, -0.0, 2.0**60, 1j]),
        lambda items: st.lists(items, min_size=1, max_size=3),
        max_leaves=5,
    )
)
@settings(max_examples=200)
def test_a_list_is_an_array_exactly_where_numpy_keeps_each_of_its_numbers(value: Any) -> None:
    values = [value]
    try:
        array = np.asarray(values)
    except ValueError:
        return
    if array.dtype.kind not in "biufc":
        return
    pairs = zip(_flatten(values), array.ravel().tolist(), strict=True)
    kept = all(
        one == other and isinstance(one, bool) == isinstance(other, bool) for one, other in pairs
    )
    assert is_faithful(values, array.dtype) == kept
    if kept:
        assert as_numeric_array(values, "x").tolist() == values
    else:
        with pytest.raises(DataError, match=r"^x: .* mixes numbers that no dtype holds together"):
            as_numeric_array(values, "x")
        assert as_numeric_array(values, "x", mixed=True).dtype == array.dtype


def _flatten(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _flatten(item)
    else:
        yield value


def test_what_is_no_array_of_numbers_is_refused_with_its_value() -> None:
    column = FixedColumn(np.dtype("u1"), (2,))
    for value, said in [
        ([1, 300], r"x: int64 value \[1, 300\] cannot be stored as uint8 without changing it"),
        ([1, 2, 3], r"x: a value of shape \(3,\) in a column of \(2,\)"),
        ([[1], [1, 2]], r"x: \[\[1\], \[1, 2\]\] is not an array of one shape"),
        ("ab", r"x: str 'ab' is not numeric \(dtype <U2\)"),
        (np.ma.array([1, 2], mask=[True, False]), "x: a masked array has rows without a value"),
        (np.array([1, 2], "m8[s]"), r"x: ndarray .* is not numeric"),
    ]:
        with pytest.raises(DataError, match=said):
            column.encode([np.zeros(2, "u1"), value], "x")
    (encoded,) = column.encode([[1, 2], np.ma.array([3, 4]), np.array([5.0, 6.0])], "x")
    assert encoded.dtype == np.uint8
    assert encoded.tolist() == [[1, 2], [3, 4], [5, 6]]
