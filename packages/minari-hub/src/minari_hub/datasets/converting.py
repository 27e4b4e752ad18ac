"""Convert a dataset to another format for the time of an upload."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minari_core.errors import DatasetExistsError
from minari_core.files import MANIFEST_NAME
from minari_core.formats.columnar.manifest import read_metadata
from minari_core.formats.registry import check_format, new_storage, open_storage
from minari_core.local.locations import DATA_FOLDER, staging_root
from minari_core.locks import FileLock
from minari_core.storage.copied_metadata import metadata_for_copy

UPLOAD_PREFIX = "upload-"
"""How the names of the folders of converted data begin."""

LINKS_PREFIX = f"{UPLOAD_PREFIX}links-"
"""How the names of the folders begin in which shards have second names while they are sent."""

_CHECK_SECONDS = 60.0
_logger = logging.getLogger(__name__)


@contextmanager
def convert_for_upload(dataset_id: str, folder: Path, data_format: str | None) -> Iterator[Path]:
    """Convert the data of a dataset, unless they are in the format already.

    What was converted stays under the local root, hidden, until the block ends without an error
    or because the dataset is published already: so an upload that is called again sends the same
    files.

    Args:
        dataset_id: Its id.
        folder: Its ``data`` folder.
        data_format: The format; None is the one that it is in.

    Yields:
        The folder itself, or that of the converted data.

    Raises:
        FormatError: The format is unknown here.
    """
    if data_format is None or read_metadata(folder).get("data_format") == data_format:
        yield folder
        return
    check_format(data_format)
    # Another manifest is another content.
    known = f"{dataset_id}\0{data_format}\0".encode() + (folder / MANIFEST_NAME).read_bytes()
    staged = staging_root() / f"{UPLOAD_PREFIX}{hashlib.sha256(known).hexdigest()[:24]}"
    data = staged / DATA_FOLDER
    staged.parent.mkdir(parents=True, exist_ok=True)
    # Of two processes that upload the same, the second waits until the first is done.
    lock = FileLock(staged.with_suffix(".lock"))
    while not lock.acquire(_CHECK_SECONDS):
        _logger.info("another process%s uploads %s", lock.describe_holder(), dataset_id)
    try:
        if not (data / MANIFEST_NAME).exists():
            shutil.rmtree(staged, ignore_errors=True)
            data.mkdir(parents=True)
            source = open_storage(folder)
            metadata = {**metadata_for_copy(source), "dataset_id": dataset_id}
            target = new_storage(data, metadata, data_format)
            target.append_storage(source)
            target.save()
        try:
            yield data
        except DatasetExistsError:
            # No other call will need it.
            shutil.rmtree(staged, ignore_errors=True)
            raise
        shutil.rmtree(staged, ignore_errors=True)
    finally:
        # With its lock, what stays is seen at once to have nobody.
        lock.release(remove=not staged.exists())
