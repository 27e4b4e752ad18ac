"""Fix typos in the metadata of a dataset that is already there."""
import json
import sys

import gymnasium as gym
import minari


def record(dataset_id):
    env = minari.DataCollector(gym.make("FrozenLake-v1", is_slippery=False))
    env.action_space.seed(2)
    for seed in range(4):
        env.reset(seed=seed)
        for _ in range(10):
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            if terminated or truncated:
                break
    return env.create_dataset(
        dataset_id, author="Somebody Else", author_email="x@example.com", algorithm_name="uniform",
        requirements=["gymnasium>=0.26"],
    )


dataset = record("lake/walk-v0")
before = sorted(dataset.storage.metadata)
storage = dataset.storage
storage.update_metadata({"author": {"Name", "Other"}, "algorithm_name": "random"})
storage.update_metadata({"docs_url": "https://example.com/docs", "my_list": [1, 2.5, None, {"a": "b"}]})

refused = []
for key, value in [
    ("dataset_id", "lake/run-v0"),
    ("env_spec", "{}"),
    ("data_format", "arrow"),
    ("minari_version", "0.5.0"),
    ("observation_space", "{}"),
]:
    try:
        storage.update_metadata({key: value})
    except ValueError as e:
        refused.append(key)
        print(e, file=sys.stderr)

again = minari.load_dataset("lake/walk-v0").storage.metadata
local = minari.list_local_datasets()["lake/walk-v0"]
print(json.dumps({
    "before": before,
    "new": sorted(set(again) - set(before)),
    "author": sorted(again["author"]),
    "algorithm": again["algorithm_name"],
    "mine": again["my_list"],
    "refused": refused,
    "listed": [sorted(local["author"]), local["docs_url"], local["total_steps"], local["requirements"]],
    "steps": again["total_steps"],
    "episodes": [e.observations.tolist() for e in dataset],
}))
