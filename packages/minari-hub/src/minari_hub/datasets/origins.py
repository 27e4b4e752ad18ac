"""The origins of a local dataset: the URLs that it is a copy of.

They are written beside its ``data`` folder, so that they come and go with the dataset, and no
format, upload or other program takes notice of them::

    D4RL/door/human-v2/.origins.json    {"uid": "…", "urls": ["gs://bucket/D4RL/door/human-v2"]}
    D4RL/door/human-v2/data/…

A copy keeps its ``uid`` while it grows, and its origins with it. Datasets of the public Minari have
no ``uid``; a digest of their metadata stands for it, so that one that was changed is another one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from minari_core.errors import MinariError, RemoteError, RemoteObjectNotFoundError
from minari_core.files import MANIFEST_NAME, replace_file
from minari_core.formats.columnar.manifest import SNAPSHOT_KEY
from minari_core.formats.public.files import OWN_KEY
from minari_core.json_values import JsonObject
from minari_core.local.locations import DATA_FOLDER, dataset_folder
from minari_core.local.replacing import holds_local_dataset
from minari_hub.datasets.remote_dataset import LARGEST_MANIFEST, RemoteDataset, locate
from minari_hub.remotes.urls import normalize_dataset_url, parse_dataset_url
from minari_hub.untrusted.json_objects import read_json_object

ORIGINS_FILE = ".origins.json"

_LARGEST_NBYTES = 1 << 20


def find_local_copy(url: str, token: str | None = None) -> str | None:
    """Find the local dataset that is a copy of the one at a URL.

    A dataset that has one of the ids at the end of the URL counts if the URL is among its
    origins. The remote is asked only if a dataset has such an id and the URL is not; then what
    both manifests say decides, and the origin is recorded.

    Args:
        url: The URL.
        token: The credentials for the remote.

    Returns:
        The id of the local dataset, or None.

    Raises:
        DatasetIdError: The URL does not end in an id.
        DatasetNotFoundError: There is no dataset at the URL.
        RemoteError: The remote would have to be asked, and cannot be.
    """
    ids = [address.dataset_id for address in parse_dataset_url(url)]
    here = [each for each in ids if holds_local_dataset(each)]
    for dataset_id in here:
        if normalize_dataset_url(url) in _read_origins(dataset_folder(dataset_id)):
            return dataset_id
    if not here:
        return None
    with _explain_question(here[0], url):
        dataset = locate(url, token)
    return dataset.dataset_id if dataset.dataset_id in here and is_copy_of(dataset) else None


def is_copy_of(dataset: RemoteDataset) -> bool:
    """Return whether the local dataset of the same id is a copy of a remote one.

    Raises:
        DatasetNotFoundError: The remote has no such dataset.
        RemoteError: The remote would have to be asked, and cannot be.
    """
    folder = dataset_folder(dataset.dataset_id)
    if dataset.url in _read_origins(folder):
        return True
    with _explain_question(dataset.dataset_id, dataset.url):
        there = _read_remote_manifest(dataset)
    here = _read_local_manifest(folder)
    is_copy = bool(here) and _identify(here) == _identify(there)
    if is_copy:
        record_origin(folder, dataset.url)
    return is_copy


def record_origin(folder: Path, url: str) -> None:
    """Record that a dataset is a copy of the one at a URL, where its folder can be written to.

    Args:
        folder: The folder that holds its ``data`` folder.
        url: The normalized URL.
    """
    urls = sorted({*_read_origins(folder), url})
    content = {"uid": _identify(_read_local_manifest(folder)), "urls": urls}
    # Where it cannot be written, the remote is asked again the next time.
    with suppress(OSError):
        replace_file(folder / ORIGINS_FILE, json.dumps(content).encode("ascii"))


def _read_origins(folder: Path) -> list[str]:
    """Read the URLs that a dataset is a copy of; none where another took its place since."""
    content = _read_json(folder / ORIGINS_FILE, _LARGEST_NBYTES)
    urls = content.get("urls")
    if not isinstance(urls, list) or not urls:
        return []
    if content.get("uid") != _identify(_read_local_manifest(folder)):
        return []
    return [url for url in urls if isinstance(url, str)]


def _read_local_manifest(folder: Path) -> JsonObject:
    return _read_json(folder / DATA_FOLDER / MANIFEST_NAME, LARGEST_MANIFEST)


def _read_remote_manifest(dataset: RemoteDataset) -> JsonObject:
    name = dataset.prefix + MANIFEST_NAME
    try:
        text = dataset.remote.read(name, 0, LARGEST_MANIFEST + 1)
    except RemoteObjectNotFoundError as error:
        raise dataset.build_not_found_error() from error
    return read_json_object(text, f"the manifest of {dataset.label}", LARGEST_MANIFEST)


def _read_json(path: Path, largest: int) -> JsonObject:
    """Read a JSON object; an empty one where there is none."""
    try:
        with open(path, "rb") as file:
            return read_json_object(file.read(largest + 1), str(path), largest)
    except (OSError, MinariError):
        return {}


@contextmanager
def _explain_question(dataset_id: str, url: str) -> Iterator[None]:
    """Say in an error of the remote why it was asked."""
    try:
        yield
    except RemoteError as error:
        raise type(error)(
            f"the local dataset {dataset_id!r} has no recorded origin, so that it must be compared "
            f"with {url} once, and that failed: {error}; force_download=True downloads {url} "
            "without that, and replaces a local dataset of its id"
        ) from error


def _identify(manifest: JsonObject) -> str:
    """Return the `uid` of a dataset, in whatever format, else a digest of all its metadata."""
    for key in (SNAPSHOT_KEY, OWN_KEY):
        section = manifest.get(key)
        if isinstance(section, dict):
            uid = section.get("uid")
            if isinstance(uid, str) and uid:
                return uid
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
