"""Hold what a dataset is while it is sent, whatever others do to it meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from minari_core.errors import DatasetChangedError, DatasetDamagedError, RemoteError
from minari_core.files import MANIFEST_NAME
from minari_core.formats.columnar.dataset_folder import ColumnarStorage
from minari_core.formats.columnar.manifest import Manifest, read_manifest
from minari_core.local.locations import DATA_FOLDER
from minari_core.local.staging import hold_staging_folder
from minari_hub.datasets.converting import LINKS_PREFIX


@dataclass(frozen=True, slots=True)
class HeldData:
    """What is sent, whatever becomes of the dataset meanwhile."""

    text: bytes
    """The manifest."""
    manifest: Manifest
    """What it says."""
    folder: Path
    """The folder that the files are in."""


@contextmanager
def hold_data(folder: Path) -> Iterator[HeldData]:
    """Hold what a dataset is now, for as long as it is sent.

    Shards never change, but whoever joins them, or rewrites the dataset, removes their files. So
    they have second names in a folder of their own until the block ends, where the file system
    lets them.

    Args:
        folder: Its ``data`` folder.

    Yields:
        The manifest, and the folder in which the files are that it names.
    """
    text, manifest = _read_manifest(folder)
    if manifest.metadata.get("data_format") != ColumnarStorage.data_format:
        yield HeldData(text, manifest, folder)
        return
    with hold_staging_folder(LINKS_PREFIX) as staged:
        held = staged / DATA_FOLDER
        while not (is_held := _link_shards(folder, manifest, held)):
            if _has_manifest(folder, text):
                break
            text, manifest = _read_manifest(folder)
        if is_held:
            (held / MANIFEST_NAME).write_bytes(text)
        yield HeldData(text, manifest, held if is_held else folder)


def _link_shards(folder: Path, manifest: Manifest, held: Path) -> bool:
    """Give the shards of a dataset second names; whether all have one."""
    try:
        held.mkdir(parents=True, exist_ok=True)
        # The last ones are joined first.
        for file in dict.fromkeys(shard.file for shard in reversed(manifest.snapshot.shards)):
            with suppress(FileExistsError):
                os.link(folder / file, held / file)
    except OSError:
        return False
    return True


def _read_manifest(folder: Path) -> tuple[bytes, Manifest]:
    """Read a manifest, as text and as what it says, which others may replace in between."""
    while True:
        text = (folder / MANIFEST_NAME).read_bytes()
        manifest = read_manifest(folder)
        if (folder / MANIFEST_NAME).read_bytes() == text:
            return text, manifest


@contextmanager
def explain_change(folder: Path, text: bytes) -> Iterator[None]:
    """Say of a file that is missing, or is another one, that the dataset was rewritten.

    Args:
        folder: Its ``data`` folder.
        text: The manifest as the upload began.

    Raises:
        DatasetChangedError: The manifest is another one than when the upload began, too.
    """
    try:
        yield
    except (DatasetDamagedError, FileNotFoundError) as error:
        if isinstance(error, RemoteError) or _has_manifest(folder, text):
            raise
        raise DatasetChangedError(
            f"{folder} was rewritten while it was uploaded: {error}; upload it again"
        ) from error


def _has_manifest(folder: Path, text: bytes) -> bool:
    try:
        return (folder / MANIFEST_NAME).read_bytes() == text
    except OSError:
        return False
