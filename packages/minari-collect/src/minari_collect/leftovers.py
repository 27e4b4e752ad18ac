"""Describe what killed recordings and runs of `collect_dataset` left."""

from __future__ import annotations

from pathlib import Path

from minari_collect.runs.folder import RUN_PREFIX, RunFolder
from minari_collect.staging.collector_staging import FOLDER_PREFIX
from minari_collect.staging.interrupted import InterruptedRecording
from minari_collect.staging.journal import JOURNAL_NAME
from minari_core.datasets.local import find_committed_recordings
from minari_core.errors import MinariError
from minari_core.local.leftovers.leftover import StagedKind, Worth


def _describe_recording(folder: Path) -> Worth:
    if not (folder / JOURNAL_NAME).exists():
        return Worth()
    try:
        recording = InterruptedRecording(folder)
        steps = recording.summarize().total_steps
    except MinariError as error:
        return Worth(remedy=f"it cannot be recovered, though its HDF5 files may be whole: {error}")
    committed = find_committed_recordings().get(recording.journal.uid, "") if steps else ""
    if not steps or committed:
        return Worth(committed)
    return Worth(remedy=f"recover_recording({folder.name!r}, dataset_name) makes a dataset of it")


def _describe_run(folder: Path) -> Worth:
    run = RunFolder(folder)
    if not run.has_outputs():
        return Worth(run.read_dataset_id())
    return Worth(run.read_dataset_id(), "collect_dataset with resume=True goes on with it")


KINDS = (
    StagedKind("recording", FOLDER_PREFIX, _describe_recording),
    StagedKind("run", RUN_PREFIX, _describe_run),
)
"""What this package leaves in the staging area."""
