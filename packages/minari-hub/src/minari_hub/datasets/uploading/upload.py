"""Upload local datasets to a remote."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from threading import Event

from minari_core import MinariDataset
from minari_core.datasets.dataset import get_raw_storage
from minari_core.errors import (
    DatasetExistsError,
    MinariError,
    RemoteError,
    RemoteObjectExistsError,
)
from minari_core.files import MANIFEST_NAME
from minari_core.formats.columnar.dataset_folder import ColumnarStorage
from minari_core.formats.columnar.manifest import (
    get_data_format,
    read_metadata,
)
from minari_core.formats.public.files import has_staged_files, list_files
from minari_core.formats.registry import check_format, open_storage
from minari_core.formats.shards.file_check import check_shard
from minari_core.formats.verification.episode_files import check_episode_files
from minari_core.local.dataset_id import choose_id, is_url, parse_dataset_id
from minari_core.local.finding import build_not_found_error
from minari_core.local.locations import DATA_FOLDER, dataset_folder
from minari_core.local.staging import hold_staging_folder
from minari_hub.bundle.files import extend_card, write_bundle
from minari_hub.bundle.publication import Publication, ResponsibleAI
from minari_hub.bundle.tables import LARGEST_STEPS_NBYTES
from minari_hub.cards.card import Card
from minari_hub.cards.describing import describe_dataset
from minari_hub.cards.picture import check_picture
from minari_hub.datasets.converting import LINKS_PREFIX, convert_for_upload
from minari_hub.datasets.origins import record_origin
from minari_hub.datasets.progress import explain_interrupt, show_transfer
from minari_hub.datasets.remote_dataset import RemoteDataset, locate
from minari_hub.datasets.uploading.comparing import (
    build_conflict_error,
    check_is_new,
    is_same,
    is_whole_manifest,
    list_objects,
    select_missing,
)
from minari_hub.datasets.uploading.held_data import HeldData, explain_change, hold_data
from minari_hub.remotes.namespaces import publish_namespaces
from minari_hub.remotes.setting import RemotePath, RemoteSetting
from minari_hub.transfer.objects import Upload
from minari_hub.untrusted.names import check_names
from minari_hub.untrusted.summary import Summary

_logger = logging.getLogger(__name__)


def upload_dataset(
    dataset_name: str | None = None,
    token: str | None = None,
    *,
    dataset_id: str | None = None,
    remote_path: RemotePath | None = None,
    data_format: str | None = None,
    progress: bool = True,
    preview: str | os.PathLike[str] | None = None,
    date_published: date | None = None,
    rai: ResponsibleAI | None = None,
    tables: bool = True,
    largest_table_nbytes: int = LARGEST_STEPS_NBYTES,
) -> None:
    """Upload a local dataset to a remote.

    Nothing that is on the remote is ever replaced. The manifest goes last, after all other
    files were checked to have arrived, so that nobody sees half a dataset. When the process is
    killed, the next call sends only what is missing. What is added to the dataset meanwhile is
    not sent, and whoever joins its shards meanwhile, as each checkpoint may, disturbs nothing.

    Args:
        dataset_name: Its id, or the full URL that it shall have, such as
            ``gs://bucket/D4RL/door/human-v2``.
        token: The credentials; see `open_remote`.
        dataset_id: Another name of ``dataset_name``.
        remote_path: The URL of the remote; None is ``$MINARI_REMOTE``, if that is one URL.
        data_format: The format to publish it in; None is the one it is in.
        progress: Whether to show a progress bar, if there is a terminal.
        preview: A picture of an episode: a PNG, JPEG, GIF or WebP file of at most 10 MB, for the
            card that the dataset has on the Hugging Face Hub. Other remotes have no cards, and are
            sent nothing of what follows.
        date_published: The day of publication, for ``croissant.json`` and ``CITATION.cff``.
        rai: Answers under the names of Croissant RAI 1.0, as ``{"dataCollection": "..."}``: texts,
            or lists of them where it takes several. What is not given is left out.
        tables: Whether to write Parquet files of steps and episodes, which the Hub's viewer shows.
        largest_table_nbytes: How large the Parquet file of steps may be, in bytes; beyond it are
            the first whole episodes only, and the card says so.

    Raises:
        DatasetIdError: The id is malformed.
        DataError: The preview is no such file.
        MetadataError: Croissant RAI has no such property, or a value is no text.
        RemoteUrlError: No remote is named, or several are.
        DatasetNotFoundError: There is no such local dataset.
        DatasetExistsError: The remote has a dataset of this id, or a file with other content
            where one of this dataset's goes.
        DatasetDamagedError: A local file is not what the manifest says.
        DatasetChangedError: The dataset was rewritten meanwhile, and its format, or a file system
            without hard links, keeps nothing of what it was; upload it again.
        FormatError: The format is unknown here, so that nobody can say which files belong to it.
        RemoteError: The remote cannot be reached, refuses, or does not have what was sent.
    """
    picture = None if preview is None else check_picture(Path(preview))
    dataset = _choose_target(choose_id(dataset_name, dataset_id), remote_path, token)
    said = Publication(
        dataset.dataset_id, {}, _find_page(dataset.url), date_published, dict(rai or {})
    )
    beside = _Beside(picture, said, largest_table_nbytes if tables else None)
    folder = _find_data(dataset.dataset_id)
    # Before anything is converted or read.
    check_is_new(dataset, list_objects(dataset))
    publish_namespaces(dataset.remote, parse_dataset_id(dataset.dataset_id).namespace)
    with (
        explain_interrupt(),
        convert_for_upload(dataset.dataset_id, folder, data_format) as source,
    ):
        _upload(dataset, source, progress, beside)
    record_origin(folder.parent, dataset.url)


def _choose_target(wanted: str, remote_path: RemotePath | None, token: str | None) -> RemoteDataset:
    if is_url(wanted):
        return locate(wanted, token, local=True)
    dataset_id = str(parse_dataset_id(wanted))
    _find_data(dataset_id)  # a misspelled id is said first
    remote = RemoteSetting.parse(remote_path, token).open_only("an upload goes to")
    return RemoteDataset(remote, dataset_id)


def _find_data(dataset_id: str) -> Path:
    folder = dataset_folder(dataset_id) / DATA_FOLDER
    if not (folder / MANIFEST_NAME).exists():
        raise build_not_found_error(dataset_id)
    return folder


@dataclass(frozen=True, slots=True)
class _Beside:
    """What is published beside the data, by a remote that shows it."""

    picture: Path | None
    """A picture of an episode."""
    said: Publication
    """What the caller says; the metadata follow."""
    largest_table_nbytes: int | None
    """How large the table of steps may be; None for no tables."""


def _find_page(url: str) -> str | None:
    """Return the page of the web that shows a dataset; None if there is none."""
    if not url.startswith("hf://"):
        return None
    organization, repository, *_ = url.removeprefix("hf://").split("/")
    return f"https://huggingface.co/datasets/{organization}/{repository}"


def _upload(dataset: RemoteDataset, folder: Path, progress: bool, beside: _Beside) -> None:
    if has_staged_files(read_metadata(folder)):
        open_storage(folder).save()
    with hold_data(folder) as held, explain_change(folder, held.text):
        _send_all(dataset, folder, held, progress, beside)


def _send_all(
    dataset: RemoteDataset, folder: Path, held: HeldData, progress: bool, beside: _Beside
) -> None:
    text = held.text
    summary = Summary.from_manifest(text, str(folder / MANIFEST_NAME), len(text))
    uploads = _plan_uploads(dataset, folder, held)
    there = list_objects(dataset)
    check_is_new(dataset, there)
    missing = select_missing(dataset, uploads, there)
    total = sum(each.size for each in uploads)
    with show_transfer(dataset.dataset_id, total, shown=progress) as report:
        report(total - sum(each.size for each in missing.values()))
        # Of two who publish one id, the second to create the first file stops at that; shards
        # have names of their own, and no two datasets are in each other's way.
        is_columnar = summary.metadata.get("data_format") == ColumnarStorage.data_format
        claiming = 0 if is_columnar else 1
        for some in (uploads[:claiming], uploads[claiming:]):
            sent = [missing[each.name] for each in some if each.name in missing]
            _send(dataset, sent, report)
    with hold_staging_folder(LINKS_PREFIX) as written:

        def describe() -> Card:
            card = describe_dataset(
                dataset.dataset_id, dataset.url, held.folder, summary.metadata, beside.picture
            )
            return _write_beside(card, dataset, uploads, held, beside, written)

        _publish(dataset, text, summary, describe)
    _logger.info("uploaded %s: %d files, %d bytes", dataset.label, len(uploads), total)


def _write_beside(
    card: Card,
    dataset: RemoteDataset,
    uploads: Sequence[Upload],
    held: HeldData,
    beside: _Beside,
    folder: Path,
) -> Card:
    """Write tables and descriptions for those who do not use Minari; return a card with these."""
    try:
        stored = MinariDataset(held.folder)
    except MinariError:
        return card
    said = replace(beside.said, metadata=get_raw_storage(stored).metadata)
    folder.mkdir(parents=True, exist_ok=True)
    files = {f"{DATA_FOLDER}/{MANIFEST_NAME}": held.folder / MANIFEST_NAME}
    for upload in uploads:
        files[f"{DATA_FOLDER}/{upload.name[len(dataset.prefix) :]}"] = upload.path
    tables = write_bundle(stored, said, folder, files, most_nbytes=beside.largest_table_nbytes)
    return extend_card(card, said, folder, tables)


def _send(dataset: RemoteDataset, uploads: Sequence[Upload], report: Callable[[int], None]) -> None:
    """Upload files, and check that they have arrived."""
    if not uploads:
        return
    for error in dataset.remote.upload(uploads, report, Event()):
        # Another try of ours, or another process with the same dataset, may have created it;
        # whether it is the same is looked at below.
        if error is not None and not isinstance(error, RemoteObjectExistsError):
            raise error
    there = list_objects(dataset)
    for each in uploads:
        found = there.get(each.name[len(dataset.prefix) :])
        if found is None:
            raise RemoteError(f"{each.name!r} was sent to {dataset.remote.url} and is not there")
        if not is_same(dataset, each, found):
            raise build_conflict_error(dataset, each)


def _publish(
    dataset: RemoteDataset, manifest: bytes, summary: Summary, describe: Callable[[], Card]
) -> None:
    name = dataset.prefix + MANIFEST_NAME
    try:
        dataset.remote.publish(name, manifest, summary.to_attachment(), describe)
    except RemoteObjectExistsError as error:
        found = list_objects(dataset).get(MANIFEST_NAME)
        if found is not None and not is_whole_manifest(dataset, found):
            raise DatasetExistsError(
                f"{name!r} of {dataset.remote.url} is the beginning of another manifest, which "
                "an upload of another state of the dataset left; remove it, and try again"
            ) from error
        raise DatasetExistsError(
            f"dataset {dataset.label} was published by somebody else meanwhile"
        ) from error
    if dataset.remote.read(name, 0, len(manifest) + 1) != manifest:
        raise RemoteError(f"the manifest of {dataset.label} is not there as it was sent")


def _plan_uploads(dataset: RemoteDataset, folder: Path, held: HeldData) -> Sequence[Upload]:
    """List the files to upload before the manifest, one that only this dataset has first."""
    manifest = held.manifest
    if manifest.metadata.get("data_format") == ColumnarStorage.data_format:
        shards = {shard.file: shard for shard in manifest.snapshot.shards}
        for shard in shards.values():
            check_shard(held.folder, shard, str(folder))
        names = list(shards)
    else:
        check_format(get_data_format(manifest.metadata))
        names = list_files(folder, manifest.metadata)
        check_episode_files(folder, manifest.metadata, str(folder))
    uploads: list[Upload] = []
    for name in check_names(names):
        path = held.folder / name
        uploads.append(Upload(path, dataset.prefix + name, path.stat().st_size))
    return uploads
