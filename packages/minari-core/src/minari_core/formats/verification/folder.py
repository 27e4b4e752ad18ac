"""Verify a data folder: its metadata, and then its data by the check of its format."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import cast

from minari_core.environments.env_specs import env_spec_from_json
from minari_core.environments.space_json import space_from_json
from minari_core.errors import (
    DatasetBusyError,
    DatasetChangedError,
    DatasetDamagedError,
    DatasetNotFoundError,
    FormatError,
    UnknownSpaceError,
)
from minari_core.files import MANIFEST_NAME
from minari_core.formats.columnar.manifest import Manifest, read_manifest
from minari_core.formats.registry import load_check, read_dataset_metadata
from minari_core.formats.verification.report import (
    Check,
    Findings,
    VerificationProblem,
    VerificationReport,
    format_error,
)
from minari_core.messages import Progress
from minari_core.metadata.splits import read_splits

# Whoever adds to the dataset hardly ever joins shards in the moment in which they are opened.
_MOST_TRIES = 10


def verify_folder(dataset_id: str, folder: Path, progress: Progress) -> VerificationReport:
    """Verify a dataset.

    Args:
        dataset_id: The id that it is stored under.
        folder: Its ``data`` folder.
        progress: Called as it goes on.

    Raises:
        DatasetBusyError: Another program holds an HDF5 file open for writing.
        DatasetChangedError: Others rewrote the dataset again and again meanwhile.
        FormatError: The dataset is of a format, or a version of it, that is unknown here.
    """
    for _ in range(_MOST_TRIES - 1):
        with suppress(DatasetChangedError):
            return _verify_current(dataset_id, folder, progress)
    return _verify_current(dataset_id, folder, progress)


def _verify_current(dataset_id: str, folder: Path, progress: Progress) -> VerificationReport:
    findings = Findings()
    manifest = Manifest({})
    try:
        manifest = _read_manifest(folder, findings)
    except (DatasetBusyError, FormatError):
        raise
    except Exception as error:
        findings.add(MANIFEST_NAME, format_error(error))
    else:
        _check_metadata(dataset_id, manifest, findings)
        check = cast("Check", load_check(folder, manifest.metadata))
        check(folder, manifest, progress, findings)
    sizes = {shard.file: shard.nbytes for shard in manifest.snapshot.shards}
    if not sizes:
        sizes = _measure_files(folder)
    return VerificationReport(
        dataset_id=dataset_id,
        data_path=str(folder),
        data_format=str(manifest.metadata.get("data_format", "")),
        files=len(sizes),
        total_episodes=manifest.snapshot.total_episodes or _total(manifest, "total_episodes"),
        total_steps=manifest.snapshot.total_steps or _total(manifest, "total_steps"),
        nbytes=sum(sizes.values()),
        problems=tuple(findings.problems),
        remarks=tuple(findings.remarks),
    )


def _read_manifest(folder: Path, findings: Findings) -> Manifest:
    """Read the manifest, or of a dataset of before 0.5, which has none, what stood in its stead."""
    try:
        return read_manifest(folder, lambda message: findings.add(MANIFEST_NAME, message))
    except DatasetNotFoundError:
        try:
            return Manifest(read_dataset_metadata(folder))
        except (DatasetNotFoundError, DatasetDamagedError):
            pass
        raise


def _check_metadata(dataset_id: str, manifest: Manifest, findings: Findings) -> None:
    metadata = manifest.metadata
    if metadata.get("dataset_id") != dataset_id:
        findings.add(MANIFEST_NAME, f"its dataset_id is {metadata.get('dataset_id')!r}")
    for key, optional, read in (
        ("observation_space", False, partial(space_from_json, where="observation_space")),
        ("action_space", False, partial(space_from_json, where="action_space")),
        ("env_spec", True, env_spec_from_json),
        ("eval_env_spec", True, env_spec_from_json),
    ):
        text = metadata.get(key)
        if text is None and optional:
            continue
        if not isinstance(text, str):
            findings.add(MANIFEST_NAME, f"its {key} is {text!r}, not text")
            continue
        try:
            read(text)
        except UnknownSpaceError as error:
            findings.unknown_spaces.add(key)
            message = f"{str(error).removeprefix(f'{key}: ')}; its values are not compared with it"
            findings.remarks.append(VerificationProblem(MANIFEST_NAME, message, key))
        except Exception as error:
            findings.add(MANIFEST_NAME, f"its {key} cannot be read: {format_error(error)}")
    try:
        total = manifest.snapshot.total_episodes or _total(manifest, "total_episodes")
        read_splits(metadata, total)
    except DatasetDamagedError as error:
        findings.add(MANIFEST_NAME, format_error(error))


def _measure_files(folder: Path) -> dict[str, int]:
    """Return the sizes of the data files in a folder, as far as they are readable."""
    sizes: dict[str, int] = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            if name != MANIFEST_NAME and name[0] != "." and os.path.isfile(path):
                sizes[path] = os.path.getsize(path)
    return sizes


def _total(manifest: Manifest, key: str) -> int:
    total = manifest.metadata.get(key, 0)
    return total if isinstance(total, int) else 0
