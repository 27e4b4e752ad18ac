"""Import a dataset from another layout, and export one into another layout."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from minari.interchange.changing import list_changing
from minari.interchange.files import check_readable, copy_shared_files, name_read_errors
from minari.interchange.layout import Loss
from minari.interchange.layouts import find_layout, list_layouts, recognize_layout
from minari.interchange.options import check_options
from minari.interchange.replacing import replace_when_whole
from minari_core import MinariDataset
from minari_core.datasets.card import merge_metadata
from minari_core.datasets.creation import publish_episodes
from minari_core.datasets.dataset import get_raw_storage
from minari_core.datasets.details import split_details
from minari_core.environments.env_specs import find_env_spec
from minari_core.errors import (
    DataError,
    DatasetDamagedError,
    DatasetNotFoundError,
    FormatError,
)
from minari_core.files import name_file
from minari_core.formats.registry import check_format
from minari_core.local.dataset_id import parse_dataset_id
from minari_core.local.publishing import check_id_is_free, publish
from minari_core.metadata.parents import PARENTS, describe_source
from minari_core.metadata.publication import DOI
from minari_core.storage.base import Storage
from minari_core.storage.copied_metadata import is_whole

if TYPE_CHECKING:
    import gymnasium
    from gymnasium.envs.registration import EnvSpec

_Episode = TypeVar("_Episode")


def import_dataset(
    path: str | os.PathLike[str],
    dataset_name: str,
    layout: str | None = None,
    *,
    env: str | gymnasium.Env[Any, Any] | EnvSpec | None = None,
    data_format: str | None = None,
    losses: list[Loss] | None = None,
    **options: Any,
) -> MinariDataset:
    """Make a dataset of a file or folder that another library wrote.

    Args:
        path: The file or folder. Nothing that it names is run, and no link in it is followed.
        dataset_name: The id of the new dataset.
        layout: The name of the layout, as `list_layouts` gives it; recognised if None.
        env: The environment that the data comes from: its id, its spec, or itself.
        data_format: How to store the data; ``"columnar"`` if None.
        losses: A list to which is added what the dataset does not carry.
        **options: Options of the layout, and keywords that describe the dataset, as
            `DatasetDetails` lists them.

    Returns:
        The new dataset.

    Raises:
        FormatError: There is no such layout, or the path has none that is known.
        DatasetNotFoundError: There is no such file or folder.
        DatasetDamagedError: A file cannot be read.
        DataError: Columns are missing, or contradict each other; the message names file, episode
            and column. Nothing is left behind.
        DatasetExistsError: The id is taken.
        MissingDependencyError: A library that the layout needs is not installed.
        TypeError: An option is unknown, or one that nothing can guess is missing.
    """
    source = Path(path)
    check_readable(source)
    new_id = str(parse_dataset_id(dataset_name))
    check_id_is_free(new_id)
    chosen_format = check_format(data_format)
    chosen = recognize_layout(source) if layout is None else find_layout(layout)
    readable = ", ".join(sorted(one.name for one in list_layouts() if one.read is not None))
    if chosen is None:
        raise FormatError(f"{source} has no layout that is known; name one of {readable}")
    if chosen.read is None:
        raise FormatError(f"layout {chosen.name!r} is written, not read; there is {readable}")
    details, own_options = split_details(options)
    check_options(chosen.read, own_options, f"layout {chosen.name!r}")
    try:
        with name_file(source), name_read_errors(str(source)):
            contents = chosen.read(source, **own_options)
    except (DataError, DatasetDamagedError, DatasetNotFoundError) as error:
        other = recognize_layout(source)
        if other is None or other is chosen:
            raise
        raise DataError(
            f"{error}; {source.name} looks like {other.title}, which is layout {other.name!r}"
        ) from error
    metadata = merge_metadata(
        contents.metadata,
        details,
        find_env_spec(env),
        contents.observation_space,
        contents.action_space,
    )
    said = {"layout": chosen.name, **{name: str(value) for name, value in own_options.items()}}
    metadata[PARENTS] = [describe_source(source.name, "import", said)]
    episodes = _name_read_errors(contents.episodes, source)
    if contents.storage is None:
        with name_file(source):
            dataset = publish_episodes(
                new_id, metadata, chosen_format, episodes, contents.observation_space
            )
    else:
        fill = partial(_take_storage, contents.storage)
        dataset = MinariDataset(publish(new_id, metadata, chosen_format, fill))
    if losses is not None:
        losses.extend(contents.losses)
    return dataset


def _take_storage(source: Storage, storage: Storage) -> None:
    storage.append_storage(source)
    if storage.data_path is not None:
        # Whoever has the other names of the files may change them.
        copy_shared_files(storage.data_path)


def _name_read_errors(episodes: Iterable[_Episode], path: Path) -> Iterator[_Episode]:
    """Yield episodes; whatever reading them raises names the file."""
    iterator = iter(episodes)
    while True:
        with name_read_errors(str(path)):
            episode = next(iterator, None)
        if episode is None:
            return
        yield episode


def export_dataset(
    dataset: MinariDataset,
    path: str | os.PathLike[str],
    layout: str,
    *,
    overwrite: bool = False,
    **options: Any,
) -> list[Loss]:
    """Write a dataset or view as a file or folder that another library reads.

    It is there whole, or not at all.

    Args:
        dataset: The dataset.
        path: The file or folder to write.
        layout: The name of the layout, as `list_layouts` gives it.
        overwrite: Replace what is there.
        **options: Options of the layout.

    Returns:
        What the layout could not carry.

    Raises:
        FormatError: There is no such layout.
        DatasetExistsError: The path is taken, and ``overwrite`` is False.
        DatasetBusyError: Another process writes to the path.
        DataError: The layout cannot hold the dataset; the message says why.
        DatasetWriteError: The file system refused.
        MissingDependencyError: A library that the layout needs is not installed.
        TypeError: An option is unknown, or one that nothing can guess is missing.
    """
    chosen = find_layout(layout)
    if chosen.write is None:
        writable = ", ".join(sorted(one.name for one in list_layouts() if one.write is not None))
        raise FormatError(f"layout {layout!r} is read, not written; there is {writable}")
    check_options(chosen.write, options, f"layout {layout!r}")
    with replace_when_whole(Path(path), overwrite=overwrite) as staged:
        losses = chosen.write(dataset, staged, **options)
    storage, indices = get_raw_storage(dataset), dataset.episode_indices.tolist()
    if DOI in storage.metadata and not is_whole(storage, indices):
        losses.append(Loss(DOI, "it is that of the whole dataset, and this is a part"))
    return losses if chosen.keeps_shards else [*losses, *list_changing(dataset)]
