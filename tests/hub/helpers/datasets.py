"""Datasets for the hub's tests, and what must be true of them afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from unittest.mock import patch

import gymnasium as gym
import h5py
import numpy as np
from gymnasium import spaces

import minari
from minari_core.files import MAIN_FILE
from minari_core.local.locations import datasets_root, staging_root
from minari_core.local.namespaces import NAMESPACE_METADATA

_SPACE = spaces.Box(-np.inf, np.inf, (64,), np.float64)


def collect(
    dataset_id: str, env_id: str = "CartPole-v1", episodes: int = 3, description: str | None = None
) -> minari.MinariDataset:
    """A dataset of a real environment."""
    env = minari.DataCollectorV0(gym.make(env_id), record_infos=True)
    for seed in range(episodes):
        env.action_space.seed(seed)
        env.reset(seed=seed)
        over = False
        while not over:
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            over = bool(terminated or truncated)
    dataset = minari.create_dataset_from_collector_env(
        dataset_name=dataset_id,
        collector_env=env,
        algorithm_name="random",
        author="Farama",
        author_email="contact@farama.org",
        code_permalink="https://github.com/Farama-Foundation/Minari",
        description=description,
    )
    env.close()
    return dataset


def make_shards(dataset_id: str, shards: int = 4, steps: int = 600) -> minari.MinariDataset:
    """A dataset of several shards, each of about 500 bytes a step."""
    random = np.random.default_rng(0)

    def episode() -> minari.EpisodeBuffer:
        return minari.EpisodeBuffer(
            observations=random.normal(size=(steps + 1, 64)),
            actions=random.integers(0, 2, steps),
            rewards=np.ones(steps),
            terminations=np.arange(steps) == steps - 1,
            truncations=np.zeros(steps, bool),
        )

    dataset = minari.create_dataset_from_buffers(
        dataset_id,
        [episode()],
        observation_space=_SPACE,
        action_space=spaces.Discrete(2),
        author="Farama",
        author_email="contact@farama.org",
        code_permalink="https://github.com/Farama-Foundation/Minari",
        algorithm_name="random",
    )
    # As they were before checkpoints joined them.
    with patch("minari_core.formats.columnar.transaction.choose_joins", return_value=[]):
        for _ in range(shards - 1):
            dataset.update_dataset_from_buffer([episode()])
    return dataset


def files_of(dataset_id: str) -> dict[str, bytes]:
    """What a local dataset's files hold, but for its lock and the notice to other programs."""
    folder = datasets_root() / dataset_id / "data"
    columnar = json.loads((folder / "metadata.json").read_bytes()).get("data_format") == "columnar"
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not path.name.startswith(".")
        and not (columnar and path.name == MAIN_FILE)
    }


def is_intact(before: Mapping[str, Mapping[str, bytes]] | None = None) -> bool:
    """Whether the local root shows these datasets and nothing else, and nothing is half there."""
    expected = before or {}
    if set(minari.list_local_datasets()) != set(expected):
        return False
    visible = [
        path
        for path in datasets_root().rglob("*")
        if path.is_file() and staging_root() not in path.parents and not path.name.startswith(".")
        if path.name != NAMESPACE_METADATA
    ]
    owners = {path.relative_to(datasets_root()).as_posix().split("/data/")[0] for path in visible}
    return owners == set(expected) and all(files_of(name) == expected[name] for name in expected)


def public_dataset(dataset_id: str, **changes: object) -> dict[str, bytes]:
    """The objects of a dataset in the layout of the public Minari; its episodes are empty."""
    metadata = {
        "dataset_id": dataset_id,
        "data_format": "hdf5",
        "minari_version": "0.5.2",
        "total_episodes": 2,
        "total_steps": 40,
        **changes,
    }
    main = BytesIO()
    with h5py.File(main, "w") as file:
        for number in range(2):
            file.create_group(f"episode_{number}")
    return {
        f"{dataset_id}/data/metadata.json": json.dumps(metadata).encode(),
        f"{dataset_id}/data/main_data.hdf5": main.getvalue(),
    }


def leftovers() -> list[Path]:
    """What of downloads and uploads lies in the staging folder, locks apart."""
    try:
        return [path for path in staging_root().rglob("*") if path.suffix != ".lock"]
    except FileNotFoundError:
        # A folder that went away while it was read.
        return []
