import json
import gymnasium as gym
import numpy as np
import minari

# ---------------------------------------------------------------- data
collector = minari.DataCollector(gym.make("Acrobot-v1", max_episode_steps=40))
collector.action_space.seed(0)
rng = np.random.default_rng(0)
for n in range(9):
    collector.reset(seed=n)
    for _ in range(int(rng.integers(5, 30))):
        collector.step(collector.action_space.sample())
minari_ds = collector.create_dataset("acrobot-v0")
collector.close()


# ---------------------------------------------------------------- loader, like torch's
def collate_fn(batch):
    longest = max(len(ep) for ep in batch)
    pad = lambda x: np.stack([np.concatenate([v, np.zeros((longest - len(v), *v.shape[1:]), v.dtype)]) for v in x])
    return {
        "id": np.array([ep.id for ep in batch]),
        "observations": pad([ep.observations[:-1] for ep in batch]),
        "actions": pad([ep.actions for ep in batch]),
        "rewards": pad([ep.rewards for ep in batch]),
        "terminations": pad([ep.terminations for ep in batch]),
        "truncations": pad([ep.truncations for ep in batch]),
        "mask": pad([np.ones(len(ep), bool) for ep in batch]),
    }


class Loader:
    def __init__(self, dataset, batch_size, shuffle, collate_fn):
        self.dataset, self.batch_size, self.collate_fn = dataset, batch_size, collate_fn
        self.order = np.random.default_rng(3).permutation(len(dataset)) if shuffle else range(len(dataset))

    def __iter__(self):
        for i in range(0, len(self.dataset), self.batch_size):
            yield self.collate_fn([self.dataset[int(j)] for j in self.order[i : i + self.batch_size]])


report = []
for batch in Loader(minari_ds, batch_size=4, shuffle=True, collate_fn=collate_fn):
    report.append({
        "ids": batch["id"].tolist(),
        "shapes": {k: [list(v.shape), str(v.dtype)] for k, v in batch.items()},
        "steps": int(batch["mask"].sum()),
        "obs_mean": batch["observations"][batch["mask"]].mean(axis=0).tolist(),
        "actions": batch["actions"].tolist(),
        "ends": [int(m.sum()) for m in batch["truncations"]],
    })
print(json.dumps(report))
