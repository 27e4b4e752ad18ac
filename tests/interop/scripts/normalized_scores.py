"""Reference scores: given, and estimated with an expert."""
import json

import gymnasium as gym
import numpy as np

import minari
from minari import get_normalized_score


def expert(obs):
    return int(obs[2] + 0.4 * obs[3] > 0)


def collect(policy, **kwargs):
    env = minari.DataCollector(gym.make("CartPole-v1", max_episode_steps=60))
    for seed in range(4):
        obs, _ = env.reset(seed=seed)
        terminated = truncated = False
        while not (terminated or truncated):
            obs, _, terminated, truncated, _ = env.step(policy(obs))
    return env.create_dataset(**kwargs)


given = collect(
    lambda obs: int(obs[2] > 0),
    dataset_id="scores/given-v0",
    ref_min_score=9.5,
    ref_max_score=60.0,
    num_episodes_average_score=10,
)
estimated = collect(
    expert,
    dataset_id="scores/estimated-v0",
    expert_policy=expert,
    num_episodes_average_score=5,
    eval_env=gym.make("CartPole-v1", max_episode_steps=50),
)
without = collect(expert, dataset_id="scores/none-v0")

returns = np.array([ep.rewards.sum() for ep in given])
result = {
    "returns": returns.tolist(),
    "normalized": get_normalized_score(given, returns).tolist(),
    "single": float(get_normalized_score(given, np.float64(30))),
    "estimated": get_normalized_score(estimated, returns).round(4).tolist(),
    "refs": [
        [round(ds.storage.metadata.get(k, -1), 4) for k in ("ref_min_score", "ref_max_score", "num_episodes_average_score")]
        for ds in (given, estimated, without)
    ],
}
try:
    get_normalized_score(without, returns)
except ValueError as e:
    result["error"] = "Reference score not provided for dataset scores/none-v0." in str(e)
try:
    collect(expert, dataset_id="scores/two-v0", expert_policy=expert, ref_max_score=3.0)
except ValueError as e:
    result["both"] = "Can't pass a value for `expert_policy` and `ref_max_score` at the same time" in str(e)
print(json.dumps(result))
