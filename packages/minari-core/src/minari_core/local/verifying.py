"""Verify a local dataset."""

from __future__ import annotations

from minari_core.errors import DatasetNotFoundError
from minari_core.formats.verification.folder import verify_folder
from minari_core.formats.verification.report import Progress, VerificationReport
from minari_core.local.dataset_id import choose_id
from minari_core.local.folders import has_data_folder
from minari_core.local.locations import DATA_FOLDER, dataset_folder, datasets_root


def verify_dataset(
    dataset_name: str | None = None,
    *,
    dataset_id: str | None = None,
    progress: Progress | None = None,
) -> VerificationReport:
    """Check everything about a local dataset; nothing that it names is run or imported.

    Of a columnar dataset: each shard's size and checksum, what HDF5 and the manifest say of each
    array, that no link leads out of the shard, row counts, offsets, that texts and images can be
    decoded, lengths of episodes, totals and spaces. Of any other format: that every episode can
    be read, its id, its length, the kind of its numbers and the shape of its rows as the spaces
    have them, and the totals.

    Damage never raises: all of it is in the report.

    Args:
        dataset_name: The dataset's id.
        dataset_id: Another name of ``dataset_name``.
        progress: Called with the bytes checked so far, and with all bytes, as it goes on.

    Raises:
        DatasetIdError: The id is malformed.
        DatasetNotFoundError: There is no such dataset.
        DatasetChangedError: Another process rewrote the dataset meanwhile; verify it again.
        FormatError: The dataset is of a format, or a version of it, that is unknown here, so
            nothing can be said about it.

    Example:
        >>> report = verify_dataset("D4RL/door/human-v2")  # doctest: +SKIP
        >>> report.ok, [str(problem) for problem in report.problems]  # doctest: +SKIP
        (True, [])
    """
    wanted = choose_id(dataset_name, dataset_id)
    folder = dataset_folder(wanted)
    if not has_data_folder(folder):
        raise DatasetNotFoundError(
            f"there is no dataset {wanted!r} under {datasets_root()}; list_local_datasets() "
            "shows which there are"
        )
    return verify_folder(wanted, folder / DATA_FOLDER, progress or _ignore_progress)


def _ignore_progress(done: int, total: int) -> None:
    """Do nothing."""
