"""Verify a dataset on a remote, whatever is here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from minari_core import VerificationProblem, VerificationReport
from minari_core.errors import MinariError, UntrustedNameError
from minari_core.files import MAIN_FILE, MANIFEST_NAME, make_write_error
from minari_core.formats.columnar.dataset_folder import ColumnarStorage
from minari_core.formats.columnar.manifest import get_data_format, read_manifest
from minari_core.formats.public.files import belongs_to_dataset
from minari_core.formats.verification.folder import verify_folder
from minari_core.local.dataset_id import choose_id
from minari_core.local.staging import hold_staging_folder
from minari_core.messages import Progress
from minari_hub.datasets.fetching import check_space, fetch
from minari_hub.datasets.remote_dataset import LARGEST_MANIFEST, RemoteDataset, ask_for_dataset
from minari_hub.datasets.staging import StagingArea
from minari_hub.remotes.setting import RemotePath
from minari_hub.transfer.objects import RemoteObject
from minari_hub.untrusted.names import check_name, check_names


def verify_remote_dataset(
    dataset_name: str | None = None,
    *,
    dataset_id: str | None = None,
    remote_path: RemotePath | None = None,
    token: str | None = None,
    progress: Progress | None = None,
) -> VerificationReport:
    """Verify a dataset on a remote, object by object; a local dataset is not looked at.

    All of its objects are fetched to a hidden folder under the local root, compared with the
    checksums that the remote keeps, verified as `minari_core.verify_dataset` does, and removed.

    Args:
        dataset_name: Its id, or its full URL such as ``gs://bucket/D4RL/door/human-v2``.
        dataset_id: Another name of ``dataset_name``.
        remote_path: The URL of the remote, or several, of which the first that has the dataset
            counts; None is ``$MINARI_REMOTE``, else `DEFAULT_REMOTES`.
        token: The credentials; see `open_remote`.
        progress: Called with the number of bytes fetched and then checked, and of all bytes.

    Raises:
        DatasetIdError: The id is malformed.
        DatasetNotFoundError: No remote has such a dataset.
        DatasetWriteError: There is too little space for it here, or the file system refuses.
        FormatError: It is of a format, or a version of it, that is unknown here.
        MetadataError: A URL may mean several datasets, and the manifest at its end is malformed.
        MissingDependencyError: The remote, or the format, needs an extra that is not installed.
        RemoteError: The remote cannot be read, or sends something else than it lists.
        RemoteUrlError: The URL names no remote.
    """

    def verify(dataset: RemoteDataset) -> VerificationReport | None:
        objects = dataset.list_objects()
        if MANIFEST_NAME not in objects:
            return None
        # A staging folder of this name is swept where its process was killed.
        with hold_staging_folder("create-") as folder:
            staging = StagingArea(dataset.dataset_id, folder)
            try:
                return _verify(dataset, objects, staging, progress or _ignore_progress)
            except OSError as error:
                if isinstance(error, MinariError):
                    raise
                raise make_write_error(
                    f"{dataset.url} could not be verified",
                    error,
                    "what was received is not kept",
                ) from error

    return ask_for_dataset(choose_id(dataset_name, dataset_id), remote_path, token, verify)


def _verify(
    dataset: RemoteDataset,
    objects: Mapping[str, RemoteObject],
    staging: StagingArea,
    progress: Progress,
) -> VerificationReport:
    problems: list[VerificationProblem] = []
    remarks: list[VerificationProblem] = []

    def note_damage(name: str, message: str) -> None:
        problems.append(VerificationProblem(name, message))

    manifest = objects[MANIFEST_NAME]
    text = dataset.remote.read(manifest.name, 0, LARGEST_MANIFEST + 1)
    if not manifest.matches(text):
        message = "its content is not the one whose size and checksum the remote lists"
        problems.append(VerificationProblem(MANIFEST_NAME, message))
    staging.put_manifest(text[:LARGEST_MANIFEST])
    wanted = _select_objects(staging, objects, problems, remarks)
    staging.prepare(dataset.url, wanted)
    check_space(dataset, staging, wanted)
    total, done = sum(found.size for found in wanted.values()), 0

    def report_fetched(nbytes: int) -> None:
        nonlocal done
        done += nbytes
        progress(done, total)

    fetch(dataset.remote, staging, wanted, report_fetched, note_damage)
    staging.complete()
    damaged = {problem.file for problem in problems}
    report = verify_folder(dataset.dataset_id, staging.data, progress)
    for problem in report.problems:
        if problem.file not in damaged:
            message = problem.message.replace(str(staging.data), dataset.url)
            problems.append(replace(problem, message=message))
    return replace(
        report,
        data_path=dataset.url,
        problems=tuple(problems),
        remarks=(*report.remarks, *remarks),
    )


def _select_objects(
    staging: StagingArea,
    objects: Mapping[str, RemoteObject],
    problems: list[VerificationProblem],
    remarks: list[VerificationProblem],
) -> dict[str, RemoteObject]:
    """Select the objects that the manifest names or implies; note the others, and what is wrong."""
    try:
        manifest = read_manifest(staging.manifest_folder)
    except MinariError:
        return {}  # the verification says what is wrong with it
    shards = {shard.file for shard in manifest.snapshot.shards}
    is_columnar = get_data_format(manifest.metadata) == ColumnarStorage.data_format
    wanted: dict[str, RemoteObject] = {}
    for name, found in objects.items():
        if name in shards or (not is_columnar and belongs_to_dataset(name, manifest.metadata)):
            try:
                wanted[check_name(name)] = found
            except UntrustedNameError as error:
                problems.append(VerificationProblem(name, str(error)))
        elif name not in (MANIFEST_NAME, MAIN_FILE):
            message = "no manifest names it: it is no part of the dataset"
            remarks.append(VerificationProblem(name, message))
    try:
        check_names([MANIFEST_NAME, *wanted])
    except UntrustedNameError as error:
        problems.append(VerificationProblem(MANIFEST_NAME, str(error)))
        return {}
    return wanted


def _ignore_progress(done: int, total: int) -> None:
    """Do nothing."""
