"""An environment with a goal, nested infos, and both ends of an episode."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Reaching(gymnasium.Env[Any, Any]):
    """A point walks; it terminates far away, and is cut off after ten steps."""

    def __init__(self) -> None:
        self.observation_space = spaces.Dict(
            {
                "observation": spaces.Box(-np.inf, np.inf, (3,), np.float64),
                "desired_goal": spaces.Box(-1, 1, (2,), np.float32),
            }
        )
        self.action_space = spaces.Box(-1, 1, (3,), np.float32)
        self._place = np.zeros(3)
        self._goal = np.zeros(2, dtype=np.float32)
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._place = self.np_random.normal(size=3)
        self._goal = self.np_random.uniform(-1, 1, size=2).astype(np.float32)
        self._steps = 0
        return self._seen(), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._place = self._place + action
        self._steps += 1
        distance = float(np.linalg.norm(self._place))
        return self._seen(), -distance, distance > 3, self._steps == 10, self._info()

    def _seen(self) -> dict[str, Any]:
        return {"observation": self._place.copy(), "desired_goal": self._goal}

    def _info(self) -> dict[str, Any]:
        return {
            "speed": float(self._steps) / 2,
            "inner": {"place": self._place[:2].copy(), "far": bool(self._place[0] > 1)},
        }
