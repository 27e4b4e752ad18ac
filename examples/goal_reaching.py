"""Goals that nobody rewarded: a policy that reaches any cell, from random walks.

Hindsight experience replay (Andrychowicz et al., 2017) takes for a goal what a walk has reached.
"""

from __future__ import annotations

import copy
import os
import tempfile
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import nn

import minari
from minari_core.torch import to_tensors

SIZE, UPDATES, DISCOUNT = 9, 2500, 0.95
MOVES = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
WALLS = np.zeros((SIZE, SIZE), bool)  # of four rooms, with a door between neighbours
WALLS[SIZE // 2] = WALLS[:, SIZE // 2] = True
WALLS[SIZE // 2, [1, 7]] = WALLS[[2, 6], SIZE // 2] = False
FREE = np.argwhere(~WALLS)


class Rooms(gym.Env[Any, Any]):
    """Observations are a cell and its goal; an episode is over where they are the same."""

    observation_space = gym.spaces.Box(0, SIZE - 1, (2, 2), np.int64)
    action_space = gym.spaces.Discrete(4)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.cells = FREE[self.np_random.choice(len(FREE), 2, replace=False)]
        return self.cells, {}

    def step(self, action: Any) -> Any:
        cell, goal = self.cells
        ahead = np.clip(cell + MOVES[action], 0, SIZE - 1)
        self.cells = np.stack([cell if WALLS[tuple(ahead)] else ahead, goal])
        is_reached = bool((self.cells[0] == goal).all())
        return self.cells, float(is_reached), is_reached, False, {}


gym.register("Rooms-v0", lambda **_: Rooms(), max_episode_steps=50)


def compute_reward(achieved: Any, goals: Any, infos: dict[str, Any]) -> Any:
    return (achieved[:, 0] == goals[:, 0]).all(axis=-1)


def see(observations: torch.Tensor, goals: torch.Tensor) -> torch.Tensor:
    cells = torch.stack([observations[:, 0], goals[:, 0]], dim=1)
    return nn.functional.one_hot(cells, SIZE).flatten(1).float()


def learn(dataset: minari.MinariDataset) -> nn.Module:
    torch.manual_seed(0)
    torch.set_num_threads(1)  # so small a network is slower on two
    hidden = nn.Linear(4 * SIZE, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU()
    values = nn.Sequential(*hidden, nn.Linear(256, 4))
    slow_values = copy.deepcopy(values).requires_grad_(False)
    optimizer = torch.optim.Adam(values.parameters(), lr=1e-3)
    goals: Any = {"future": 0.5, "random": 0.5}
    batches = dataset.batches(256, epochs=None, seed=0, goals=goals, compute_reward=compute_reward)
    for batch in map(to_tensors, (next(batches) for _ in range(UPDATES))):
        following = slow_values(see(batch["next_observations"], batch["goals"])).amax(dim=1)
        targets = torch.where(batch["rewards"] == 1, 1.0, DISCOUNT * following)
        predicted = values(see(batch["observations"], batch["goals"]))
        chosen = predicted.gather(1, batch["actions"][:, None])[:, 0]
        loss = nn.functional.smooth_l1_loss(chosen, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for slow, fast in zip(slow_values.parameters(), values.parameters(), strict=True):
            slow.lerp_(fast.detach(), 0.02)
    return values


def run() -> tuple[float, float]:
    """Return the shares of goals that are reached at random, and by what was learned of it."""
    shown = minari.evaluate(None, "Rooms-v0", 300, seeds=0, dataset_name="rooms/random-v0")
    values = learn(minari.load_dataset("rooms/random-v0"))

    def act(observation: Any) -> int:
        cells = torch.from_numpy(observation)[None]
        return int(values(see(cells, cells[:, 1:])).argmax())

    learned = minari.evaluate(act, "Rooms-v0", 100, seeds=1).mean_return
    print(f"goals reached at random: {shown.mean_return:.2f}, by what was learned: {learned:.2f}")
    return shown.mean_return, learned


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="minari-example-") as root:
        os.environ["MINARI_DATASETS_PATH"] = root
        run()
