"""A decision transformer in plain PyTorch: what is asked for is the return, what comes is a policy.

Chen et al., 2021, "Decision Transformer: Reinforcement Learning via Sequence Modeling".

Needs PyTorch: pip install torch
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from torch import nn

import minari
from minari_core.torch import to_tensors

DATASET = "CartPole/mixed-v0"
EPISODES = 300
LONGEST = 500
CONTEXT = 10
UPDATES = 400
BATCH_SIZE = 64
WIDTH = 64
HEADS = 4


class Result(NamedTuple):
    """How the loss fell, and what came of asking for a good or a bad return."""

    first_loss: float
    last_loss: float
    mean_return: float
    asked_for_much: float
    asked_for_little: float


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
    """Episodes of players who err seldom to nearly always."""
    generator = np.random.default_rng(0)
    env = minari.DataCollectorV0(gym.make("CartPole-v1"))
    for seed in range(EPISODES):
        errors = generator.random()

        def act(observation: Any, errors: float = errors) -> int:
            position, velocity, angle, angular_velocity = observation
            lean = angle + 0.5 * angular_velocity + 0.02 * position + 0.05 * velocity
            return int((lean > 0) != (generator.random() < errors))

        play(env, act, seed)
    dataset = minari.create_dataset_from_collector_env(
        DATASET,
        env,
        algorithm_name="controllers with a share of wrong actions from 0 to 1",
        author="Minari contributors",
        author_email="contact@farama.org",
        code_permalink="https://github.com/Farama-Foundation/Minari/blob/main/examples",
    )
    env.close()
    return dataset


class DecisionTransformer(nn.Module):
    """Predicts actions from the returns that are to come, the observations and earlier actions."""

    def __init__(self) -> None:
        super().__init__()
        self.of_time = nn.Embedding(LONGEST, WIDTH)
        self.of_return, self.of_observation = nn.Linear(1, WIDTH), nn.Linear(4, WIDTH)
        self.of_action = nn.Embedding(2, WIDTH)
        layer = nn.TransformerEncoderLayer(
            WIDTH,
            nhead=4,
            dim_feedforward=4 * WIDTH,
            dropout=0.0,
            batch_first=True,
            norm_first=True,
        )
        self.transformer = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Scores of the two actions at each step, shape (B, L, 2)."""
        observations, mask = batch["observations"].float(), batch["mask"]
        size, length = mask.shape
        times = self.of_time(batch["time_steps"])
        returns = self.of_return(batch["returns_to_go"].float()[..., None] / LONGEST)
        parts = [returns, self.of_observation(observations), self.of_action(batch["actions"])]
        # One token after the other: return, observation, action, return, observation, …
        tokens = torch.stack([part + times for part in parts], dim=2).reshape(size, -1, WIDTH)
        padding = ~mask.repeat_interleave(3, dim=1)
        # A token sees itself and what came before it, but no padding other than itself.
        count = 3 * length
        later = torch.ones(count, count, dtype=torch.bool).triu(1)
        hidden = (later | padding[:, None]) & ~torch.eye(count, dtype=torch.bool)
        hidden = hidden.repeat_interleave(HEADS, dim=0)
        states = self.transformer(tokens, mask=hidden).reshape(size, length, 3, WIDTH)
        scores: torch.Tensor = self.head(states[:, :, 1])
        return scores


def learn(dataset: minari.MinariDataset) -> tuple[DecisionTransformer, list[float]]:
    """The model, and its loss at each update."""
    torch.manual_seed(0)
    dataset.set_seed(0)
    model = DecisionTransformer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(UPDATES):
        windows = dataset.sample_sequences(
            BATCH_SIZE,
            CONTEXT,
            columns=["observations", "actions"],
            padding="before",
            returns_to_go=True,
        )
        batch = to_tensors(windows)
        mask = batch["mask"]
        loss = nn.functional.cross_entropy(model(batch)[mask], batch["actions"][mask])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses


def ask(model: DecisionTransformer, env: gym.Env[Any, Any], wanted: float, seed: int) -> float:
    """The return that comes of asking for one."""
    observation, _ = env.reset(seed=seed)
    observations, actions, to_go = [], [], []
    left, over = wanted, False
    while not over:
        observations.append(observation)
        to_go.append(left)
        actions.append(0)  # not known yet, and not seen by its own prediction
        steps = range(max(0, len(actions) - CONTEXT), len(actions))
        batch = {
            "observations": torch.tensor(np.array(observations[-CONTEXT:]))[None],
            "actions": torch.tensor(actions[-CONTEXT:])[None],
            "returns_to_go": torch.tensor(to_go[-CONTEXT:])[None],
            "time_steps": torch.tensor(steps)[None],
            "mask": torch.ones(1, len(steps), dtype=torch.bool),
        }
        with torch.no_grad():
            actions[-1] = int(model(batch)[0, -1].argmax())
        observation, reward, terminated, truncated, _ = env.step(actions[-1])
        left -= float(reward)
        over = terminated or truncated
    return wanted - left


def run() -> Result:
    """Collect, learn, and ask for a good and for a bad return."""
    torch.set_num_threads(1)  # so small a network is slower on two
    dataset = collect()
    mean_return = dataset.total_steps / len(dataset)
    print(f"{len(dataset)} episodes, {dataset.total_steps} steps, mean return {mean_return:.0f}")
    model, losses = learn(dataset)
    print(f"loss {losses[0]:.3f}, after {len(losses)} updates {np.mean(losses[-50:]):.3f}")
    env = dataset.recover_environment(eval_env=True)
    much, little = (
        float(np.mean([ask(model, env, wanted, seed=1000 + number) for number in range(5)]))
        for wanted in (500.0, 20.0)
    )
    env.close()
    print(f"asked for 500: {much:.0f}, asked for 20: {little:.0f}")
    return Result(losses[0], float(np.mean(losses[-50:])), mean_return, much, little)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="minari-example-") as root:
        os.environ["MINARI_DATASETS_PATH"] = root
        run()


if __name__ == "__main__":
    main()
