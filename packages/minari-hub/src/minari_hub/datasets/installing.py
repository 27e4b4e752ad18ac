"""Install a downloaded dataset under the local root, in one rename."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from minari_core.errors import DatasetExistsError, DatasetWriteError, MinariError
from minari_core.files import sync_folder
from minari_core.local.locations import dataset_folder, datasets_root
from minari_core.local.publishing import check_id_is_free
from minari_core.local.replacing import discard_folder, holds_local_dataset, replace_dataset
from minari_hub.datasets.staging import StagingArea


def install(dataset_id: str, staging: StagingArea, *, replace: bool) -> None:
    """Move a complete dataset to its folder under the local root.

    Args:
        dataset_id: Its id.
        staging: Where it lies.
        replace: Whether a dataset that has the id is replaced; until the new one is there, the
            old one is.

    Raises:
        DatasetExistsError: The id is taken, and nothing may be replaced.
        DatasetWriteError: The file system refuses.
        DatasetBusyError: Another process holds the lock of the one that is to be replaced.
    """
    target = dataset_folder(dataset_id)
    try:
        if replace and holds_local_dataset(dataset_id):
            with staging.put_journal_away():
                old = replace_dataset(dataset_id, staging.dataset)
            sync_folder(target.parent)
            with suppress(OSError):
                discard_folder(old)
            return
        try:
            check_id_is_free(dataset_id)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(staging.dataset, target)
        except BaseException:
            _remove_empty_folders(target.parent)
            raise
        sync_folder(target.parent)
    except OSError as error:
        if isinstance(error, MinariError):
            raise
        if not replace and target.exists():
            raise DatasetExistsError(
                f"dataset {dataset_id!r} was created by somebody else meanwhile; what was "
                "downloaded is kept, and force_download=True replaces the other"
            ) from error
        raise DatasetWriteError(
            f"dataset {dataset_id!r} was downloaded, and could not be put to {target}: {error}"
        ) from error


def _remove_empty_folders(folder: Path) -> None:
    """Remove the folders of a namespace that has nothing else."""
    with suppress(OSError):
        while folder != datasets_root():
            folder.rmdir()
            folder = folder.parent
