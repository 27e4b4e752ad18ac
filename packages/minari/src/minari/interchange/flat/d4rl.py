"""Flat HDF5 files as D4RL publishes its data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from minari.interchange.flat.hdf5 import look_into, read_flat_file, write_flat_file
from minari.interchange.layout import Contents, Layout, Loss
from minari_core import MinariDataset

_COLUMNS = frozenset({"observations", "actions", "rewards", "terminals"})


def recognize(path: Path) -> bool:
    """Tell a file by ``observations``, ``actions``, ``rewards`` and ``terminals`` at its root."""
    return look_into(path) >= _COLUMNS


def read(
    path: Path,
    *,
    max_episode_steps: int | None = None,
    step_infos: Sequence[str] | None = None,
) -> Contents:
    """Read a flat file, as `import_flat_hdf5` does.

    Args:
        path: The file.
        max_episode_steps: The number of steps after which an episode is truncated.
        step_infos: The infos that belong to steps, and not to the observations that these led to.
    """
    return read_flat_file(path, max_episode_steps, step_infos)


def write(dataset: MinariDataset, path: Path) -> list[Loss]:
    """Write ``observations``, ``actions``, ``rewards``, ``terminals``, ``timeouts`` and ``infos``.

    ``next_observations`` are written if the final observation of each episode is known. Row ``i``
    of an info belongs to observation ``i``, as in D4RL's files.

    Args:
        dataset: The dataset.
        path: The file.
    """
    return write_flat_file(dataset, path, "d4rl", {})


LAYOUT = Layout(
    name="d4rl",
    title="flat HDF5 files, as D4RL publishes them",
    recognize=recognize,
    read=read,
    write=write,
)
