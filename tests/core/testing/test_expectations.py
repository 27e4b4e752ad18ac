"""What is the same to the bit passes, and what differs anywhere fails and says where."""

from __future__ import annotations

import pickle
import time
from collections import OrderedDict
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces import GraphInstance

from minari_core import EpisodeData
from minari_core.errors import RemoteObjectNotFoundError
from minari_core.ranges.source import ObjectVersion
from minari_core.testing import MemorySource, simple_episode
from minari_core.testing.expectations import (
    expect,
    expect_raises,
    expect_same,
    expect_same_episode,
    find_arrays,
    split_space_rows,
)


def mask(values: Any, missing: Any) -> Any:
    return np.ma.MaskedArray(values, missing)


SAME: list[tuple[Any, Any]] = [
    (np.array([1.0, np.nan]), np.array([1.0, np.nan])),
    (np.array(5), np.int64(5)),
    (mask([1, 2], [0, 1]), mask([1, 3], [0, 1])),
    (np.array([1, 2]), mask([1, 2], [0, 0])),
    ({"a": [1, (2, "x")]}, OrderedDict(a=[1, (2, "x")])),
    (float("nan"), float("nan")),
    (None, None),
    (GraphInstance(np.zeros(1), None, None), GraphInstance(np.zeros(1), None, None)),
    (np.array(["a", "b"]), np.array(["a", "b"])),
    (np.zeros((0, 2)), np.zeros((0, 2))),
]
DIFFERENT: list[tuple[Any, Any, str]] = [
    (np.array([1.0]), np.array([1.0], np.float32), r"^value has dtype float64, not float32$"),
    (np.zeros((1, 2)), np.zeros((2, 1)), r"^value has shape \(1, 2\), not \(2, 1\)$"),
    (np.array([1, 2]), np.array([1, 3]), r"^value is \[1 2\], not \[1 3\]$"),
    (np.array([0.0]), np.array([-0.0]), r"^value has other signs: "),
    (np.array([np.nan]), np.array([1.0]), r"^value is \[nan\], not \[1\.\]$"),
    (np.array([1.0]), np.array([np.nan]), r"^value is \[1\.\], not \[nan\]$"),
    (mask([1, 2], [0, 1]), np.array([1, 2]), "^value is masked otherwise$"),
    (mask([1, 2], [0, 1]), mask([1, 2], [1, 0]), "^value is masked otherwise$"),
    ([1.0], np.array([1.0]), r"^value is \[1.0\], not an array$"),
    (np.array([1]), [1], "^value is a ndarray: "),
    ([1], (1,), r"^value is a list: \[1\]$"),
    ([1, 2], [1], "^value has 2 items, not 1$"),
    ({"a": 1}, {"b": 1}, r"^value has keys \['a'\], not \['b'\]$"),
    ({"a": 1, "b": 1}, {"b": 1}, "^value has keys"),
    ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, r"^value\['a'\]\[1\]\['b'\] is 2, not 3$"),
    (5, {}, "^value is 5, not a dict$"),
    (1, True, "^value is 1, not True$"),
    (1.0, 1, "^value is 1.0, not 1$"),
    (0.0, -0.0, "^value is 0.0, not -0.0$"),
    ((np.zeros(1), None, None), GraphInstance(np.zeros(1), None, None), "not a graph$"),
    (GraphInstance(np.zeros(1), None, None), GraphInstance(np.ones(1), None, None), r"value\[0\]"),
]


@pytest.mark.parametrize(("found", "wanted"), SAME)
def test_what_is_the_same_passes(found: Any, wanted: Any) -> None:
    expect_same(found, wanted)
    expect_same([found], [wanted])


