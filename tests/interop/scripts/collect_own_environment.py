"""Record my own warehouse robot, whose spaces are nested, and keep only part of what it sees."""
import json

import gymnasium as gym
import numpy as np
from gymnasium import spaces

import minari


class Warehouse(gym.Env):
    metadata = {"render_modes": []}

    def __init__(self, size=6):
        self.size = size
        self.observation_space = spaces.Dict(
            {
                "robot": spaces.Box(0, size - 1, shape=(2,), dtype=np.int32),
                "shelf": spaces.Tuple((spaces.Discrete(size), spaces.Discrete(4, start=1))),
                "battery": spaces.Box(0.0, 1.0, shape=(1,), dtype=np.float32),
                "lights": spaces.MultiBinary(5),
                "order": spaces.Text(8, charset="abcxyz"),
            }
        )
        self.action_space = spaces.Dict(
            {"move": spaces.MultiDiscrete([3, 3]), "speed": spaces.Box(-1, 1, (1,), np.float64)}
        )

    def _obs(self):
        return {
            "robot": self.pos.copy(),
            "shelf": (int(self.pos[0]), 1 + self.t % 4),
            "battery": np.array([1 - self.t / 20], dtype=np.float32),
            "lights": (np.arange(5) + self.t).astype(np.int8) % 2,
            "order": "abc" * (1 + self.t % 2),
        }

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        self.pos = self.np_random.integers(0, self.size, 2).astype(np.int32)
        return self._obs(), {}

    def step(self, action):
        self.t += 1
        self.pos = np.clip(self.pos + action["move"] - 1, 0, self.size - 1).astype(np.int32)
        return self._obs(), float(action["speed"][0]), bool(self.pos.sum() == 0), self.t >= 15, {}


def flat(value):
    if isinstance(value, dict):
        return {k: flat(v) for k, v in sorted(value.items())}
    if isinstance(value, tuple):
        return [flat(v) for v in value]
    return [str(value.dtype), value.tolist()] if isinstance(value, np.ndarray) else list(value)


if __name__ == "__main__":
    gym.register("Warehouse-v0", entry_point=f"{__name__}:Warehouse", max_episode_steps=10)
    env = minari.DataCollector(gym.make("Warehouse-v0", size=5))
    env.action_space.seed(0)
    for i in range(3):
        env.reset(seed=i)
        while True:
            *_, term, trunc, _ = env.step(env.action_space.sample())
            if term or trunc:
                break
    ds = env.create_dataset("warehouse-v0")
    print(
        json.dumps(
            {
                "obs": [flat(e.observations) for e in ds],
                "act": [flat(e.actions) for e in ds],
                "rew": [e.rewards.tolist() for e in ds],
                "same_spaces": [
                    ds.observation_space == env.observation_space,
                    ds.action_space == env.action_space,
                ],
                "kwargs": ds.env_spec.kwargs,
                "steps": ds.spec.total_steps,
            }
        )
    )
