import json

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from minari import DataCollector, StepDataCallback


class OnlyAngles(StepDataCallback):
    """Pendulum's angle as one number, actions rescaled to [-1, 1]."""

    def __call__(self, env, obs, info, action=None, rew=None, terminated=None, truncated=None):
        step = super().__call__(env, obs, info, action, rew, terminated, truncated)
        step["observation"] = np.array([np.arctan2(obs[1], obs[0])], dtype=np.float64)
        if step["action"] is not None:
            step["action"] = step["action"] / 2.0
        step["info"] = {"speed": float(obs[2]), "pose": {"cos": obs[0], "sin": obs[1]}}
        return step


env = DataCollector(
    gym.make("Pendulum-v1", max_episode_steps=25),
    step_data_callback=OnlyAngles,
    record_infos=True,
    observation_space=spaces.Box(-np.pi, np.pi, (1,), dtype=np.float64),
    action_space=spaces.Box(-1.0, 1.0, (1,), dtype=np.float32),
)
torque = gym.make("Pendulum-v1").action_space
torque.seed(5)
for seed in [3, 1, 4]:
    env.reset(seed=seed)
    for _ in range(25):
        env.step(torque.sample())
ds = env.create_dataset("pendulum/angles-v3", algorithm_name="uniform")
env.close()

ep = ds[1]
out = dict(
    obs=[e.observations.tolist() for e in ds],
    act=ep.actions.tolist(),
    act_dtype=str(ep.actions.dtype),
    speed=ep.infos["speed"].tolist(),
    cos=ep.infos["pose"]["cos"].tolist(),
    lens=[len(e.infos["speed"]) for e in ds],
    low=ds.observation_space.low.tolist(),
    high=ds.action_space.high.tolist(),
    version=ds.spec.version,
    recovered=str(ds.recover_environment().observation_space),
)
print(json.dumps(out))
