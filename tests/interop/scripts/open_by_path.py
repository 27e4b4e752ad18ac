import json, os
import pathlib
import gymnasium as gym
import numpy as np
import minari
from minari import MinariDataset
from minari.dataset.minari_storage import MinariStorage
from minari.storage.datasets_root_dir import get_dataset_path

c = minari.DataCollector(gym.make("CartPole-v1"))
c.action_space.seed(8)
for s in range(5):
    c.reset(seed=s)
    stop = False
    while not stop:
        _, _, a, b, _ = c.step(c.action_space.sample())
        stop = a or b
c.create_dataset("paths/cart-v4", author="me")
c.close()

data_path = os.path.join(get_dataset_path("paths/cart-v4"), "data")
storage = MinariStorage.read(data_path)
by_str = MinariDataset(data_path)
by_path = MinariDataset(pathlib.Path(data_path), episode_indices=np.array([4, 0]))
by_storage = MinariDataset(storage, np.arange(3))
raw = MinariStorage.read_raw_metadata(data_path)

def total(ep):
    return float(ep["rewards"].sum())

print(json.dumps({
    "storage": [storage.total_episodes, storage.total_steps, str(storage.data_path) == data_path],
    "spaces": [str(storage.observation_space), str(storage.action_space)],
    "lens": [len(by_str), len(by_path), len(by_storage)],
    "steps": [int(d.total_steps) for d in (by_str, by_path, by_storage)],
    "ids": [[int(e.id) for e in d] for d in (by_str, by_path, by_storage)],
    "apply": list(storage.apply(total)),
    "apply_some": list(storage.apply(total, episode_indices=[3, 1])),
    "episodes": [sorted(d) for d in storage.get_episodes([2])],
    "obs": next(iter(storage.get_episodes([2])))["observations"].tolist(),
    "meta": {k: storage.metadata[k] for k in ("dataset_id", "total_episodes", "total_steps")},
    "raw": [raw["dataset_id"], type(raw["observation_space"]).__name__, raw["author"]],
    "size": isinstance(storage.get_size(), float),
    "same": by_str.storage.data_path == by_storage.storage.data_path,
    "data_path": by_str.spec.data_path == data_path,
}))
