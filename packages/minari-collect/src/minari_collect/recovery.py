"""What killed processes left: list it, make a dataset of it, or drop it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from minari_collect.staging import FOLDER_PREFIX, JOURNAL_NAME
from minari_core.columns import Array, Column, JsonObject, Schema, schema_from_json
from minari_core.dataset import MinariDataset
from minari_core.dataset_id import chosen_id
from minari_core.dataset_lock import LOCK_NAME
from minari_core.description import DatasetDescription
from minari_core.encoding import encode_entries
from minari_core.episode import EpisodeData
from minari_core.errors import (
    DatasetBusyError,
    DatasetDamagedError,
    DatasetNotFoundError,
    DatasetWriteError,
    MinariError,
)
from minari_core.formats import check_format
from minari_core.gymnasium_compat import env_spec_from_json
from minari_core.json_values import from_json_text
from minari_core.local_datasets import committed_recordings
from minari_core.locations import staging_root
from minari_core.manifest import Layout, Manifest, ShardEntry, read_entry
from minari_core.publishing import check_id_is_free, publish
from minari_core.shard_data import ShardData
from minari_core.shard_folder import ShardFolder
from minari_core.storage import Storage


@dataclass(frozen=True, slots=True)
class RecoverableRecording:
    """Episodes that a collector had written to its temporary folder when its process ended."""

    id: str
    """What `recover` and `discard` take."""
    started: str
    """When the first of its buffers was written, in ISO 8601."""
    env_id: str | None
    """The environment that was recorded."""
    total_episodes: int
    """How many episodes it has, the last one perhaps cut short."""
    total_steps: int
    """How many steps they have."""
    nbytes: int
    """How much disk it takes."""


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
    new_id = chosen_id(dataset_name, dataset_id)
    check_id_is_free(new_id)
    chosen_format = check_format(data_format)
    described = DatasetDescription(
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
        if storage.layout.total_episodes == 0 and unfinished == 0 and not journal.lanes:
            raise DatasetNotFoundError(f"recording {recording_id!r} has no step to recover")
        metadata = described.metadata(
            env_spec_from_json(spec) if isinstance(spec, str) else None,
            storage.observation_space,
            storage.action_space,
        )

        def fill(target: Storage) -> None:
            finished = storage.layout.total_episodes
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


class _Unended:
    """Shards whose last steps may be of an episode without an entry."""

    def __init__(self, folder: Path, metadata: JsonObject, uid: str) -> None:
        self.metadata = metadata
        self.uid = uid
        """Tells a dataset that the episodes are committed to which recording they are of."""
        self._folder = folder
        self._schemas: list[Schema] = []
        self._shards: list[ShardEntry] = []
        self._unfinished: JsonObject | None = None

    def add(self, entry: ShardEntry, unfinished: object) -> None:
        """Take in the next shard."""
        self._shards.append(entry)
        self._unfinished = unfinished if isinstance(unfinished, dict) else None

    @cached_property
    def storage(self) -> ShardFolder:
        """All of them, once they are complete."""
        layout = Layout(tuple(self._schemas), tuple(self._shards), self.uid)
        return ShardFolder(self._folder, Manifest(self.metadata, layout))

    def steps_of_unfinished(self) -> int:
        """The steps behind those of the finished episodes."""
        storage = self.storage
        finished = 0
        for number, (_, _, episodes) in enumerate(storage.shard_counts()):
            if episodes:
                entries = storage.shard(number).readers(copy=False)["episodes"](0, episodes)
                if isinstance(entries, dict):
                    finished += int(np.sum(entries["length"]))
        return storage.total_steps - finished

    def enter_unfinished(self) -> None:
        """Add an entry for the episode that was going on, so that it can be read."""
        steps = self.steps_of_unfinished()
        if steps == 0:
            return
        known = self._unfinished or {"seed": None, "options": "null"}
        seed = known["seed"]
        options = from_json_text(str(known["options"]))
        entries, pieces = encode_entries(
            [steps],
            [seed if isinstance(seed, int) else None],
            [options if isinstance(options, dict) else None],
            [None],
            {},
        )
        parts: dict[str, Column] = dict(self.storage.layout.schemas[-1].parts)
        arrays: list[list[Array]] = []
        for name, column in parts.items():
            if name == "episodes":
                arrays += pieces
            else:
                arrays += [[array] for array in column.encode([], name)]
        parts["episodes"] = entries
        self.storage.add([ShardData(Schema(parts), arrays, rows=0, steps=0, episodes=1)])


class _Lane(_Unended):
    """The pieces of one episode that went on while those of other environments ended."""

    def __init__(self, folder: Path, metadata: JsonObject, uid: str) -> None:
        super().__init__(folder, metadata, uid)
        self._is_cut = False

    def add_piece(self, line: JsonObject) -> None:
        """Take in the next piece."""
        entry = self._entry(_object(line, "piece"), schema_from_json(line["schema"]))
        if entry is not None:
            self.add(entry, line["unfinished"])

    def _entry(self, described: JsonObject, schema: Schema) -> ShardEntry | None:
        entry = read_entry(described, [sum(1 for _ in schema.arrays())])
        # After a power cut a piece may be missing, and the ones behind it are of no use then.
        if self._is_cut or not _is_whole(self._folder / entry.file, entry.nbytes):
            self._is_cut = True
            return None
        if schema not in self._schemas:
            self._schemas.append(schema)
        return replace(entry, schema=self._schemas.index(schema))


class _Journal(_Unended):
    """What a recording's journal says."""

    def __init__(self, folder: Path, lines: list[JsonObject]) -> None:
        header, *rest = lines
        super().__init__(folder, _object(header, "metadata"), str(header["uid"]))
        self.started = str(header["started"])
        lanes: dict[object, _Lane] = {}
        for line in rest:
            if "piece" in line:
                lane = lanes.setdefault(line["lane"], _Lane(folder, self.metadata, self.uid))
                lane.add_piece(line)
            elif not self._take_line(line):
                # After a power cut; what comes behind it would not be of the same episodes.
                break
            elif "shards" in line:
                del lanes[line["lane"]]
        self.lanes = [lane for lane in lanes.values() if lane.steps_of_unfinished()]
        """Episodes of a vector environment that were going on beside those that ended."""

    def _take_line(self, line: JsonObject) -> bool:
        """Take in the shards of a line, if all are there."""
        schemas = line["schemas"] if "schemas" in line else [line.get("schema")]
        if isinstance(schemas, list):
            self._schemas += [schema_from_json(schema) for schema in schemas if schema]
        arrays_of = [sum(1 for _ in schema.arrays()) for schema in self._schemas]
        described = line["shards"] if "shards" in line else [line.get("shard")]
        entries = [
            read_entry(entry, arrays_of)
            for entry in (described if isinstance(described, list) else [])
            if isinstance(entry, dict)
        ]
        if not all(_is_whole(self._folder / entry.file, entry.nbytes) for entry in entries):
            return False
        for entry in entries:
            self.add(entry, line.get("unfinished"))
        return True

    def described(self, recording_id: str) -> RecoverableRecording:
        """What there is to recover."""
        spec = self.metadata.get("env_spec")
        layouts = [self.storage.layout, *(lane.storage.layout for lane in self.lanes)]
        unfinished = (self.steps_of_unfinished() > 0) + len(self.lanes)
        return RecoverableRecording(
            id=recording_id,
            started=self.started,
            env_id=env_spec_from_json(spec).id if isinstance(spec, str) else None,
            total_episodes=layouts[0].total_episodes + unfinished,
            total_steps=sum(layout.total_steps for layout in layouts),
            nbytes=sum(shard.nbytes for layout in layouts for shard in layout.shards),
        )


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


def _read_journal(folder: Path) -> _Journal:
    path = folder / JOURNAL_NAME
    try:
        # A last line that was cut short by the end of the process is of no shard that counts.
        whole = path.read_bytes().split(b"\n")[:-1]
        lines = [json.loads(line) for line in whole]
        if not lines or not all(isinstance(line, dict) for line in lines):
            raise ValueError("it is not a list of objects")
        return _Journal(folder, lines)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetDamagedError(f"{path} is damaged: {error}") from error


def _is_whole(path: Path, nbytes: int) -> bool:
    try:
        return path.stat().st_size == nbytes
    except OSError:
        return False


def _folder_of(recording_id: str) -> Path:
    if Path(recording_id).name != recording_id or not recording_id.startswith(FOLDER_PREFIX):
        raise DatasetNotFoundError(
            f"{recording_id!r} is no id of a recording; list_recoverable() shows them"
        )
    return staging_root() / recording_id


def _object(holder: JsonObject, key: str) -> JsonObject:
    value = holder[key]
    if not isinstance(value, dict):
        raise TypeError(f"{key} is not an object")
    return value


def _cut(episode: EpisodeData) -> EpisodeData:
    """The episode, ended as truncated; its arrays are copies."""
    episode.truncations[-1] = True
    return episode
