"""What of an episode does not fit its space, its steps or the dataset is told with its place."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core.columns import FixedColumn, Schema, StructColumn, TextColumn, TupleColumn
from minari_core.columns.base import Column
from minari_core.columns.schema import AXES
from minari_core.episodes import encode_episodes
from minari_core.episodes.blocks import encode_blocks, join_short
from minari_core.episodes.entries import EpisodeTable
from minari_core.episodes.episode import EpisodeBuffer, EpisodeMetadata
from minari_core.episodes.final_observation import (
    add_placeholder,
    count_rows,
    is_final_observation_known,
    remove_placeholder,
)
from minari_core.episodes.fit import check_schema_fits, check_shapes, widen_schema
from minari_core.episodes.new_episodes import prepare_new_episodes
from minari_core.episodes.reward_metadata import (
    describe_rewards,
    find_return,
    renew_reward_metadata,
)
from minari_core.episodes.stream import encode_each_dtype, encode_shards
from minari_core.errors import DataError
from minari_core.messages import MinariWarning

BOX = spaces.Box(-9, 9, (2,), np.float32)
MOVE = spaces.Discrete(3)
SPACE = spaces.Dict(a=BOX, t=spaces.Tuple([MOVE, spaces.Text(3)]))


def episode(**changes: Any) -> EpisodeBuffer:
    fields: dict[str, Any] = {
        "observations": np.zeros((3, 2), np.float32),
        "actions": np.zeros(2, np.int64),
        "rewards": np.zeros(2),
        "terminations": [False, True],
        "truncations": [False, False],
    }
    return EpisodeBuffer(**{**fields, **changes})


def encode(*episodes: EpisodeBuffer, space: Any = BOX) -> Any:
    return encode_episodes(list(episodes), space, MOVE, {})


FAULTS: list[tuple[dict[str, Any], str]] = [
    (
        {"observations": np.zeros((2, 2), np.float32)},
        "observations has 2 rows, not 3 (one a step a",
    ),
    ({"observations": 5}, "observations is a int, not an array or list"),
    (
        {"observations": [np.zeros(2), np.zeros(3), np.zeros(2)]},
        "a value of shape (3,) in a column",
    ),
    (
        {"observations": [np.zeros(2), np.zeros(2, "f4"), np.zeros(2)]},
        "observations changes dtype between rows: ['float32', 'float64']",
    ),
    ({"observations": np.array([["a", "b"]] * 3)}, "observations has dtype <U1, which is no num"),
    (
        {"observations": np.ma.array(np.zeros((3, 2)), mask=np.eye(3, 2, dtype=bool))},
        "observations is a masked array with missing values",
    ),
    ({"observations": np.zeros(())}, "observations has 0 rows, not 3"),
    ({"actions": np.zeros(3, np.int64)}, "actions has 3 rows, not 2 (one a step)"),
    ({"actions": [0, 1, 2]}, "actions has 3 rows, not 2 (one a step)"),
    ({"terminations": [False, 2]}, "terminations has values other than 0 and 1"),
    ({"terminations": [False, -1]}, "terminations has values other than 0 and 1"),
    ({"terminations": np.zeros((2, 1), bool)}, "terminations has shape (2, 1), not (2,)"),
    ({"truncations": [False] * 3}, "truncations has 3 rows, not 2 (one a step)"),
    ({"rewards": np.array([1j, 0])}, "rewards: complex128 value"),
    ({"rewards": np.array([2**53 + 1, 0])}, "rewards: int64 value"),
    ({"rewards": [[1.0], [1.0, 2.0]]}, "rewards: "),
    ({"rewards": []}, "has no steps; an episode has at least one"),
    ({"rewards": 5}, "rewards 5 is no array or list"),
    ({"seed": -1}, "seed -1 is not between 0 and 2**64 - 1"),
    ({"seed": 2**64}, "is not between 0 and 2**64 - 1"),
    ({"seed": True}, "seed True is a bool, not a whole number"),
    ({"infos": [1, 2]}, "infos is a list, not a dict, each key with its rows"),
    ({"metadata": [1, 2]}, "metadata is a list, not a dict"),
    ({"options": 5}, "options is a int, not a dict"),
    ({"infos": {"x": [1]}}, "infos['x'] has 1 rows, not 3 (one a step and one of the reset)"),
    ({"infos": {"x": np.zeros(4)}}, "infos['x'] has 4 rows, not 3"),
    ({"extras": {"x": np.zeros(4)}}, "extras['x'] has 4 rows, not 3 (one a step and one of the"),
    ({"infos": {"x": 5}}, "infos['x'] is one int, not an array or list of 3 rows"),
    (
        {"metadata": {"final_observation_known": False}},
        "observations has 3 rows, not 2 (one a step, because its metadata says that",
    ),
]


@pytest.mark.parametrize(("changes", "told"), FAULTS, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("place", [0, 1])
def test_an_episode_that_cannot_be_stored_is_named_with_its_column(
    changes: dict[str, Any], told: str, place: int
) -> None:
    episodes = [episode()] * place + [episode(**changes)]
    with pytest.raises(DataError) as raised:
        encode(*episodes)
    assert told in str(raised.value)
    assert f"episode {place}" in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"observations": [{"a": np.zeros(2)}] * 3}, "is list, not a dict of ['a', 't']"),
        ({"observations": {"a": np.zeros((3, 2))}}, "is ['a'], not a dict of ['a', 't']"),
        ({"observations": 5}, "is int, not a dict of ['a', 't']"),
        ({"t": (np.zeros(3, int),)}, "observations['t'] is not a tuple of 2"),
        ({"t": [(0, "a"), (0,), (0, "b")]}, "observations['t'] is not a tuple of 2"),
        ({"t": (np.zeros(3, int), ["a", "b"])}, "observations['t'][1] has 2 rows, not 3"),
        ({"t": (np.zeros(3, int), "abc")}, "observations['t'][1] is a str, not a list of rows"),
        ({"t": (np.zeros(3, int), np.array("a"))}, "is a ndarray, not a list of rows"),
    ],
)
def test_a_structure_that_is_not_that_of_the_space_is_told(
    changes: dict[str, Any], told: str
) -> None:
    good = {"a": np.zeros((3, 2), np.float32), "t": (np.zeros(3, np.int64), ["a", "b", "c"])}
    observations = changes.get("observations", {**good, **changes})
    with pytest.raises(DataError) as raised:
        encode(episode(observations=good), episode(observations=observations), space=SPACE)
    assert "episode 1: observations" in str(raised.value)
    assert told in str(raised.value)


def test_rows_in_any_form_are_the_same_rows() -> None:
    arrays = {"a": np.ones((3, 2), np.float32), "t": (np.arange(3), ["a", "b", "c"])}
    rows = [{"a": np.ones(2, np.float32), "t": (n, "abc"[n])} for n in range(3)]
    data = encode(episode(observations=arrays), episode(observations=rows), space=SPACE)
    read = data.schema.groups["observations"].bind(
        iter([np.concatenate(some) for some in data.pieces[:4]]), 6, copy=True
    )(0, 6)
    assert read["a"].tolist() == [[1, 1]] * 6
    assert read["t"][0].tolist() == [0, 1, 2, 0, 1, 2]
    assert read["t"][1] == [*"abcabc"]
    texts = encode_blocks(spaces.Text(3), [np.array(["a", "b"]), ("c",)], [2, 1], "x")
    assert texts[0] == TextColumn()


def test_numbers_of_python_have_the_dtype_of_their_space_but_floats_have_64_bits() -> None:
    column, pieces = encode_blocks(BOX, [[[1, 2], [3, 4]]], [2], "x")
    assert column == FixedColumn(np.dtype("f4"), (2,))
    assert pieces[0][0].dtype == np.float32
    column, _ = encode_blocks(BOX, [[[1.0, 2], [3, 4]]], [2], "x")
    assert column == FixedColumn(np.dtype("f8"), (2,))
    column, pieces = encode_blocks(BOX, [[]], [0], "x")
    assert pieces[0][0].shape == (0, 2)


def test_flags_and_rewards_in_any_form_are_the_same() -> None:
    data = encode(
        episode(terminations=[0, 1], truncations=np.array([0.0, 0.0]), rewards=[True, False]),
        episode(terminations=[True, 0], rewards=np.array([1, 2], np.int8)),
    )
    by_name = dict(zip(data.schema.groups, data.pieces, strict=False))
    assert [each.tolist() for each in by_name["rewards"]] == [[1.0, 0.0], [1.0, 2.0]]
    assert [each.tolist() for each in by_name["terminations"]] == [[False, True], [True, False]]
    assert {each.dtype.str for each in by_name["rewards"]} == {"<f8"}
    assert (data.rows, data.steps, data.episodes, data.has_whole_episodes) == (6, 4, 2, True)
    with pytest.raises(DataError, match=r"rewards have different shapes a step: \[\(\), \(2,\)\]"):
        encode(episode(), episode(rewards=np.zeros((2, 2))))
    two = encode(episode(rewards=np.zeros((2, 2))), episode(rewards=np.ones((2, 2))))
    assert two.schema.groups["rewards"] == FixedColumn(np.dtype("f8"), (2,))


def test_an_info_that_is_a_row_short_is_missing_beside_the_final_observation() -> None:
    data = encode(
        episode(infos={"x": np.arange(2.0), "w": np.zeros((2, 0))}),
        episode(infos={"x": np.arange(3.0), "w": np.zeros((3, 0))}),
    )
    infos = data.schema.groups["infos"]
    assert isinstance(infos, StructColumn)
    first = sum(len([*data.schema.groups[n].arrays(n)]) for n in list(AXES)[:5])
    count = len([*infos.arrays("x")])
    arrays = [np.concatenate(some) for some in data.pieces[first : first + count]]
    read: Any = infos.bind(iter(arrays), 6, copy=True)(0, 6)
    assert read["x"].tolist() == [0, 1, None, 0, 1, 2]
    assert [row is None for row in read["w"]] == [False, False, True, False, False, False]


@pytest.mark.parametrize(
    ("count", "rows", "is_joined"), [(1, 1024, True), (1, 1025, False), (3, 1024, True)]
)
def test_short_arrays_are_joined_and_long_ones_are_not(
    count: int, rows: int, is_joined: bool
) -> None:
    found = join_short([np.zeros((rows, 2))] * count)
    assert (found is not None) == is_joined
    if found is not None:
        assert found.counts == [rows] * count
    assert join_short([np.zeros(())]) is None
    assert join_short([np.array(["a"])]) is None
    assert join_short([np.zeros(2), [1.0]]) is None


def schema(observations: Column, actions: Column | None = None) -> Schema:
    plain = FixedColumn(np.dtype("f8"))
    columns: dict[str, Column] = dict.fromkeys(AXES, plain)
    return Schema({**columns, "observations": observations, "actions": actions or plain})


NARROW, WIDE = FixedColumn(np.dtype("f4"), (2,)), FixedColumn(np.dtype("f8"), (2,))


@pytest.mark.parametrize(
    ("known", "new", "told"),
    [
        (
            NARROW,
            WIDE,
            "observations is float64 of shape (2,) a step, but float32 of shape (2,) in the data",
        ),
        (TextColumn(), NARROW, "observations is fixed, but text in the dataset"),
        (
            StructColumn({"a": NARROW}),
            StructColumn({"b": NARROW}),
            "observations has keys ['b'], but ['a'] in the dataset",
        ),
        (
            StructColumn({"a": TupleColumn((NARROW,))}),
            StructColumn({"a": TupleColumn((NARROW, WIDE))}),
            "observations['a'] has 2 items, but 1 in the dataset",
        ),
        (
            TupleColumn((NARROW, NARROW)),
            TupleColumn((NARROW, WIDE)),
            "observations[1] is float64 of shape (2,) a step, but float32",
        ),
    ],
)
def test_columns_that_differ_from_those_of_the_dataset_are_told(
    known: Column, new: Column, told: str
) -> None:
    check_schema_fits(None, schema(new))
    check_schema_fits(schema(new), schema(new))
    with pytest.raises(DataError) as raised:
        check_schema_fits(schema(known), schema(new))
    assert str(raised.value).startswith(told)
    with pytest.raises(DataError, match=r"observations.*; actions is float64"):
        check_schema_fits(schema(known, NARROW), schema(new, WIDE))


def test_a_schema_is_widened_where_something_is_wider() -> None:
    narrow, wide, text = schema(NARROW), schema(WIDE), schema(TextColumn())
    assert widen_schema(narrow, wide) == wide
    assert widen_schema(wide, narrow) is wide
    assert widen_schema(narrow, text) is None


@pytest.mark.parametrize(
    ("space", "observations", "told"),
    [
        (
            spaces.Box(-9, 9, (3,), np.float32),
            np.zeros((3, 2)),
            "observations has rows of shape (2,)",
        ),
        (
            spaces.Box(-9, 9, (), np.float32),
            np.zeros((3, 2)),
            "observations has rows of shape (2,)",
        ),
        (
            spaces.Dict(a=spaces.Tuple([MOVE, spaces.Box(-9, 9, (3,), np.float32)])),
            {"a": (np.zeros(3, int), np.zeros((3, 2)))},
            "observations['a'][1] has rows of shape (2,)",
        ),
    ],
)
def test_rows_of_another_shape_than_their_space_are_refused(
    space: Any, observations: Any, told: str
) -> None:
    shards = encode_shards([episode(observations=observations)], space, MOVE)
    with pytest.raises(DataError) as raised:
        list(check_shapes(shards, space, MOVE))
    assert str(raised.value).startswith(told)
    fine = encode_shards([episode()], BOX, MOVE)
    assert len(list(check_shapes(fine, BOX, MOVE))) == 1
    wrong = encode_shards([episode(actions=np.zeros((2, 2)))], BOX, MOVE)
    with pytest.raises(DataError, match=r"actions has rows of shape \(2,\)"):
        list(check_shapes(wrong, BOX, MOVE))


@pytest.mark.parametrize("as_list", [False, True])
@pytest.mark.parametrize("target", [1, 300, 10**9])
def test_a_stream_of_episodes_is_cut_into_shards_and_each_is_numbered_on(
    as_list: bool, target: int
) -> None:
    episodes = [replace(episode(), seed=number) for number in range(7)]
    given_episodes: Any = episodes if as_list else iter(episodes)
    shards = list(encode_shards(given_episodes, BOX, MOVE, target))
    assert sum(shard.episodes for shard in shards) == 7
    if target == 1:
        assert [shard.episodes for shard in shards] == [1] * 7
    if target == 10**9:
        assert [shard.episodes for shard in shards] == [7]
    broken = [*episodes, episode(actions=np.zeros(9, int))]
    with pytest.raises(DataError) as raised:
        list(encode_shards(iter(broken), BOX, MOVE, 1))
    assert "episode 0: actions" in str(raised.value)
    assert "counted from the episode that is number 7" in str(raised.value)
    odd: list[Any] = [*episodes, 5]
    with pytest.raises(DataError, match="episode 7 is a int, not an EpisodeBuffer"):
        list(encode_shards(iter(odd), BOX, MOVE))


def test_a_step_is_as_large_as_its_arrays_unless_they_are_in_memory_anyway() -> None:
    long = episode(
        observations=np.zeros((1001, 2), np.float32),
        actions=np.zeros(1000, np.int64),
        rewards=np.zeros(1000),
        terminations=np.zeros(1000, bool),
        truncations=np.zeros(1000, bool),
    )
    nbytes = 1001 * 8 + 1000 * 8 + 1000 * 10
    for target, counts in ((nbytes, [1] * 4), (nbytes + 64 * 3, [2, 2])):
        shards = encode_shards(iter([long] * 4), BOX, MOVE, target)
        assert [shard.episodes for shard in shards] == counts
    shards = encode_shards([long] * 4, BOX, MOVE, nbytes)
    assert [shard.episodes for shard in shards] == [3, 1]


def test_episodes_of_one_dtype_are_encoded_together() -> None:
    kinds = [np.float32, np.float32, np.float64, np.float32]
    episodes = [episode(observations=np.zeros((3, 2), kind)) for kind in kinds]
    shards = list(encode_each_dtype(episodes, BOX, MOVE))
    assert [shard.episodes for shard in shards] == [2, 1, 1]
    nested = [
        episode(observations={"a": np.zeros((3, 2), kind), "t": (np.zeros(3, int), ["a"] * 3)})
        for kind in kinds
    ]
    inside = [
        episode(observations={"a": np.zeros((3, 2)), "t": (np.zeros(3, kind), ["a"] * 3)})
        for kind in (np.int64, np.int32)
    ]
    assert [shard.episodes for shard in encode_each_dtype(nested, SPACE, MOVE)] == [2, 1, 1]
    assert [shard.episodes for shard in encode_each_dtype(inside, SPACE, MOVE)] == [1, 1]


def test_episodes_in_memory_are_one_shard_while_they_are_few() -> None:
    table = EpisodeTable([episode() for _ in range(5)])
    # Of two steps each: ten bytes of flags and rewards a step, and what two objects take.
    for target, shards in ((10**6, 1), (4 * 148 + 1, 1), (4 * 148, 2), (2 * 148, 3), (1, 5)):
        found = list(encode_shards(table, BOX, MOVE, target))
        assert len(found) == shards
        assert sum(shard.episodes for shard in found) == 5
    large = EpisodeTable([episode(), episode(infos={"x": ["y" * 100] * 3}), episode()])
    assert len(list(encode_shards(large, BOX, MOVE, 300))) > 1


def test_what_no_column_holds_is_warned_of_once() -> None:
    odd = episode(infos={"x": [object()] * 3, "y": [1, 2, 3]})
    with pytest.warns(MinariWarning, match=r"left out \(infos\['x'\]: a value of type object\)"):
        (shard,) = encode_shards(iter([odd, odd]), BOX, MOVE)
    infos = shard.schema.groups["infos"]
    assert isinstance(infos, StructColumn)
    assert list(infos.fields) == ["y"]


BLOCKS: list[tuple[Any, Any, int | None]] = [
    (BOX, np.zeros((3, 2)), 3),
    (BOX, [1, 2, 3], 3),
    (BOX, np.zeros(()), None),
    (BOX, 5, None),
    (SPACE, {"t": (np.zeros(3), ["a"] * 3), "a": np.zeros((3, 2)), "more": 5}, 3),
    (spaces.Dict(), {}, None),
    (spaces.Tuple([]), (), None),
    (spaces.Tuple([BOX]), (), None),
]


@pytest.mark.parametrize(("space", "block", "rows"), BLOCKS, ids=repr)
def test_a_placeholder_is_one_row_more_and_comes_off_again(
    space: Any, block: Any, rows: int | None
) -> None:
    assert count_rows(space, block) == rows
    if rows is None:
        return
    longer = add_placeholder(space, block, rows, 0)
    assert count_rows(space, longer) == rows + 1
    if isinstance(longer, dict):
        assert longer["more"] == 5
        longer = {key: part for key, part in longer.items() if key != "more"}
        block = {key: part for key, part in block.items() if key != "more"}
    assert repr(remove_placeholder(longer)) == repr(block)
    for wrong in (rows - 1, rows + 1):
        with pytest.raises(
            DataError, match=f"episode 7: observations has {rows} rows, not {wrong}"
        ):
            add_placeholder(space, block, wrong, 7)


@pytest.mark.parametrize(
    ("metadata", "known"),
    [
        (None, True),
        ({}, True),
        ({"other": False}, True),
        ({"final_observation_known": False}, False),
        ({"final_observation_known": np.False_}, False),
        ({"final_observation_known": True}, True),
        ({"final_observation_known": 0}, True),
        ({"final_observation_known": None}, True),
    ],
)
def test_a_final_observation_is_known_unless_a_flag_denies_it(metadata: Any, known: bool) -> None:
    assert is_final_observation_known(metadata) is known


@pytest.mark.parametrize("in_a_list", [True, False])
@pytest.mark.parametrize("name", ["terminations", "truncations"])
def test_an_episode_that_goes_on_after_its_end_is_refused(name: str, in_a_list: bool) -> None:
    good, bad = episode(), episode(**{name: np.array([True, False])})
    given_episodes: Any = [good, bad] if in_a_list else iter([good, bad])
    with pytest.raises(
        DataError, match=f"episode 1 goes on after step 0 of 2, although its {name}"
    ):
        list(prepare_new_episodes(given_episodes, BOX))
    assert len(list(prepare_new_episodes([good, good], BOX))) == 2
    with pytest.raises(DataError, match=r"episode 0 has keys \['more'\], which are none of"):
        list(prepare_new_episodes([{"more": 1}], BOX))


def test_an_episode_without_its_final_observation_says_so_once() -> None:
    short = episode(observations=np.zeros((2, 2), np.float32))
    for given_episodes in ([episode(), short, short], iter([episode(), short, short])):
        with pytest.warns(MinariWarning, match="episode 1 has 2 observations for 2 steps") as seen:
            found = list(prepare_new_episodes(given_episodes, BOX))
        assert len(seen) == 1
        assert [each.final_observation_known for each in found] == [True, False, False]
    said = replace(short, metadata={"final_observation_known": False, "x": 1})
    (only,) = prepare_new_episodes([said], BOX)
    assert only.metadata == {"final_observation_known": False, "x": 1}


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=8))
@settings(max_examples=40)
def test_what_the_default_callback_says_is_computed_anew_and_nothing_else(
    rewards: list[float],
) -> None:
    said = {**describe_rewards(np.array(rewards)), "other": 3}
    assert renew_reward_metadata(said, np.array(rewards)) is said
    others = np.array([reward + 1 for reward in rewards])
    renewed = renew_reward_metadata(said, others)
    assert renewed == {**describe_rewards(others), "other": 3}
    # Numbers of the same names that do not fit each other are somebody else's.
    scale = max(map(abs, rewards)) + 1
    for wrong in (
        {**said, "rewards_mean": max(rewards) + scale},
        {**said, "rewards_mean": min(rewards) - scale},
        {**said, "rewards_std": 3 * scale},
        {**said, "rewards_sum": math.inf},
        {key: value for key, value in said.items() if key != "rewards_min"},
        {**said, "rewards_max": True},
    ):
        assert renew_reward_metadata(wrong, others) is wrong


def test_a_return_is_found_where_the_sum_is_one_of_the_mean() -> None:
    def entry(**metadata: Any) -> EpisodeMetadata:
        return EpisodeMetadata(0, 4, None, None, metadata)

    assert find_return(entry(rewards_sum=2, rewards_mean=0.5)) == 2.0
    assert find_return(entry(rewards_sum=2.1, rewards_mean=0.5)) is None
    assert find_return(entry(rewards_sum=2.0)) is None
    assert find_return(entry(rewards_sum="2", rewards_mean=0.5)) is None
    assert find_return(entry(rewards_sum=0.0, rewards_mean=1e-11)) == 0.0
