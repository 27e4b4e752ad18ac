"""Small datasets whose values say which step of which episode they belong to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from minari_core import (
    EpisodeBuffer,
    MinariDataset,
    create_dataset_from_buffers,
)
from minari_core.testing import simple_episode

POSITION = spaces.Box(-np.inf, np.inf, (2,), np.float64)


MOVE = spaces.Discrete(3)


LENGTHS = (3, 1, 4, 2, 6, 5)


def create(dataset_id: str = "tests/numbers-v0", **arguments: Any) -> MinariDataset:
    described: dict[str, Any] = {
        "buffer": [simple_episode(number, steps) for number, steps in enumerate(LENGTHS)],
        "observation_space": POSITION,
        "action_space": MOVE,
        "author": "Ada",
        **arguments,
    }
    return create_dataset_from_buffers(dataset_id, **described)


def ids(dataset: MinariDataset) -> list[int]:
    return [episode.id for episode in dataset]


def cartpole(dataset_id: str, steps: int = 2, **arguments: Any) -> MinariDataset:
    fields = zero_fields(steps)
    fields["observations"] = np.zeros((steps + 1, 4), np.float32)
    return create_dataset_from_buffers(
        dataset_id, [EpisodeBuffer(**fields, seed=7)], **{"env": "CartPole-v1", **arguments}
    )


def zero_fields(steps: int = 2) -> dict[str, Any]:
    return {
        "observations": np.zeros((steps + 1, 2)),
        "actions": np.zeros(steps, dtype=np.int64),
        "rewards": np.zeros(steps),
        "terminations": np.zeros(steps, dtype=bool),
        "truncations": np.arange(steps) == steps - 1,
    }


def nothing_is_left(root: Path) -> bool:
    return not [path for path in root.rglob("*") if path.is_file()]
