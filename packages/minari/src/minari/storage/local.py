"""Load a dataset, downloaded first on request, under the public Minari's module path."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from gymnasium.spaces import Space

from minari.dataset.minari_dataset import gen_dataset_id, parse_dataset_id
from minari.storage.datasets_root_dir import get_dataset_path
from minari_core import MinariDataset, delete_dataset
from minari_core import list_local_datasets as list_stored_datasets
from minari_core import load_dataset as load_local_dataset
from minari_core.datasets.public_storage import MinariStorage
from minari_core.errors import DataError, DatasetIdError, DatasetNotFoundError
from minari_core.json_values import JsonValue
from minari_core.local.dataset_id import choose_id, choose_id_or_path
from minari_core.local.dataset_id import parse_dataset_id as dataset_id_sort_key
from minari_core.local.finding import build_not_found_error
from minari_core.local.locations import DATA_FOLDER, dataset_folder, is_path

__all__ = [
    "MinariDataset",
    "MinariStorage",
    "dataset_id_sort_key",
    "delete_dataset",
    "gen_dataset_id",
    "get_dataset_path",
    "list_local_datasets",
    "load_dataset",
    "parse_dataset_id",
]


def list_local_datasets(
    latest_version: bool = False,
    compatible_minari_version: bool = False,
    prefix: str | None = None,
) -> dict[str, dict[str, JsonValue]]:
    """List the local datasets; see `minari_core.list_local_datasets`.

    Args:
        latest_version: Only the highest version of each dataset.
        compatible_minari_version: Only datasets that what is installed here reads.
        prefix: Only ids that begin with this text.

    Returns:
        The metadata of each dataset by its id, with ``dataset_size`` in megabytes and
        ``jpeg_encoding``, which a columnar dataset does not store.
    """
    found = list_stored_datasets(latest_version, compatible_minari_version, prefix)
    for dataset_id, metadata in found.items():
        metadata.setdefault("jpeg_encoding", False)
        if "dataset_size" not in metadata:
            nbytes = _measure(dataset_folder(dataset_id) / DATA_FOLDER)
            metadata["dataset_size"] = round(nbytes / 1e6, 1)
    return found


def _measure(folder: str | os.PathLike[str]) -> int:
    """Return the size in bytes of all files in a folder; others may remove some meanwhile."""
    nbytes = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                is_folder = entry.is_dir(follow_symlinks=False)
                nbytes += _measure(entry.path) if is_folder else entry.stat().st_size
    return nbytes


def load_dataset(
    dataset_name: str | os.PathLike[str] | None = None,
    download: bool = False,
    *,
    stream: bool = False,
    cache_nbytes: int | None = None,
    dataset_id: str | os.PathLike[str] | None = None,
    observation_space: Space[Any] | None = None,
    action_space: Space[Any] | None = None,
) -> MinariDataset:
    """Open a local dataset, or one on a remote with ``stream=True``; no step of it is read.

    Args:
        dataset_name: The dataset's id; its full URL such as ``gs://bucket/D4RL/door/human-v2``,
            which means the local copy of that very dataset; or the path of its folder, or of the
            ``data`` in it: a ``Path``, or text that begins with ``/``, ``./``, ``../``, ``~`` or a
            drive.
        download: Whether to download it if it is not here. ``MINARI_REMOTE`` chooses the remote,
            ``MINARI_REMOTE_TOKEN`` the credentials.
        stream: Whether to read it from its remote while it is used, and keep in the cache what was
            read, instead of downloading it. It must be of the columnar format.
        cache_nbytes: The bytes that all streams may have in the cache together, 10 GB by default.
        dataset_id: Another name of ``dataset_name``.
        observation_space: The space of the observations, where the dataset says a type that
            nothing here reads: neither Gymnasium's, nor registered.
        action_space: The same for the actions.

    Raises:
        DatasetIdError: The id is malformed.
        DatasetNotFoundError: There is no such dataset; the message says which are like it.
        DatasetAccessError: It may not be read.
        DatasetDamagedError: Its metadata is malformed.
        FormatError: Nothing installed reads its format.
        RemoteError: The remote cannot be read.
        SpaceError: A space that is given is not the one that the dataset says.
        DataError: ``cache_nbytes`` is not a whole number of at least 0, or is given without
            ``stream=True``; or that comes with ``download=True``.
    """
    given = choose_id_or_path(dataset_name, dataset_id)
    if stream and download:
        raise DataError(
            "stream=True reads a dataset where it is, and download=True copies it here; give one "
            "of the two"
        )
    if cache_nbytes is not None and not stream:
        raise DataError(
            f"cache_nbytes={cache_nbytes!r} bounds what streams keep; give it with stream=True"
        )
    if stream:
        from minari_hub import stream_dataset

        if is_path(given):
            raise DatasetIdError(
                f"{given} is a path, and a stream has a URL: give {Path(given).absolute().as_uri()}"
            )
        return stream_dataset(
            choose_id(given),
            cache_nbytes=cache_nbytes,
            observation_space=observation_space,
            action_space=action_space,
        )
    if is_path(given):
        return load_local_dataset(
            given, observation_space=observation_space, action_space=action_space
        )
    wanted = choose_id(given)
    # Most programs load what is here by its id, and need nothing that knows remotes.
    if download:
        from minari_hub import ensure_downloaded

        wanted = ensure_downloaded(wanted)
    elif "://" in wanted:
        from minari_hub.datasets.download import resolve_local_id

        wanted = resolve_local_id(wanted)
    try:
        return load_local_dataset(
            wanted, observation_space=observation_space, action_space=action_space
        )
    except DatasetNotFoundError:
        if download:  # it was deleted meanwhile
            raise
        advice = "Use download=True to download the dataset"
        raise build_not_found_error(wanted, advice) from None
