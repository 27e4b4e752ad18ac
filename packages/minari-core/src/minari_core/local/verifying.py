"""Verify a local dataset."""

from __future__ import annotations

from minari_core.errors import DatasetIdError
from minari_core.formats.verification.folder import verify_folder
from minari_core.formats.verification.report import VerificationReport
from minari_core.local.dataset_id import choose_id, is_url
from minari_core.local.finding import build_not_found_error
from minari_core.local.folders import has_data_folder
from minari_core.local.locations import DATA_FOLDER, dataset_folder
from minari_core.local.replacing import look_until_found, put_back
from minari_core.messages import Progress


def verify_dataset(
    dataset_name: str | None = None,
    *,
    dataset_id: str | None = None,
    progress: Progress | None = None,
) -> VerificationReport:
    """Verify all data of a local dataset; nothing that it names is run or imported.

    For a columnar dataset: the size and checksum of each shard, the structure of each array in
    HDF5 and in the manifest, links that lead out of the shard, row counts, offsets, whether texts
    and images can be decoded, the lengths of episodes, totals and spaces. For any other format:
    whether every episode can be read, its id, its length, dtypes and shapes against the spaces,
    and the totals; and whether the contents and attributes of episodes, and ``metadata.json``, have
    the checksums that this project writes beside them. Where the type of a space is unknown,
    episodes are compared with their checksums alone.

    Damage is reported and never raised. A columnar dataset is looked at as it was when this began,
    while others add to it, or join its shards.

    Args:
        dataset_name: The dataset's id.
        dataset_id: Another name of ``dataset_name``.
        progress: Called with the number of bytes checked so far, and of all bytes.

    Raises:
        DatasetIdError: The id is malformed.
        DatasetNotFoundError: There is no such dataset.
        DatasetBusyError: Another program holds one of its HDF5 files open for writing.
        DatasetChangedError: Others rewrote the dataset again and again meanwhile.
        FormatError: The dataset is of a format, or a version of it, that is unknown here.

    Example:
        >>> report = verify_dataset("D4RL/door/human-v2")  # doctest: +SKIP
        >>> report.ok, [str(problem) for problem in report.problems]  # doctest: +SKIP
        (True, [])
    """
    wanted = choose_id(dataset_name, dataset_id)
    if is_url(wanted):
        raise DatasetIdError(
            f"{wanted} is the URL of a remote dataset; verify_remote_dataset() verifies it where "
            "it is, and of its local copy give the id"
        )
    folder = dataset_folder(wanted)
    put_back()
    if not look_until_found(lambda: has_data_folder(folder)):
        raise build_not_found_error(wanted)
    return verify_folder(wanted, folder / DATA_FOLDER, progress or _ignore_progress)


def _ignore_progress(done: int, total: int) -> None:
    """Do nothing."""
