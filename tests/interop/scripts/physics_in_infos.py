import json
import minari, gymnasium
import numpy as np
from minari.data_collector.callbacks import StepDataCallback


class SavePhysics(StepDataCallback):
    def __call__(self, env, **kw):
        data = super().__call__(env, **kw)
        data["info"]["physics"] = {"state": np.array(env.unwrapped.state, dtype=np.float64)}
        data["info"]["kinetic"] = float(env.unwrapped.state[1] ** 2)
        if data["reward"] is not None:
            data["reward"] = data["reward"] - 0.125 * data["info"]["kinetic"]
        # Call it a success beyond the middle of the track, and end the episode there.
        if data["terminated"] is not None and env.unwrapped.state[0] > -0.4:
            data["terminated"] = True
        return data


env = minari.DataCollector(
    gymnasium.make("MountainCar-v0", max_episode_steps=60), SavePhysics, record_infos=True
)
for seed in range(4):
    obs, _ = env.reset(seed=seed)
    for t in range(60):
        obs, r, term, trunc, info = env.step(2 if obs[1] >= 0 else 0)
        if term or trunc or obs[0] > -0.4:
            break
ds = env.create_dataset("mountaincar/push-v0", eval_env="MountainCar-v0")

print(json.dumps([
    {
        "id": int(e.id),
        "T": len(e),
        "obs": e.observations.shape,
        "state": e.infos["physics"]["state"].tolist(),
        "kinetic": e.infos["kinetic"].tolist(),
        "rewards": e.rewards.tolist(),
        "end": [bool(e.terminations[-1]), bool(e.truncations[-1])],
        "keys": sorted(e.infos),
    }
    for e in ds
]))
