"""Datasets that files of demonstrations hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from gymnasium import spaces

import minari
from minari import EpisodeBuffer, MinariDataset

OBSERVATIONS = spaces.Dict(
    {
        "camera": spaces.Box(0, 255, (4, 5, 3), np.uint8),
        "robot": spaces.Dict({"joints": spaces.Box(-np.inf, np.inf, (3,), np.float64)}),
        "pair": spaces.Tuple([spaces.Discrete(4), spaces.MultiBinary(2)]),
    }
)
ACTIONS = spaces.Box(-1, 1, (2,), np.float32)


def make_episode(
    number: int,
    steps: int,
    observation_space: spaces.Space[Any] = OBSERVATIONS,
    action_space: spaces.Space[Any] = ACTIONS,
    **fields: Any,
) -> EpisodeBuffer:
    """An episode of values that its spaces sample."""
    observation_space.seed(number)
    action_space.seed(number)
    buffer = EpisodeBuffer(observations=[observation_space.sample()], **fields)
    for step in range(steps):
        buffer = buffer.add_step_data(
            {
                "observation": observation_space.sample(),
                "action": action_space.sample(),
                "reward": float(np.random.default_rng(number + step).normal()),
                "terminated": step + 1 == steps and number % 2 == 0,
                "truncated": step + 1 == steps and number % 2 == 1,
                "info": {},
            }
        )
    return buffer


def make_dataset(
    name: str = "robots/lift-v0",
    observation_space: spaces.Space[Any] = OBSERVATIONS,
    action_space: spaces.Space[Any] = ACTIONS,
) -> MinariDataset:
    """Twelve episodes, so that numbers of two digits come after 9, of all that can be said."""
    rng = np.random.default_rng(0)
    episodes = []
    for number in range(12):
        steps = 1 + number % 4
        infos = {
            "contact": rng.normal(size=(steps + 1, 2)).astype(np.float32),
            "words": [f"word {row}" for row in range(steps + 1)],
        }
        if number % 3 == 0:
            infos["rare"] = rng.integers(0, 9, steps + 1)
        episodes.append(
            make_episode(
                number,
                steps,
                observation_space,
                action_space,
                seed=2**63 + number if number % 2 else None,
                options={"low": 0.5} if number == 3 else None,
                metadata={"quality": f"grade {number}"},
            )
        )
        episodes[-1].infos = infos
    dataset = minari.create_dataset_from_buffers(
        name,
        episodes,
        observation_space=observation_space,
        action_space=action_space,
        description="Lift the cube.",
        author="Ada",
    )
    dataset.set_splits({"train": [0, 1, 2, 10], "valid": [11]})
    return minari.load_dataset(name)


def write_trajectories(path: Path) -> Path:
    """Two trajectories of ManiSkill, as the simulator's wrapper records them."""
    said: dict[str, Any] = {
        "env_info": {"env_id": "PickCube-v1", "max_episode_steps": 50, "env_kwargs": {}},
        "commit_info": {"branch": "main"},
        "episodes": [],
    }
    with h5py.File(path, "w") as file:
        for number, steps in ((10, 3), (9, 2)):
            group = file.create_group(f"traj_{number}", track_order=True)
            last = np.arange(steps) == steps - 1
            columns = {
                "obs/agent/qpos": np.arange((steps + 1) * 2, dtype=np.float32).reshape(-1, 2),
                "obs/depth": np.full((steps + 1, 4, 4, 1), 40_000, np.uint16),
                "actions": np.zeros((steps, 3), np.float32),
                "terminated": last & (number == 9),
                "truncated": last & (number == 10),
                "success": last,
                "env_states/actors/cube": np.zeros((steps + 1, 13), np.float32),
            }
            for name, column in columns.items():
                group[name] = column
            said["episodes"].append(
                {
                    "episode_id": number,
                    "episode_seed": number,
                    "control_mode": "pd_joint_delta_pos",
                    "elapsed_steps": steps,
                    "reset_kwargs": {"options": {"hard": True}, "seed": number},
                    "success": True,
                }
            )
    path.with_suffix(".json").write_text(json.dumps(said), encoding="utf-8")
    return path
