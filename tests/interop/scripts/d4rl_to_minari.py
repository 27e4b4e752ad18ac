# Convert a D4RL-style file (flat arrays, terminals + timeouts, no next_observations) to Minari.
import argparse
import json
import os
import tempfile

import gymnasium as gym
import h5py
import minari
import numpy as np
from minari.data_collector import EpisodeBuffer


def fake_d4rl_file(path):
    rng = np.random.default_rng(7)
    n = 60
    with h5py.File(path, "w") as f:
        f["observations"] = rng.normal(size=(n, 3)).astype(np.float32)
        f["actions"] = rng.uniform(-2, 2, size=(n, 1)).astype(np.float32)
        f["rewards"] = rng.normal(size=n).astype(np.float32)
        f["terminals"] = np.isin(np.arange(n), [9, 41])
        f["timeouts"] = np.isin(np.arange(n), [24, 59])
        f["infos/qpos"] = rng.normal(size=(n, 2))
    return path


def episodes(data):
    ends = np.nonzero(data["terminals"] | data["timeouts"])[0]
    start = 0
    for end in ends:
        part = slice(start, end + 1)
        yield EpisodeBuffer(
            observations=data["observations"][part],
            actions=data["actions"][part],
            rewards=data["rewards"][part].tolist(),
            terminations=data["terminals"][part].tolist(),
            truncations=data["timeouts"][part].tolist(),
            infos={"qpos": data["qpos"][part]},
        )
        start = end + 1


parser = argparse.ArgumentParser()
parser.add_argument("--dataset-id", default="d4rl/pendulum/mixed-v2")
args = parser.parse_args()

with tempfile.TemporaryDirectory() as tmp:
    with h5py.File(fake_d4rl_file(os.path.join(tmp, "pendulum.hdf5"))) as f:
        raw = {k: f[k][()] for k in ("observations", "actions", "rewards", "terminals", "timeouts")}
        raw["qpos"] = f["infos/qpos"][()]

ds = minari.create_dataset_from_buffers(
    dataset_id=args.dataset_id,
    buffer=list(episodes(raw)),
    env="Pendulum-v1",
    algorithm_name="SAC",
    author={"Alice", "Bob"},
    author_email={"alice@example.com", "bob@example.com"},
    code_permalink="https://example.com",
)
loaded = minari.load_dataset(args.dataset_id)
terminated = loaded.filter_episodes(lambda e: e.terminations[-1])
stats = {
    "n": [loaded.total_episodes, int(loaded.total_steps), terminated.total_episodes],
    "rewards": [e.rewards.tolist() for e in loaded],
    "obs": [e.observations[: len(e)].tolist() for e in loaded],
    "actions": [e.actions.tolist() for e in loaded],
    "qpos": [np.asarray(e.infos["qpos"])[: len(e)].tolist() for e in loaded],
    "authors": sorted(loaded.storage.metadata["author"]),
    "ids": terminated.episode_indices.tolist(),
}
print(json.dumps(stats))
