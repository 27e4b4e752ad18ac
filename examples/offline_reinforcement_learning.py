"""IQL (Kostrikov et al., 2022) in PyTorch: a policy that does better than that of its dataset."""

from __future__ import annotations

import copy
import os
import tempfile
from typing import Any

import numpy as np
import torch
from torch import nn

import minari
from minari_core.sampling import Normalizer
from minari_core.torch import to_tensors

UPDATES, DISCOUNT, AVERAGING, EXPECTILE, GREED, LARGEST_TORQUE = 4000, 0.95, 0.02, 0.9, 3.0, 2.0
GENERATOR = np.random.default_rng(0)


def behave(observation: Any) -> Any:
    """Swing up to the energy of standing still, 5, and stand; half of the torques are random."""
    cosine, sine, velocity = observation
    torque = np.sign(velocity) * (-0.5 if velocity**2 / 6 + 5 * cosine >= 5 else LARGEST_TORQUE)
    if cosine > 0.9:
        torque = -10 * np.arctan2(sine, cosine) - 2 * velocity
    if GENERATOR.random() > 0.5:
        torque = GENERATOR.uniform(-LARGEST_TORQUE, LARGEST_TORQUE)
    return np.clip([torque], -LARGEST_TORQUE, LARGEST_TORQUE).astype(np.float32)


def make_network(inputs: int) -> nn.Module:
    hidden = nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU()
    return nn.Sequential(*hidden, nn.Linear(64, 1))


def learn(dataset: minari.MinariDataset) -> Any:
    """Train the values of states and actions and a policy, and return the policy."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # so small a network is slower on two
    dataset.set_seed(0)
    normalizer = Normalizer(dataset.statistics()["observations"])
    networks = nn.ModuleList(map(make_network, (3, 3, 4, 4)))
    policy, value, *critics = networks
    slow_critics = copy.deepcopy(networks[2:])
    optimizer = torch.optim.Adam(networks.parameters(), lr=1e-3)
    for _ in range(UPDATES):
        batch = to_tensors(dataset.sample_transitions(256, normalize=normalizer, reward_scale=0.1))
        states, actions = batch["observations"], batch["actions"] / LARGEST_TORQUE
        pairs = torch.cat([states, actions], dim=1)
        with torch.no_grad():
            goes_on = DISCOUNT * ~batch["terminations"][:, None]
            targets = batch["rewards"][:, None] + goes_on * value(batch["next_observations"])
            of_pairs = torch.minimum(*(critic(pairs) for critic in slow_critics))
        advantage = of_pairs - value(states)
        weight = torch.where(advantage > 0, EXPECTILE, 1 - EXPECTILE)
        gain = (GREED * advantage.detach()).exp().clamp(max=100)
        # Each term has parameters of its own.
        loss = (weight * advantage.square()).mean()
        loss += sum((critic(pairs) - targets).square().mean() for critic in critics)
        loss += (gain * (policy(states).tanh() - actions).square()).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for slow, fast in zip(slow_critics.parameters(), networks[2:].parameters(), strict=True):
            slow.data.lerp_(fast.data, AVERAGING)

    @torch.no_grad()
    def act(observation: Any) -> Any:
        state = torch.from_numpy(normalizer.normalize(observation, np.float32))
        return LARGEST_TORQUE * policy(state).tanh().numpy()

    return act


def run() -> tuple[float, float]:
    """Return the mean returns of the policy that made the dataset, and of what was learned."""
    shown = minari.evaluate(
        behave,
        "Pendulum-v1",
        200,
        seeds=0,
        dataset_name="Pendulum/noisy-v0",
        algorithm_name="swing-up controller, half of the torques random",
        author="Minari contributors",
        author_email="contact@farama.org",
        code_permalink="https://github.com/Farama-Foundation/Minari/blob/main/examples",
    )
    dataset = minari.load_dataset("Pendulum/noisy-v0")
    learned = minari.evaluate(learn(dataset), dataset, 20, seeds=1).mean_return
    print(f"mean return of the dataset {shown.mean_return:.0f}, of the policy {learned:.0f}")
    return shown.mean_return, learned


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="minari-example-") as root:
        os.environ["MINARI_DATASETS_PATH"] = root
        run()
