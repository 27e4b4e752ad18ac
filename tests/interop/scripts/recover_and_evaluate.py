import json
import gymnasium as gym
import numpy as np
import minari
from minari.data_collector import EpisodeBuffer

base = gym.make("CartPole-v1", max_episode_steps=30)
env = minari.DataCollector(gym.wrappers.TimeLimit(base, 20))
env.action_space.seed(21)
for s in range(3):
    env.reset(seed=s)
    t = u = False
    while not (t or u):
        _, _, t, u, _ = env.step(env.action_space.sample())
ds = env.create_dataset("recover/cart-v0", eval_env=gym.spec("MountainCar-v0"))
ds2 = minari.create_dataset_from_buffers(
    "recover/spaces-v0",
    [EpisodeBuffer(**{k: getattr(ep, k) for k in ("observations", "actions", "rewards", "terminations", "truncations", "infos")}) for ep in ds],
    observation_space=ds.observation_space, action_space=ds.action_space
)

# replay the recorded actions in the recovered environment
again = ds.recover_environment()
errors = []
for ep, meta in zip(ds, ds.storage.get_episode_metadata(ds.episode_indices)):
    obs, _ = again.reset(seed=int(meta["seed"]))
    errors.append(float(np.abs(obs - ep.observations[0]).max()))
    for t, a in enumerate(ep.actions):
        obs, r, term, trunc, _ = again.step(a)
        errors.append(float(np.abs(obs - ep.observations[t + 1]).max()))
        assert (term, trunc) == (ep.terminations[t], ep.truncations[t])

eval_env = ds.recover_environment(eval_env=True)
rendered = ds.recover_environment(render_mode="rgb_array")
res = {
    "max_error": max(errors),
    "n": len(errors),
    "ids": [again.spec.id, eval_env.spec.id],
    "limits": [again.spec.max_episode_steps, ds.env_spec.max_episode_steps],
    "wrappers": [w.name for w in ds.env_spec.additional_wrappers],
    "same_spec": again.spec == ds.env_spec,
    "render_mode": rendered.render_mode,
    "spaces": [again.observation_space == ds.observation_space, str(eval_env.action_space)],
    "no_env": ds2.env_spec,
}
for kwargs in ({}, {"eval_env": True}):
    try:
        ds2.recover_environment(**kwargs)
    except ValueError:
        res.setdefault("refused", []).append(sorted(kwargs))
print(json.dumps(res))
