"""The main job in one go: collect, checkpoint, load, sample, filter, split, recover, combine."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import gymnasium as gym
import numpy as np

import minari
from minari import DataCollectorV0, EpisodeData, MinariDataset

EPISODES = 100
EPISODES_PER_CHECKPOINT = 10


def lunar_lander_id() -> str:
    """The version of LunarLander that the installed Gymnasium registers."""
    for environment_id in ("LunarLander-v3", "LunarLander-v2"):
        if environment_id in gym.registry:
            return environment_id
    raise SystemExit("this Gymnasium registers no LunarLander-v2 or -v3")


def collect(
    bare_env: gym.Env[Any, Any], dataset_name: str, episodes: int, seed: int
) -> MinariDataset:
    """Record a random policy, and commit what was recorded every few episodes."""
    env = DataCollectorV0(bare_env, record_infos=True, max_buffer_steps=100_000)
    env.action_space.seed(seed)
    dataset: MinariDataset | None = None
    for episode in range(episodes):
        env.reset(seed=seed + episode)
        over = False
        while not over:
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            over = terminated or truncated
        if (episode + 1) % EPISODES_PER_CHECKPOINT == 0:
            if dataset is None:
                dataset = minari.create_dataset_from_collector_env(
                    dataset_name=dataset_name,
                    collector_env=env,
                    algorithm_name="random policy",
                    author="Minari contributors",
                    author_email="contact@farama.org",
                    code_permalink="https://github.com/Farama-Foundation/Minari/blob/main/examples",
                )
            else:
                dataset.update_dataset_from_collector_env(env)
    env.close()
    if dataset is None:
        raise SystemExit(f"{episodes} episodes are fewer than one checkpoint")
    return dataset


def episode_return(episode: EpisodeData) -> float:
    """The sum of an episode's rewards, not discounted."""
    return float(np.sum(episode.rewards))


def describe(what: str, dataset: MinariDataset) -> None:
    print(f"{what:<10} {len(dataset):4d} episodes  {dataset.total_steps:6d} steps")


def run() -> None:
    environment_id = lunar_lander_id()
    name = f"{environment_id}-quickstart-v0"
    more_name = f"{environment_id}-quickstart-more-v0"
    all_name = f"{environment_id}-quickstart-all-v0"
    taken = {name, more_name, all_name}.intersection(minari.list_local_datasets())
    if taken:
        raise SystemExit(f"delete these first, or choose another root: {', '.join(sorted(taken))}")

    print(f"\nCollecting {environment_id}, a checkpoint every {EPISODES_PER_CHECKPOINT} episodes")
    describe("collected", collect(gym.make(environment_id), name, EPISODES, seed=0))

    print("\nWhat the root holds")
    for dataset_id in minari.list_local_datasets():
        print(f"  {dataset_id}")

    dataset = minari.load_dataset(name)
    print()
    describe("loaded", dataset)

    dataset.set_seed(42)
    print("\nFive episodes, drawn at random")
    for episode in dataset.sample_episodes(5):
        print(
            f"  episode {episode.id:3d}  seed {episode.seed!s:>3}  {len(episode):4d} steps  "
            f"return {episode_return(episode):8.1f}  observations {np.shape(episode.observations)}"
        )

    print()
    returns = [episode_return(episode) for episode in dataset]
    threshold = float(np.median(returns))
    better = dataset.filter_episodes(lambda episode: episode_return(episode) > threshold)
    describe("filtered", better)
    print(f"           whose return is over the median, {threshold:.1f}")

    train, test = minari.split_dataset(dataset, sizes=[80, 20], seed=0)
    describe("train", train)
    describe("test", test)

    env = dataset.recover_environment()
    print(f"\nRecovered {env.spec.id if env.spec else env}, and collecting more in it")
    more = collect(env, more_name, EPISODES_PER_CHECKPOINT, seed=EPISODES)
    describe("collected", more)

    combined = minari.combine_datasets(
        datasets_to_combine=[better, more], new_dataset_name=all_name
    )
    describe("combined", combined)
    print("           the better half and the ten more")


def main() -> None:
    if root := os.environ.get("MINARI_DATASETS_PATH"):
        print(f"Datasets go to MINARI_DATASETS_PATH, {root}")
        run()
        return
    with tempfile.TemporaryDirectory(prefix="minari-quickstart-") as root:
        os.environ["MINARI_DATASETS_PATH"] = root
        print(f"Datasets go to {root} for this run; set MINARI_DATASETS_PATH to keep them")
        run()


if __name__ == "__main__":
    main()
