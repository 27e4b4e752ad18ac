"""The datasets that the campaigns are about, and what is said of them to compare.

They are those of `tests.fixtures.earlier_release.rover`, which have every kind of column; every
value follows from the seed of its episode, so that it is known what is right.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium

import minari
from minari_core.environments.space_json import space_to_json
from minari_core.local.locations import datasets_root
from tests.fixtures.earlier_release.rover import (
    ENV_ID,
    WithBattery,
    WithGrade,
    described,
    drive,
    hashed,
)

FORMATS = ("columnar", "hdf5", "arrow", "parquet")
CARD = ("author", "author_email", "algorithm_name", "code_permalink", "description")
_LARGE = 40
"""The side of a camera whose images are compressed."""


def new_collector(data_format: str = "columnar", **options: Any) -> minari.DataCollectorV0:
    """A collector of the rover's episodes."""
    env = gymnasium.make(ENV_ID, camera=_LARGE if data_format == "columnar" else 8)
    return minari.DataCollectorV0(
        env, WithBattery, WithGrade, record_infos=True, data_format=data_format, **options
    )


def create(dataset_id: str, seeds: Iterator[int] | range, data_format: str) -> Any:
    """A dataset of one episode a seed."""
    with new_collector(data_format) as env:
        for seed in seeds:
            drive(env, seed)
        return minari.create_dataset_from_collector_env(
            dataset_id, env, author="Ada", description="A rover.", algorithm_name="steer"
        )


def checkpoint(dataset_id: str, seeds: range, data_format: str) -> None:
    """Add one episode a seed."""
    with new_collector(data_format) as env:
        for seed in seeds:
            drive(env, seed)
        minari.load_dataset(dataset_id).update_dataset_from_collector_env(env)


@contextmanager
def at_root(root: Path) -> Iterator[None]:
    """Make a folder the datasets' root."""
    before = os.environ.get("MINARI_DATASETS_PATH")
    os.environ["MINARI_DATASETS_PATH"] = str(root)
    try:
        yield
    finally:
        if before is None:
            del os.environ["MINARI_DATASETS_PATH"]
        else:
            os.environ["MINARI_DATASETS_PATH"] = before


def name_alike(seed: int) -> None:
    """Let this process draw the names of files from a seed, so that a file is the same again."""
    names = random.Random(seed)
    uuid.uuid4 = lambda: uuid.UUID(int=names.getrandbits(128), version=4)


def contents_of(dataset: minari.MinariDataset) -> dict[str, Any]:
    """All that a dataset says of itself: one value a question, plain and to the bit."""
    card = {key: dataset.metadata.get(key) for key in CARD}
    return {
        "episodes": described(dataset),
        "totals": [dataset.total_episodes, int(dataset.total_steps)],
        "spaces": [space_to_json(dataset.observation_space), space_to_json(dataset.action_space)],
        "card": json.loads(json.dumps(card, default=str)),
    }


def batches_of(dataset: minari.MinariDataset) -> list[str]:
    """What training is given of all steps of an epoch, as hashes."""
    return [hashed(batch) for batch in dataset.batches(16, seed=3)]


def state_of(root: Path) -> dict[str, str]:
    """What every dataset and namespace below a root is, as hashes; damage is told in words."""
    state = {}
    with at_root(root), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        listed = minari.list_local_datasets()
        complaints = [
            str(each.message) for each in warned if "left out of the list" in str(each.message)
        ]
        for dataset_id in listed:
            report = minari.verify_dataset(dataset_id)
            if not report.ok:
                state[dataset_id] = f"damaged: {report.problems[0]}"
                continue
            text = json.dumps(
                contents_of(minari.load_dataset(dataset_id)), sort_keys=True, default=repr
            )
            state[dataset_id] = hashlib.sha256(text.encode()).hexdigest()[:16]
            if report.data_format == "columnar":
                # Of how many shards it is tells whether it was compacted.
                state[dataset_id] += f" in {report.files} shards"
        for namespace in minari.list_local_namespaces():
            known = minari.get_namespace_metadata(namespace)
            state[f"namespace {namespace}"] = json.dumps(known, sort_keys=True)
    if complaints:
        state["the list"] = complaints[0]
    return state


def seeds_of(dataset_id: str) -> list[int]:
    """The seeds of a dataset's episodes."""
    return [int(episode.seed or 0) for episode in minari.load_dataset(dataset_id)]


def staged() -> list[str]:
    """What lies in the hidden folder."""
    folder = datasets_root() / ".staging"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
