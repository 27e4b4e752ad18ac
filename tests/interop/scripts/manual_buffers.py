"""No collector: fill EpisodeBuffers step by step in a plain loop."""
from __future__ import annotations

import json

import gymnasium as gym
import numpy as np

import minari
from minari.data_collector import EpisodeBuffer
from minari.dataset.step_data import StepData


class Step(StepData, total=False):
    note: str


def rollout(env: gym.Env, seed: int, length: int) -> EpisodeBuffer:
    obs, info = env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    buffer = EpisodeBuffer(seed=seed, observations=obs, infos={"noise": 0.5, "deep": {"er": np.zeros(2)}})
    for t in range(length):
        action = np.array([rng.uniform(-1, 1)], dtype=np.float32)
        obs, reward, terminated, truncated, _ = env.step(action)
        step: Step = {
            "observation": obs,
            "action": action,
            "reward": reward,
            "terminated": terminated,
            "truncated": truncated or t == length - 1,
            "info": {"noise": float(rng.random()), "deep": {"er": np.full(2, t + 0.25)}},
        }
        buffer = buffer.add_step_data(step)
    return buffer


env = gym.make("MountainCarContinuous-v0")
buffers = [rollout(env, seed, 5 + seed) for seed in (1, 2)]
lens = [len(b) for b in buffers]
ds = minari.create_dataset_from_buffers("manual/mcc-v0", buffers, env)
ds.update_dataset_from_buffer([rollout(env, 9, 4)])
out = {
    "lens": lens,
    "after": [ds.total_episodes, int(ds.total_steps), ds.episode_indices.tolist()],
    "obs": [ep.observations.tolist() for ep in ds],
    "actions": [ep.actions.tolist() for ep in ds],
    "rewards": [ep.rewards.tolist() for ep in ds],
    "noise": [ep.infos["noise"].tolist() for ep in ds],
    "deep": [ep.infos["deep"]["er"].tolist() for ep in ds],
    "trunc": [ep.truncations.tolist() for ep in ds],
    "seeds": [int(m["seed"]) for m in ds.storage.get_episode_metadata(range(3))],
}
print(json.dumps(out))
