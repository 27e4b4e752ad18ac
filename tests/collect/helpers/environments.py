"""Environments of the tests' own: scripted, or with spaces that few environments have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

VECTOR = spaces.Box(-np.inf, np.inf, (3,), np.float32)
TWO = spaces.Discrete(2)


@dataclass
class Moment:
    """What a scripted environment returns once."""

    observation: Any
    reward: Any = 0.0
    terminated: Any = False
    truncated: Any = False
    info: dict[str, Any] = field(default_factory=dict)


class Scripted(gymnasium.Env[Any, Any]):
    """Returns what it is told next, whatever it is asked."""

    def __init__(
        self,
        observation_space: spaces.Space[Any] = VECTOR,
        action_space: spaces.Space[Any] = TWO,
        moments: Sequence[Moment] = (),
    ) -> None:
        self.observation_space = observation_space
        self.action_space = action_space
        self.moments = list(moments)

    def tell(self, *moments: Moment) -> None:
        self.moments += moments

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        moment = self.moments.pop(0)
        return moment.observation, moment.info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        moment = self.moments.pop(0)
        return (
            moment.observation,
            moment.reward,
            moment.terminated,
            moment.truncated,
            moment.info,
        )


class Counter(gymnasium.Env[Any, Any]):
    """Counts its steps: every value follows from the seed and the step, so it can be foretold."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = spaces.Discrete(1000)

    def __init__(self, length: int = 5) -> None:
        self.length = length
        self.seed = 0
        self.count = 0

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        self.seed, self.count = seed or 0, 0
        return self._observation(), {"count": 0}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.count += 1
        over = self.count >= self.length
        return self._observation(), float(self.count), over, False, {"count": self.count}

    def _observation(self) -> Any:
        return np.array([self.seed, self.count], dtype=np.float64)


def run_episode(env: gymnasium.Env[Any, Any], seed: int, steps: int | None = None) -> None:
    """Step a `Counter` to its end, or for some steps."""
    env.reset(seed=seed)
    taken = 0
    over = False
    while not over and taken != steps:
        _, _, terminated, truncated, _ = env.step(taken)
        over = terminated or truncated
        taken += 1


class Reusing(Counter):
    """Returns one array each time, and changes it at the next step."""

    def __init__(self, length: int = 5) -> None:
        super().__init__(length)
        self.shared = np.zeros(2)

    def _observation(self) -> Any:
        self.shared[:] = (self.seed, self.count)
        return self.shared


class FromSpace(gymnasium.Env[Any, Any]):
    """Observations drawn from any space, and kept to compare with."""

    def __init__(self, observation_space: spaces.Space[Any], length: int = 6) -> None:
        self.observation_space = observation_space
        self.action_space = observation_space
        self.observation_space.seed(3)
        self.length = length
        self.count = 0
        self.seen: list[Any] = []

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        self.count = 0
        return self._next(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.count += 1
        return self._next(), 1.0, False, self.count >= self.length, {}

    def _next(self) -> Any:
        observation = self.observation_space.sample()
        self.seen.append(observation)
        return observation
