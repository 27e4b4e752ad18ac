"""Batches of infos are those of each environment, as a buffer of single ones has them."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_collect.buffers.infos import InfoBuffer, list_recorded_rows
from minari_collect.vector_buffers.batched_infos import (
    drop_final,
    find_final_info,
    is_mask,
    select_env_info,
)
from minari_collect.vector_buffers.infos import VectorInfoBuffer
from minari_core.json_values import NOT_PLAIN
from minari_core.testing.expectations import expect_same
from tests.collect.buffers.test_info_buffers import INFOS, without_none
from tests.collect.helpers.buffered import decode_infos
from tests.collect.vector_buffers.test_vector_buffers import ENVS, cells_of


def batch_infos(infos: list[dict[str, Any]]) -> dict[str, Any]:
    """Batch the infos of all environments, as Gymnasium does."""
    batch: dict[str, Any] = {}
    for key in dict.fromkeys(key for info in infos for key in info):
        values = [info.get(key) for info in infos]
        example = next(value for value in values if value is not None)
        if isinstance(example, dict):
            batch[key] = batch_infos([value or {} for value in values])
        elif isinstance(example, np.int64 | np.ndarray) and key != "ragged":
            filler = np.zeros_like(example)
            batch[key] = np.array([filler if value is None else value for value in values])
        else:
            array = np.empty(len(values), dtype=object)
            array[:] = values
            batch[key] = array
        batch[f"_{key}"] = np.array([value is not None for value in values])
    return batch


ROWS = st.lists(INFOS, min_size=ENVS, max_size=ENVS)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["batch", "batch", "list"]), st.integers(0, 1), ROWS),
        st.tuples(st.just("one"), st.integers(0, 9), st.integers(0, ENVS - 1), INFOS),
        st.tuples(st.just("over"), st.integers(0, 9), ROWS),
        st.tuples(st.just("final"), INFOS),
        st.tuples(st.just("final cell"), st.integers(0, 9), st.integers(0, ENVS - 1)),
        st.tuples(st.just("keep"), st.lists(st.integers(0, 9), max_size=3)),
        st.tuples(st.just("move"), st.integers(0, 9), st.integers(0, 9)),
    ),
    max_size=9,
)


@settings(max_examples=30)
@given(operations=OPERATIONS, seed=st.integers(0, 9), nested=st.booleans())
def test_the_infos_of_many_environments_are_those_of_each(
    operations: list[Any], seed: int, nested: bool
) -> None:
    buffer = VectorInfoBuffer("infos", ENVS)
    rows: list[list[dict[str, Any]]] = []
    finals: list[dict[str, Any]] = []
    for kind, *numbers in operations:
        if kind in ("batch", "list", "over"):
            infos = copy.deepcopy(numbers[1])
            if kind == "over":
                if not rows:
                    continue
                row = numbers[0] % len(rows)
                # What was written over single cells stays.
                if any(row * ENVS + env in buffer._cells for env in range(ENVS)):
                    continue
                rows[row] = infos
            else:
                rows += [[{}] * ENVS for _ in range(numbers[0])]
                row = len(rows)
                rows.append(infos)
            buffer.write(row, batch_infos(numbers[1]) if kind == "batch" else numbers[1])
        elif kind == "final":
            finals.append(numbers[0])
            buffer.add_final(copy.deepcopy(numbers[0]) or None)
        elif kind == "keep":
            kept = [number % len(finals) for number in numbers[0] if finals]
            buffer.keep_finals(kept)
            finals = [finals[number] for number in kept]
        elif not rows:
            continue
        elif kind == "one":
            row, env = numbers[0] % len(rows), numbers[1]
            rows[row] = [*rows[row][:env], numbers[2], *rows[row][env + 1 :]]
            buffer.write_one(row, env, copy.deepcopy(numbers[2]))
        elif kind == "final cell":
            finals.append(rows[numbers[0] % len(rows)][numbers[1]])
            buffer.add_final_cell(numbers[0] % len(rows), numbers[1])
        else:
            start, stop = sorted(number % (len(rows) + 1) for number in numbers)
            buffer.move(start, stop)
            assert buffer.nbytes == 0
            rows = rows[start:stop]

    values = [info for row in rows for info in row]
    order = np.random.default_rng(seed).permutation(len(values)).tolist()
    places = dict(zip(range(0, len(order), 2), range(len(finals)), strict=False))
    infos = [finals[places[p]] if p in places else values[cell] for p, cell in enumerate(order)]
    for place in places:
        order[place] = 99 * ENVS + place
    # One by one in a buffer of a single environment.
    single = InfoBuffer("infos")
    for row, info in enumerate(infos):
        single.write(row, info)

    count = len(order)
    read: dict[str, Any] = buffer.read(cells_of(order, places))
    wanted: dict[str, Any] = single.read(0, count)
    expect_same(
        {key: without_none(values) for key, values in read.items()},
        {key: without_none(values) for key, values in wanted.items()},
    )
    taken, alone = buffer.take(cells_of(order, places)), single.take(0, count)
    assert taken[0].to_json()["fields"] == alone[0].to_json()["fields"]
    shown, shown_alone = decode_infos(taken, count), decode_infos(alone, count)
    for key in shown_alone:
        expect_same(
            list_recorded_rows(shown[key], count), list_recorded_rows(shown_alone[key], count)
        )


FLAGS = np.array([True, False])


@pytest.mark.parametrize(
    ("infos", "first", "second"),
    [
        ({"a": np.array([1, 2]), "_a": FLAGS}, {"a": 1}, {}),
        ({"a": np.array([1, 2])}, {"a": 1}, {"a": 2}),
        ({"a": [1, 2], "b": (3, 4)}, {"a": 1, "b": 3}, {"a": 2, "b": 4}),
        # What is no batch is of each.
        ({"a": 5, "b": "xy", "c": [1, 2, 3]},) * 3,
        ({"a": np.array(5), "b": np.zeros(3)},) * 3,
        ({"a": {"b": np.array([1, 2]), "_b": FLAGS}}, {"a": {"b": 1}}, {"a": {}}),
        ({"a": {"b": np.array([1, 2])}, "_a": FLAGS}, {"a": {"b": 1}}, {}),
        # Flags of no key are values, and so is what looks like flags and is none.
        ({"_a": FLAGS}, {"_a": True}, {"_a": False}),
        ({"a": np.array([1, 2]), "_a": [True, False]}, {"a": 1, "_a": True}, {"a": 2, "_a": False}),
        ({"a": np.array([1, 2]), "_a": np.array([1, 0])}, {"a": 1, "_a": 1}, {"a": 2, "_a": 0}),
        ([{"a": 1}, {"b": 2}], {"a": 1}, {"b": 2}),
    ],
)  # fmt: skip
def test_the_info_of_an_environment_is_what_it_gave(infos: Any, first: Any, second: Any) -> None:
    np.testing.assert_equal(select_env_info(infos, 0, 2), first)
    np.testing.assert_equal(select_env_info(infos, 1, 2), second)


@pytest.mark.parametrize(
    ("value", "is_flags"),
    [
        (FLAGS, True),
        (np.array([True]), False),
        (np.array([[True, False]]), False),
        (np.array([1, 0]), False),
        ([True, False], False),
    ],
)
def test_flags_are_an_array_of_a_bool_for_each(value: Any, is_flags: bool) -> None:
    assert is_mask(value, 2) == is_flags


ENDED = {"t": 1}
OBJECTS = np.array([ENDED, None], dtype=object)
EPISODE = {"r": np.array([1.5, 0.0]), "_r": FLAGS}


@pytest.mark.parametrize(
    ("infos", "keys", "first", "second"),
    [
        ({"final_info": OBJECTS}, (), ENDED, None),
        ({"final_info": [ENDED, None]}, (), ENDED, None),
        ({"final_info": (ENDED, None)}, (), ENDED, None),
        ({"final_info": [ENDED]}, (), None, None),
        ({"final_info": {"t": np.array([1, 2]), "_t": FLAGS}}, (), ENDED, {}),
        ([{"final_info": ENDED}, {}], (), ENDED, None),
        ({}, (), None, None),
        ({"a": np.array([1, 2])}, ("episode",), None, None),
        ({"episode": EPISODE, "_episode": FLAGS}, ("episode",), {"episode": {"r": 1.5}}, None),
        (
            {"final_info": OBJECTS, "episode": EPISODE, "_episode": FLAGS, "a": FLAGS},
            ("episode",),
            {"t": 1, "episode": {"r": 1.5}},
            None,
        ),
        ({"final_info": OBJECTS, "a": FLAGS}, ("episode",), ENDED, None),
    ],
)
def test_the_info_of_a_last_step_is_found_in_any_form(
    infos: Any, keys: Any, first: Any, second: Any
) -> None:
    assert find_final_info(infos, 0, 2, keys) == first
    assert find_final_info(infos, 1, 2, keys) == second


def test_what_belongs_to_ended_episodes_is_dropped_and_nothing_else() -> None:
    ended = ["final_obs", "_final_obs", "final_observation", "_final_observation"]
    ended += ["final_info", "_final_info"]
    others = {"a": 1, "_a": 2, "episode": 3, "_episode": 4, "final": 5}
    infos = {**dict.fromkeys(ended, 0), **others}
    assert drop_final(infos) == others
    assert drop_final([infos, others]) == [others, others]
    rest = {"a": 1, "_a": 2, "final": 5}
    assert drop_final(infos, ["episode"]) == rest
    assert drop_final([infos, rest], ["episode"]) == [rest, rest]
    assert drop_final(others) is others


# JSON reads the two surrogates back as the one character.
ODD = "\ud83d\ude00"


def test_keys_and_infos_of_many_environments_that_cannot_be_kept_are_named() -> None:
    buffer = VectorInfoBuffer("infos", 2)
    no_dict: Any = [3, 4]
    infos: Any = {1: np.array([1, 2]), "_1": FLAGS, "a": np.array([1, 2]), ODD: [1, 2]}
    buffer.write(0, infos)
    buffer.write(1, no_dict)
    single: Any = {2: 3, "a": 4}
    buffer.write_one(2, 0, single)
    taken = decode_infos(buffer.take(cells_of([0, 1, 2, 3, 4])), 5)

    assert list(taken) == ["a"]
    assert list_recorded_rows(taken["a"], 5) == [1, 2, None, None, 4]
    named = {f"infos[{key!r}]": NOT_PLAIN for key in (1, 2, ODD)}
    assert {key: buffer.encoder.dropped[key] for key in named} == named
    assert buffer.encoder.dropped["infos"].startswith("int is no dict (AttributeError")


def test_keys_that_are_stored_at_once_were_not_always_none() -> None:
    buffer = VectorInfoBuffer("infos", 2)
    never = np.empty(2, dtype=object)
    buffer.write(0, {"late": never, "never": never})
    buffer.take(cells_of([0, 1]))
    buffer.move(1, 1)
    buffer.write(0, {"late": np.array([1, 2]), "never": never})
    buffer.take(cells_of([0, 1]))
    assert buffer.encoder.list_always_none() == ["infos['never']"]


def test_infos_of_many_environments_are_counted_and_copied() -> None:
    buffer = VectorInfoBuffer("infos", 2)
    given_ = np.zeros((2, 100))
    buffer.write(0, {"a": given_})
    with_array = buffer.nbytes
    buffer.write(1, {"a": [1, 2]})
    with_list = buffer.nbytes - with_array
    assert with_array - with_list == 1600
    assert with_list > 0
    buffer.write_one(1, 0, {"a": given_[0]})
    assert buffer.nbytes - with_array - with_list == 800 + with_list // 2
    given_[:] = 1
    expect_same(buffer.read(cells_of([0, 2])), {"a": [np.zeros(100)] * 2})
    buffer.write(3, {})
    buffer.write(3, None)
    assert buffer.read(cells_of([6])) == {}
