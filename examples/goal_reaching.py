"""Goals that nobody rewarded: a policy that reaches any room, from a random walk without rewards.

Hindsight experience replay (Andrychowicz et al., 2017) relabels what the walk happened to reach as
what it was to reach, and Q-learning learns the way there.

Needs PyTorch: pip install torch
"""

from __future__ import annotations

import copy
import os
import tempfile
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

import minari
from minari_core.torch import to_tensors

EPISODES, STEPS, SIZE, UPDATES, DISCOUNT = 300, 50, 9, 2500, 0.95
MOVES = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
# Four rooms with a door between neighbours.
WALLS = np.zeros((SIZE, SIZE), bool)
WALLS[SIZE // 2] = WALLS[:, SIZE // 2] = True
WALLS[SIZE // 2, [1, 7]] = WALLS[[2, 6], SIZE // 2] = False
FREE = np.argwhere(~WALLS)


class Result(NamedTuple):
    """The share of goals that were reached in 50 steps."""

    random: float
    learned: float


def move(cell: Any, action: int) -> Any:
    """The cell that an action leads to; walls and borders stop it."""
    ahead = np.clip(cell + MOVES[action], 0, SIZE - 1)
    return cell if WALLS[tuple(ahead)] else ahead


def collect() -> minari.MinariDataset:
    """Random walks, whose rewards are all 0."""
    generator = np.random.default_rng(0)
    cells, actions = [], generator.integers(4, size=(EPISODES, STEPS))
    for row in actions:
        cells.append([FREE[generator.integers(len(FREE))]])
        for action in row:
            cells[-1].append(move(cells[-1][-1], action))
    observations = np.array(cells, np.float32)
    return minari.create_dataset_from_arrays(
        "rooms/random-v0",
        observations=observations[:, :-1].reshape(-1, 2),
        next_observations=observations[:, 1:].reshape(-1, 2),
        actions=actions.reshape(-1),
        rewards=np.zeros(EPISODES * STEPS),
        terminals=np.zeros(EPISODES * STEPS, bool),
        timeouts=np.tile(np.arange(STEPS) == STEPS - 1, EPISODES),
        algorithm_name="random walk",
        author="Minari contributors",
        author_email="contact@farama.org",
        code_permalink="https://github.com/Farama-Foundation/Minari/blob/main/examples",
    )


def compute_reward(achieved: Any, goals: Any, infos: dict[str, Any]) -> Any:
    """1 where a step reached its goal."""
    return (achieved == goals).all(axis=-1)


def see(cells: Any, goals: Any) -> torch.Tensor:
    """The two cells as what a network likes to see."""
    parts = [nn.functional.one_hot(torch.as_tensor(part).long(), SIZE) for part in (cells, goals)]
    return torch.cat([part.flatten(-2) for part in parts], dim=-1).float()


def learn(dataset: minari.MinariDataset) -> nn.Module:
    """Double Q-learning (van Hasselt et al., 2016) of relabelled transitions."""
    torch.manual_seed(0)
    layers = [
        nn.Linear(4 * SIZE, 256),
        nn.ReLU(),
        nn.Linear(256, 256),
        nn.ReLU(),
        nn.Linear(256, 4),
    ]
    values = nn.Sequential(*layers)
    slow = copy.deepcopy(values)
    optimizer = torch.optim.Adam(values.parameters(), lr=1e-3)
    batches = dataset.batches(
        256,
        epochs=None,
        seed=0,
        goals={"future": 0.5, "random": 0.5},
        compute_reward=compute_reward,
    )
    for _ in range(UPDATES):
        batch = to_tensors(next(batches))
        states, next_states = (
            see(batch[name], batch["goals"]) for name in ("observations", "next_observations")
        )
        rewards = batch["rewards"].float()
        with torch.no_grad():
            best = values(next_states).argmax(1, keepdim=True)
            # An episode is over where its goal is reached.
            goes_on = DISCOUNT * (1 - rewards)
            targets = rewards + goes_on * slow(next_states).gather(1, best)[:, 0]
        chosen = values(states).gather(1, batch["actions"][:, None])[:, 0]
        loss = nn.functional.smooth_l1_loss(chosen, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for old, new in zip(slow.parameters(), values.parameters(), strict=True):
                old.lerp_(new, 0.02)
    return values


def reach(values: nn.Module | None, generator: np.random.Generator) -> bool:
    """Whether a goal somewhere is reached from somewhere; at random without values."""
    cell, goal = FREE[generator.choice(len(FREE), 2, replace=False)]
    for _ in range(STEPS):
        action = generator.integers(4) if values is None else values(see(cell, goal)).argmax()
        cell = move(cell, int(action))
        if (cell == goal).all():
            return True
    return False


def run() -> Result:
    """Walk, learn, and go to a hundred goals."""
    torch.set_num_threads(1)  # so small a network is slower on two
    values = learn(collect())
    shares = []
    for policy in (None, values):
        generator = np.random.default_rng(1)
        shares.append(float(np.mean([reach(policy, generator) for _ in range(100)])))
    random, learned = shares
    print(f"goals reached at random: {random:.2f}, by what was learned: {learned:.2f}")
    return Result(random, learned)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="minari-example-") as root:
        os.environ["MINARI_DATASETS_PATH"] = root
        run()


if __name__ == "__main__":
    main()
