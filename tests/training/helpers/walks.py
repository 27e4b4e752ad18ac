"""Datasets for learners, whose values say which step of which episode they belong to."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from minari_core import EpisodeBuffer, MinariDataset, create_dataset_from_buffers

LENGTHS = (1, 7, 30, 2, 60)
"""Steps of each episode."""
TOTAL = sum(LENGTHS)


def create(
    dataset_id: str, observation_space: spaces.Space[Any], observations: list[Any], **columns: Any
) -> MinariDataset:
    """A dataset of an episode for each of the observations, T+1 rows each."""
    buffers = []
    for episode, length in enumerate(LENGTHS):
        steps = np.arange(length)
        buffers.append(
            EpisodeBuffer(
                observations=observations[episode],
                actions=np.stack([np.full(length, episode), steps], axis=1).astype(np.float32),
                rewards=1000.0 * episode + steps,
                terminations=steps == length - 1,
                truncations=np.zeros(length, dtype=bool),
                **{name: values[episode] for name, values in columns.items()},
            )
        )
    return create_dataset_from_buffers(
        dataset_id,
        buffers,
        observation_space=observation_space,
        action_space=spaces.Box(0, 1000, (2,), np.float32),
        algorithm_name="none",
        author="tests",
        author_email="tests@example.org",
        code_permalink="https://example.org",
    )


def of_vectors(dataset_id: str = "walks/vectors-v0") -> MinariDataset:
    """Observations are the episode and the row, float64."""
    observations = [
        np.stack([np.full(length + 1, episode), np.arange(length + 1)], axis=1).astype(np.float64)
        for episode, length in enumerate(LENGTHS)
    ]
    return create(dataset_id, spaces.Box(0, 1000, (2,), np.float64), observations)


def of_everything(dataset_id: str = "walks/everything-v0") -> MinariDataset:
    """Dict and Tuple spaces, text, images, and an info that some steps do not have."""
    space = spaces.Dict(
        {
            "camera": spaces.Box(0, 255, (64, 64), np.uint8),
            "pair": spaces.Tuple((spaces.Discrete(1000), spaces.MultiBinary(2))),
            "word": spaces.Text(8, charset="abcdefghij0123456789"),
        }
    )
    observations = []
    infos = []
    for episode, length in enumerate(LENGTHS):
        rows = np.arange(length + 1)
        observations.append(
            {
                "camera": np.broadcast_to(
                    (rows % 256).astype(np.uint8)[:, None, None], (length + 1, 64, 64)
                ),
                "pair": (rows, np.stack([rows % 2, rows % 3 == 0], axis=1).astype(np.int8)),
                "word": [f"{episode}a{row}" for row in rows],
            }
        )
        seen = {"speed": np.ma.MaskedArray(rows.astype(np.float64), mask=rows % 2 == 1)}
        infos.append(seen)
    return create(dataset_id, space, observations, infos=infos)


def steps_of(batch: dict[str, Any]) -> list[tuple[int, int]]:
    """The episode and number of each step of a batch of transitions, by its actions."""
    return [(int(episode), int(step)) for episode, step in batch["actions"].tolist()]


EVERY_STEP = [(episode, step) for episode, length in enumerate(LENGTHS) for step in range(length)]
