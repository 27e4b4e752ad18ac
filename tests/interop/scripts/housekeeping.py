"""Keep the newest version of each dataset and delete the rest."""
import json

import gymnasium as gym

import minari

env = minari.DataCollector(gym.make("CartPole-v1"))
for name in ["toy/a-v0", "toy/a-v1", "toy/a-v10", "toy/sub/b-v2", "c-v0", "toy2/a-v0"]:
    env.reset(seed=len(name))
    for _ in range(len(name)):
        _, _, terminated, _, _ = env.step(0)
        if terminated:
            break
    env.create_dataset(name, description=f"about {name}")
env.close()

everything = minari.list_local_datasets()
latest = minari.list_local_datasets(latest_version=True)
result = {
    "all": list(everything),
    "latest": list(latest),
    "compatible": list(minari.list_local_datasets(compatible_minari_version=True)),
    "by_position": list(minari.list_local_datasets(True, True)),
    "prefix": list(minari.list_local_datasets(prefix="toy/")),
    "deeper": list(minari.list_local_datasets(prefix="toy/sub")),
    "one": list(minari.list_local_datasets(prefix="c-v0")),
    "none": list(minari.list_local_datasets(prefix="missing")),
    "keys": sorted(everything["c-v0"]),
    "steps": {k: v["total_steps"] for k, v in everything.items()},
    "described": [v.get("description") for v in latest.values()],
}
for name in everything:
    if name not in latest:
        minari.delete_dataset(name)
result["left"] = list(minari.list_local_datasets())
gone = []
for name in ("toy/a-v0", "never-v0"):
    try:
        minari.load_dataset(name)
    except FileNotFoundError:
        gone.append(name)
    try:
        minari.delete_dataset(name)
    except FileNotFoundError:
        gone.append(name)
result["gone"] = gone
print(json.dumps(result))
