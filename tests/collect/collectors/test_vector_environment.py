"""What is read off vector environments: modes, masks, seeds, specs and last observations."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from minari_collect.collectors.autoreset import SameStepAutoreset
from minari_collect.collectors.beginnings import convert_seed, copy_options
from minari_collect.collectors.reused_arrays import ReusedArrayCheck
from minari_collect.collectors.vector_environment import (
    DISABLED,
    NEXT_STEP,
    SAME_STEP,
    assign_beginnings,
    find_single_spec,
    name_environment,
    read_reset_mask,
    resolve_autoreset_mode,
    select_env_value,
    select_final_observation,
)
from minari_core.errors import DataError, RecordingError
from minari_core.messages import MinariWarning
from tests.collect.helpers.environments import Counter

HAS_MODES = hasattr(gymnasium.vector, "VectorWrapper")


@pytest.mark.parametrize(
    ("metadata", "given", "mode"),
    [
        ({"autoreset_mode": SAME_STEP}, None, SAME_STEP),
        ({"autoreset_mode": SAME_STEP}, DISABLED, DISABLED),
        ({"autoreset_mode": SimpleNamespace(value=DISABLED)}, None, DISABLED),
        ({}, SimpleNamespace(value=NEXT_STEP), NEXT_STEP),
        ({}, None, NEXT_STEP if HAS_MODES else SAME_STEP),
        (None, None, NEXT_STEP if HAS_MODES else SAME_STEP),
    ],
)
def test_a_mode_is_that_of_the_argument_or_else_of_the_environments(
    metadata: Any, given: Any, mode: str
) -> None:
    assert resolve_autoreset_mode(SimpleNamespace(metadata=metadata), given) == mode


def test_a_mode_that_there_is_none_of_is_refused() -> None:
    with pytest.raises(RecordingError, match=r"'Later'; there are NextStep, SameStep, Disabled$"):
        resolve_autoreset_mode(SimpleNamespace(metadata={}), "Later")


def test_a_mask_is_a_bool_for_each_environment() -> None:
    assert read_reset_mask(None, 2) is None
    assert read_reset_mask({"x": 1}, 2) is None
    assert read_reset_mask({"reset_mask": None}, 2) is None
    given = np.array([True, False])
    mask: Any = read_reset_mask({"reset_mask": given}, 2)
    given[:] = False
    assert mask.tolist() == [True, False]
    assert read_reset_mask({"reset_mask": [False, True]}, 2) is not None
    numbers = np.array([1, 0], np.int64)
    for wrong, shown in ((numbers, "int64 of shape (2,)"), ([True], "bool of shape (1,)")):
        with pytest.raises(DataError) as refused:
            read_reset_mask({"reset_mask": wrong}, 2)
        assert str(refused.value) == f"reset_mask is {shown}, not bool of shape (2,)"


def test_values_of_one_environment_are_selected_by_their_space() -> None:
    space = spaces.Dict({"a": spaces.Discrete(9), "b": spaces.Tuple([spaces.Text(3)])})
    batch = {"a": [3, 4], "b": (("x", "y"),)}
    assert select_env_value(space, batch, 1) == {"a": 4, "b": ("y",)}
    assert type(select_env_value(space, batch, 1)["a"]) is np.int64
    rows = np.zeros((2, 3))
    assert np.shares_memory(select_env_value(spaces.Box(0, 1, (3,)), rows, 1), rows)


FINAL = np.array([1.0])
BOX = spaces.Box(-9, 9, (1,), np.float64)


@pytest.mark.parametrize("key", ["final_obs", "final_observation"])
@pytest.mark.parametrize(
    "make",
    [
        lambda key: {key: np.array([None, FINAL], dtype=object)},
        lambda key: {key: [None, FINAL]},
        lambda key: [{}, {key: FINAL}],
        lambda key: {key: [None, FINAL], f"_{key}": np.array([False, True])},
    ],
)
def test_a_last_observation_is_found_wherever_it_is(key: str, make: Any) -> None:
    infos = make(key)
    assert select_final_observation(BOX, infos, 1).tolist() == [1.0]
    with pytest.raises(DataError, match=r"^environment 0 was reset within the step that ended its"):
        select_final_observation(BOX, infos, 0)


def test_last_observations_that_are_one_batch_are_split_by_their_space() -> None:
    pair = spaces.Tuple([spaces.Discrete(9), spaces.Discrete(9)])
    infos: Any = {"final_obs": (np.array([1, 2]), np.array([3, 4]))}
    assert select_final_observation(pair, infos, 1) == (2, 4)
    # A name that has nothing of this environment gives way to the other one.
    infos = {"final_obs": [None, None], "final_observation": [None, FINAL]}
    assert select_final_observation(BOX, infos, 1) is FINAL


class SyncVectorEnv:
    pass


class AtariVectorEnv:
    pass


class NativeVectorEnv:
    pass


@pytest.mark.parametrize(
    ("kind", "seed", "chosen", "wanted"),
    [
        (SyncVectorEnv, 5, [0, 1, 2], [5, 6, 7]),
        (SyncVectorEnv, 5, [0, 2], [5, 7]),
        (AtariVectorEnv, 5, [0, 2], [5, 6]),
        (NativeVectorEnv, 5, [0, 1, 2], [None, None, None]),
        (SyncVectorEnv, None, [0, 1], [None, None]),
        (NativeVectorEnv, [7, None, 9], [0, 1, 2], [7, None, 9]),
        (NativeVectorEnv, np.array([7, 8, 9]), [0, 2], [7, 9]),
        (NativeVectorEnv, [7, 8], [0, 2], [7, 8]),
    ],
)
def test_each_environment_has_the_seed_that_it_was_given(
    kind: Any, seed: Any, chosen: list[int], wanted: list[int | None]
) -> None:
    found = assign_beginnings(kind(), seed, None, np.array(chosen))
    assert found == [(each, None) for each in wanted]
    assert {type(each) for each, _ in found} <= {int, type(None)}


@pytest.mark.parametrize(
    ("options", "recorded"),
    [
        (None, None),
        ({}, {}),
        ({"reset_mask": [True]}, None),
        ({"reset_mask": [True], "x": 1}, {"x": 1}),
        ({"x": (1, 2)}, {"x": (1, 2)}),
    ],
)
def test_options_are_recorded_without_the_mask(options: Any, recorded: Any) -> None:
    assert assign_beginnings(SyncVectorEnv(), 3, options, np.array([0])) == [(3, recorded)]


def test_seeds_and_options_are_recorded_as_they_are_or_refused() -> None:
    assert [convert_seed(seed) for seed in (None, 0, np.uint8(3), 2**64 - 1)] == [
        None, 0, 3, 2**64 - 1,
    ]  # fmt: skip
    for seed in (-1, 2**64, 1.0, "1"):
        with pytest.raises(DataError, match="seed"):
            convert_seed(seed)
    given = {"a": [1]}
    copied = copy_options(given)
    given["a"].append(2)
    assert copied == {"a": [1]}
    assert copy_options(None) is None
    with pytest.raises(DataError, match=r"^options \[1\] is no dict, so it cannot be recorded$"):
        copy_options([1])


def test_the_spec_is_that_of_one_environment() -> None:
    spec = gymnasium.spec("CartPole-v1")
    single = SimpleNamespace(spec=spec, unwrapped=Counter())
    assert find_single_spec(SimpleNamespace(envs=[single, None])) is spec
    assert find_single_spec(SimpleNamespace(envs=(SimpleNamespace(spec="x"),), spec=spec)) is None
    assert find_single_spec(SimpleNamespace(envs=[])) is None
    assert find_single_spec(SimpleNamespace(spec=None)) is None
    arguments = {"num_envs": 2, "vectorization_mode": "sync", "vector_kwargs": {}, "wrappers": ()}
    made = copy.deepcopy(spec)
    made.kwargs = {**arguments, "gravity": 3, "max_episode_steps": 7}
    found: Any = find_single_spec(SimpleNamespace(unwrapped=SimpleNamespace(spec=made)))
    assert (found.kwargs, found.max_episode_steps) == ({"gravity": 3}, 7)
    assert len(made.kwargs) == 6
    made.kwargs = arguments
    found = find_single_spec(SimpleNamespace(spec=made))
    assert (found.kwargs, found.max_episode_steps) == ({}, spec.max_episode_steps)


def test_an_environment_is_named_by_its_spec_or_its_class() -> None:
    spec = gymnasium.spec("CartPole-v1")
    named = SimpleNamespace(spec=spec, unwrapped=Counter())
    assert name_environment(SimpleNamespace(envs=[named])) == "CartPole-v1"
    nameless = SimpleNamespace(spec=None, unwrapped=Counter())
    assert name_environment(SimpleNamespace(envs=[nameless])) == "Counter"
    assert name_environment(NativeVectorEnv()) == "NativeVectorEnv"


def test_the_info_of_a_step_that_has_reset_is_split_in_two() -> None:
    autoreset = SameStepAutoreset(frozenset({"episode"}))
    assert autoreset.split_step({"a": 1, "episode": 2}) is None
    info = {"final_observation": FINAL, "final_info": {"b": 3}, "a": 1, "episode": 2}
    assert autoreset.split_step(info) == (FINAL, {"b": 3, "episode": 2}, {"a": 1})
    bare = {"final_obs": FINAL, "final_info": None, "a": 1}
    assert autoreset.split_step(bare) == (FINAL, {}, {"a": 1})


def looked_at(looks: list[tuple[Any, Any, Any]], *, sees_arrays: bool) -> list[int]:
    """Which of some looks warn: at a last observation, that of the reset, and the one before."""
    check = ReusedArrayCheck("Name", sees_arrays=sees_arrays)
    warned = []
    for place, (last, reset, before) in enumerate(looks):
        was_settled = check.is_settled
        try:
            check.check(0, last, reset, lambda before=before: before)  # type: ignore[misc]
        except MinariWarning:
            warned.append(place)
        assert check.is_settled == (was_settled or bool(warned))
    return warned


@pytest.mark.filterwarnings("error::minari_core.messages.MinariWarning")
def test_arrays_that_look_overwritten_are_told_of_after_as_many_looks_as_it_takes() -> None:
    zero, one, two = (np.full(2, float(number)) for number in range(3))

    def lost() -> tuple[Any, Any, Any]:
        return zero.copy(), zero.copy(), one

    other, still = (one, two, zero), (zero.copy(), zero.copy(), zero.copy())
    # Seen as they are, two arrays in one memory tell at once, and others never.
    shared = np.zeros(2)
    assert looked_at([(shared, shared, one)], sees_arrays=True) == [0]
    assert looked_at([lost() for _ in range(9)], sees_arrays=True) == []
    # An array that was there before is the one.
    assert looked_at([(shared, zero, one), (shared, zero, one)], sees_arrays=True) == [1]
    # Copies tell after three in a row, all ends counted, unless another one was seen.
    assert looked_at([lost() for _ in range(3)], sees_arrays=False) == [2]
    assert looked_at([lost(), lost(), other, lost(), lost()], sees_arrays=False) == []
    assert looked_at([other, lost(), lost(), lost()], sees_arrays=False) == [3]
    # What has not changed in the last step is not known to be lost.
    assert looked_at([still] * 9, sees_arrays=False) == []
