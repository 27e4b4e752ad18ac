"""Turn a log table (one row per decision) into a Minari dataset, and back to a table."""
import json

import numpy as np
import pandas as pd
from gymnasium.spaces import Box, Discrete

import minari
from minari.data_collector.episode_buffer import EpisodeBuffer

rng = np.random.default_rng(11)
rows = []
for patient in range(5):
    for hour in range(int(rng.integers(4, 9)) + 1):
        rows.append((patient, hour, *rng.normal(size=3).round(3), int(rng.integers(4)), rng.random()))
log = pd.DataFrame(rows, columns=["patient", "hour", "hr", "bp", "temp", "dose", "reward"])

buffers = []
for _, g in log.groupby("patient"):
    g = g.sort_values("hour")
    T = len(g) - 1
    buffers.append(
        EpisodeBuffer(
            id=None,
            seed=None,
            options=None,
            observations=g[["hr", "bp", "temp"]].to_numpy(dtype=np.float32),
            actions=g["dose"].to_numpy()[:-1],
            rewards=g["reward"].iloc[1:].tolist(),
            terminations=[False] * (T - 1) + [True],
            truncations=[False] * T,
            infos={},
        )
    )

dataset = minari.create_dataset_from_buffers(
    "hospital/doses-v1",
    buffers,
    observation_space=Box(-np.inf, np.inf, (3,), np.float32),
    action_space=Discrete(4),
    description="Made-up patients",
)

frames = []
for episode in dataset.iterate_episodes():
    frame = pd.DataFrame(episode.observations[:-1], columns=["hr", "bp", "temp"])
    frame["dose"], frame["reward"], frame["episode"] = episode.actions, episode.rewards, episode.id
    frames.append(frame)
table = pd.concat(frames, ignore_index=True)
result = {
    "table": table.to_dict(orient="list"),
    "per_episode": table.groupby("episode")["reward"].sum().tolist(),
    "counts": table["dose"].value_counts().sort_index().tolist(),
    "dtypes": [str(t) for t in table.dtypes],
    "env_spec": dataset.env_spec is None,
    "description": dataset.storage.metadata["description"],
}
print(json.dumps(result))
