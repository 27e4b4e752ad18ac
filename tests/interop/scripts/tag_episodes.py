import json
import gymnasium as gym
from minari import DataCollector, EpisodeMetadataCallback, load_dataset


class Tagger(EpisodeMetadataCallback):
    """success flag, difficulty, and where the cart ended"""

    def __call__(self, episode):
        md = super().__call__(episode)
        md["success"] = bool(episode["rewards"].sum() > 20)
        md["difficulty"] = "hard" if episode["id"] % 2 else "easy"
        md["length"] = int(len(episode["rewards"]))
        md["last_x"] = float(episode["observations"][-1][0])
        return md


def main():
    env = DataCollector(gym.make("CartPole-v1"), episode_metadata_callback=Tagger)
    env.action_space.seed(1)
    for i in range(6):
        env.reset(seed=i, options={"low": -0.05, "high": 0.05})
        terminated = truncated = False
        while not (terminated or truncated):
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
    env.create_dataset("tagged/cartpole-v0")
    env.close()

    ds = load_dataset("tagged/cartpole-v0")
    metas = list(ds.storage.get_episode_metadata(ds.episode_indices))
    keys = ["difficulty", "id", "last_x", "length", "rewards_max", "rewards_mean", "rewards_min",
            "rewards_std", "rewards_sum", "seed", "success", "total_steps"]
    table = []
    for m in metas:
        assert set(keys) <= set(m), sorted(m)
        table.append([str(m[k]) if k == "difficulty" else float(m[k]) for k in keys])
    hard = [i for i, m in zip(ds.episode_indices, metas) if m["difficulty"] == "hard"]
    hard_steps = sum(len(ep) for ep in ds.iterate_episodes(hard))
    options = [{k: float(v) for k, v in m["options"].items()} for m in metas]
    wins = [int(m["id"]) for m in metas if m["success"]]
    print(json.dumps(dict(table=table, hard_steps=hard_steps, options=options, wins=wins)))


main()
