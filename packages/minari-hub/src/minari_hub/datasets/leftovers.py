"""List and remove what killed downloads and uploads left."""

from __future__ import annotations

from pathlib import Path

from minari_core.errors import MinariError
from minari_core.formats.columnar.manifest import get_data_format, read_metadata
from minari_core.local.leftovers.leftover import StagedKind, Worth
from minari_core.local.leftovers.listing import LeftoverFinder
from minari_core.local.locations import DATA_FOLDER
from minari_hub.datasets.converting import LINKS_PREFIX, UPLOAD_PREFIX
from minari_hub.datasets.staging import DOWNLOAD_PREFIX, StagingArea


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
    StagedKind("upload", LINKS_PREFIX, lambda folder: Worth()),
    StagedKind("upload", UPLOAD_PREFIX, _describe_upload),
)
"""What this package leaves in the staging area."""

LEFTOVERS = LeftoverFinder(KINDS)
"""Finds what this package and minari-core leave."""

list_leftovers = LEFTOVERS.list_leftovers
remove_leftovers = LEFTOVERS.remove_leftovers
