"""An environment with the spaces that are asked for; runs under any Minari."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

_IMAGE = spaces.Box(0, 255, (40, 36, 3), np.uint8)

SPACES: dict[str, spaces.Space[Any]] = {
    "bool box": spaces.Box(0, 1, (2,), np.bool_),
    "uint8 box": spaces.Box(0, 255, (7, 5, 3), np.uint8),
    "int8 box": spaces.Box(-128, 127, (2, 3), np.int8),
    "uint64 box": spaces.Box(0, 2**40, (2,), np.uint64),
    "float16 box": spaces.Box(-2, 2, (3,), np.float16),
    "float32 box": spaces.Box(-np.inf, np.inf, (2, 2, 2), np.float32),
    "float64 box": spaces.Box(np.array([-1.0, -np.inf]), np.array([np.inf, 0.5]), dtype=np.float64),
    "scalar box": spaces.Box(-1, 1, (), np.float32),
    "image": _IMAGE,
    "grey image": spaces.Box(0, 255, (33, 32), np.uint8),
    "discrete": spaces.Discrete(5, start=-2),
    "multi-discrete": spaces.MultiDiscrete([3, 5], start=[1, -2]),
    "multi-discrete matrix": spaces.MultiDiscrete(np.array([[3, 5], [2, 9]])),
    "multi-binary": spaces.MultiBinary(4),
    "multi-binary matrix": spaces.MultiBinary([2, 3]),
    "text": spaces.Text(6, min_length=0, charset="abcé😀"),
    "tuple": spaces.Tuple([spaces.Discrete(3), spaces.Tuple([_IMAGE, spaces.Text(3)])]),
    "dict": spaces.Dict(
        {
            "view": _IMAGE,
            "said": spaces.Text(4),
            "inner": spaces.Dict(
                {
                    "place": spaces.Box(-1, 1, (2,), np.float64),
                    "parts": spaces.Tuple([spaces.MultiBinary(2), spaces.Discrete(2)]),
                }
            ),
        }
    ),
}


class Sampling(gymnasium.Env[Any, Any]):
    """Observations, rewards and infos at random, the same after the same seed."""

    def __init__(self, kind: str) -> None:
        self.observation_space = SPACES[kind]
        # Every kind is an action's somewhere, too.
        self.action_space = list(SPACES.values())[-1 - list(SPACES).index(kind)]
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self._steps = 0
        return self.observation_space.sample(), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._steps += 1
        reward = float(self.np_random.normal())
        return self.observation_space.sample(), reward, self._steps == 4, False, self._info()

    def _info(self) -> dict[str, Any]:
        return {
            "count": self._steps,
            "speed": float(self.np_random.normal()),
            "moved": self._steps > 1,
            "place": self.np_random.normal(size=(2, 3)).astype(np.float32),
            "inner": {"said": f"é{self._steps}", "deep": {"level": np.int16(self._steps)}},
        }


def register() -> None:
    """Let Gymnasium make the environment by its id."""
    gymnasium.register("interop/Sampling-v0", f"{__name__}:Sampling", max_episode_steps=20)
