"""Episodes become arrays of a shard, and what no column holds is told."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces as gym_spaces

from minari_core.columns import (
    StructColumn,
    schema_from_json,
)
from minari_core.columns.untyped import encode_dynamic, freeze
from minari_core.episodes import check_seed, encode_episodes
from minari_core.episodes.episode import EpisodeBuffer
from minari_core.errors import DataError


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    @property
    def __array__(self) -> Any:
        raise RuntimeError("no")


def test_nothing_in_an_info_makes_recording_raise() -> None:
    endless: list[Any] = []
    endless.append(endless)
    values: list[Any] = [
        Unprintable(),
        endless,
        10**5000,
        {Unprintable(): 1},
        [Unprintable()],
        np.ma.masked,
        np.ma.array([1, 2], mask=[True, False]),
        np.array([None]),
        np.datetime64("2020-01-01"),
        np.array([("a", 1)], dtype=[("x", "U1"), ("y", "i4")]),
        np.float64(1).astype("longdouble"),
        (x for x in "abc"),
        memoryview(b"x"),
        {"a": {"b": {"c": object()}}},
    ]
    for value in values:
        for beside in (None, 1, "text", {"a": 1}, [1, 2], np.zeros(2)):
            dropped: dict[str, str] = {}
            encoded = encode_dynamic([freeze(value), freeze(beside)], "info", dropped)
            assert encoded is None or all(len(a) >= 0 for a in encoded[1])


def test_dicts_that_are_nested_too_deep_for_columns_are_kept_as_json() -> None:
    deep: dict[str, Any] = {"x": 1}
    for _ in range(80):
        deep = {"d": deep}
    data = encode_episodes(
        [EpisodeBuffer(**_fields(1), infos={"deep": [deep, deep]}, metadata={"deep": deep})],
        gym_spaces.Discrete(2),
        gym_spaces.Discrete(2),
        {},
    )
    assert schema_from_json(json.loads(json.dumps(data.schema.to_json()))) == data.schema


def _fields(steps: int) -> dict[str, Any]:
    zeros = np.zeros(steps, dtype=np.int64)
    return {
        "observations": np.zeros(steps + 1, dtype=np.int64),
        "actions": zeros,
        "rewards": zeros.astype(np.float64),
        "terminations": zeros.astype(bool),
        "truncations": zeros.astype(bool),
    }


@pytest.mark.parametrize("seed", [1.5, "7", True, -1, 2**64, np.float64(3)])
def test_a_seed_that_would_be_changed_is_refused(seed: Any) -> None:
    with pytest.raises(DataError, match="seed"):
        check_seed(seed)


def test_a_key_that_json_would_change_is_left_out_with_a_warning() -> None:
    dropped: dict[str, str] = {}
    infos = {"\ud83d\ude00": [1, 2], "😀": [3, 4], "\ud83d": [5, 6]}
    data = encode_episodes(
        [EpisodeBuffer(**_fields(1), infos=infos)],
        gym_spaces.Discrete(2),
        gym_spaces.Discrete(2),
        dropped,
    )
    infos_column = data.schema.groups["infos"]
    assert isinstance(infos_column, StructColumn)
    assert list(infos_column.fields) == ["😀", "\ud83d"]
    assert len(dropped) == 1


@pytest.mark.parametrize(
    "second",
    [
        np.zeros((3, 2), np.float32),
        np.zeros((3, 2), ">f8"),
        np.zeros((3, 3)),
        np.zeros((2, 2)),
        np.zeros(3),
        np.zeros(()),
        np.ma.MaskedArray(np.zeros((3, 2)), mask=np.eye(3, 2, dtype=bool)),
        [[0.0, 0.0], [0.0, 0.0]],
        np.array([["a", "b"]] * 3),
    ],
    ids=["dtype", "byte-order", "shape", "rows", "dimensions", "scalar", "masked", "list", "text"],
)
def test_short_arrays_that_differ_are_not_joined(second: Any) -> None:
    first = np.zeros((3, 2))
    with pytest.raises(DataError, match="episode 1: observations"):
        encode_episodes(
            [_two_steps(first), _two_steps(second)],
            gym_spaces.Box(-1, 1, (2,), np.float64),
            gym_spaces.Discrete(2),
            {},
        )


def test_short_arrays_become_one_piece_with_their_values() -> None:
    rows = [np.full((3, 2), float(number)) for number in range(50)]
    space = gym_spaces.Box(-np.inf, np.inf, (2,), np.float64)
    data = encode_episodes(list(map(_two_steps, rows)), space, gym_spaces.Discrete(2), {})
    (joined,) = data.pieces[0]
    assert np.array_equal(joined, np.concatenate(rows))
    assert (data.rows, data.steps, data.episodes) == (150, 100, 50)


def _two_steps(observations: Any) -> EpisodeBuffer:
    return EpisodeBuffer(
        observations=observations,
        actions=np.zeros(2, np.int64),
        rewards=np.zeros(2),
        terminations=np.array([False, True]),
        truncations=np.zeros(2, bool),
    )
