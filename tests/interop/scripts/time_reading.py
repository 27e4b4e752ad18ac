import json
import sys
import time

import gymnasium as gym
import numpy as np
import minari
from minari.data_collector.episode_buffer import EpisodeBuffer

FORMATS = ["hdf5", "arrow", "parquet"]
N, T = 20, 30


def make(fmt):
    rng = np.random.default_rng(0)
    eps = []
    for i in range(N):
        eps.append(EpisodeBuffer(
            observations=rng.standard_normal((T + 1, 3), dtype=np.float32),
            actions=rng.uniform(-2, 2, (T, 1)).astype(np.float32),
            rewards=list(rng.standard_normal(T)),
            terminations=[False] * T,
            truncations=[False] * (T - 1) + [True],
            infos={},
        ))
    return minari.create_dataset_from_buffers(f"bench/pendulum-{fmt}-v0", eps, env=gym.make("Pendulum-v1"), data_format=fmt)


def timed(label, fn):
    start = time.perf_counter()
    out = fn()
    print(f"{label:<30}{1e3 * (time.perf_counter() - start):8.2f} ms", file=sys.stderr)
    return out


res = {}
for fmt in FORMATS:
    timed(f"{fmt} create", lambda: make(fmt))
    d = timed(f"{fmt} load", lambda: minari.load_dataset(f"bench/pendulum-{fmt}-v0"))
    d.set_seed(123)
    res[fmt] = {
        "iterate": timed(f"{fmt} iterate", lambda: sum(float(e.rewards.sum()) for e in d)),
        "sample": timed(f"{fmt} sample", lambda: [int(e.id) for e in d.sample_episodes(5)]),
        "again": [int(e.id) for e in d.sample_episodes(5)],
        "random": timed(f"{fmt} getitem", lambda: [float(d[i].actions[0, 0]) for i in (19, 0, 7, -1)]),
        "filter": timed(f"{fmt} filter", lambda: d.filter_episodes(lambda e: e.rewards.sum() > 0).total_episodes),
        "format": d.storage.FORMAT,
        "meta": d.storage.metadata["data_format"],
        "obs": d[2].observations.tolist(),
    }
print(json.dumps(res))
