"""Copy a dataset into another format through the storage classes."""
import json
import sys

import gymnasium as gym
import numpy as np

import minari
from minari.dataset.minari_dataset import MinariDataset
from minari.dataset.minari_storage import MinariStorage
from minari.storage import get_dataset_path


def convert(source, new_id, data_format):
    path = get_dataset_path(new_id)
    path.mkdir(parents=True)
    storage = MinariStorage.new(
        path / "data",
        observation_space=source.observation_space,
        action_space=source.action_space,
        env_spec=source.env_spec,
        data_format=data_format,
    )
    fresh = sorted(storage.metadata)
    storage.update_metadata({"dataset_id": new_id, "minari_version": source.spec.minari_version})
    storage.update_from_storage(source.storage)
    return MinariDataset(storage), fresh


collector = minari.DataCollector(gym.make("Taxi-v4", max_episode_steps=8), record_infos=False)
collector.action_space.seed(3)
for seed in range(3):
    collector.reset(seed=seed)
    over = False
    while not over:
        _, _, te, tr, _ = collector.step(collector.action_space.sample())
        over = te or tr
taxi = collector.create_dataset("formats/taxi-v0", author="A", author_email="a@example.com")
collector.close()

report = {}
for fmt in sys.argv[1:] or ("hdf5", "arrow", "parquet"):
    copy, fresh = convert(taxi, f"formats/taxi_{fmt}-v0", fmt)
    loaded = minari.load_dataset(f"formats/taxi_{fmt}-v0")
    report[fmt] = {
        "fresh": fresh,
        "equal": [
            all(np.array_equal(getattr(a, k), getattr(b, k)) for k in ("observations", "actions", "rewards"))
            for a, b in zip(taxi, loaded)
        ],
        "observations": [e.observations.tolist() for e in copy],
        "n": [len(copy), int(copy.total_steps), loaded.total_episodes],
        "author": sorted(loaded.storage.metadata["author"]),
        "env": loaded.env_spec.id,
        "format": [loaded.storage.FORMAT, copy.storage.metadata["data_format"]],
    }
report["ids"] = sorted(minari.list_local_datasets(prefix="formats"))
print(json.dumps(report))
