"""Download datasets from a remote into the local root."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from minari_core.errors import (
    DatasetDamagedError,
    DatasetExistsError,
    DatasetNotFoundError,
    FormatError,
    MetadataError,
    MinariError,
    RemoteError,
)
from minari_core.files import (
    MANIFEST_NAME,
    make_write_error,
    sync_file,
    sync_folder,
)
from minari_core.formats.columnar.dataset_folder import ColumnarStorage
from minari_core.formats.columnar.manifest import Snapshot, read_manifest, read_metadata
from minari_core.formats.public.files import is_beyond_last_episode
from minari_core.formats.shards.file_check import check_shard
from minari_core.formats.verification.episode_files import check_episode_files
from minari_core.local.dataset_id import choose_id, is_url, parse_dataset_id
from minari_core.local.locations import dataset_folder
from minari_core.local.publishing import check_id_is_free
from minari_core.local.replacing import holds_local_dataset
from minari_core.messages import warn_caller
from minari_hub.datasets.fetching import check_space, fetch, take_cached_shards
from minari_hub.datasets.installing import install
from minari_hub.datasets.origins import find_local_copy, is_copy_of, record_origin
from minari_hub.datasets.progress import explain_interrupt, show_transfer
from minari_hub.datasets.remote_dataset import LARGEST_MANIFEST, RemoteDataset, ask_for_dataset
from minari_hub.datasets.staging import StagingArea
from minari_hub.remotes.namespaces import fetch_new_namespaces
from minari_hub.remotes.setting import RemotePath
from minari_hub.transfer.objects import RemoteObject
from minari_hub.untrusted.json_objects import check_metadata, read_json_object
from minari_hub.untrusted.names import check_names

_MOST_READS = 3

_logger = logging.getLogger(__name__)


def download_dataset(
    dataset_name: str | None = None,
    force_download: bool = False,
    *,
    dataset_id: str | None = None,
    remote_path: RemotePath | None = None,
    token: str | None = None,
    progress: bool = True,
) -> None:
    """Download a dataset into the local root.

    Its files go to a hidden folder first, several at a time, and each is checked against the
    remote's checksum; one rename then makes the dataset appear. When the process is killed, the
    next call goes on where it was. A dataset that is here already is left as it is, with a
    warning; of a URL, the copy of that very dataset counts. A `KeyboardInterrupt` says that the
    next call goes on, too.

    Args:
        dataset_name: Its id, or its full URL such as ``gs://bucket/D4RL/door/human-v2``.
        force_download: Download it even if it is here; the one that is here is replaced after
            the new one is complete.
        dataset_id: Another name of ``dataset_name``.
        remote_path: The URL of the remote, or several: the first that has the dataset serves it,
            and where one fails, the next is asked, with a warning. None is ``$MINARI_REMOTE``,
            else `DEFAULT_REMOTES`.
        token: The credentials; see `open_remote`.
        progress: Whether to show a progress bar, if there is a terminal.

    Raises:
        DatasetIdError: The id is malformed.
        DatasetNotFoundError: No remote has such a dataset.
        DatasetExistsError: Its id is that of something else here; of a URL, also that of another
            dataset than the one there.
        DatasetWriteError: There is too little space, or the file system refuses.
        DatasetBusyError: Another process downloads it and does not get on.
        DatasetDamagedError: What the remote has is not what its manifest says.
        MetadataError: Its manifest is malformed, or is that of another dataset.
        UntrustedNameError: The remote gives a file a name that leads elsewhere.
        RemoteError: The remote cannot be read, or sends something else than it lists.
    """
    wanted = choose_id(dataset_name, dataset_id)
    here = None if force_download else _find_here(wanted, token)
    if here is not None:
        warn_caller(
            f"Skipping Download. Dataset {here} found locally at {dataset_folder(here)}, Use "
            "force_download=True to download the dataset again."
        )
        return
    _download_first(wanted, force_download, remote_path, token, progress)


def download_copy(
    dataset_name: str,
    *,
    replaces: bool,
    remote_path: RemotePath | None,
    token: str | None,
    progress: bool,
) -> bool:
    """Download a dataset unless the local one of its id is a copy of it; see `download_dataset`.

    Args:
        dataset_name: As `download_dataset` takes it.
        replaces: Whether to download it in any case.
        remote_path: As `download_dataset` takes it.
        token: As `download_dataset` takes it.
        progress: As `download_dataset` takes it.

    Returns:
        Whether it was downloaded.

    Raises:
        DatasetExistsError: The local dataset of its id is another one.
        MinariError: As `download_dataset`.
    """
    if not replaces and is_url(dataset_name) and find_local_copy(dataset_name, token):
        return False

    def download(dataset: RemoteDataset) -> bool | None:
        if not replaces and holds_local_dataset(dataset.dataset_id):
            try:
                _check_copy(dataset)
            except DatasetNotFoundError:  # it is not on this remote
                return None
            return False
        return _download_locked(dataset, replaces, progress, must_be_copy=True) or None

    return ask_for_dataset(dataset_name, remote_path, token, download)


def ensure_downloaded(
    dataset_name: str | None = None,
    *,
    dataset_id: str | None = None,
    remote_path: RemotePath | None = None,
    token: str | None = None,
    progress: bool = True,
) -> str:
    """Download a dataset unless it is here; a remote is asked only if it is not.

    Of a URL, only a copy of that very dataset counts; see `download_dataset`.

    Args:
        dataset_name: As `download_dataset` takes it.
        dataset_id: Another name of ``dataset_name``.
        remote_path: As `download_dataset` takes it.
        token: As `download_dataset` takes it.
        progress: As `download_dataset` takes it.

    Returns:
        The id of the local dataset, also where a URL was given.

    Raises:
        MinariError: As `download_dataset`.
    """
    wanted = choose_id(dataset_name, dataset_id)
    here = _find_here(wanted, token)
    if here is not None:
        return here
    return _download_first(wanted, False, remote_path, token, progress)


def resolve_local_id(dataset_name: str, token: str | None = None) -> str:
    """Return the id of the local dataset that an id or a full URL means.

    Args:
        dataset_name: The id, or the URL.
        token: The credentials for the remote, which is asked where the local dataset at the end
            of the URL has no recorded origin.

    Raises:
        DatasetIdError: A URL does not end in an id.
        DatasetNotFoundError: No local dataset is a copy of the one at the URL.
        RemoteError: The remote would have to be asked, and cannot be.
    """
    if not is_url(dataset_name):
        return dataset_name
    copy = find_local_copy(dataset_name, token)
    if copy is None:
        raise DatasetNotFoundError(
            f"no local dataset is a copy of {dataset_name}; list_local_datasets() shows which "
            "there are, and download_dataset() makes a remote one local"
        )
    return copy


def _find_here(wanted: str, token: str | None) -> str | None:
    """Return the id of the local dataset that an id or a full URL means, or None."""
    if is_url(wanted):
        return find_local_copy(wanted, token)
    return wanted if holds_local_dataset(wanted) else None


def _download_first(
    wanted: str, replaces: bool, remote_path: RemotePath | None, token: str | None, progress: bool
) -> str:
    """Download from the first remote that has a dataset and does not fail; return its id."""

    def download(dataset: RemoteDataset) -> str | None:
        is_there = _download_locked(dataset, replaces, progress, must_be_copy=is_url(wanted))
        return dataset.dataset_id if is_there else None

    return ask_for_dataset(wanted, remote_path, token, download)


def _download_locked(
    dataset: RemoteDataset, replaces: bool, progress: bool, *, must_be_copy: bool
) -> bool:
    """Download a dataset unless it is here by now; return whether the remote has it, or had it."""
    staging = StagingArea(dataset.dataset_id)
    try:
        with explain_interrupt(), staging.lock():
            # Who was waited for may have downloaded it.
            if not holds_local_dataset(dataset.dataset_id):
                check_id_is_free(dataset.dataset_id)
            elif not replaces:
                if must_be_copy:
                    _check_copy(dataset)
                return True
            return _download(dataset, staging, replaces, progress)
    except OSError as error:
        if isinstance(error, MinariError):
            raise
        raise make_write_error(
            f"dataset {dataset.dataset_id!r} could not be downloaded",
            error,
            "what was received is kept, and the next call goes on from there",
        ) from error


def _check_copy(dataset: RemoteDataset) -> None:
    """Raise unless the local dataset of the same id is a copy of a remote one."""
    if not is_copy_of(dataset):
        raise DatasetExistsError(
            f"nothing was downloaded: the local dataset {dataset.dataset_id!r} is another one than "
            f"{dataset.url}; force_download=True replaces it"
        )


def _download(dataset: RemoteDataset, staging: StagingArea, replaces: bool, progress: bool) -> bool:
    objects = dataset.list_objects()
    manifest = objects.get(MANIFEST_NAME)
    if manifest is None:
        return False
    staging.put_manifest(_read_manifest(dataset, manifest))
    snapshot = _read_snapshot(dataset, staging.manifest_folder)
    metadata = read_metadata(staging.manifest_folder)
    if snapshot is None:
        objects = {
            name: found
            for name, found in objects.items()
            if not is_beyond_last_episode(name, metadata)
        }
    wanted = _select_objects(dataset, objects, snapshot)
    staging.prepare(dataset.remote.url, wanted)
    check_space(dataset, staging, wanted)
    if snapshot is not None:
        take_cached_shards(staging, snapshot, dataset.label)
    total = sum(found.size for found in wanted.values())
    with show_transfer(dataset.dataset_id, total, shown=progress) as report:
        fetch(dataset.remote, staging, wanted, report)
    if snapshot is not None:
        _check_shards(dataset, staging.data, wanted, snapshot)
    else:
        try:
            check_episode_files(staging.data, metadata, dataset.label)
        except DatasetDamagedError:
            # The next call shall ask the remote for all of it again.
            staging.remove()
            raise
    staging.complete()
    record_origin(staging.dataset, dataset.url)
    if snapshot is not None:
        from minari_core.formats.public.hdf5.placeholder import (
            write_placeholder,  # listing needs no HDF5
        )

        sync_file(write_placeholder(staging.data))
        sync_folder(staging.data)
    namespaces = fetch_new_namespaces(
        dataset.remote, parse_dataset_id(dataset.dataset_id).namespace
    )
    install(dataset.dataset_id, staging, replace=replaces, namespaces=namespaces)
    staging.remove()
    _logger.info("downloaded %s: %d files, %d bytes", dataset.label, len(wanted), total)
    return True


def _read_manifest(dataset: RemoteDataset, manifest: RemoteObject) -> bytes:
    """Read the manifest, as the remote lists it."""
    if manifest.size > LARGEST_MANIFEST:
        raise MetadataError(
            f"the manifest of {dataset.label} has {manifest.size} bytes, more than "
            f"{LARGEST_MANIFEST}"
        )
    for _ in range(_MOST_READS):
        text = dataset.remote.read(manifest.name, 0, manifest.size)
        if manifest.matches(text):
            break
    else:
        raise RemoteError(
            f"the remote sends another manifest for {dataset.label} than it lists (tried "
            f"{_MOST_READS} times); if it was just replaced, try again"
        )
    where = f"the manifest of {dataset.label}"
    content = read_json_object(text, where, LARGEST_MANIFEST)
    check_metadata(content, where)
    said = content.get("dataset_id", dataset.dataset_id)
    if said != dataset.dataset_id:
        raise MetadataError(f"{where} is that of {str(said)[:200]!r}")
    return text


def _read_snapshot(dataset: RemoteDataset, folder: Path) -> Snapshot | None:
    """Read which shards a dataset has; None where the manifest does not name the files."""
    try:
        manifest = read_manifest(folder)
    except FormatError:
        # Of a version that comes after this one. Whoever reads it will say so.
        return None
    except DatasetDamagedError as error:
        raise MetadataError(f"the manifest of {dataset.label} is malformed: {error}") from error
    if manifest.metadata.get("data_format") != ColumnarStorage.data_format:
        return None
    return manifest.snapshot


def _select_objects(
    dataset: RemoteDataset, objects: Mapping[str, RemoteObject], snapshot: Snapshot | None
) -> dict[str, RemoteObject]:
    """Select the objects of the dataset besides its manifest, by validated names.

    Raises:
        UntrustedNameError: A name leads elsewhere.
        DatasetDamagedError: A shard is missing, or has another size than the manifest says.
    """
    if snapshot is None:
        names = check_names(objects)
        return {name: objects[name] for name in names if name != MANIFEST_NAME}
    wanted: dict[str, RemoteObject] = {}
    check_names([MANIFEST_NAME, *{shard.file for shard in snapshot.shards}])
    for shard in snapshot.shards:
        found = objects.get(shard.file)
        if found is None:
            raise DatasetDamagedError(
                f"{dataset.label} has no {shard.file}, though its manifest names it"
            )
        if found.size != shard.nbytes:
            raise DatasetDamagedError(
                f"{shard.file} of {dataset.label} has {found.size} bytes, and its manifest says "
                f"{shard.nbytes}"
            )
        wanted[shard.file] = found
    return wanted


def _check_shards(
    dataset: RemoteDataset, folder: Path, wanted: Mapping[str, RemoteObject], snapshot: Snapshot
) -> None:
    """Check against the manifest what the remote keeps no checksum of."""
    for shard in {shard.file: shard for shard in snapshot.shards}.values():
        if wanted[shard.file].checksum is None:
            try:
                check_shard(folder, shard, dataset.label)
            except DatasetDamagedError:
                (folder / shard.file).unlink(missing_ok=True)
                raise
