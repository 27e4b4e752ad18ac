"""What killed processes left: list it, make a dataset of it, or drop it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from minari_collect.staging.collector_staging import FOLDER_PREFIX
from minari_collect.staging.journal import JOURNAL_NAME, RecoverableRecording, _read_journal
from minari_core import EpisodeData, MinariDataset
from minari_core.datasets.card import DatasetCard
from minari_core.datasets.local import committed_recordings
from minari_core.environments.env_specs import env_spec_from_json
from minari_core.errors import (
    DatasetBusyError,
    DatasetNotFoundError,
    DatasetWriteError,
    MinariError,
)
from minari_core.files import LOCK_NAME
from minari_core.formats.registry import check_format
from minari_core.local.dataset_id import choose_id
from minari_core.local.locations import staging_root
from minari_core.local.publishing import check_id_is_free, publish
from minari_core.storage.base import Storage


def list_recoverable() -> list[RecoverableRecording]:
    """List what collectors of processes that are gone have left, oldest first.

    Recordings of collectors that are still alive are not in it. Buffers that were in memory when
    their process was killed are lost; `max_buffer_steps` bounds how much that is. A recording
    whose process was killed before it had written any step has none, and can only be discarded.
    One whose process was killed just after its episodes were committed to a local dataset is not
    in it, either, and is removed.
    """
    recordings: list[RecoverableRecording] = []
    folders = sorted(staging_root().glob(f"{FOLDER_PREFIX}*"))
    committed = committed_recordings() if folders else {}
    for folder in folders:
        try:
            with _abandoned(folder):
                journal = _read_journal(folder)
                if journal.uid in committed:
                    _forget(folder)
                else:
                    recordings.append(journal.described(folder.name))
        except MinariError:
            continue
    return recordings


def recover(
    recording_id: str,
    dataset_name: str | None = None,
    *,
    dataset_id: str | None = None,
    algorithm_name: str | None = None,
    author: str | Iterable[str] | None = None,
    author_email: str | Iterable[str] | None = None,
    code_permalink: str | None = None,
    description: str | None = None,
    data_format: str | None = None,
) -> MinariDataset:
    """Make a dataset of what a killed process has left, and drop the recording then.

    An episode that was going on is kept as far as it was written, ended as truncated.

    Args:
        recording_id: The id that `list_recoverable` shows.
        dataset_name: The id of the new dataset.
        dataset_id: Another name of ``dataset_name``.
        algorithm_name: The algorithm that chose the actions.
        author: Who made the dataset, one or several.
        author_email: How to reach them.
        code_permalink: A link to the version of the code that made the dataset.
        description: What the dataset is about.
        data_format: How to store the data; ``"columnar"`` if None.

    Raises:
        DatasetNotFoundError: There is no such recording, or nothing in it.
        DatasetBusyError: Its collector is still alive.
        DatasetExistsError: The id of the dataset is taken.
        DatasetWriteError: The file system refused; the recording is still there.
    """
    new_id = choose_id(dataset_name, dataset_id)
    check_id_is_free(new_id)
    chosen_format = check_format(data_format)
    described = DatasetCard(
        algorithm_name=algorithm_name,
        author=author,
        author_email=author_email,
        code_permalink=code_permalink,
        description=description,
    )
    folder = _folder_of(recording_id)
    with _abandoned(folder):
        journal = _read_journal(folder)
        committed = committed_recordings()
        if journal.uid in committed:
            _forget(folder)
            raise DatasetNotFoundError(
                f"recording {recording_id!r} has nothing to recover: its episodes are in dataset "
                f"{committed[journal.uid]!r}; it has been removed"
            )
        spec = journal.metadata.get("env_spec")
        storage = journal.storage
        unfinished = journal.steps_of_unfinished()
        if storage.snapshot.total_episodes == 0 and unfinished == 0 and not journal.lanes:
            raise DatasetNotFoundError(f"recording {recording_id!r} has no step to recover")
        metadata = described.metadata(
            env_spec_from_json(spec) if isinstance(spec, str) else None,
            storage.observation_space,
            storage.action_space,
        )

        def fill(target: Storage) -> None:
            finished = storage.snapshot.total_episodes
            journal.enter_unfinished()
            target.append_storage(storage, range(finished))
            rest = storage.read_episodes(range(finished, storage.total_episodes))
            target.append_episodes(_cut(episode) for episode in rest)
            for lane in journal.lanes:
                lane.enter_unfinished()
                target.append_episodes(_cut(episode) for episode in lane.storage.read_episodes([0]))

        dataset = MinariDataset(publish(new_id, metadata, chosen_format, fill))
        # Should it stay, the dataset knows that it is committed, and the next list removes it.
        with suppress(DatasetWriteError):
            _forget(folder)
    return dataset


def discard(recording_id: str) -> None:
    """Drop what a killed process has left.

    Args:
        recording_id: The id that `list_recoverable` shows.

    Raises:
        DatasetNotFoundError: There is no such recording.
        DatasetBusyError: Its collector is still alive.
        DatasetWriteError: The file system refused.
    """
    folder = _folder_of(recording_id)
    with _abandoned(folder):
        _forget(folder)


@contextmanager
def _abandoned(folder: Path) -> Iterator[None]:
    """Hold the lock of a recording whose collector is gone; remove it if it is forgotten then."""
    from filelock import FileLock, Timeout  # only who writes needs it

    if not (folder / JOURNAL_NAME).exists():
        raise DatasetNotFoundError(f"there is no recording {folder.name!r} in {folder.parent}")
    lock = FileLock(folder / LOCK_NAME, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise DatasetBusyError(
            f"recording {folder.name!r} belongs to a collector that is still alive"
        ) from error
    except OSError as error:
        raise DatasetWriteError(f"recording {folder.name!r} cannot be locked: {error}") from error
    try:
        yield
    finally:
        is_forgotten = not (folder / JOURNAL_NAME).exists()
        lock.release()
        if is_forgotten:
            shutil.rmtree(folder, ignore_errors=True)


def _forget(folder: Path) -> None:
    """Make a folder no recording any more; its lock must be held."""
    try:
        (folder / JOURNAL_NAME).unlink()
    except OSError as error:
        raise DatasetWriteError(f"recording {folder.name!r} cannot be removed: {error}") from error


def _folder_of(recording_id: str) -> Path:
    if Path(recording_id).name != recording_id or not recording_id.startswith(FOLDER_PREFIX):
        raise DatasetNotFoundError(
            f"{recording_id!r} is no id of a recording; list_recoverable() shows them"
        )
    return staging_root() / recording_id


def _cut(episode: EpisodeData) -> EpisodeData:
    """The episode, ended as truncated; its arrays are copies."""
    episode.truncations[-1] = True
    return episode
