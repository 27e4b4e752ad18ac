"""A space of my own (points on a ring), taught to Minari as its tutorial says."""
import json

import gymnasium as gym
import numpy as np

import minari
from minari.serialization import deserialize_space, serialize_space


class Ring(gym.Space):
    def __init__(self, inner, outer, seed=None):
        self.inner, self.outer = inner, outer
        super().__init__((2,), np.float64, seed)

    def sample(self, mask=None, probability=None):
        angle, r = self.np_random.uniform(0, 2 * np.pi), self.np_random.uniform(self.inner, self.outer)
        return np.array([np.cos(angle), np.sin(angle)]) * r

    def contains(self, x):
        return isinstance(x, np.ndarray) and bool(self.inner - 1e-9 <= np.hypot(*x) <= self.outer + 1e-9)

    def __eq__(self, other):
        return isinstance(other, Ring) and (self.inner, self.outer) == (other.inner, other.outer)

    def __repr__(self):
        return f"Ring({self.inner}, {self.outer})"


@serialize_space.register(Ring)
def _(space: Ring, to_string=True):
    d = {"type": "Ring", "inner": space.inner, "outer": space.outer}
    return json.dumps(d) if to_string else d


@deserialize_space.register("Ring")
def _(d):
    assert d["type"] == "Ring"
    return Ring(d["inner"], d["outer"])


class Walk(gym.Env):
    observation_space = Ring(1.0, 2.0)
    action_space = gym.spaces.Dict({"to": Ring(0.5, 1.0), "jump": gym.spaces.Discrete(2)})

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), float(action["to"][0]), False, False, {}


out = {}
for fmt in ("hdf5", "arrow"):
    env = minari.DataCollector(Walk(), data_format=fmt)
    env.action_space.seed(1)
    for seed in range(2):
        env.reset(seed=seed)
        for _ in range(5):
            env.step(env.action_space.sample())
    env.create_dataset(f"ring/{fmt}-v0")
    ds = minari.load_dataset(f"ring/{fmt}-v0")
    out[fmt] = {
        "spaces": [repr(ds.observation_space), ds.observation_space == Ring(1.0, 2.0)],
        "text": [serialize_space(ds.observation_space), serialize_space(ds.action_space, to_string=False)],
        "back": deserialize_space(serialize_space(ds.action_space)) == ds.action_space,
        "obs": [np.asarray(ep.observations).tolist() for ep in ds],
        "to": [np.asarray(ep.actions["to"]).tolist() for ep in ds],
        "jump": [ep.actions["jump"].tolist() for ep in ds],
        "inside": all(ds.observation_space.contains(np.asarray(o)) for ep in ds for o in ep.observations),
    }
box = gym.spaces.Box(-1, 1, (2, 2), np.float32)
out["json"] = [
    json.loads(serialize_space(s))
    for s in (box, gym.spaces.Discrete(4, start=-1), gym.spaces.MultiBinary(3), gym.spaces.MultiDiscrete([2, 3]))
]
print(json.dumps(out))
