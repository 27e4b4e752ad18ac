"""Load, list and delete the datasets under the local root."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from gymnasium.spaces import Space

from minari_core.datasets.dataset import MinariDataset
from minari_core.environments.given_spaces import (
    GivenSpaces,
    check_given,
    collect_given,
    select_needed,
)
from minari_core.errors import DatasetDamagedError, DatasetNotFoundError, MinariError
from minari_core.files import make_write_error
from minari_core.formats.columnar.manifest import read_manifest
from minari_core.formats.registry import open_storage, read_dataset_metadata
from minari_core.json_values import JsonValue
from minari_core.local.dataset_id import (
    choose_id,
    choose_id_or_path,
    has_prefix,
    parse_dataset_id,
    select_latest_versions,
)
from minari_core.local.finding import build_not_found_error, list_local_ids
from minari_core.local.folders import has_data_folder, remove_folder
from minari_core.local.locations import (
    DATA_FOLDER,
    dataset_folder,
    datasets_root,
    is_path,
    locate_data,
)
from minari_core.local.replacing import (
    discard_replaced,
    holds_local_dataset,
    look_until_found,
    put_back,
)
from minari_core.local.staging import hold_staging_folder
from minari_core.messages import MinariDeprecationWarning, warn_caller
from minari_core.storage.base import Storage

Result = TypeVar("Result")

_MOST_LOOKS = 100


def load_dataset(
    dataset_name: str | os.PathLike[str] | None = None,
    *,
    dataset_id: str | os.PathLike[str] | None = None,
    observation_space: Space[Any] | None = None,
    action_space: Space[Any] | None = None,
) -> MinariDataset:
    """Open a local dataset; no step of it is read.

    Args:
        dataset_name: The dataset's id; or the path of its folder, or of the ``data`` in it: a
            ``Path``, or text that begins with ``/``, ``./``, ``../``, ``~`` or a drive.
        dataset_id: Another name of ``dataset_name``.
        observation_space: The space of the observations, where the dataset says a type that
            nothing here reads: neither Gymnasium's, nor registered. It belongs to this object and
            its copies; on the disk, what the dataset says stays as it is.
        action_space: The same for the actions.

    Raises:
        DatasetIdError: The id is malformed.
        DatasetNotFoundError: There is no such dataset; the message says which are like it.
        DatasetAccessError: It may not be read.
        DatasetDamagedError: Its metadata is malformed.
        FormatError: Nothing installed reads its format.
        SpaceError: A space that is given is not the one that the dataset says.
    """
    given = collect_given(observation_space, action_space)

    def open_with_spaces(folder: Path) -> MinariDataset:
        return MinariDataset(_open_with_spaces(folder, given) if given else folder)

    wanted = choose_id_or_path(dataset_name, dataset_id)
    if is_path(wanted):
        return open_with_spaces(locate_data(wanted))
    return _read_from(choose_id(wanted), open_with_spaces)


def _open_with_spaces(folder: Path, given: GivenSpaces) -> Storage:
    """Open a dataset with spaces in place of those whose types nothing here reads."""
    storage = open_storage(folder, select_needed(given, read_dataset_metadata(folder)))
    check_given(given, storage)
    return storage


def as_dataset(dataset: MinariDataset | str | os.PathLike[str]) -> MinariDataset:
    """Return a dataset that is given as itself, or as `load_dataset` takes it."""
    return dataset if isinstance(dataset, MinariDataset) else load_dataset(dataset)


def list_local_datasets(
    latest_version: bool = False,
    compatible_minari_version: bool = False,
    prefix: str | None = None,
) -> dict[str, dict[str, JsonValue]]:
    """List the local datasets.

    Folders that hold no dataset are passed over. A dataset whose metadata is damaged, or whose
    folder may not be read, is left out, and one warning names all of them. Links to folders are
    followed; a folder that several of them lead to is listed once.

    Args:
        latest_version: Only the highest version of each dataset; with
            ``compatible_minari_version``, of those.
        compatible_minari_version: Only datasets in a format, and a version of it, that what is
            installed here reads.
        prefix: Only ids that begin with this text. One that ends in a version, as ``x-v1``,
            means this version, and not ``x-v10``.

    Returns:
        The metadata of each dataset by its id, in the order of namespaces, names and versions; with
        ``dataset_size`` in megabytes, which a columnar dataset does not store.
    """
    given: object = compatible_minari_version
    if isinstance(given, str):
        # Before 0.2, the prefix came second.
        warn_caller("the prefix is the third argument now: give prefix=", MinariDeprecationWarning)
        compatible_minari_version, prefix = False, given
    found: dict[str, dict[str, JsonValue]] = {}
    damaged: list[str] = []
    # Paths as texts: of thousands of datasets, objects would take as long as reading them.
    root = str(datasets_root())
    for dataset_id in list_local_ids():
        if not has_prefix(dataset_id, prefix):
            continue
        try:
            data = os.path.join(root, dataset_id, DATA_FOLDER)
            metadata = _read_though_replaced(dataset_id, partial(read_dataset_metadata, data))
            if metadata.get("dataset_id", dataset_id) != dataset_id:
                raise DatasetDamagedError(f"its metadata says {metadata['dataset_id']!r}")
            if not compatible_minari_version or is_readable(dataset_id):
                found[dataset_id] = metadata
        except MinariError as error:
            damaged.append(f"{dataset_id} ({error})")
    if damaged:
        warn_caller(f"Misconfigured dataset named {'; '.join(damaged)}; left out of the list")
    ordered = (
        select_latest_versions(found) if latest_version else sorted(found, key=parse_dataset_id)
    )
    return {dataset_id: found[dataset_id] for dataset_id in ordered}


def is_readable(dataset_id: str) -> bool:
    """Return whether what is installed here can open a local dataset."""
    try:
        _read_from(dataset_id, open_storage)
    except MinariError:
        return False
    return True


def delete_dataset(dataset_name: str | None = None, *, dataset_id: str | None = None) -> None:
    """Delete a local dataset, and nothing else.

    It disappears for others in one step; datasets that were combined from it keep their data.

    Args:
        dataset_name: The dataset's id.
        dataset_id: Another name of ``dataset_name``.

    Raises:
        DatasetIdError: The id is malformed.
        DatasetNotFoundError: There is no such dataset; a namespace's folder is not one.
        DatasetWriteError: The file system refused.
    """
    wanted = choose_id(dataset_name, dataset_id)
    folder = dataset_folder(wanted)
    put_back()
    if not look_until_found(lambda: has_data_folder(folder)):
        raise build_not_found_error(wanted)
    trash: Path | None = None
    try:
        with hold_staging_folder("delete-") as trash:
            trash.parent.mkdir(parents=True, exist_ok=True)
            discard_replaced(wanted)
            # Removing it takes a descriptor, which is there if this one is.
            with os.scandir(trash.parent):
                os.rename(folder, trash)
            remove_folder(trash)
    except OSError as error:
        is_left = trash is not None and os.path.lexists(trash)
        left = f"what is left of it is in {trash}" if is_left else ""
        raise make_write_error(f"dataset {wanted!r} could not be deleted", error, left) from error


def find_committed_recordings() -> dict[str, str]:
    """Map each recording whose episodes are in a local dataset to the id of that dataset."""
    from minari_core.formats.public.metadata_file import list_recordings

    committed: dict[str, str] = {}
    for dataset_id in list_local_ids():
        try:
            manifest = read_manifest(datasets_root() / dataset_id / DATA_FOLDER)
        except MinariError:
            continue
        recordings = manifest.snapshot.recordings or list_recordings(manifest.metadata)
        committed.update(dict.fromkeys(recordings, dataset_id))
    return committed


def _read_from(dataset_id: str, read: Callable[[Path], Result]) -> Result:
    """Read from the data folder of a dataset.

    Raises:
        DatasetIdError: The id is malformed.
        DatasetNotFoundError: There is no such dataset.
    """
    data = dataset_folder(dataset_id) / DATA_FOLDER
    return _read_though_replaced(dataset_id, lambda: read(data))


def _read_though_replaced(dataset_id: str, read: Callable[[], Result]) -> Result:
    """Read a dataset; one that is just replaced may be away for an instant.

    Raises:
        DatasetNotFoundError: There is no such dataset.
    """
    for _ in range(_MOST_LOOKS):
        with suppress(DatasetNotFoundError):
            return read()
        if not holds_local_dataset(dataset_id):
            break
    raise build_not_found_error(dataset_id)
