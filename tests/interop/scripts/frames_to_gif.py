"""Animate recorded frames: one GIF for each episode."""
import hashlib
import json
import os
import tempfile

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from PIL import Image

import minari


class Ball(gym.Env):
    def __init__(self):
        self.observation_space = spaces.Box(0, 255, (48, 64, 3), np.uint8)
        self.action_space = spaces.Discrete(2)

    def frame(self):
        image = np.zeros((48, 64, 3), np.uint8)
        image[..., 2] = np.linspace(0, 250, 64).astype(np.uint8)
        image[20:28, 4 * self.t : 4 * self.t + 8] = (255, 200, 30)
        return image

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.t = int(self.np_random.integers(4))
        return self.frame(), {}

    def step(self, action):
        self.t += 1 + int(action)
        return self.frame(), 1.0, self.t >= 12, False, {}


def collect(name, **kwargs):
    env = minari.DataCollector(Ball(), **kwargs)
    env.action_space.seed(0)
    for seed in range(3):
        env.reset(seed=seed)
        over = False
        while not over:
            _, _, over, _, _ = env.step(env.action_space.sample())
    return env.create_dataset(name)


exact = collect("ball/exact-v0", jpeg_encoding=False, data_format="hdf5")
lossy = collect("ball/lossy-v0", jpeg_encoding=True, data_format="hdf5")

gifs = []
with tempfile.TemporaryDirectory() as folder:
    for episode in exact.iterate_episodes():
        path = os.path.join(folder, f"episode_{episode.id}.gif")
        frames = [Image.fromarray(obs) for obs in episode.observations]
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=50, loop=0)
        with Image.open(path) as gif:
            gifs.append([gif.n_frames, list(gif.size)])

print(json.dumps({
    "gifs": gifs,
    "pixels": [hashlib.sha256(e.observations.tobytes()).hexdigest() for e in exact],
    "lossy": [hashlib.sha256(e.observations.tobytes()).hexdigest() for e in lossy],
    "shapes": [[list(e.observations.shape), str(e.observations.dtype)] for e in lossy],
    "flags": [exact.storage.jpeg_encoding, lossy.storage.jpeg_encoding],
}))
