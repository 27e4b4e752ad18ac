"""TD3+BC in plain PyTorch: a policy that does better than the one that made its dataset.

Fujimoto & Gu, 2021, "A Minimalist Approach to Offline Reinforcement Learning".

Needs PyTorch: pip install torch
"""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from torch import nn

import minari
from minari_core.sampling import Normalizer, TransitionBatch
from minari_core.torch import to_tensors

DATASET = "Pendulum/noisy-v0"
EPISODES = 200
UPDATES = 4000
BATCH_SIZE = 256
DISCOUNT = 0.95
AVERAGING = 0.02
GREED = 5.0
LARGEST_TORQUE = 2.0


class Result(NamedTuple):
    """Mean returns of episodes of 200 steps; 0 would be a pendulum that always stands."""

    behaviour: float
    learned: float


def controller(observation: np.ndarray[Any, Any]) -> float:
    """Pump energy until there is enough to stand upright, and hold the pendulum there."""
    cosine, sine, velocity = observation
    if cosine > 0.9:
        return float(-10 * np.arctan2(sine, cosine) - 2 * velocity)
    # Standing still upright, the pendulum of mass 1 and length 1 has an energy of 5.
    has_enough = velocity**2 / 6 + 5 * cosine >= 5
    return float(np.sign(velocity) * (-0.5 if has_enough else LARGEST_TORQUE))


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
    """Episodes of a controller that is often wrong: half of its torques are random."""
    generator = np.random.default_rng(0)

    def act(observation: Any) -> Any:
        random = generator.uniform(-LARGEST_TORQUE, LARGEST_TORQUE)
        torque = controller(observation) if generator.random() < 0.5 else random
        return np.clip([torque], -LARGEST_TORQUE, LARGEST_TORQUE).astype(np.float32)

    env = minari.DataCollectorV0(gym.make("Pendulum-v1"))
    for seed in range(EPISODES):
        play(env, act, seed)
    dataset = minari.create_dataset_from_collector_env(
        DATASET,
        env,
        algorithm_name="swing-up controller, half of the torques random",
        author="Minari contributors",
        author_email="contact@farama.org",
        code_permalink="https://github.com/Farama-Foundation/Minari/blob/main/examples",
    )
    env.close()
    return dataset


def network(inputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
    )


class Learner:
    """An actor, two critics, and slow copies of them to bootstrap from."""

    def __init__(self, normalizer: Normalizer) -> None:
        torch.manual_seed(0)
        self.normalizer = normalizer
        self.actor, self.critics = network(3), nn.ModuleList([network(4), network(4)])
        self.slow_actor, self.slow_critics = map(copy.deepcopy, (self.actor, self.critics))
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), lr=1e-3)
        self.critic_optimizer = torch.optim.Adam(self.critics.parameters(), lr=1e-3)

    def seen(self, observations: Any) -> torch.Tensor:
        return torch.as_tensor(self.normalizer.normalize(observations), dtype=torch.float32)

    def act(self, observation: Any) -> Any:
        with torch.no_grad():
            return LARGEST_TORQUE * torch.tanh(self.actor(self.seen(observation))).numpy()

    def update(self, batch: TransitionBatch, *, improves_policy: bool) -> None:
        """One step for the critics, and one for the actor if it is its turn."""
        states, next_states = self.seen(batch.observations), self.seen(batch.next_observations)
        tensors = to_tensors(batch)
        # Actions and rewards on a scale of about 1.
        actions = tensors["actions"] / LARGEST_TORQUE
        rewards = tensors["rewards"].float()[:, None] / 10
        goes_on = ~tensors["terminations"][:, None]
        with torch.no_grad():
            noise = (0.2 * torch.randn_like(actions)).clamp(-0.5, 0.5)
            next_actions = (torch.tanh(self.slow_actor(next_states)) + noise).clamp(-1, 1)
            next_values = torch.minimum(*self.values(self.slow_critics, next_states, next_actions))
            targets = rewards + DISCOUNT * goes_on * next_values
        values = self.values(self.critics, states, actions)
        loss = sum((value - targets).square().mean() for value in values)
        descend(self.critic_optimizer, loss)
        if improves_policy:
            chosen = torch.tanh(self.actor(states))
            value = self.values(self.critics, states, chosen)[0]
            scale = GREED / value.abs().mean().detach()
            imitation = (chosen - actions).square().mean()
            descend(self.actor_optimizer, imitation - scale * value.mean())
            follow(self.slow_actor, self.actor)
            follow(self.slow_critics, self.critics)

    @staticmethod
    def values(critics: Any, states: torch.Tensor, actions: torch.Tensor) -> list[torch.Tensor]:
        return [critic(torch.cat([states, actions], dim=1)) for critic in critics]


def descend(optimizer: torch.optim.Optimizer, loss: Any) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def follow(slow: nn.Module, fast: nn.Module) -> None:
    with torch.no_grad():
        for old, new in zip(slow.parameters(), fast.parameters(), strict=True):
            old.lerp_(new, AVERAGING)


def learn(dataset: minari.MinariDataset) -> Learner:
    dataset.set_seed(0)
    learner = Learner(Normalizer(dataset.statistics()["observations"]))
    batch = None
    for number in range(UPDATES):
        batch = dataset.sample_transitions(BATCH_SIZE, out=batch)
        learner.update(batch, improves_policy=number % 2 == 1)
    return learner


def run() -> Result:
    """Collect, learn and evaluate."""
    torch.set_num_threads(1)  # so small a network is slower on two
    dataset = collect()
    behaviour = float(np.mean([episode.rewards.sum() for episode in dataset]))
    print(f"{len(dataset)} episodes, {dataset.total_steps} steps, mean return {behaviour:.0f}")
    learner = learn(dataset)
    env = dataset.recover_environment(eval_env=True)
    learned = float(np.mean([play(env, learner.act, seed=1000 + number) for number in range(20)]))
    env.close()
    print(f"mean return of what was learned: {learned:.0f}")
    return Result(behaviour, learned)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="minari-example-") as root:
        os.environ["MINARI_DATASETS_PATH"] = root
        run()


if __name__ == "__main__":
    main()
