"""Publish a new dataset as a whole, in one rename."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from minari_core.environments.given_spaces import NONE_GIVEN, GivenSpaces
from minari_core.errors import (
    DatasetExistsError,
    DatasetIdError,
    MinariError,
)
from minari_core.files import holds_dataset, make_write_error, sync_file, sync_folder
from minari_core.formats.registry import DEFAULT_FORMAT, new_storage
from minari_core.json_values import JsonValue
from minari_core.local.dataset_id import parse_dataset_id
from minari_core.local.folders import remove_folder
from minari_core.local.locations import DATA_FOLDER, dataset_folder, datasets_root, staging_root
from minari_core.local.namespaces import make_namespaces
from minari_core.local.replacing import put_back
from minari_core.local.staging import LOCK_SUFFIX, hold_left, hold_staging_folder
from minari_core.messages import warn_caller
from minari_core.storage.base import Storage


def check_id_is_free(dataset_id: str) -> None:
    """Raise unless a dataset of this id can be created.

    Raises:
        DatasetIdError: The id is malformed.
        DatasetExistsError: The name is taken, or one of the id's namespaces is itself a dataset.
        DatasetWriteError: The folder may not be read.
    """
    folder = dataset_folder(dataset_id)
    put_back()
    with _wrap_os_errors(dataset_id):
        is_taken = folder.exists()
    if is_taken:
        kind = "a dataset" if (folder / DATA_FOLDER).exists() else "a folder without a dataset"
        raise DatasetExistsError(
            f"A Minari dataset with ID {dataset_id} already exists and it cannot be overridden. "
            "Please use a different dataset name or version, or delete it first: "
            f"{folder} is {kind}"
        )
    parent = folder.parent
    while parent != datasets_root():
        if holds_dataset(parent / DATA_FOLDER):
            name = parent.relative_to(datasets_root()).as_posix()
            raise DatasetExistsError(
                f"dataset {dataset_id!r} cannot be created inside the dataset {name!r}"
            )
        parent = parent.parent


def check_public_listing(dataset_id: str, data_format: str) -> None:
    """Warn if the public Minari could no longer list local datasets because of an id.

    Args:
        dataset_id: The id of a dataset that is made or downloaded.
        data_format: Its format.

    Raises:
        DatasetIdError: The format is the public Minari's.
    """
    if len(parse_dataset_id(dataset_id).namespace) != 1:
        return
    problem = (
        f"the namespace of {dataset_id!r} is a single character: the public Minari lists no local "
        "dataset at all while there is such a one"
    )
    if data_format != DEFAULT_FORMAT:
        raise DatasetIdError(f"{problem}, so that none is made as {data_format}; name it longer")
    warn_caller(f"{problem}; name it longer if it is used here")


def publish(
    dataset_id: str,
    metadata: Mapping[str, JsonValue],
    data_format: str,
    fill: Callable[[Storage], object],
    given_spaces: GivenSpaces = NONE_GIVEN,
) -> Path:
    """Create a dataset: all of it, or nothing.

    Args:
        dataset_id: Its id.
        metadata: Its metadata; the spaces as JSON text.
        data_format: The format to store it in.
        fill: Adds the episodes.
        given_spaces: The spaces that stand for those whose types are unknown.

    Returns:
        The dataset's ``data`` folder.

    Raises:
        DatasetIdError: The public Minari, whose format it is, could not list it.
        DatasetExistsError: The id is taken, perhaps only since this call began.
        DatasetWriteError: The file system refused; nothing is left behind.
    """
    check_id_is_free(dataset_id)
    check_public_listing(dataset_id, data_format)
    target = dataset_folder(dataset_id)
    _remove_abandoned()
    from concurrent.futures import ThreadPoolExecutor  # only who writes

    with hold_staging_folder("create-") as staged, ThreadPoolExecutor(1) as beside:
        data = staged / DATA_FOLDER
        with _wrap_os_errors(dataset_id):
            data.mkdir(parents=True)
        named = {**metadata, "dataset_id": dataset_id}
        storage = new_storage(data, named, data_format, given_spaces)
        flushed = []
        if data_format == DEFAULT_FORMAT:
            from minari_core.formats.public.hdf5.placeholder import (
                write_placeholder,  # only who writes
            )

            with _wrap_os_errors(dataset_id):
                # Flushing this small file takes as long as writing many episodes.
                flushed.append(beside.submit(sync_file, write_placeholder(data)))
        fill(storage)
        with _wrap_os_errors(dataset_id):
            for each in flushed:
                each.result()
            # The last that is written, so that one flush of the folder is of all names in it.
            storage.save()
            sync_folder(staged)
            _rename_into_place(dataset_id, staged, target)
    return target / DATA_FOLDER


def _rename_into_place(dataset_id: str, staged: Path, target: Path) -> None:
    with make_namespaces(parse_dataset_id(dataset_id).namespace):
        try:
            os.rename(staged, target)
        except OSError as error:
            if target.exists():
                raise DatasetExistsError(
                    f"dataset {dataset_id!r} was created by somebody else meanwhile"
                ) from error
            raise
        try:
            sync_folder(target.parent)
        except OSError:
            # A publication that is reported as failed must not be visible.
            os.rename(target, staged)
            raise


def _remove_abandoned() -> None:
    """Remove the staging folders that killed processes have left."""
    with suppress(OSError):
        for name in os.listdir(staging_root()):
            folder = staging_root() / name
            if name.startswith(("create-", "delete-")) and folder.suffix != LOCK_SUFFIX:
                with suppress(OSError), hold_left(folder):
                    remove_folder(folder)


@contextmanager
def _wrap_os_errors(dataset_id: str) -> Iterator[None]:
    """Turn an `OSError` of the block into a `DatasetWriteError` that names the dataset."""
    try:
        yield
    except OSError as error:
        if isinstance(error, MinariError):
            raise
        raise make_write_error(
            f"dataset {dataset_id!r} could not be written", error, "nothing was left behind"
        ) from error
