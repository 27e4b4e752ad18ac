"""A dataset of which everything is said, and what a bundle has of it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
from gymnasium import spaces

import minari
from minari_core.datasets.dataset import get_raw_storage
from minari_hub.bundle.files import write_bundle
from minari_hub.bundle.publication import Publication
from minari_hub.bundle.tables import LARGEST_STEPS_NBYTES, Tables

RAI = {"dataCollection": "Driven by hand.", "dataBiases": ["daylight only", "one city"]}
SPACE = spaces.Dict(
    {
        "camera": spaces.Box(0, 255, (32, 32, 3), np.uint8),
        "position": spaces.Box(-9, 9, (3,), np.float32),
        "frame": spaces.Box(-9, 9, (2, 3), np.float64),
    }
)


def make_episode(steps: int, seed: int | None) -> minari.EpisodeBuffer:
    random = np.random.default_rng(steps)
    return minari.EpisodeBuffer(
        seed=seed,
        observations={
            "camera": random.integers(0, 256, (steps + 1, 32, 32, 3), dtype=np.uint8),
            "position": random.normal(size=(steps + 1, 3)).astype(np.float32),
            "frame": random.normal(size=(steps + 1, 2, 3)),
        },
        actions=random.integers(0, 3, steps),
        rewards=random.normal(size=steps),
        terminations=np.arange(steps) == steps - 1,
        truncations=np.zeros(steps, bool),
    )


def make_dataset(dataset_id: str = "farm/drive-v3") -> minari.MinariDataset:
    return minari.create_dataset_from_buffers(
        dataset_id,
        [make_episode(4, 1), make_episode(6, None), make_episode(2, 7)],
        observation_space=SPACE,
        action_space=spaces.Discrete(3),
        author=["Ada", "Bob"],
        algorithm_name="by hand",
        code_permalink="https://farm.example/code",
        description="Driven \u2028 through \N{GRINNING FACE} 'fields': # of \"corn\".",
        license="cc-by-4.0",
        citation="@misc{drive, title={Drives}}",
        doi="10.5281/zenodo.1234567",
        tags=["driving", "corn"],
    )


def publish(dataset: minari.MinariDataset) -> Publication:
    """Say everything that can be said."""
    return Publication(
        dataset.id,
        {**get_raw_storage(dataset).metadata, "splits": {"train": [[0, 2]], "test": [[2, 3]]}},
        "https://farm.example/drive",
        date(2026, 1, 2),
        RAI,
    )


def write_example(folder: Path, most_nbytes: int = LARGEST_STEPS_NBYTES) -> Tables | None:
    dataset = make_dataset()
    data = folder / "data.json"
    data.write_text("{}")
    return write_bundle(
        dataset, publish(dataset), folder, {"data.json": data}, most_nbytes=most_nbytes
    )
