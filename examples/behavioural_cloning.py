"""Behavioural cloning in plain PyTorch: a network learns from an expert's dataset alone.

Needs PyTorch: pip install torch
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import nn

import minari
from minari_core.torch import to_tensors

DATASET = "CartPole/expert-v0"
EPISODES = 50
EPOCHS = 5
BATCH_SIZE = 256


def expert(observation: np.ndarray[Any, Any]) -> int:
    """Push to the side that the pole falls to, and a little towards the middle."""
    position, velocity, angle, angular_velocity = observation
    return int(angle + 0.5 * angular_velocity + 0.02 * position + 0.05 * velocity > 0)


def play(env: gym.Env[Any, Any], policy: Callable[[Any], Any], seed: int) -> float:
    """The return of one episode."""
    observation, _ = env.reset(seed=seed)
    total, over = 0.0, False
    while not over:
        observation, reward, terminated, truncated, _ = env.step(policy(observation))
        total += float(reward)
        over = terminated or truncated
    return total


def collect() -> minari.MinariDataset:
    """The expert's episodes, with a tenth of its actions random, so that it shows recoveries."""
    generator = np.random.default_rng(0)
    env = minari.DataCollectorV0(gym.make("CartPole-v1"))

    def act(observation: Any) -> int:
        return expert(observation) if generator.random() > 0.1 else int(generator.integers(2))

    for seed in range(EPISODES):
        play(env, act, seed)
    dataset = minari.create_dataset_from_collector_env(
        DATASET,
        env,
        algorithm_name="scripted expert, a tenth of the actions random",
        author="Minari contributors",
        author_email="contact@farama.org",
        code_permalink="https://github.com/Farama-Foundation/Minari/blob/main/examples",
    )
    env.close()
    return dataset


def learn(dataset: minari.MinariDataset) -> nn.Module:
    """A network whose larger output is the action that the expert would take."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    batches = dataset.batches(
        BATCH_SIZE, epochs=EPOCHS, columns=["observations", "actions"], seed=0
    )
    for batch in map(to_tensors, batches):
        loss = nn.functional.cross_entropy(network(batch["observations"]), batch["actions"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


def evaluate(dataset: minari.MinariDataset, network: nn.Module, episodes: int = 20) -> float:
    """The mean return of the network, in the environment that the dataset recovers."""
    env = dataset.recover_environment(eval_env=True)

    def act(observation: Any) -> int:
        with torch.no_grad():
            return int(network(torch.as_tensor(observation)).argmax())

    returns = [play(env, act, seed=1000 + episode) for episode in range(episodes)]
    env.close()
    return float(np.mean(returns))


def run() -> float:
    """Collect, learn and evaluate; the mean return."""
    torch.set_num_threads(1)  # so small a network is slower on two
    dataset = collect()
    print(f"{len(dataset)} episodes, {dataset.total_steps} steps")
    mean_return = evaluate(dataset, learn(dataset))
    print(f"mean return of the clone: {mean_return:.1f} of 500")
    return mean_return


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="minari-example-") as root:
        os.environ["MINARI_DATASETS_PATH"] = root
        run()


if __name__ == "__main__":
    main()
