"""How deep, large and wide a space may be, and how the arrays in its JSON look."""

from __future__ import annotations

import json
import math
import warnings
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces import Space

from minari_core.environments.given_spaces import (
    check_given,
    collect_given,
    read_space,
    select_needed,
)
from minari_core.environments.inferred_spaces import infer_space
from minari_core.environments.reference_scores import compute_reference_score, make_random_policy
from minari_core.environments.space_arrays import (
    array_from_json,
    array_to_json,
    dtype_from_json,
    dtype_to_json,
    infer_shape,
    shape_from_json,
)
from minari_core.environments.space_budget import SpacePath
from minari_core.environments.space_fields import take_field, take_whole_number
from minari_core.environments.space_json import is_same_space, space_from_json, space_to_json
from minari_core.errors import DataError, SpaceError, UnknownSpaceError

# Gymnasium takes more than its types say.
make_box: Any = spaces.Box


def nest(depth: int) -> Space[Any]:
    space: Space[Any] = spaces.Discrete(2)
    for _ in range(depth - 1):
        space = spaces.Tuple((space,))
    return space


def test_a_hundred_spaces_lie_within_each_other_and_no_more() -> None:
    deepest = nest(100)
    assert space_from_json(space_to_json(deepest)) == deepest
    with pytest.raises(
        SpaceError,
        match=r"nested too deep: at most 100 spaces lie within each other, of which 8 are Graphs",
    ):
        space_to_json(nest(101))


def test_eight_of_them_keep_copies_and_no_more() -> None:
    path = SpacePath.root("x")
    for _ in range(8):
        path = path.attribute("f", copied=True)
    assert path.attribute("f", copied=False).name == "x" + ".f" * 9
    with pytest.raises(SpaceError, match="nested too deep"):
        path.attribute("f", copied=True)
    with pytest.raises(SpaceError, match="nested too deep"):
        path.index(0).key("a").attribute("f", copied=True)


def test_spaces_and_elements_are_counted_with_their_copies() -> None:
    path = SpacePath.root("x")
    path.spend_elements((2**14, 2**13))
    path.index(3).spend_elements((2**27,))
    with pytest.raises(
        SpaceError,
        match=r"^x\[3\]: a space of shape \(1,\): all arrays of a space together may "
        r"have 268435456 elements$",
    ):
        path.index(3).spend_elements((1,))
    copied = SpacePath.root("x").attribute("f", copied=True).attribute("f", copied=True)
    copied.spend_elements((2**26,))
    with pytest.raises(SpaceError, match="elements"):
        copied.spend_elements((1,))
    path = SpacePath.root("x")
    inside = path.attribute("f", copied=True)
    for _ in range(49_999):
        inside.spend_space()
    path.spend_space()
    path.spend_space()
    with pytest.raises(SpaceError, match=r"^x: more than 100000 spaces in one$"):
        path.spend_space()


def test_long_keys_are_cut_in_the_path_of_a_space() -> None:
    path = SpacePath.root("x")
    assert path.key("k" * 58).name == f'x["{"k" * 58}"]'
    assert path.key("k" * 59).name == f'x["{"k" * 59}…"]'
    assert path.key('"').index(2).attribute("f", copied=False).name == r'x["\""][2].f'


def test_a_field_that_is_missing_or_of_another_type_is_named() -> None:
    path = SpacePath.root("x")
    fields = {"a": 1, "b": None, "c": True}
    assert take_field(fields, "a", int, path) == 1
    assert take_field(fields, "b", (dict, type(None)), path) is None
    assert take_whole_number(fields, "a", path) == 1
    for call, said in (
        (lambda: take_field(fields, "d", int, path), '^x: "d" is missing$'),
        (lambda: take_field(fields, "a", str, path), '^x: "a" must be a str, not 1$'),
        (
            lambda: take_field(fields, "a", (dict, type(None)), path),
            '^x: "a" must be a dict or null, not 1$',
        ),
        (lambda: take_whole_number(fields, "c", path), '^x: "c" must be a whole number, not True$'),
    ):
        with pytest.raises(SpaceError, match=said):
            call()


