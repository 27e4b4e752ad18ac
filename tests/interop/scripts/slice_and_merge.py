import json

import gymnasium as gym
import minari
import numpy as np
from minari.utils import combine_datasets, split_dataset


def collect(name, n, seed, max_steps):
    env = minari.DataCollector(gym.make("CartPole-v1", max_episode_steps=max_steps))
    env.action_space.seed(seed)
    for i in range(n):
        env.reset(seed=seed + i)
        while True:
            _, _, t, u, _ = env.step(env.action_space.sample())
            if t or u:
                break
    ds = env.create_dataset(name, author=f"author-{seed}", author_email=f"{seed}@example.com")
    env.close()
    return ds


def show(ds):
    return {
        "n": ds.total_episodes,
        "steps": int(ds.total_steps),
        "ids": [int(e.id) for e in ds],
        "idx": np.asarray(ds.episode_indices).tolist(),
        "ret": [float(e.rewards.sum()) for e in ds],
        "spec": [ds.spec.total_episodes, int(ds.spec.total_steps)],
    }


a, b = collect("merge/a-v0", 8, 0, 30), collect("merge/b-v0", 5, 50, 20)
out = {"a": show(a), "b": show(b)}

long = a.filter_episodes(lambda ep: len(ep) >= 15)
out["long"] = show(long)
out["longer"] = show(long.filter_episodes(lambda ep: len(ep) >= 20))
train, test = split_dataset(a, sizes=[6, 2], seed=42)
out["train"], out["test"] = show(train), show(test)
out["overlap"] = sorted(set(train.episode_indices) & set(test.episode_indices))
try:
    split_dataset(a, [9, 9])
except ValueError as error:
    out["too_many"] = error.args[0][:22]

both = combine_datasets([a, b], "merge/both-v1")
out["both"] = show(both)
out["combined"] = both.combined_datasets
out["combined_spec"] = both.spec.combined_datasets
out["authors"] = sorted(both.storage.metadata["author"])
out["max_steps"] = both.env_spec.max_episode_steps
again = minari.load_dataset("merge/both-v1")
again.set_seed(7)
out["sampled"] = [[int(e.id), len(e)] for e in again.sample_episodes(4)]
train.set_seed(7)
out["sampled_train"] = sorted(int(e.id) for e in train.sample_episodes(n_episodes=6))
out["picked"] = [float(e.rewards.sum()) for e in again.iterate_episodes([12, 0, 3])]
out["equal"] = bool(np.array_equal(again[8].observations, b[0].observations))
print(json.dumps(out))
