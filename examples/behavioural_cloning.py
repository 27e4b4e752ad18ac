"""Behavioural cloning in plain PyTorch: a network learns from an expert's dataset alone."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np
import torch
from torch import nn

import minari
from minari_core.torch import to_tensors

GENERATOR = np.random.default_rng(0)


def expert(observation: Any) -> int:
    """Push to the side that the pole falls to; a tenth is random, and recovered from."""
    position, velocity, angle, angular_velocity = observation
    if GENERATOR.random() < 0.1:
        return int(GENERATOR.integers(2))
    return int(angle + 0.5 * angular_velocity + 0.02 * position + 0.05 * velocity > 0)


def learn(dataset: minari.MinariDataset) -> nn.Module:
    """Return a network whose larger output is the action that the expert would take."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # so small a network is slower on two
    hidden = nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU()
    network = nn.Sequential(*hidden, nn.Linear(64, 2))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    batches = dataset.batches(256, epochs=5, columns=["observations", "actions"], seed=0)
    for batch in map(to_tensors, batches):
        loss = nn.functional.cross_entropy(network(batch["observations"]), batch["actions"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


def run() -> float:
    """Return the mean return of the clone, in the environment that the dataset recovers."""
    minari.evaluate(
        expert,
        "CartPole-v1",
        50,
        seeds=0,
        dataset_name="CartPole/expert-v0",
        algorithm_name="scripted expert, a tenth of the actions random",
        author="Minari contributors",
        author_email="contact@farama.org",
        code_permalink="https://github.com/Farama-Foundation/Minari/blob/main/examples",
    )
    dataset = minari.load_dataset("CartPole/expert-v0")
    print(f"{len(dataset)} episodes, {dataset.total_steps} steps")
    network = learn(dataset)

    @torch.no_grad()
    def act(observation: Any) -> int:
        return int(network(torch.from_numpy(observation)).argmax())

    mean_return = minari.evaluate(act, dataset, 20, seeds=1).mean_return
    print(f"mean return of the clone: {mean_return:.1f} of 500")
    return mean_return


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="minari-example-") as root:
        os.environ["MINARI_DATASETS_PATH"] = root
        run()
