"""The dataset of a run: which outputs of its tasks it consists of, and how they become one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

from minari_collect.buffers.infos import list_column_names
from minari_collect.recording.column_warnings import RecordingWarnings
from minari_collect.runs.folder import RunFolder
from minari_collect.runs.schedule import Schedule
from minari_collect.workers.messages import TaskOutput
from minari_collect.workers.output_recording import ALWAYS_NONE_KEY, WARNINGS_KEY
from minari_core import MinariDataset
from minari_core.datasets.card import DatasetCard, warn_without_spec
from minari_core.environments.env_specs import env_spec_from_json
from minari_core.errors import RecordingError
from minari_core.formats.columnar.shard_folder import ShardFolder
from minari_core.local.publishing import publish
from minari_core.messages import warn_caller
from minari_core.storage.base import Storage

_REPORTED_FAILURES = 5

Selection: TypeAlias = Sequence[tuple[TaskOutput, int]]
"""Outputs in order, and how many of the first episodes of each; only the last can be cut."""


def check_failures(schedule: Schedule, folder: RunFolder, *, skip_failed: bool) -> None:
    """Report episodes that failed for good: by a warning if they are skipped, else by an error.

    Raises:
        RecordingError: Episodes failed and are not skipped, or none succeeded any more.
    """
    failures = schedule.failures
    if not failures:
        return
    failed = "1 episode failed" if len(failures) == 1 else f"{len(failures)} episodes failed"
    so_far = f"the {schedule.episodes} others wait in {folder.path} for resume=True"
    reports = [f"episode {f.episode} (seed {f.seed}):\n{f.reason}" for f in failures]
    if len(reports) > _REPORTED_FAILURES:
        reports[_REPORTED_FAILURES:] = [f"and {len(reports) - _REPORTED_FAILURES} more"]
    text = "\n".join(reports)
    if schedule.is_hopeless:
        raise RecordingError(
            f"{failed} and none succeeded meanwhile, so the run was stopped; {so_far}:\n{text}"
        )
    if skip_failed:
        verb = "is" if len(failures) == 1 else "are"
        warn_caller(f"{failed} and {verb} not in the dataset:\n{text}")
        return
    raise RecordingError(f"{failed}; {so_far}, perhaps with skip_failed=True:\n{text}")


def select_outputs(schedule: Schedule, folder: RunFolder) -> Selection:
    """Select the first outputs that together have as much as the run is to collect."""
    selected: list[tuple[TaskOutput, int]] = []
    total_steps = schedule.total_steps
    steps = 0
    for output in schedule.outputs:
        count = output.stop - output.first
        if schedule.total_episodes is not None:
            count = min(count, schedule.total_episodes - output.first)
        elif total_steps is not None and steps + output.steps >= total_steps:
            lengths = np.cumsum(folder.open_output(output).episode_lengths())
            count = int(np.searchsorted(lengths, total_steps - steps)) + 1
        if count <= 0:
            break
        selected.append((output, count))
        steps += output.steps
        if total_steps is not None and steps >= total_steps:
            break
    return selected


def publish_outputs(
    dataset_id: str, card: DatasetCard, data_format: str, folder: RunFolder, outputs: Selection
) -> MinariDataset:
    """Publish outputs as one dataset; shards are linked where its format has the same.

    Args:
        dataset_id: The id of the new dataset.
        card: What is said about it.
        data_format: How it is stored.
        folder: The folder of the outputs.
        outputs: Which of them.

    Raises:
        DatasetWriteError: The file system refused.
    """
    first = folder.open_output(outputs[0][0])
    text = first.metadata.get("env_spec")
    spec = env_spec_from_json(text) if isinstance(text, str) else None
    warn_without_spec(spec)
    recorded = [folder.open_output(output) for output, _ in outputs]
    _warn_as_workers_did(recorded)
    _warn_always_none(recorded)
    metadata = card.metadata(
        spec,
        first.observation_space,
        first.action_space,
    )
    return MinariDataset(
        publish(dataset_id, metadata, data_format, lambda new: _fill(new, folder, outputs))
    )


def _warn_as_workers_did(recorded: Sequence[ShardFolder]) -> None:
    """Give each warning of the workers once, and one for each column whose dtypes differ."""
    found: dict[str, str] = {}
    for storage in recorded:
        messages = storage.metadata.get(WARNINGS_KEY)
        for message in map(str, messages if isinstance(messages, list) else ()):
            # What comes first names the column; the rest tells what one worker saw of it.
            found.setdefault(message.partition(": ")[0], message)
    for group, name in (("observations", "observation"), ("actions", "action")):
        columns = [s.groups[group] for storage in recorded for s in storage.schemas()]
        widest = columns[0]
        for column in columns:
            widest = widest.find_wider(column) or widest
        for text in (text for column in columns for text in column.list_widened(widest, name)):
            found.setdefault(
                text.partition(" from ")[0],
                f"{text}: tasks differ, and the wider dtype holds all numbers exactly",
            )
    for message in found.values():
        warn_caller(message)


def _warn_always_none(recorded: Iterable[ShardFolder]) -> None:
    """Warn of the keys of infos that were None in all outputs."""
    always_none: set[str] = set()
    stored: set[str] = set()
    for storage in recorded:
        names = storage.metadata.get(ALWAYS_NONE_KEY)
        always_none.update(map(str, names) if isinstance(names, list) else ())
        for schema in storage.schemas():
            for group in ("infos", "extras"):
                stored.update(list_column_names(group, schema.groups[group]))
    RecordingWarnings().warn_always_none(sorted(always_none - stored))


def _fill(new: Storage, folder: RunFolder, outputs: Selection) -> None:
    whole = [output for output, count in outputs if count == output.stop - output.first]
    last, count = outputs[-1]
    if not isinstance(new, ShardFolder):
        # What is stored in other formats cannot be widened, so all is read in its widest dtype.
        with folder.join_outputs([output for output, _ in outputs]) as joined:
            total = joined.total_episodes - (last.stop - last.first) + count
            new.append_storage(joined, range(total))
        return
    new.allow_widening()
    new.append_linked(folder.open_output(output) for output in whole)
    if count < last.stop - last.first:
        new.append_storage(folder.open_output(last), range(count))
