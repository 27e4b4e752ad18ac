import json
from pathlib import Path

import gymnasium as gym
import h5py
import minari
import numpy as np

env = minari.DataCollector(gym.make("Pendulum-v1", max_episode_steps=12), data_format="hdf5", record_infos=True)
env.action_space.seed(33)
for seed in range(4):
    env.reset(seed=seed, options={"x_init": 1.0 + seed, "y_init": 0.5})
    for _ in range(12):
        env.step(env.action_space.sample())
ds = env.create_dataset("raw/pendulum-v0")
env.close()

path = Path(ds.spec.data_path) / "main_data.hdf5"
seen = {}
with h5py.File(path, "r") as f:
    seen["episodes"] = sorted(f.keys())
    for name, group in f.items():
        seen[name] = {
            "keys": sorted(group),
            "attrs": sorted(group.attrs),
            "seed": int(group.attrs["seed"]),
            "steps": int(group.attrs["total_steps"]),
            "x_init": float(group.attrs["options/x_init"]),
            "obs": group["observations"][()].tolist(),
            "dtypes": [str(group[k].dtype) for k in ("observations", "actions", "rewards", "terminations")],
            "shapes": [list(group[k].shape) for k in ("observations", "actions", "rewards", "truncations")],
            "return": float(np.sum(group["rewards"])),
        }
# flat arrays, as d4rl.qlearning_dataset gives them
with h5py.File(path, "r") as f:
    groups = [f[f"episode_{i}"] for i in range(len(f))]
    flat = {
        "observations": np.concatenate([g["observations"][:-1] for g in groups]),
        "next_observations": np.concatenate([g["observations"][1:] for g in groups]),
        "actions": np.concatenate([g["actions"][:] for g in groups]),
        "rewards": np.concatenate([g["rewards"][:] for g in groups]),
    }
seen["flat"] = {k: [list(v.shape), float(v.astype(np.float64).sum())] for k, v in flat.items()}
print(json.dumps(seen))
