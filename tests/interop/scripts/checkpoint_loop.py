import json, os
import gymnasium as gym
import minari

DATASET = "ckpt/lunar-free-v0"
EVERY = 4


def is_there(name):
    try:
        minari.load_dataset(name)
        return True
    except FileNotFoundError:
        return False


history = [is_there(DATASET)]
env = minari.DataCollector(gym.make("CartPole-v1", max_episode_steps=15), record_infos=True)
env.action_space.seed(12)
dataset = None
for episode in range(11):
    env.reset(seed=episode)
    while True:
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            break
    if (episode + 1) % EVERY == 0:
        if dataset is None:
            dataset = env.create_dataset(dataset_id=DATASET, author="me", algorithm_name="rnd")
        else:
            env.add_to_dataset(dataset)
        history.append([dataset.total_episodes, int(dataset.total_steps)])
# the rest
env.add_to_dataset(dataset)
env.close()

fresh = minari.load_dataset(DATASET)
history.append([len(fresh), int(fresh.total_steps), is_there(DATASET)])
print(json.dumps({
    "history": history,
    "ids": [int(ep.id) for ep in dataset],
    "indices": dataset.episode_indices.tolist(),
    "lens": [len(ep) for ep in fresh],
    "same": [len(a) == len(b) for a, b in zip(dataset, fresh)],
    "obs": [ep.observations[-1].tolist() for ep in fresh],
    "steps": [int(m["total_steps"]) for m in fresh.storage.get_episode_metadata(range(11))],
    "exists": os.path.isdir(fresh.spec.data_path),
}))
