"""What a batched policy is given, and gives."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from minari_collect.workers.policies import (
    PolicyRunner,
    VectorPolicyRunner,
    batch_values,
    load_policy,
)
from minari_core.errors import RecordingError
from minari_core.testing.expectations import expect_same


@pytest.mark.parametrize(
    ("space", "values", "batch"),
    [
        (spaces.Box(-1, 1, (2,), np.float32), [np.zeros(2, "f4")] * 3, np.zeros((3, 2), "f4")),
        (spaces.Discrete(5), [np.int64(2), np.int64(4)], np.array([2, 4])),
        (spaces.MultiBinary(2), [np.ones(2, "i1")], np.ones((1, 2), "i1")),
        (spaces.MultiDiscrete([3, 4]), [np.array([1, 2])] * 2, np.array([[1, 2]] * 2)),
        (spaces.Text(3), ["a", "bc"], ("a", "bc")),
        (
            spaces.Dict({"n": spaces.Discrete(5), "t": spaces.Tuple((spaces.Text(2),))}),
            [{"n": np.int64(1), "t": ("x",)}, {"n": np.int64(3), "t": ("y",)}],
            {"n": np.array([1, 3]), "t": (("x", "y"),)},
        ),
    ],
)
def test_values_are_batched_as_gymnasium_batches_them(
    space: spaces.Space[Any], values: list[Any], batch: Any
) -> None:
    expect_same(batch_values(space, values), batch)


class Noted:
    """Notes how it is called; has no state of its own."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def reset(self, **given: Any) -> None:
        self.calls.append(given)

    def __call__(self, observation: Any) -> Any:
        self.calls.append(observation)
        return observation


def test_a_policy_is_told_of_each_episode_as_its_reset_takes_it() -> None:
    noted = Noted()
    runner = PolicyRunner(noted, spaces.Discrete(2))
    runner.reset(7)
    assert runner(1) == 1

    class Plain(Noted):
        def reset(self) -> None:  # type: ignore[override]  # takes no seed
            self.calls.append("reset")

    plain = Plain()
    runner = PolicyRunner(plain, spaces.Discrete(2))
    runner.reset(7)
    runner.reset(8)
    assert (noted.calls, plain.calls) == ([{"seed": 7}, 1], ["reset", "reset"])


def test_random_actions_follow_from_the_seed_of_the_episode() -> None:
    space = spaces.Discrete(1000)
    runner, vector = PolicyRunner(None, space), VectorPolicyRunner(None, space, 2)
    drawn = []
    for seed in (1, 2, 1):
        runner.reset(seed)
        drawn.append([int(runner(None)) for _ in range(3)])
    assert drawn[0] == drawn[2] != drawn[1]
    vector.reset({0: 1, 1: 2})
    assert [vector(None).tolist() for _ in range(3)] == [
        list(pair) for pair in zip(*drawn[:2], strict=True)
    ]
    vector.reset({1: 1})
    assert int(vector(None)[1]) == drawn[0][0]


def test_a_state_is_what_was_returned_last_and_none_at_first() -> None:
    given: list[Any] = []

    def stateful(observation: Any, state: Any) -> tuple[Any, Any]:
        given.append(state)
        return observation, (state or 0) + 1

    runner = PolicyRunner(stateful, spaces.Discrete(2))
    for seed, calls in ((1, 3), (2, 2)):
        runner.reset(seed)
        for number in range(calls):
            assert runner(number) == number
    assert given == [None, 1, 2, None, 1]


def needs_state(observation: Any, state: Any) -> Any: ...
def may_have_state(observation: Any, state: Any = None) -> Any: ...
def has_option(observation: Any, deterministic: bool = False) -> Any: ...
def needs_option(observation: Any, temperature: float) -> Any: ...
def takes_one(observation: Any) -> Any: ...
def takes_mask(observation: Any, mask: Any) -> Any: ...
def takes_both(observation: Any, mask: Any, seeds: Any) -> Any: ...
def has_keyword(observation: Any, *, state: Any) -> Any: ...
def takes_any(*observations: Any) -> Any: ...


@pytest.mark.parametrize(
    ("policy", "is_stateful"),
    [
        (needs_state, True),
        (may_have_state, True),
        (needs_option, True),
        (has_option, False),
        (takes_one, False),
        (takes_mask, False),
        (takes_both, False),
        (has_keyword, False),
        (takes_any, False),
        (max, False),
    ],
)
def test_a_policy_has_a_state_if_a_second_argument_must_be_given_or_is_called_so(
    policy: Any, is_stateful: bool
) -> None:
    given: list[int] = []

    @functools.wraps(policy)
    def noted(*arguments: Any) -> Any:
        given.append(len(arguments))
        return (0, 0) if is_stateful else 0

    runner = PolicyRunner(noted, spaces.Discrete(2))
    runner.reset(1)
    runner(1)
    assert given == [2 if is_stateful else 1]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nothing", "is not written as module:callable"),
        (":nothing", "is not written as module:callable"),
        ("math:", "is not written as module:callable"),
        ("no_such_module_of_anybody:act", "cannot be found: No module named"),
        ("math:no_such_function", "cannot be found: module 'math' has no attribute"),
        ("math:pi", "is a float, which is no callable"),
    ],
)
def test_a_policy_that_is_not_where_it_is_said_to_be_is_told_of(text: str, why: str) -> None:
    with pytest.raises(RecordingError, match=f"^policy {text!r} {why}"):
        load_policy(text)


def test_a_policy_is_a_function_an_object_or_made_by_its_class() -> None:
    assert load_policy("math:floor") is math.floor
    made = load_policy(f"{__name__}:Noted")
    assert isinstance(made, Noted)
    assert load_policy(f"{__name__}:Noted.reset") is Noted.reset