@pytest.mark.parametrize(("found", "wanted", "said"), DIFFERENT)
def test_what_differs_fails_and_says_where(found: Any, wanted: Any, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        expect_same(found, wanted)


def test_an_error_that_is_expected_is_given_back_and_no_other_is_taken_for_it() -> None:
    def fail() -> None:
        raise KeyError("x")

    assert expect_raises(KeyError, fail).args == ("x",)
    assert expect_raises(LookupError, fail).args == ("x",)
    with pytest.raises(KeyError):
        expect_raises(ValueError, fail)
    with pytest.raises(AssertionError, match=r"^KeyError was not raised; the result is 3$"):
        expect_raises(KeyError, lambda: 3)
    expect([0], "it holds")
    with pytest.raises(AssertionError, match=r"^it does not$"):
        expect([], "it does not")


def make_episode(**changes: Any) -> EpisodeData:
    zeros = np.zeros(2)
    episode = EpisodeData(
        id=0,
        observations={"a": np.zeros(3), "b": (np.ones(3), ["x"] * 3)},
        actions=zeros,
        rewards=zeros,
        terminations=zeros.astype(bool),
        truncations=zeros.astype(bool),
        infos={"c": [np.zeros(1)]},
    )
    return replace(episode, **changes)


def test_episodes_are_compared_in_all_their_parts() -> None:
    expect_same_episode(make_episode(), make_episode())
    for name in EpisodeData.__dataclass_fields__:
        other = make_episode(**{name: 7})
        with pytest.raises(AssertionError, match=rf"^{name}"):
            expect_same_episode(make_episode(), other)
    expect_same_episode(make_episode(id=3), make_episode(), ids=False)
    with pytest.raises(AssertionError, match=r"^rewards"):
        expect_same_episode(make_episode(rewards=1), make_episode(), ids=False)
    assert len(list(find_arrays(make_episode()))) == 7
    assert [len(array) for array in find_arrays([{"a": (np.zeros(4),)}, "x", np.zeros(5)])] == [
        4,
        5,
    ]


def test_rows_of_a_space_are_single_values() -> None:
    space = spaces.Dict(
        {"a": spaces.Box(-1, 1, (2,)), "b": spaces.Tuple([spaces.Discrete(2), spaces.Text(3)])}
    )
    block = {"a": np.arange(6).reshape(3, 2), "b": (np.arange(3), ["x", "y", "z"])}
    rows = split_space_rows(space, block, 3)
    assert [(row["a"].tolist(), *row["b"]) for row in rows] == [
        *(([0, 1], 0, "x"), ([2, 3], 1, "y"), ([4, 5], 2, "z")),
    ]
    assert split_space_rows(spaces.Tuple([]), (), 2) == [(), ()]
    with pytest.raises(AssertionError, match=r"^there are 3 values of Box.*, not 2$"):
        split_space_rows(space, block, 2)


def test_simple_episodes_tell_themselves_and_their_steps_apart() -> None:
    episode: Any = simple_episode(4, 3)
    assert episode.observations.tolist() == [[0, 4], [1, 4], [2, 4], [3, 4]]
    assert episode.actions.tolist() == [0, 1, 2]
    assert np.asarray(episode.rewards).tolist() == [-4, 0, 4]
    assert np.asarray(episode.terminations).tolist() == [False, False, True]
    assert not np.asarray(episode.truncations).any()
    assert (episode.seed, episode.options) == (4, {"number": 4})
    assert episode.infos["time"].tolist() == [0, 10, 20, 30]


def test_objects_in_memory_are_read_from_the_last_range_to_the_first_with_a_latency() -> None:
    source = MemorySource({"a": b"0123"}, url="memory://x", latency=0.02)
    version = source.version("a")
    assert version == ObjectVersion(4, "1")
    began = time.perf_counter()
    assert list(source.read_ranges("a", [(0, 1), (2, 4)], version=version)) == [
        *((1, b"23"), (0, b"0")),
    ]
    assert time.perf_counter() - began >= 0.04
    assert source.requests == [("a", 2, 4), ("a", 0, 1)]
    again = pickle.loads(pickle.dumps(source))
    assert (again.url, again.latency, again.requests) == ("memory://x", 0.02, [])
    source.replace("a", b"45")
    assert source.version("a") == ObjectVersion(2, "2")
    source.replace("b", b"")
    assert source.version("b") == ObjectVersion(0, "1")
    source.replace("a", None)
    source.replace("a", None)
    with pytest.raises(RemoteObjectNotFoundError, match=r"^memory://x has no object 'a'$"):
        source.version("a")
    assert repr(source) == "MemorySource('memory://x')"