@pytest.mark.parametrize(
    ("array", "wanted"),
    [
        (np.zeros((2, 0)), []),
        (np.full((2, 2), 3, np.int8), 3),
        (np.array([[1, 2]], np.int8), [[1, 2]]),
        (np.array([0.0, -0.0]), [0.0, -0.0]),
        (np.array([np.inf, -np.inf, np.nan]), ["Infinity", "-Infinity", "NaN"]),
        (np.array([-np.inf] * 2), "-Infinity"),
        (np.array([True, True]), True),
        (np.array(2.5), 2.5),
        (np.full(2, np.longdouble("0.1")), "0.1"),
    ],
)
def test_an_array_is_one_number_or_lists(array: Any, wanted: object) -> None:
    found = array_to_json(array)
    assert json.dumps(found) == json.dumps(wanted)
    again, marked = array_from_json(found, array.shape, array.dtype, "x")
    assert again.dtype == array.dtype
    assert again.tobytes()[:8] == array.tobytes()[:8]
    assert np.array_equal(again, array, equal_nan=array.dtype.kind == "f")
    assert marked.shape == array.shape
    assert not marked.any()


def test_what_has_no_bound_is_marked() -> None:
    array, unbounded = np.array([5, 5, 7]), np.array([False, True, True])
    text = array_to_json(array, unbounded=unbounded, marker="-Infinity")
    assert text == [5, "-Infinity", "-Infinity"]
    found, marked = array_from_json(text, (3,), array.dtype, "x", marker="-Infinity")
    assert (found.tolist(), marked.tolist()) == ([5, 0, 0], unbounded.tolist())
    assert array_to_json(array[1:2], unbounded=unbounded[1:2]) == "Infinity"
    assert array_to_json(np.array([5, 5]), unbounded=np.array([False, True])) == [5, "Infinity"]
    with pytest.raises(SpaceError, match="x: expected a whole number, not '-Infinity'"):
        array_from_json(text, (3,), array.dtype, "x", marker="Infinity")
    with pytest.raises(SpaceError, match="x: expected a whole number"):
        array_from_json(text, (3,), np.dtype("u8"), "x", marker="-Infinity")


@pytest.mark.parametrize(
    ("value", "shape", "dtype", "said"),
    [
        ([1, 2], (3,), "i8", r"the nested lists are not of shape \(3,\)"),
        ([1, [2]], (2,), "i8", r"expected a whole number, not \[2\]"),
        ([[], []], (2, 1), "i8", "not of shape"),
        (128, (), "i1", "128 is outside the range of int8"),
        (-129, (), "i1", "-129 is outside the range of int8"),
        ([0, 256], (2,), "u1", "256 is outside the range of uint8"),
        (2, (), "?", "expected true or false, not 2"),
        (True, (), "i8", "expected a whole number, not True"),
        (1e39, (), "f4", "1e[+]39 is outside the range of float32"),
        (10**400, (), "f8", "is too large"),
        ("1", (), "f8", "expected a number, not '1'"),
        (False, (), "f8", "expected a number, not False"),
        ("1e5000", (), "g", "expected a number"),
        ("0x1", (), "g", "expected a number"),
        ("1" * 101, (), "g", "expected a number"),
    ],
)
def test_arrays_that_are_none_are_refused(
    value: object, shape: tuple[int, ...], dtype: str, said: str
) -> None:
    if dtype == "g" and np.dtype("g").itemsize == 8:
        pytest.skip("has no extended precision")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(SpaceError, match=f"^x: .*{said}"):
            array_from_json(value, shape, np.dtype(dtype), "x")


@pytest.mark.parametrize("value", [127, -128])
def test_the_ends_of_a_range_are_in_it(value: int) -> None:
    assert array_from_json(value, (2,), np.dtype("i1"), "x")[0].tolist() == [value] * 2
    assert array_from_json([], (2, 0), np.dtype("i1"), "x")[0].shape == (2, 0)
    assert array_from_json([[], []], (2, 0), np.dtype("i1"), "x")[0].shape == (2, 0)
    longest = array_from_json("1" * 100, (), np.dtype("g"), "x") if _has_more() else None
    assert longest is None or math.isfinite(float(longest[0]))


def _has_more() -> bool:
    return np.dtype("g").itemsize > 8


