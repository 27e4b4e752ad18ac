"""Every space comes back from JSON as it was, and no JSON does harm."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import warnings
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces import Space
from hypothesis import given
from hypothesis import strategies as st

from minari_core.environments import gymnasium_compat as compat
from minari_core.environments.space_json import (
    space_from_dict,
    space_from_json,
    space_to_dict,
    space_to_json,
)
from minari_core.errors import SpaceError
from tests.core.helpers import space_strategies

# Gymnasium takes more than its types say.
make_box: Any = spaces.Box
make_multi_discrete: Any = spaces.MultiDiscrete
make_dict: Any = spaces.Dict


def assert_the_same(first: Any, second: Any) -> None:
    """More than ``==``, which takes close bounds and (in 0.29.1) any dtype for equal."""
    assert type(first) is type(second)
    assert first.dtype == second.dtype
    assert first.shape == second.shape
    if isinstance(first, spaces.Box):
        for name in ("low", "high", "bounded_below", "bounded_above"):
            expected, actual = getattr(first, name), getattr(second, name)
            assert np.asarray(expected).dtype == np.asarray(actual).dtype
            assert np.shape(expected) == np.shape(actual)
            assert np.array_equal(expected, actual)
            assert np.array_equal(np.signbit(expected * 1.0), np.signbit(actual * 1.0))
    if isinstance(first, spaces.MultiDiscrete):
        assert np.array_equal(first.nvec, second.nvec)
        assert np.array_equal(first.start, second.start)
    if isinstance(first, spaces.Dict):
        assert list(first.spaces) == list(second.spaces)
        assert getattr(first, "sort_keys", True) == getattr(second, "sort_keys", True)
        for key, subspace in first.spaces.items():
            assert_the_same(subspace, second.spaces[key])
    elif hasattr(first, "spaces"):
        for one, other in zip(first.spaces, second.spaces, strict=True):
            assert_the_same(one, other)
    if isinstance(first, spaces.Sequence):
        assert_the_same(first.feature_space, second.feature_space)
    if isinstance(first, spaces.Graph):
        assert_the_same(first.node_space, second.node_space)
        assert (first.edge_space is None) == (second.edge_space is None)
        if first.edge_space is not None:
            assert_the_same(first.edge_space, second.edge_space)


def assert_round_trip(space: Space[Any]) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = space_to_json(space)
        again = space_from_json(text)
    assert text.isascii()
    json.loads(text, parse_constant=_refuse)
    assert again == space
    assert_the_same(space, again)
    assert space_to_json(again) == text
    return text


def _refuse(token: str) -> None:
    raise AssertionError(f"{token} is not strict JSON")


@given(space_strategies.spaces())
def test_any_nested_space_comes_back_as_it_was(space: Space[Any]) -> None:
    assert_round_trip(space)


@given(space_strategies.spaces(max_leaves=4), st.integers(0, 2**32))
def test_the_values_that_tests_use_lie_in_their_space(space: Space[Any], seed: int) -> None:
    for value in space_strategies.values_of(space, np.random.default_rng(seed), 2):
        assert value in space, value


def test_an_atari_sized_box_is_under_300_bytes() -> None:
    text = assert_round_trip(spaces.Box(0, 255, (210, 160, 3), np.uint8))
    assert len(text) < 300
    assert json.loads(text) == {
        "type": "Box",
        "dtype": "uint8",
        "shape": [210, 160, 3],
        "low": 0,
        "high": 255,
    }


def test_each_bound_of_a_box_is_one_number_if_it_is_uniform() -> None:
    high = np.array([[1.0, 2.0], [3.0, np.inf]], np.float32)
    box = spaces.Box(np.full((2, 2), -np.inf, np.float32), high)
    fields = json.loads(assert_round_trip(box))
    assert fields["low"] == "-Infinity"
    assert fields["high"] == [[1.0, 2.0], [3.0, "Infinity"]]


@pytest.mark.parametrize(
    "space",
    [
        make_box(-1.5, 2.5, (), np.float64),
        make_box(-np.inf, np.inf, (), np.float16),
        make_box(-np.inf, np.inf, (3,), np.int32),
        make_box(0, 1, (0, 3), np.float32),
        make_box(0, 1, (3, 0), np.float32),
        make_box(0, 2**64 - 1, (2,), np.uint64),
        make_box(np.array([0, 2**64 - 2], np.uint64), np.full(2, 2**64 - 1, np.uint64), (2,), "u8"),
        make_box(np.array([-(2**63), 2**53 + 1]), np.full(2, 2**63 - 1), (2,), np.int64),
        make_box(np.array([False, True]), np.array([True, True]), (2,), np.bool_),
        make_box(np.array([-0.0, 0.0]), np.array([0.0, -0.0]), (2,), np.float64),
        make_box(np.full(2, 0.1, ">f4"), np.full(2, 0.2, ">f4"), (2,), np.dtype(">f4")),
        make_box(np.longdouble(1) / 3 * np.ones(2, "g"), np.ones(2, "g"), (2,), np.longdouble),
        make_multi_discrete(5),
        make_multi_discrete([[2, 3], [4, 5]], dtype=np.uint8, start=[[1, 0], [0, 1]]),
        spaces.MultiBinary(3),
        spaces.MultiBinary([2, 3]),
        spaces.MultiBinary([]),
        spaces.Text(5),
        spaces.Text(5, min_length=0, charset=""),
        spaces.Text(5, charset="zya"),
        spaces.Text(5, charset="\ud83d\ude00😀"),
        spaces.Dict(),
        spaces.Tuple(()),
        spaces.Dict({"b": spaces.Discrete(2), "a": spaces.Discrete(3, start=-5)}),
        spaces.Dict(OrderedDict(b=spaces.Discrete(2), a=spaces.Discrete(3))),
        spaces.Sequence(spaces.Dict({"x": make_box(0, 1)}), stack=True),
        spaces.Graph(make_box(0, 1, (2,)), None),
        spaces.Graph(spaces.Discrete(3), make_box(0, 1, (2,))),
    ],
    ids=lambda space: re.sub(r"\W+", " ", ascii(type(space).__name__)),
)
def test_an_unusual_space_comes_back_as_it_was(space: Space[Any]) -> None:
    assert_round_trip(space)


def test_a_box_of_whole_numbers_without_bounds_stays_without_bounds() -> None:
    text = assert_round_trip(spaces.Box(-np.inf, np.inf, (2,), np.int64))
    assert json.loads(text)["low"] == "-Infinity"
    half = space_from_json(text.replace('"-Infinity"', '[0,"-Infinity"]'))
    assert isinstance(half, spaces.Box)
    assert half.bounded_below.tolist() == [True, False]
    assert half.low[0] == 0


def test_the_text_of_a_space_is_the_same_in_every_process() -> None:
    program = (
        "from gymnasium import spaces; "
        "from minari_core.environments.space_json import space_to_json; "
        "print(space_to_json(spaces.Text(3)))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1


@pytest.mark.skipif(not compat.DICT_HAS_SORT_KEYS, reason="this Gymnasium always sorts")
def test_a_dict_that_does_not_sort_its_keys_still_does_not() -> None:
    assert_round_trip(
        make_dict({"b": spaces.Discrete(2), "a": spaces.Discrete(2)}, sort_keys=False)
    )


def test_what_the_public_minari_writes_is_read() -> None:
    text = """{"type": "Dict", "subspaces": {
        "z": {"type": "Box", "dtype": "float32", "shape": [2], "low": [-Infinity, 0],
              "high": [Infinity, 0.5]},
        "a": {"type": "Tuple", "subspaces": [
            {"type": "Discrete", "dtype": "int64", "start": 1, "n": 3},
            {"type": "MultiDiscrete", "dtype": "int64", "nvec": [[2, 3]], "start": [[0, 1]]},
            {"type": "MultiBinary", "n": 4},
            {"type": "Text", "max_length": 4, "min_length": 1, "charset": "abc"}]},
        "e": {"type": "Box", "dtype": "uint8", "shape": [2, 0], "low": [[], []], "high": [[], []]}
        }}"""
    expected = spaces.Dict(
        OrderedDict(
            z=spaces.Box(np.array([-np.inf, 0], "f4"), np.array([np.inf, 0.5], "f4")),
            a=spaces.Tuple(
                (
                    spaces.Discrete(3, start=1),
                    make_multi_discrete([[2, 3]], start=[[0, 1]]),
                    spaces.MultiBinary(4),
                    spaces.Text(4, charset="abc"),
                )
            ),
            e=spaces.Box(0, 1, (2, 0), np.uint8),
        )
    )
    assert_the_same(space_from_json(text), expected)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"type": "Discrete", "n": 3}, spaces.Discrete(3)),
        ({"type": "Discrete", "dtype": "int64", "n": 3}, spaces.Discrete(3)),
        ({"type": "MultiDiscrete", "nvec": [5, 2]}, spaces.MultiDiscrete([5, 2])),
        (
            {"type": "MultiDiscrete", "dtype": "int8", "nvec": [[5], [2]]},
            make_multi_discrete([[5], [2]], dtype=np.int8),
        ),
    ],
)
def test_a_space_that_says_no_start_begins_at_zero(
    fields: dict[str, Any], expected: Space[Any]
) -> None:
    space: Any = space_from_dict(fields)
    assert_the_same(space, expected)
    assert not np.any(space.start)


BOX = {"type": "Box", "dtype": "float32", "shape": [2], "low": 0, "high": 1}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ([], "expected an object"),
        ({}, '"type" is missing'),
        ({"type": ["Box"]}, '"type" must be a str'),
        ({"type": "Cube"}, "unknown type 'Cube'"),
        ({"type": "Box"}, '"dtype" is missing'),
        ({**BOX, "dtype": "object"}, "must name a dtype of numbers"),
        ({**BOX, "dtype": "O"}, "must name a dtype of numbers"),
        ({**BOX, "dtype": "f4,f4"}, "must name a dtype of numbers"),
        ({**BOX, "dtype": "f1"}, "does not exist on this platform"),
        ({**BOX, "dtype": 3}, "must name a dtype of numbers|must be a str"),
        ({**BOX, "shape": [-1]}, "whole numbers"),
        ({**BOX, "shape": [True]}, "whole numbers"),
        ({**BOX, "shape": [10**12]}, "elements"),
        ({**BOX, "shape": [2**16] * 4}, "elements"),
        ({**BOX, "shape": [1] * 100}, "shape"),
        ({**BOX, "shape": [0, 10**30]}, "shape"),
        ({**BOX, "low": [0]}, "not of shape"),
        ({**BOX, "low": [0, [0]]}, "expected a number"),
        ({**BOX, "low": "0"}, "expected a number"),
        ({**BOX, "low": None}, "expected a number"),
        ({**BOX, "low": True}, "expected a number"),
        ({**BOX, "low": math.nan}, "may not be NaN"),
        ({**BOX, "low": 2}, "low"),
        ({**BOX, "high": 1e300}, "outside the range of float32"),
        ({**BOX, "high": 10**400}, "too large"),
        ({**BOX, "dtype": "int8", "high": 128}, "outside the range of int8"),
        ({**BOX, "dtype": "int8", "high": 1.5}, "expected a whole number"),
        ({**BOX, "dtype": "uint8", "low": "-Infinity"}, "expected a whole number"),
        ({**BOX, "dtype": "int8", "low": "Infinity"}, "expected a whole number"),
        ({**BOX, "dtype": "bool", "high": 2}, "true or false"),
        ({"type": "Discrete", "n": 0}, "positive"),
        ({"type": "Discrete", "n": True}, "whole number"),
        ({"type": "Discrete", "n": 1.5}, "must be a int"),
        ({"type": "Discrete", "n": 10**30}, "too large|too big|out of bounds"),
        ({"type": "Discrete", "n": 2, "dtype": "float32"}, "wrong kind"),
        ({"type": "MultiDiscrete", "nvec": [2, [3]]}, "expected a whole number"),
        ({"type": "MultiDiscrete", "nvec": [[2], 3]}, "not of shape"),
        ({"type": "MultiDiscrete", "nvec": [0]}, "positive"),
        ({"type": "MultiDiscrete", "nvec": [2], "start": [1, 2]}, "not of shape"),
        ({"type": "MultiDiscrete", "nvec": 2, "shape": [10**12]}, "elements"),
        ({"type": "MultiBinary", "n": "3"}, "must be a int"),
        ({"type": "MultiBinary", "n": -3}, "positive"),
        ({"type": "MultiBinary", "n": 10**12}, "elements"),
        ({"type": "Text", "max_length": 3, "min_length": 5, "charset": "a"}, "min_length"),
        ({"type": "Text", "max_length": 3, "min_length": 1, "charset": ["ab"]}, "single"),
        ({"type": "Text", "max_length": 3, "min_length": 1, "charset": [1]}, "single"),
        ({"type": "Dict", "subspaces": []}, "must be a dict"),
        ({"type": "Dict", "subspaces": {"a": 1}}, re.escape('["a"]: expected an object')),
        ({"type": "Dict", "subspaces": {}, "sort_keys": 1}, "must be a bool"),
        ({"type": "Tuple", "subspaces": {}}, "must be a list"),
        ({"type": "Tuple", "subspaces": [{"type": "Discrete"}]}, re.escape('[0]: "n" is missing')),
        ({"type": "Sequence", "stack": 1, "feature_space": BOX}, "must be a bool"),
        ({"type": "Sequence", "stack": False}, '"feature_space" is missing'),
        ({"type": "Graph", "node_space": BOX}, '"edge_space" is missing'),
        ({"type": "Graph", "node_space": None, "edge_space": None}, "must be a dict"),
        ({"type": "OneOf", "subspaces": []}, "OneOf"),
    ],
)
def test_a_malformed_space_is_refused_by_saying_what_is_wrong(fields: Any, reason: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(SpaceError, match=f"^observation.*({reason})"):
            space_from_dict(fields, "observation")


@pytest.mark.parametrize("text", ["", "{", "nonsense", "9" * 5000, "\ud800", "[" * 100_000, None])
def test_what_is_not_json_is_refused(text: Any) -> None:
    with pytest.raises(SpaceError, match="observation"):
        space_from_json(text, "observation")


def test_a_key_that_is_there_twice_is_refused() -> None:
    with pytest.raises(SpaceError, match="'n' is there twice"):
        space_from_json('{"type": "Discrete", "n": 2, "n": 3}')


def test_a_space_that_is_nested_without_end_is_refused() -> None:
    deep = '{"type":"Tuple","subspaces":['
    with pytest.raises(SpaceError, match=r"nested too deep|not JSON"):
        space_from_json(deep * 50_000 + "]}" * 50_000)
    with pytest.raises(SpaceError, match="nested too deep"):
        space_from_json(deep * 200 + "]}" * 200)
    space: Space[Any] = spaces.Discrete(2)
    for _ in range(200):
        space = spaces.Tuple((space,))
    with pytest.raises(SpaceError, match="nested too deep"):
        space_to_json(space)


def test_a_space_that_copies_itself_again_and_again_is_refused() -> None:
    stacked = '{"type":"Sequence","stack":true,"feature_space":'
    with pytest.raises(SpaceError, match="stacked Sequences"):
        space_from_json(stacked * 60 + '{"type":"Discrete","n":2}' + "}" * 60)


def test_many_parts_may_not_add_up_to_a_large_space() -> None:
    part = {**BOX, "shape": [2**27 + 1]}
    empty = {"type": "Tuple", "subspaces": []}
    with pytest.raises(SpaceError, match="more than 100000 spaces"):
        space_from_dict({"type": "Tuple", "subspaces": [empty] * 100_000})
    binary = {"type": "MultiBinary", "n": 2**27 + 1}
    with pytest.raises(SpaceError, match=r"space\[1\]: .* elements"):
        space_from_dict({"type": "Tuple", "subspaces": [binary, part]})


class Circle(Space[Any]):
    """A space that Gymnasium does not know."""


@pytest.mark.parametrize(
    ("space", "reason"),
    [
        (Circle(), r'observation\["a"\]\[0\]: .*Circle, which is not one of Gymnasium'),
        (make_dict([(1, spaces.Discrete(2))]), "the key 1 is of type int"),
        (spaces.Dict({"\ud83d\ude00": spaces.Discrete(2)}), "two surrogates in a row"),
    ],
)
def test_a_space_that_cannot_be_kept_is_refused_by_name(space: Space[Any], reason: str) -> None:
    whole = spaces.Dict({"a": spaces.Tuple((space,))})
    with pytest.raises(SpaceError, match=reason):
        space_to_json(whole, "observation")


def test_a_space_too_large_to_be_read_is_not_written() -> None:
    space = spaces.MultiBinary([2**20, 2**20])
    with pytest.raises(SpaceError, match="elements"):
        space_to_json(space)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda children: (
            st.lists(children, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "dtype", "shape", "low", "high", "n", "subspaces"]),
                children | st.sampled_from(["Box", "Dict", "Tuple", "int8", "float64"]),
            )
        ),
    )
)
def test_any_json_is_a_space_or_an_error_of_ours(fields: Any) -> None:
    try:
        space = space_from_dict(fields)
    except SpaceError:
        return
    assert isinstance(space, Space)


@given(space_strategies.spaces(max_leaves=3), st.data())
def test_a_damaged_space_is_a_space_or_an_error_of_ours(space: Space[Any], data: Any) -> None:
    fields = space_to_dict(space)
    name = data.draw(st.sampled_from(sorted(fields)))
    junk = st.sampled_from([None, True, -1, 10**25, 1.5, "x", [], [[1], 2], {}, {"type": "Box"}])
    fields[name] = data.draw(junk)
    try:
        again = space_from_dict(fields)
    except SpaceError:
        return
    assert isinstance(again, Space)
