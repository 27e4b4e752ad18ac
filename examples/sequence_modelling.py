"""A decision transformer (Chen et al., 2021): asked for a return, it acts so that it comes."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np
import torch
from torch import nn

import minari
from minari_core.torch import to_tensors

CONTEXT, WIDTH, UPDATES = 10, 64, 600
GENERATOR = np.random.default_rng(0)


def play(observation: Any, errors: float | None) -> tuple[int, float]:
    """Balance the pole, but for errors, which are seldom in some episodes and often in others."""
    errors = errors or GENERATOR.random()
    position, velocity, angle, angular_velocity = observation
    lean = angle + 0.5 * angular_velocity + 0.02 * position + 0.05 * velocity
    return int((lean > 0) != (GENERATOR.random() < errors)), errors


class DecisionTransformer(nn.Module):
    """Predicts actions from the returns that are to come, the observations and earlier actions."""

    def __init__(self) -> None:
        super().__init__()
        self.of_time, self.of_action = nn.Embedding(500, WIDTH), nn.Embedding(2, WIDTH)
        self.of_return, self.of_observation = nn.Linear(1, WIDTH), nn.Linear(4, WIDTH)
        layer = nn.TransformerEncoderLayer(
            WIDTH, nhead=4, dim_feedforward=256, dropout=0, batch_first=True, norm_first=True
        )
        self.transformer = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, batch: dict[str, torch.Tensor]) -> Any:
        """Return scores of the two actions at each step, shape (B, L, 2)."""
        returns = self.of_return(batch["returns_to_go"].float()[..., None])
        seen, done = self.of_observation(batch["observations"]), self.of_action(batch["actions"])
        # One token after the other: return, observation, action, return, observation, …
        tokens = (
            torch.stack([returns, seen, done], 2) + self.of_time(batch["time_steps"])[:, :, None]
        )
        tokens = tokens.flatten(1, 2)
        later = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool).triu(1)
        return self.head(self.transformer(tokens, mask=later)[:, 1::3])


def learn(dataset: minari.MinariDataset) -> DecisionTransformer:
    torch.manual_seed(0)
    torch.set_num_threads(1)  # so small a network is slower on two
    model = DecisionTransformer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    options: Any = {"length": CONTEXT, "padding": "after", "returns_to_go": True}
    batches = dataset.batches(64, epochs=None, seed=0, reward_scale=0.01, **options)
    for batch in map(to_tensors, (next(batches) for _ in range(UPDATES))):
        mask = batch["mask"]
        loss = nn.functional.cross_entropy(model(batch)[mask], batch["actions"][mask])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def ask(model: DecisionTransformer, dataset: minari.MinariDataset, wanted: float) -> float:
    """Return the mean return that comes of asking for one; each step of CartPole is worth 1."""

    def act(observation: Any, state: Any) -> tuple[int, Any]:
        before, done, time = state or ([], [], 0)
        observations, actions = [*before, observation], [*done, 0]  # which is not seen
        times = torch.arange(time + 1)[None, -CONTEXT:]
        batch = {"observations": torch.from_numpy(np.stack(observations))[None]}
        batch |= {"actions": torch.tensor([actions]), "time_steps": times}
        batch |= {"returns_to_go": (wanted - times) / 100}
        actions[-1] = int(model(batch)[0, -1].argmax())
        return actions[-1], (observations[1 - CONTEXT :], actions[1 - CONTEXT :], time + 1)

    return minari.evaluate(act, dataset, 5, seeds=1).mean_return


def run() -> tuple[float, float, float]:
    """Return the mean return of the data, and what came of asking for a good one and a bad one."""
    shown = minari.evaluate(play, "CartPole-v1", 300, seeds=0, dataset_name="CartPole/mixed-v0")
    dataset = minari.load_dataset("CartPole/mixed-v0")
    model = learn(dataset)
    much, little = ask(model, dataset, 500), ask(model, dataset, 20)
    print(f"mean return {shown.mean_return:.0f}; asked for 500: {much:.0f}, for 20: {little:.0f}")
    return shown.mean_return, much, little


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="minari-example-") as root:
        os.environ["MINARI_DATASETS_PATH"] = root
        run()
