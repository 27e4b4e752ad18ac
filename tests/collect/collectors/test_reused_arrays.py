"""Environments that overwrite their last observation when they are reset within the step."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from minari_collect import StepDataCallback, VectorDataCollector
from minari_collect.collectors.vector_environment import SAME_STEP
from tests.collect.helpers.environments import Counter, Reusing

HAS_MODES = hasattr(gymnasium.vector, "AutoresetMode")
MODE: Any = {"autoreset_mode": SAME_STEP} if HAS_MODES else {}


class Own(StepDataCallback):
    """Changes nothing, but is called for each environment."""


class WithParts(Counter):
    """Observations of several leaves, of which one may be overwritten."""

    observation_space: Any = spaces.Dict(
        {
            "at": Counter.observation_space,
            "goal": spaces.Box(-9, 9, (2,), np.float64),
            "pair": spaces.Tuple([spaces.Box(-9, 9, (1,), np.float32)]),
            "carrying": spaces.MultiBinary(1),
        }
    )

    def __init__(self, length: int = 2, reused: str = "") -> None:
        super().__init__(length)
        self.reused = reused
        self.at = np.zeros(2)
        self.goal = np.ones(2)
        self.pair = np.zeros(1)

    def _observation(self) -> Any:
        self.at[:] = (self.seed, self.count)
        # Float64, of which a batch of its space keeps float32.
        self.pair[:] = self.count / 3
        return {
            "at": self.at if self.reused == "at" else self.at.copy(),
            "goal": self.goal,
            "pair": (self.pair if self.reused == "pair" else self.pair.copy(),),
            # It is put down where the episode ends, and not taken up before the next begins.
            "carrying": np.array([0 < self.count < self.length], np.int8),
        }


class ThereAndBack(Counter):
    """Its episodes end where they begin, in some of them or in all."""

    def __init__(self, length: int = 2, back: int = 99, view_of: Any = None) -> None:
        super().__init__(length)
        self.back = back
        self.resets = 0
        self.view_of = view_of

    def reset(self, **options: Any) -> Any:
        self.resets += 1
        return super().reset(**options)

    def _observation(self) -> Any:
        is_back = self.count == self.length and self.resets <= self.back
        values = np.array([self.seed, 0 if is_back else self.count], np.float64)
        if self.view_of is None:
            return values
        np.frombuffer(self.view_of)[:] = values
        return np.frombuffer(self.view_of)


class LaterReusing(Counter):
    """Begins to return one array in its third episode."""

    def __init__(self, length: int = 2) -> None:
        super().__init__(length)
        self.resets = 0
        self.shared = np.zeros(2)

    def reset(self, **options: Any) -> Any:
        self.resets += 1
        return super().reset(**options)

    def _observation(self) -> Any:
        self.shared[:] = (self.seed, self.count)
        return self.shared if self.resets > 2 else self.shared.copy()


def warned(
    makers: Sequence[Callable[[], Any]], callback: Any = StepDataCallback, kind: str = "Sync"
) -> list[str]:
    envs = getattr(gymnasium.vector, f"{kind}VectorEnv")(makers, **MODE)
    collector = VectorDataCollector(envs, callback)
    collector.reset(seed=list(range(len(makers))))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(16):
            collector.step(np.zeros(len(makers), np.int64))
    collector.discard()
    collector.close()
    messages = [str(each.message) for each in caught]
    return [message for message in messages if "the reset after it" in message]


@pytest.mark.parametrize("kind", ["Sync", "Async"])
@pytest.mark.parametrize("callback", [StepDataCallback, Own])
def test_one_environment_among_others_is_noticed(callback: Any, kind: str) -> None:
    (message,) = warned([lambda: Counter(2), lambda: Reusing(3)], callback, kind)
    assert message.startswith("the last observation of an episode of ")


@pytest.mark.parametrize("kind", ["Sync", "Async"])
@pytest.mark.parametrize("callback", [StepDataCallback, Own])
@pytest.mark.parametrize(
    ("reused", "name"), [("at", "observation['at']"), ("pair", "observation['pair'][0]")]
)
def test_one_leaf_among_others_is_noticed_and_named(
    reused: str, name: str, callback: Any, kind: str
) -> None:
    (message,) = warned([lambda: WithParts(3, reused)] * 2, callback, kind)
    assert name in message
    assert "goal" not in message


@pytest.mark.parametrize("kind", ["Sync", "Async"])
def test_what_begins_later_is_noticed(kind: str) -> None:
    (message,) = warned([LaterReusing, LaterReusing], kind=kind)
    assert "return one array for all observations" in message


@pytest.mark.parametrize("callback", [StepDataCallback, Own])
def test_what_never_changes_or_is_alike_by_chance_is_no_reuse(callback: Any) -> None:
    assert warned([WithParts, WithParts], callback) == []


@pytest.mark.parametrize("callback", [StepDataCallback, Own])
def test_episodes_that_end_where_they_begin_are_no_reuse(callback: Any) -> None:
    # The arrays are seen, or it happens less often than by reuse.
    assert warned([ThereAndBack] * 2, callback) == []
    assert warned([lambda: ThereAndBack(3, 1)] * 2, callback, "Async") == []
    # As far as copies can tell.
    assert len(warned([ThereAndBack] * 2, callback, "Async")) == 1


def test_one_buffer_behind_many_arrays_is_noticed() -> None:
    (message,) = warned([lambda: ThereAndBack(2, 0, bytearray(16))])
    assert message.startswith("the last observation of an episode of ")


@pytest.mark.parametrize("callback", [StepDataCallback, Own])
def test_what_never_changes_is_no_reuse_in_other_processes_either(callback: Any) -> None:
    class Still(WithParts):
        def _observation(self) -> Any:
            return {**super()._observation(), "carrying": np.ones(1, np.int8)}

    assert warned([Still, Still], callback, "Async") == []


def test_observations_whose_structure_changes_are_compared_as_far_as_they_go() -> None:
    class Growing(Counter):
        observation_space: Any = spaces.Sequence(spaces.Box(-9, 9, (1,), np.float64))

        def _observation(self) -> Any:
            return tuple(np.full(1, float(self.seed)) for _ in range(self.count % 2))

    assert warned([lambda: Growing(2), lambda: Growing(3)]) == []
