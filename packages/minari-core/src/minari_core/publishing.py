"""Making a new dataset appear as a whole, in one rename."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from minari_core.columns import JsonValue
from minari_core.dataset_id import parse_dataset_id
from minari_core.errors import DatasetExistsError, DatasetWriteError, MinariError
from minari_core.formats import new_storage
from minari_core.locations import DATA_FOLDER, dataset_folder, datasets_root, staging_root
from minari_core.manifest import MANIFEST_NAME, sync_folder
from minari_core.storage import Storage


def check_id_is_free(dataset_id: str) -> None:
    """Raise unless a dataset of this id can be created.

    Raises:
        DatasetIdError: The id is malformed.
        DatasetExistsError: Something has this name already, or a part of the id's namespace is
            itself a dataset.
    """
    folder = dataset_folder(dataset_id)
    if folder.exists():
        kind = "a dataset" if (folder / DATA_FOLDER).exists() else "a folder without a dataset"
        raise DatasetExistsError(
            f"dataset {dataset_id!r} cannot be created: {folder} exists ({kind}); choose another "
            "name or version, or delete it first"
        )
    parent = folder.parent
    while parent != datasets_root():
        if (parent / DATA_FOLDER / MANIFEST_NAME).exists():
            name = parent.relative_to(datasets_root()).as_posix()
            raise DatasetExistsError(
                f"dataset {dataset_id!r} cannot be created inside the dataset {name!r}"
            )
        parent = parent.parent


def publish(
    dataset_id: str,
    metadata: Mapping[str, JsonValue],
    data_format: str,
    fill: Callable[[Storage], object],
) -> Path:
    """Create a dataset: all of it, or nothing.

    Args:
        dataset_id: Its id.
        metadata: What it is; the spaces as JSON text.
        data_format: How it is stored.
        fill: Adds the episodes.

    Returns:
        The dataset's ``data`` folder.

    Raises:
        DatasetExistsError: The id is taken, perhaps only since this call began.
        DatasetWriteError: The file system refused; nothing is left behind.
    """
    check_id_is_free(dataset_id)
    target = dataset_folder(dataset_id)
    with _staging(dataset_id) as staged:
        data = staged / DATA_FOLDER
        data.mkdir()
        storage = new_storage(data, {**metadata, "dataset_id": dataset_id}, data_format)
        fill(storage)
        storage.save()
        sync_folder(staged)
        with _namespace_of(dataset_id):
            try:
                os.rename(staged, target)
            except OSError as error:
                if target.exists():
                    raise DatasetExistsError(
                        f"dataset {dataset_id!r} was created by somebody else meanwhile"
                    ) from error
                raise
        sync_folder(target.parent)
    return target / DATA_FOLDER


@contextmanager
def _staging(dataset_id: str) -> Iterator[Path]:
    """A hidden folder that is gone afterwards, unless it was renamed."""
    folder = staging_root() / f"create-{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True)
        yield folder
    except OSError as error:
        if isinstance(error, MinariError):
            raise
        raise DatasetWriteError(
            f"dataset {dataset_id!r} could not be written: {error}; nothing was left behind"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _namespace_of(dataset_id: str) -> Iterator[None]:
    """Make the folders of the id's namespace, and remove them again if the block fails."""
    made: list[Path] = []
    folder = datasets_root()
    for part in filter(None, parse_dataset_id(dataset_id).namespace.split("/")):
        folder = folder / part
        with suppress(FileExistsError):
            folder.mkdir()
            made.append(folder)
    try:
        yield
    except BaseException:
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()
        raise
