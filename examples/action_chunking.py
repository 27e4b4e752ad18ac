"""Action chunking with flow matching: sixteen actions at once, learned from drivers good and bad.

A small diffusion policy (Chi et al., 2023) by flow matching (Lipman et al., 2023): a network says
where to move noise, in a few steps, until it is a chunk of actions. Needs PyTorch.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np
import torch
from torch import nn

import minari
from minari_core.sampling import Normalizer
from minari_core.torch import TensorNormalizer, to_tensors

EPISODES, CHUNK, DONE, UPDATES, STEPS = 100, 16, 4, 2000, 10
GENERATOR = np.random.default_rng(0)


def drive(observation: Any, errors: float | None) -> tuple[Any, float]:
    """Push the way that the car rolls, but for a share of pushes at random."""
    errors = errors or GENERATOR.uniform(0.2, 1)
    is_random = GENERATOR.random() < errors
    push = GENERATOR.uniform(-1, 1) if is_random else np.sign(observation[1])
    return np.array([push], np.float32), errors


class ChunkPolicy(nn.Module):
    """The velocity of noise on its way to a chunk of actions, given the last observations."""

    def __init__(self, normalizer: Normalizer) -> None:
        super().__init__()
        self.normalize = TensorNormalizer(normalizer)
        layers = nn.Linear(2 * 2 + CHUNK + 1, 256), nn.SiLU(), nn.Linear(256, 256), nn.SiLU()
        self.layers = nn.Sequential(*layers, nn.Linear(256, CHUNK))

    def forward(self, seen: torch.Tensor, noisy: torch.Tensor, time: torch.Tensor) -> Any:
        parts = [part.flatten(1) for part in (self.normalize(seen), noisy, time)]
        return self.layers(torch.cat(parts, dim=1)).view(noisy.shape)

    @torch.no_grad()
    def act(self, observation: Any, state: Any) -> tuple[Any, Any]:
        """Do some actions of a chunk, then look again and draw the next one."""
        before, chunk = state or (observation, [])
        if len(chunk) <= CHUNK - DONE:
            seen = torch.as_tensor(np.stack([before, observation]))[None]
            drawn = torch.randn(1, CHUNK, 1)
            for step in range(STEPS):
                drawn += self(seen, drawn, torch.full((1, 1), step / STEPS)) / STEPS
            chunk = drawn[0].clamp(-1, 1).numpy()
        return chunk[0], (observation, chunk[1:])


def learn(dataset: minari.MinariDataset, weights: Any) -> ChunkPolicy:
    torch.manual_seed(0)
    torch.set_num_threads(1)  # so small a network is slower on two
    policy = ChunkPolicy(Normalizer(dataset.statistics()["observations"]))
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-3)
    offsets = {"observations": range(-1, 1), "actions": range(CHUNK)}
    batches = dataset.batches(256, epochs=None, seed=0, weights=weights, offsets=offsets)
    for batch in map(to_tensors, (next(batches) for _ in range(UPDATES))):
        actions, is_inside = batch["actions"], batch["masks"]["actions"]
        noise, time = torch.randn_like(actions), torch.rand(len(actions), 1, 1)
        velocity = policy(batch["observations"], noise.lerp(actions, time), time)
        loss = (velocity - (actions - noise)).square()[is_inside].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return policy


def run() -> tuple[float, float]:
    """Return the mean return of the drivers, and that of what was learned from the better ones."""
    shown = minari.evaluate(
        drive,
        "MountainCarContinuous-v0",
        EPISODES,
        seeds=0,
        dataset_name="mountain-car/drivers-v0",
        algorithm_name="drivers with a share of random pushes",
        author="Minari contributors",
        author_email="contact@farama.org",
        code_permalink="https://github.com/Farama-Foundation/Minari/blob/main/examples",
    )
    dataset = minari.load_dataset("mountain-car/drivers-v0")
    policy = learn(dataset, weights=np.exp(shown.returns / 10))
    learned = minari.evaluate(policy.act, dataset, 20, seeds=1).mean_return
    print(f"mean return of the drivers {shown.mean_return:.1f}, of the policy {learned:.1f}")
    return shown.mean_return, learned


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="minari-example-") as root:
        os.environ["MINARI_DATASETS_PATH"] = root
        run()
