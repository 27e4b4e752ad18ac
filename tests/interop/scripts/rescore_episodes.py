import json
import gymnasium as gym
import numpy as np
import minari

env = minari.DataCollector(gym.make("CartPole-v1"))
env.action_space.seed(4)
for i in range(5):
    env.reset(seed=i)
    done = False
    while not done:
        _, _, t, tr, _ = env.step(env.action_space.sample())
        done = t or tr
dataset = env.create_dataset("rescored-v0")
env.close()

# discounted returns, one per episode
gamma = 0.99
new = []
for ep in dataset:
    new.append({"discounted": float((ep.rewards * gamma ** np.arange(len(ep))).sum()), "split": "train"})
dataset.storage.update_episode_metadata(new)
dataset.storage.update_episode_metadata([{"split": "test"}, {"split": "test", "picked": True}], [3, 1])

try:
    dataset.storage.update_episode_metadata([{"x": 1}], [0, 1])
    mismatch = "accepted"
except ValueError:
    mismatch = "refused"

metas = list(minari.load_dataset("rescored-v0").storage.get_episode_metadata(range(5)))
print(json.dumps({
    "discounted": [float(m["discounted"]) for m in metas],
    "split": [str(m["split"]) for m in metas],
    "picked": [bool(m.get("picked", False)) for m in metas],
    "sums": [float(m["rewards_sum"]) for m in metas],
    "steps": [int(m["total_steps"]) for m in metas],
    "seeds": [int(m["seed"]) for m in metas],
    "mismatch": mismatch,
}))
