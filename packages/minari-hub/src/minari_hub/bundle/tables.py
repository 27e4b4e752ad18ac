"""Parquet files of a dataset's steps and episodes, of which the first is bounded."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from minari_core import MinariDataset
from minari_core.datasets.dataset import get_raw_storage
from minari_core.errors import MissingDependencyError

STEPS, EPISODES = "steps.parquet", "episodes.parquet"
LARGEST_STEPS_NBYTES = 1 << 30
"""How large the file of steps may become unless somebody says otherwise: 1 GiB."""


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables that were written of a dataset."""

    episodes_of_steps: int
    """How many episodes the table of steps has, the first ones."""
    total_episodes: int
    """How many the dataset has, and the table of episodes."""


def write_tables(
    dataset: MinariDataset, folder: Path, most_nbytes: int = LARGEST_STEPS_NBYTES
) -> Tables:
    """Write ``steps.parquet`` and ``episodes.parquet``.

    Args:
        dataset: The dataset.
        folder: The folder, which is there.
        most_nbytes: How large the file of steps may be; beyond it are the first whole episodes
            only, at least one.

    Raises:
        DatasetWriteError: The file system refused.
        MissingDependencyError: pyarrow, or for images Pillow, is not installed.
    """
    try:
        from minari_core.tables.parquet import write_parquet
    except ImportError as error:
        raise MissingDependencyError(
            "Parquet files need pyarrow; pip install 'minari-hub[tables]'"
        ) from error
    storage = get_raw_storage(dataset)
    indices = dataset.episode_indices.tolist()
    # First, so that what cannot be written leaves nothing.
    write_parquet(storage, indices, folder / EPISODES, "episodes", as_json=True)
    path = folder / STEPS
    rows = write_parquet(storage, indices, path, as_json=True, most_nbytes=most_nbytes)
    count = len(indices)
    while (nbytes := path.stat().st_size) > most_nbytes and count > 1:
        lengths = (
            each.total_steps
            for each, _ in zip(dataset.iterate_episode_metadata(), range(count), strict=False)
        )
        fitting = int(rows * (most_nbytes / nbytes))
        fewer = sum(1 for stop in accumulate(lengths) if stop <= fitting)
        count = max(min(fewer, count - 1), 1)
        rows = write_parquet(storage, indices[:count], path, as_json=True)
    return Tables(count, len(indices))
