import json

import gymnasium as gym
import minari
from minari import DataCollector

ENV_ID = "CartPole-v1"
DATASET_ID = "cartpole/random-v0"
N_EPISODES = 12

env = DataCollector(gym.make(ENV_ID), record_infos=True)
env.action_space.seed(42)
for ep in range(N_EPISODES):
    obs, info = env.reset(seed=100 + ep)
    done = False
    while not done:
        action = env.action_space.sample()
        obs, reward, terminated, truncated, info = env.step(action)
        done = terminated or truncated

dataset = env.create_dataset(
    dataset_id=DATASET_ID,
    algorithm_name="Random-Policy",
    code_permalink="https://example.com/collect.py",
    author="Some One",
    author_email="some.one@example.com",
)
env.close()

dataset = minari.load_dataset(DATASET_ID)
print("Observation space:", dataset.observation_space)
print("Action space:", dataset.action_space)
results = {
    "episodes": dataset.total_episodes,
    "steps": int(dataset.total_steps),
    "len": len(dataset),
    "indices": dataset.episode_indices.tolist(),
    "lengths": [len(ep) for ep in dataset],
    "returns": [float(ep.rewards.sum()) for ep in dataset.iterate_episodes()],
    "first": dataset[0].observations.tolist(),
    "dtypes": [str(getattr(dataset[0], k).dtype) for k in ("observations", "actions", "rewards")],
    "flags": [[bool(ep.terminations[-1]), bool(ep.truncations[-1])] for ep in dataset],
    "env": dataset.spec.env_spec.id,
    "name": [dataset.spec.namespace, dataset.spec.dataset_name, dataset.spec.version],
    "info_keys": sorted(dataset[0].infos),
}
print(json.dumps(results))
