"""Compare files with what a remote has of them already."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from minari_core.errors import DatasetExistsError
from minari_core.files import MANIFEST_NAME
from minari_hub.datasets.remote_dataset import LARGEST_MANIFEST, RemoteDataset
from minari_hub.transfer.checksums import Algorithm, Checksum, compute_checksum, start_hasher
from minari_hub.transfer.objects import RemoteObject, Upload

_BLOCK = 8 << 20


def list_objects(dataset: RemoteDataset) -> dict[str, RemoteObject]:
    """List the objects of a dataset's data; none where there is no such folder yet."""
    try:
        return dataset.list_objects()
    except FileNotFoundError:
        # A folder, or a repository, that is made when something is put there.
        return {}


def check_is_new(dataset: RemoteDataset, there: Mapping[str, RemoteObject]) -> None:
    """Raise if a dataset is published already.

    Raises:
        DatasetExistsError: It is.
    """
    found = there.get(MANIFEST_NAME)
    if found is not None and is_whole_manifest(dataset, found):
        raise DatasetExistsError(
            f"Upload aborted. {dataset.dataset_id} is already in remote {dataset.remote.url}, "
            "where nothing is replaced; publish it under the next version"
        )


def is_whole_manifest(dataset: RemoteDataset, found: RemoteObject) -> bool:
    """Return whether a manifest is more than what was left of one that was being sent."""
    # A remote that keeps checksums shows an object when it is whole.
    if found.checksum is not None or found.size > LARGEST_MANIFEST:
        return True
    try:
        json.loads(dataset.remote.read(found.name, 0, found.size))
    except ValueError:
        return False
    return True


def select_missing(
    dataset: RemoteDataset, uploads: Sequence[Upload], there: Mapping[str, RemoteObject]
) -> dict[str, Upload]:
    """Select the files that are not on the remote, or not all of them, by their names.

    Raises:
        DatasetExistsError: Another content is there.
    """
    missing: dict[str, Upload] = {}
    for upload in uploads:
        found = there.get(upload.name[len(dataset.prefix) :])
        if found is None:
            missing[upload.name] = upload
        elif not is_same(dataset, upload, found):
            if not _is_beginning(dataset, upload, found):
                raise build_conflict_error(dataset, upload)
            missing[upload.name] = replace(upload, replaces_beginning=True)
    return missing


def is_same(dataset: RemoteDataset, upload: Upload, found: RemoteObject) -> bool:
    """Return whether an object is a file; read it back where the remote keeps no checksum."""
    if found.size != upload.size:
        return False
    algorithm: Algorithm = found.checksum.algorithm if found.checksum else "sha256"
    content = found.checksum or _read_back(dataset, found, algorithm)
    return content == compute_checksum(upload.path, algorithm)


def _is_beginning(dataset: RemoteDataset, upload: Upload, found: RemoteObject) -> bool:
    """Return whether an object is what was left of a file that was being sent."""
    # A remote that keeps checksums shows an object when it is whole.
    if found.checksum is not None or found.size >= upload.size:
        return False
    with open(upload.path, "rb") as file:
        return all(block == file.read(len(block)) for block in _read_blocks(dataset, found))


def build_conflict_error(dataset: RemoteDataset, upload: Upload) -> DatasetExistsError:
    """Return the error that an object of a file's name has another content."""
    return DatasetExistsError(
        f"{upload.name!r} exists on {dataset.remote.url} with another content than the local one, "
        "though no manifest names it there; it may be what another upload left: remove it, or "
        "publish under the next version"
    )


def _read_back(dataset: RemoteDataset, found: RemoteObject, algorithm: Algorithm) -> Checksum:
    hasher = start_hasher(algorithm, found.size)
    for block in _read_blocks(dataset, found):
        hasher.update(block)
    return Checksum(algorithm, hasher.hexdigest())


def _read_blocks(dataset: RemoteDataset, found: RemoteObject) -> Iterator[bytes]:
    for start in range(0, found.size, _BLOCK):
        yield dataset.remote.read(found.name, start, min(start + _BLOCK, found.size))
