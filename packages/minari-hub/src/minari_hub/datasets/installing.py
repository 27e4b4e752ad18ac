"""Install a downloaded dataset under the local root, in one rename."""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from minari_core.errors import DatasetWriteError
from minari_core.files import sync_folder
from minari_core.local.locations import dataset_folder, datasets_root, staging_root
from minari_core.local.publishing import check_id_is_free


def install(dataset_id: str, staged: Path, *, replace: bool) -> None:
    """Move a complete dataset to its folder under the local root.

    Args:
        dataset_id: Its id.
        staged: The folder that holds its ``data`` folder.
        replace: Whether a dataset that has the id is replaced; it stays until the new one is
            there, and is put back if that fails.

    Raises:
        DatasetExistsError: The id is taken, and nothing may be replaced.
        DatasetWriteError: The file system refuses.
    """
    target = dataset_folder(dataset_id)
    old = staging_root() / f"delete-{uuid.uuid4().hex}"
    try:
        if replace and target.exists():
            os.rename(target, old)
        try:
            check_id_is_free(dataset_id)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(staged, target)
        except BaseException:
            if old.exists():
                os.rename(old, target)
            _remove_empty_folders(target.parent)
            raise
        sync_folder(target.parent)
    except OSError as error:
        if isinstance(error, FileExistsError):
            raise
        raise DatasetWriteError(
            f"dataset {dataset_id!r} was downloaded, and could not be put to {target}: {error}"
        ) from error
    shutil.rmtree(old, ignore_errors=True)


def _remove_empty_folders(folder: Path) -> None:
    """Remove the folders of a namespace that has nothing else."""
    with suppress(OSError):
        while folder != datasets_root():
            folder.rmdir()
            folder = folder.parent
