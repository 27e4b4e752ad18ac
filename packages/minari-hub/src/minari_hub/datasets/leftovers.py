"""List and remove what killed downloads and uploads left."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import minari_core
from minari_core import Leftover
from minari_core.errors import MinariError
from minari_core.formats.columnar.manifest import get_data_format, read_metadata
from minari_core.local.leftovers.leftover import StagedKind, Worth
from minari_core.local.locations import DATA_FOLDER
from minari_hub.datasets.converting import UPLOAD_PREFIX
from minari_hub.datasets.staging import DOWNLOAD_PREFIX, StagingArea


def list_leftovers() -> list[Leftover]:
    """List what killed downloads, uploads, creations and deletions left, oldest first.

    What a living process has is never in it; see `minari_core.list_leftovers`.
    """
    return minari_core.list_leftovers(kinds=KINDS)


def remove_leftovers(
    ids: str | Leftover | Iterable[str | Leftover] | None = None, *, valuable: bool = False
) -> list[Leftover]:
    """Remove what killed processes left; see `minari_core.remove_leftovers`.

    Args:
        ids: The ids of what to remove, or what `list_leftovers` lists, one or several, also of what
            is valuable; everything without value if None.
        valuable: Without ``ids``, also remove what is valuable.

    Returns:
        What is removed.

    Raises:
        DatasetNotFoundError: Nothing that is left has one of the ids, and nothing is removed.
        DatasetBusyError: A process has taken one of them up meanwhile.
        DatasetWriteError: The file system refused.
    """
    return minari_core.remove_leftovers(ids, valuable=valuable, kinds=KINDS)


def _describe_download(folder: Path) -> Worth:
    source, dataset_id = StagingArea.read_source(folder)
    # Without a journal the next download begins anew.
    if not source:
        return Worth(dataset_id)
    url = f"{source.rstrip('/')}/{dataset_id}" if dataset_id else source
    return Worth(dataset_id, f"download_dataset({url!r}) goes on with it")


def _describe_upload(folder: Path) -> Worth:
    try:
        metadata = read_metadata(folder / DATA_FOLDER)
    except MinariError:
        return Worth()
    dataset_id, data_format = str(metadata.get("dataset_id", "")), get_data_format(metadata)
    return Worth(
        dataset_id,
        f"upload_dataset({dataset_id!r}) with data_format={data_format!r} sends the same files, "
        "if a part of them is there",
    )


KINDS = (
    StagedKind("download", DOWNLOAD_PREFIX, _describe_download),
    StagedKind("upload", UPLOAD_PREFIX, _describe_upload),
)
"""What this package leaves in the staging area."""
