"""Parquet files of steps and of episodes, in one folder."""

from __future__ import annotations

from pathlib import Path

from minari.interchange.files import find_file
from minari.interchange.layout import Contents, Layout, Loss
from minari_core import MinariDataset
from minari_core.datasets.dataset import get_raw_storage
from minari_core.errors import DataError
from minari_core.files import MANIFEST_NAME
from minari_core.local.locations import DATA_FOLDER

_STEPS, _EPISODES = "steps.parquet", "episodes.parquet"


def recognize(path: Path) -> bool:
    """Tell a folder by ``steps.parquet`` in it, and a file by its first bytes."""
    if path.is_dir():
        return (path / _STEPS).is_file()
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def read(path: Path, *, episodes: str | None = None) -> Contents:
    """Read a folder that `write` wrote, or a Parquet file of steps.

    Args:
        path: The folder or file.
        episodes: A Parquet file of episodes, if the path is a file of steps.
    """
    from minari_core.tables.contents import read_contents

    if (path / DATA_FOLDER / MANIFEST_NAME).is_file():
        raise DataError(f"{path} has a dataset beside its tables, which may not have all steps")
    steps = find_file(path, _STEPS) if path.is_dir() else path
    known: Path | None = None if episodes is None else Path(episodes)
    if path.is_dir() and known is None and (path / _EPISODES).is_file():
        known = find_file(path, _EPISODES)
    others = [file for file in path.iterdir() if file.name[0] != "."] if path.is_dir() else []
    unread = sorted(file.name for file in others if file.name not in (_STEPS, _EPISODES))
    found = read_contents(steps, known)
    return Contents(
        episodes=found.episodes,
        observation_space=found.observation_space,
        action_space=found.action_space,
        metadata=found.metadata,
        losses=[
            *(Loss(name, "a dataset has no such column") for name in found.left_out),
            *(Loss(name, f"{_STEPS} and {_EPISODES} alone are read") for name in unread),
        ],
    )


def write(
    dataset: MinariDataset,
    path: Path,
    *,
    next_observations: bool = False,
    as_json: bool = False,
) -> list[Loss]:
    """Write a folder of ``steps.parquet`` and ``episodes.parquet``.

    Args:
        dataset: The dataset.
        path: The folder.
        next_observations: Also give steps the observations that they led to.
        as_json: Write values that are no column of a table as JSON text.
    """
    from minari_core.tables.parquet import write_parquet

    path.mkdir()
    storage, indices = get_raw_storage(dataset), dataset.episode_indices.tolist()
    write_parquet(
        storage,
        indices,
        path / _STEPS,
        "steps",
        next_observations=next_observations,
        as_json=as_json,
    )
    write_parquet(storage, indices, path / _EPISODES, "episodes", as_json=as_json)
    if dataset.splits:
        reason = "rows may be taken out of tables, so that its indices would mean other episodes"
        return [Loss("splits", reason)]
    return []


LAYOUT = Layout(
    name="parquet",
    title="Parquet files of steps and of episodes",
    recognize=recognize,
    read=read,
    write=write,
)
