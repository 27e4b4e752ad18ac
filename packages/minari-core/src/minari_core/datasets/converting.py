"""Copy a dataset into another format."""

from __future__ import annotations

import os
from collections.abc import Iterator

from minari_core.datasets.dataset import MinariDataset, describe_as_parent, get_raw_storage
from minari_core.datasets.local import as_dataset
from minari_core.episodes.episode import EpisodeData
from minari_core.errors import FormatError
from minari_core.formats.columnar.shard_folder import ShardFolder
from minari_core.formats.registry import check_format, list_formats, open_storage
from minari_core.json_values import JsonValue
from minari_core.local.dataset_id import choose_id
from minari_core.local.publishing import check_id_is_free, publish
from minari_core.messages import Progress, warn_caller
from minari_core.metadata.parents import PARENTS
from minari_core.metadata.publication import DOI
from minari_core.storage.base import Storage
from minari_core.storage.copied_metadata import metadata_for_copy


def convert_dataset(
    dataset: MinariDataset | str | os.PathLike[str],
    new_dataset_name: str | None = None,
    *,
    new_dataset_id: str | None = None,
    data_format: str | None = None,
    jpeg_encoding: bool = False,
    progress: Progress | None = None,
    widen: bool = False,
) -> MinariDataset:
    """Copy a dataset into another format.

    Nothing is lost: values, infos, seeds, options, episode metadata and the dataset's own
    metadata are the same afterwards; only a part has no DOI, with a warning. The episodes are taken
    a few at a time, so that memory does not bound their size.

    Args:
        dataset: The dataset or view, of which only its own episodes are taken; or what
            `load_dataset` takes.
        new_dataset_name: The id of the new dataset.
        new_dataset_id: Another name of ``new_dataset_name``.
        data_format: ``"columnar"`` (the same as None), ``"hdf5"``, ``"arrow"`` or ``"parquet"``.
        jpeg_encoding: Store images of at least 32 × 32 pixels as JPEG, which loses detail; only
            the formats of the public Minari can.
        progress: Called after each episode with the number of those that are done, and of all.
        widen: Where the dtypes of observations or actions differ from episode to episode, store all
            in the wider one, if that holds all numbers exactly. Needs the columnar format.

    Returns:
        The new dataset.

    Raises:
        SpaceError: The format cannot hold a space; nothing was written.
        DataError: The format cannot hold an episode; the message says what, and nothing is left
            behind.
        DatasetExistsError: The id is taken.
        FormatError: There is no such format, or it stores no JPEG.
        DatasetWriteError: The file system refused; nothing is left behind.
    """
    new_id = choose_id(new_dataset_name, new_dataset_id)
    check_id_is_free(new_id)
    chosen_format = check_format(data_format)
    if jpeg_encoding and chosen_format not in list_formats(storing_jpeg=True):
        raise FormatError(
            f"data format {chosen_format!r} stores no image as JPEG; give data_format as one of "
            f"{', '.join(list_formats(storing_jpeg=True))}, or leave jpeg_encoding out"
        )
    dataset = as_dataset(dataset)
    source = get_raw_storage(dataset)
    indices = dataset.episode_indices.tolist()
    metadata = metadata_for_copy(source, indices)
    if DOI in source.metadata and DOI not in metadata:
        warn_caller(f"{new_id} is a part of {dataset.id}, whose DOI it does not have")
    arguments: dict[str, JsonValue] = {"data_format": chosen_format}
    metadata[PARENTS] = [describe_as_parent(dataset, "convert", arguments)]
    if jpeg_encoding:
        metadata["jpeg_encoding"] = True

    def fill(storage: Storage) -> None:
        if widen:
            allow_widening(storage)
        if source.data_format == storage.data_format:
            storage.append_storage(source, indices)
            if progress is not None:
                progress(len(indices), len(indices))
            return
        episodes = source.read_episodes(indices, copy=False)
        storage.append_episodes(_count_episodes(episodes, len(indices), progress))

    folder = publish(new_id, metadata, chosen_format, fill, source.given_spaces)
    return MinariDataset(open_storage(folder, source.given_spaces))


def allow_widening(storage: Storage) -> None:
    """Let a new storage take episodes of different dtypes, and store them in the wider one.

    Raises:
        FormatError: Its format cannot.
    """
    if not isinstance(storage, ShardFolder):
        raise FormatError(
            f"data format {storage.data_format!r} cannot be widened; leave data_format out, and "
            "convert the new dataset"
        )
    storage.allow_widening()


def _count_episodes(
    episodes: Iterator[EpisodeData], total: int, progress: Progress | None
) -> Iterator[EpisodeData]:
    for done, episode in enumerate(episodes, start=1):
        yield episode
        if progress is not None:
            progress(done, total)
