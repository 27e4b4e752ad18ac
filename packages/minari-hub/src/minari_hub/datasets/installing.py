"""Install a downloaded dataset under the local root, in one rename."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress

from minari_core.errors import DatasetExistsError, MinariError
from minari_core.files import make_write_error, sync_folder
from minari_core.formats.registry import DEFAULT_FORMAT
from minari_core.json_values import JsonObject
from minari_core.local.dataset_id import parse_dataset_id
from minari_core.local.locations import dataset_folder
from minari_core.local.namespaces import make_namespaces
from minari_core.local.publishing import check_id_is_free, check_public_listing
from minari_core.local.replacing import discard_folder, holds_local_dataset, replace_dataset
from minari_hub.datasets.staging import StagingArea


def install(
    dataset_id: str,
    staging: StagingArea,
    *,
    replace: bool,
    namespaces: Mapping[str, JsonObject],
) -> None:
    """Move a complete dataset to its folder under the local root.

    Args:
        dataset_id: Its id.
        staging: Where it lies.
        replace: Whether a dataset that has the id is replaced; until the new one is there, the
            old one is.
        namespaces: The metadata of its namespaces that are not here yet, by their names.

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
        check_id_is_free(dataset_id)
        check_public_listing(dataset_id, DEFAULT_FORMAT)
        with make_namespaces(parse_dataset_id(dataset_id).namespace, namespaces):
            os.rename(staging.dataset, target)
        sync_folder(target.parent)
    except OSError as error:
        if isinstance(error, MinariError):
            raise
        if not replace and target.exists():
            raise DatasetExistsError(
                f"dataset {dataset_id!r} was created by somebody else meanwhile; what was "
                "downloaded is kept, and force_download=True replaces the other"
            ) from error
        raise make_write_error(
            f"dataset {dataset_id!r} was downloaded, and could not be put to {target}", error
        ) from error
