"""Write a file of demonstrations: ``data/demo_0``, … with what the two libraries both read."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from minari.interchange.demonstrations.groups import File, Group
from minari.interchange.demonstrations.masks import write_masks
from minari.interchange.demonstrations.sidecar import GROUP, SidecarWriter
from minari.interchange.layout import Loss, check_has_steps
from minari_core import EpisodeData, MinariDataset
from minari_core.datasets.dataset import get_raw_storage
from minari_core.errors import DataError
from minari_core.formats.public.hdf5.writable_file import WritableFile
from minari_core.metadata.splits import SPLITS, read_splits
from minari_core.storage.copied_metadata import metadata_for_copy

DATA, PREFIX = "data", "demo_"
# Of the environments that robomimic knows, those of Gymnasium.
_GYMNASIUM = 2

EpisodeWriter = Callable[[Group, EpisodeData], None]


def write_demonstrations(
    dataset: MinariDataset, path: Path, layout: str, write_episode: EpisodeWriter
) -> list[Loss]:
    """Write the episodes of a dataset one by one.

    Args:
        dataset: The dataset.
        path: The file, which is not there yet.
        layout: The name of the layout.
        write_episode: Writes an episode into its group.

    Returns:
        What lies in the group ``minari``, which the library does not read.

    Raises:
        DataError: The layout cannot hold an episode; the message names it.
        DatasetWriteError: The file system refused.
    """
    check_has_steps(dataset, layout)
    storage, indices = get_raw_storage(dataset), dataset.episode_indices.tolist()
    names = [f"{PREFIX}{number}" for number in range(len(indices))]
    file = WritableFile(path, is_new=True)
    sidecar = SidecarWriter(layout, storage, indices)

    def begin(into: File) -> None:
        data = into.create_group(DATA)
        data.attrs["total"] = dataset.total_steps
        data.attrs["env_args"] = json.dumps(_describe_environment(dataset))
        splits = metadata_for_copy(storage, indices)
        write_masks(into, read_splits(splits, len(indices)) if SPLITS in splits else {}, names)
        sidecar.begin(into)

    def write_one(name: str, episode: EpisodeData, into: File) -> None:
        group = into[DATA].create_group(name)
        group.attrs["num_samples"] = len(episode)
        write_episode(group, episode)
        flags = {"terminated": episode.terminations, "truncated": episode.truncations}
        sidecar.write(into, name, episode, flags)

    try:
        file.run(begin)
        # One by one: what a disk refuses is kept in memory until a task ends.
        for name, episode in zip(names, dataset.iterate_episodes(), strict=True):
            file.run(partial(write_one, name, episode))
    finally:
        file.close()
    return [
        Loss(what, f"{layout} has no place for it; it lies in the file's group {GROUP!r}")
        for what in sidecar.kept
    ]


def take_array(column: Any, what: str, layout: str) -> np.ndarray[Any, Any]:
    """Return a column that has to be one array.

    Raises:
        DataError: It is none.
    """
    if not isinstance(column, np.ndarray) or isinstance(column, np.ma.MaskedArray):
        raise DataError(f"{what} are of a space that is no array, which {layout} cannot hold")
    return column


def _describe_environment(dataset: MinariDataset) -> dict[str, object]:
    spec = dataset.spec.env_spec
    return {
        "env_name": "" if spec is None else spec.id,
        "type": _GYMNASIUM,
        "env_kwargs": {},
    }
