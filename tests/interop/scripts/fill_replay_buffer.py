import json
import random
import numpy as np
import gymnasium as gym
import minari


class ReplayBuffer:
    def __init__(self, obs_dim, act_dim, size):
        self.obs = np.zeros((size, obs_dim), np.float32)
        self.obs2 = np.zeros((size, obs_dim), np.float32)
        self.act = np.zeros((size, act_dim), np.float32)
        self.rew = np.zeros(size, np.float32)
        self.done = np.zeros(size, np.float32)
        self.ptr = 0

    def store(self, o, a, r, o2, d):
        self.obs[self.ptr], self.act[self.ptr], self.rew[self.ptr] = o, a, r
        self.obs2[self.ptr], self.done[self.ptr] = o2, d
        self.ptr += 1

    def sample(self, n, rng):
        i = rng.choice(self.ptr, n, replace=False)
        return self.obs[i], self.act[i], self.rew[i], self.obs2[i], self.done[i]


def record():
    env = minari.DataCollector(gym.make("MountainCarContinuous-v0", max_episode_steps=50))
    for k in range(5):
        obs, _ = env.reset(seed=k)
        for t in range(10 * (k + 1)):
            obs, *_ = env.step(np.array([np.sign(obs[1]) * 0.9 + 0.02 * k], dtype=np.float32))
    return env.create_dataset("sac/mcc-v0", requirements=["gymnasium"])


dataset = record()
assert isinstance(dataset.observation_space, gym.spaces.Box)
buf = ReplayBuffer(dataset.observation_space.shape[0], dataset.action_space.shape[0], dataset.total_steps)
for episode in dataset.iterate_episodes():
    for t in range(len(episode.rewards)):
        buf.store(episode.observations[t], episode.actions[t], episode.rewards[t],
                  episode.observations[t + 1], episode.terminations[t])
assert buf.ptr == dataset.total_steps

# hindsight returns-to-go and fixed windows, Decision-Transformer style
K, windows = 6, []
random.seed(1)
for ep in dataset.sample_episodes(n_episodes=5):
    rtg = np.cumsum(ep.rewards[::-1])[::-1]
    windows.append((int(ep.id), float(rtg[0]), len(ep) // K))
batch = buf.sample(16, np.random.default_rng(9))
print(json.dumps({
    "steps": int(dataset.total_steps),
    "batch": [x.tolist() for x in batch],
    "windows": sorted(windows),
    "truncated": [bool(e.truncations[-1]) for e in dataset],
    "mean": buf.obs.mean(axis=0).tolist(),
}))
