"""Find what killed processes left, make a dataset of it, or delete it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from typing_extensions import Unpack

from minari_collect.staging.collector_staging import FOLDER_PREFIX
from minari_collect.staging.interrupted import InterruptedRecording, RecoverableRecording
from minari_collect.staging.journal import JOURNAL_NAME
from minari_core import DatasetDetails, EpisodeData, MinariDataset
from minari_core.datasets.card import DatasetCard, warn_without_spec
from minari_core.datasets.details import list_details
from minari_core.datasets.local import find_committed_recordings
from minari_core.environments.env_specs import env_spec_from_json
from minari_core.errors import (
    DatasetBusyError,
    DatasetNotFoundError,
    DatasetWriteError,
    MinariError,
)
from minari_core.files import make_write_error
from minari_core.formats.columnar.shard_folder import ShardFolder
from minari_core.formats.registry import check_format
from minari_core.local.dataset_id import choose_id
from minari_core.local.locations import staging_root
from minari_core.local.publishing import check_id_is_free, publish
from minari_core.local.staging import hold_left, look_left
from minari_core.storage.base import Storage


def list_recoverable() -> list[RecoverableRecording]:
    """List the recordings that collectors of killed processes have left, oldest first.

    Recordings of collectors that are still alive are not in it. Buffers that were in memory when
    their process was killed are lost; `max_buffer_steps` bounds how much that is. A recording
    whose process was killed before it had written any step has none, and can only be discarded.
    One whose process was killed just after its episodes were committed to a local dataset is not
    in it, either, and is removed.

    What else killed processes leave is listed by ``minari.list_leftovers``: also runs of
    `collect_dataset` that can be resumed, and downloads.
    """
    recordings: list[RecoverableRecording] = []
    folders = sorted(staging_root().glob(f"{FOLDER_PREFIX}*"))
    committed = find_committed_recordings() if folders else {}
    for folder in folders:
        try:
            with look_left(folder, has_lock=True):
                recording = InterruptedRecording(folder)
                is_committed = recording.journal.uid in committed
                found = [] if is_committed else [recording.summarize()]
            if is_committed:
                with _hold_abandoned(folder):
                    _delete_journal(folder)
            recordings += found
        except MinariError:
            continue
    return recordings


@list_details
def recover_recording(
    recording_id: str,
    dataset_name: str | None = None,
    *,
    dataset_id: str | None = None,
    data_format: str | None = None,
    **details: Unpack[DatasetDetails],
) -> MinariDataset:
    """Create a dataset from what a killed process has left, and delete the recording then.

    An unfinished episode is kept as far as it was written, ended as truncated.

    Args:
        recording_id: The id that `list_recoverable` shows.
        dataset_name: The id of the new dataset.
        dataset_id: Another name of ``dataset_name``.
        data_format: How to store the data; ``"columnar"`` if None.
        **details: What is said about the dataset, as keywords; see `DatasetDetails`.

    Returns:
        The new dataset.

    Raises:
        DatasetNotFoundError: There is no such recording, or nothing in it.
        DatasetBusyError: Its collector is still alive.
        DatasetExistsError: The id of the dataset is taken.
        DatasetWriteError: The file system refused; the recording is still there.
        TypeError: A keyword is neither a parameter nor one of `DatasetDetails`.
    """
    card = DatasetCard(**details)
    new_id = choose_id(dataset_name, dataset_id)
    check_id_is_free(new_id)
    chosen_format = check_format(data_format)
    folder = _find_folder(recording_id)
    with _hold_abandoned(folder):
        recording = InterruptedRecording(folder)
        shards, uid = recording.shards, recording.journal.uid
        committed = find_committed_recordings()
        if uid in committed:
            _delete_journal(folder)
            raise DatasetNotFoundError(
                f"recording {recording_id!r} has nothing to recover: its episodes are in dataset "
                f"{committed[uid]!r}; it has been removed"
            )
        storage = shards.storage
        finished = storage.total_episodes
        if finished == 0 and shards.count_unfinished_steps() == 0 and not recording.lanes:
            raise DatasetNotFoundError(f"recording {recording_id!r} has no step to recover")
        text = recording.journal.metadata.get("env_spec")
        spec = env_spec_from_json(text) if isinstance(text, str) else None
        warn_without_spec(spec)
        metadata = card.metadata(
            spec,
            storage.observation_space,
            storage.action_space,
        )

        def fill(target: Storage) -> None:
            if isinstance(target, ShardFolder):
                target.allow_widening()
            shards.finish_episode()
            target.append_storage(storage, range(finished))
            rest = storage.read_episodes(range(finished, storage.total_episodes))
            target.append_episodes(_truncate(episode) for episode in rest)
            for lane in recording.lanes:
                lane.finish_episode()
                target.append_episodes(_truncate(each) for each in lane.storage.read_episodes([0]))

        dataset = MinariDataset(publish(new_id, metadata, chosen_format, fill))
        # Should it stay, the dataset knows that it is committed, and the next list removes it.
        with suppress(DatasetWriteError):
            _delete_journal(folder)
    return dataset


def discard_recording(recording_id: str) -> None:
    """Delete what a killed process has left.

    Args:
        recording_id: The id that `list_recoverable` shows.

    Raises:
        DatasetNotFoundError: There is no such recording.
        DatasetBusyError: Its collector is still alive.
        DatasetWriteError: The file system refused.
    """
    folder = _find_folder(recording_id)
    with _hold_abandoned(folder):
        _delete_journal(folder)


recover = recover_recording
discard = discard_recording


@contextmanager
def _hold_abandoned(folder: Path) -> Iterator[None]:
    """Hold the lock of a recording whose collector is gone; delete it if it is consumed then."""
    if not (folder / JOURNAL_NAME).exists():
        raise DatasetNotFoundError(f"there is no recording {folder.name!r} in {folder.parent}")
    with ExitStack() as stack:
        try:
            stack.enter_context(hold_left(folder, has_lock=True))
        except DatasetBusyError as error:
            raise DatasetBusyError(
                f"recording {folder.name!r} belongs to a collector that is still alive, or may be: "
                f"{error}"
            ) from error
        try:
            yield
        finally:
            is_consumed = not (folder / JOURNAL_NAME).exists()
            stack.close()
            if is_consumed:
                shutil.rmtree(folder, ignore_errors=True)


def _delete_journal(folder: Path) -> None:
    """Mark a recording as consumed by deleting its journal; its lock must be held."""
    try:
        (folder / JOURNAL_NAME).unlink()
    except OSError as error:
        raise make_write_error(f"recording {folder.name!r} cannot be removed", error) from error


def _find_folder(recording_id: str) -> Path:
    if Path(recording_id).name != recording_id or not recording_id.startswith(FOLDER_PREFIX):
        raise DatasetNotFoundError(
            f"{recording_id!r} is no id of a recording; list_recoverable() shows them"
        )
    return staging_root() / recording_id


def _truncate(episode: EpisodeData) -> EpisodeData:
    """End an episode as truncated; its arrays are copies."""
    episode.truncations[-1] = True
    return episode