def test_dtypes_and_shapes_are_named_as_numpy_names_them() -> None:
    assert dtype_to_json(np.dtype("f4"), "f", "x") == "float32"
    assert dtype_to_json(np.dtype(">f4"), "f", "x") == ">f4"
    for dtype in (np.dtype("f4"), None, "float32"):
        with pytest.raises(SpaceError, match=r"^x: a space of dtype .* cannot be kept$"):
            dtype_to_json(dtype, "iu", "x")
    assert dtype_from_json(">f4", "f", "x") == np.dtype(">f4")
    assert dtype_from_json("bool", "b", "x") == np.bool_
    with pytest.raises(SpaceError, match="the dtype 'int8' is of the wrong kind for this space"):
        dtype_from_json("int8", "f", "x")
    assert shape_from_json([0, 3], "x") == (0, 3)
    assert shape_from_json([], "x") == ()
    for bad in ([1.0], (1,), [True], [-1], None):
        with pytest.raises(SpaceError, match=r'^x: "shape" must be a list of whole numbers, not'):
            shape_from_json(bad, "x")
    assert infer_shape([[1, 2], [3, 4], [5, 6]]) == (3, 2)
    assert infer_shape([[]]) == (1, 0)
    assert infer_shape([]) == (0,)
    assert infer_shape(5) == ()


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        (np.array([2, 5, 3]), spaces.Discrete(6)),
        (np.array([-2, 1]), spaces.Discrete(4, start=-2)),
        (np.array([0], np.uint8), spaces.Discrete(1)),
        (np.zeros((2, 1), np.int8), make_box(-128, 127, (1,), np.int8)),
        (np.zeros((2, 3), np.float32), make_box(-np.inf, np.inf, (3,), np.float32)),
        (np.zeros(2, bool), make_box(0, 1, (), np.bool_)),
        (
            {"a": np.zeros(2, np.float64), "b": (np.zeros(2, bool),)},
            spaces.Dict(
                {
                    "a": make_box(-np.inf, np.inf, (), np.float64),
                    "b": spaces.Tuple([make_box(0, 1, (), np.bool_)]),
                }
            ),
        ),
    ],
)
def test_the_widest_space_of_a_column_is_inferred(column: Any, wanted: Space[Any]) -> None:
    assert infer_space(column, discrete=True) == wanted
    if isinstance(wanted, spaces.Discrete):
        box: Any = infer_space(column, discrete=False)
        limits = np.iinfo(column.dtype)
        assert (box.low, box.high, box.dtype) == (limits.min, limits.max, column.dtype)


def test_a_column_of_no_numbers_has_no_space() -> None:
    with pytest.raises(DataError, match="a column of dtype complex128 is not numeric"):
        infer_space(np.zeros(2, complex), discrete=True)


def test_a_given_space_is_needed_only_where_the_type_is_unknown() -> None:
    mine, known = spaces.Discrete(9), space_to_json(spaces.Discrete(3))
    unknown = '{"type":"Simplex"}'
    given = collect_given(mine, None)
    assert given == {"observation_space": mine}
    assert read_space(known, "observation_space", given) == spaces.Discrete(3)
    assert read_space(unknown, "observation_space", given) is mine
    with pytest.raises(UnknownSpaceError, match="give the space to load_dataset as action_space="):
        read_space(unknown, "action_space", given)
    assert select_needed(given, {"observation_space": unknown}) == given
    for text in (known, "{", None):
        assert select_needed(given, {"observation_space": text}) == {}
    assert is_same_space(spaces.Discrete(3), spaces.Discrete(3))
    assert not is_same_space(spaces.Discrete(3), spaces.Discrete(4))


def test_a_given_space_that_is_not_the_datasets_is_refused() -> None:
    dataset: Any = SimpleNamespace(
        observation_space=spaces.Discrete(3), action_space=spaces.Discrete(4)
    )
    check_given(collect_given(spaces.Discrete(3), spaces.Discrete(4)), dataset)
    check_given({}, dataset)
    for wrong in (collect_given(spaces.Discrete(4), None), collect_given(None, spaces.Discrete(3))):
        (key,) = wrong
        with pytest.raises(SpaceError, match=rf"^the dataset says that its {key} is .*leave {key}"):
            check_given(wrong, dataset)


class Counting(gymnasium.Env[Any, Any]):
    """Episodes of 1, 2, 3 … steps, whose rewards are the actions."""

    def __init__(self) -> None:
        self.observation_space, self.action_space = spaces.Discrete(100), spaces.Discrete(100)
        self.seeds: list[int | None] = []
        self._length = self._step = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict[str, Any]]:
        self.seeds.append(seed)
        self._length, self._step = self._length + 1, 0
        return self._length, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self._step += 1
        is_over = self._step == self._length
        return self._length, action, is_over and self._length % 2 == 1, is_over, {}


def test_a_reference_score_is_the_mean_return_of_some_episodes() -> None:
    env = Counting()
    # A policy that answers the length of the episode: returns of 1, 4 and 9.
    assert compute_reference_score(env, lambda observation: observation, 3) == 14 / 3
    assert env.seeds == [123, None, None, None]
    first, again = (make_random_policy(Counting()) for _ in range(2))
    drawn = [first(0) for _ in range(5)]
    assert [again(0) for _ in range(5)] == drawn
    fresh = spaces.Discrete(100)
    fresh.seed(123)
    assert drawn == [fresh.sample() for _ in range(5)]
