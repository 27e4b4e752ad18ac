"""The staging folder of a collector: the shards of its full buffers, and a journal of them.

The hidden folder lies under the root of the datasets, so that its shards can be linked into a
dataset. It is made when the first buffer is full or saved. A lock on it says that its collector is
alive; what a killed process leaves is found by `minari_collect.staging.recovery`.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from gymnasium import spaces

from minari_collect.buffers.infos import list_recorded_rows
from minari_collect.staging.journal import JOURNAL_NAME, Beginning, JournalWriter
from minari_core.columns import join_pieces
from minari_core.environments.space_json import space_to_json
from minari_core.episodes import ShardData
from minari_core.errors import DatasetBusyError, DatasetWriteError
from minari_core.files import LOCK_NAME, make_folder, make_write_error
from minari_core.formats.columnar.manifest import Manifest, Snapshot
from minari_core.formats.columnar.shard_folder import ShardFolder
from minari_core.json_values import JsonObject
from minari_core.local.locations import staging_root
from minari_core.locks import FileLock

FOLDER_PREFIX = "collect-"

_NO_FOLDER = Path()


class CollectorStaging:
    """The shards that a collector has written and nobody has published yet."""

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        env_spec: str | None,
    ) -> None:
        """Describe what will be staged; nothing is written yet.

        Args:
            observation_space: The space of the observations.
            action_space: The space of the actions.
            env_spec: The environment's spec as JSON.
        """
        self._storage: ShardFolder
        self._metadata: JsonObject = {
            "dataset_id": "staged-v0",
            "data_format": ShardFolder.data_format,
            "observation_space": space_to_json(observation_space, "observation_space"),
            "action_space": space_to_json(action_space, "action_space"),
        }
        if env_spec is not None:
            self._metadata["env_spec"] = env_spec
        self._start_afresh()

    def _make_storage(self, snapshot: Snapshot | None = None) -> ShardFolder:
        manifest = Manifest(self._metadata, snapshot or Snapshot(uid=self._uid))
        return ShardFolder(self._folder, manifest, keeps_dtypes=True)

    @property
    def storage(self) -> ShardFolder:
        """The staged shards."""
        return self._storage

    @property
    def total_episodes(self) -> int:
        """Number of staged episodes."""
        return self._storage.total_episodes

    def write(self, data: ShardData, unfinished: Beginning | None) -> None:
        """Keep a shard; see `ShardSink.write`.

        Raises:
            DatasetWriteError: The file system refused.
        """
        with _wrap_write_errors():
            if self._folder == _NO_FOLDER:
                self._make_folder()
            before = self._storage.snapshot
            self._storage.add([data])
            try:
                if self._journal is not None:
                    snapshot = self._storage.snapshot
                    new_schemas = snapshot.schemas[len(before.schemas) :]
                    self._journal.add_shard(snapshot.shards[-1], new_schemas, unfinished)
            except BaseException:
                self._storage.truncate(len(before.shards))
                raise

    def write_lane(self, lane: int, data: ShardData, unfinished: Beginning) -> None:
        """Keep a piece of an episode that goes on while others end; see `LaneSink.write_lane`.

        Raises:
            DatasetWriteError: The file system refused.
        """
        with _wrap_write_errors():
            if self._folder == _NO_FOLDER:
                self._make_folder()
            tail = self._lanes.get(lane) or self._make_storage()
            tail.add([data])
            try:
                if self._journal is not None:
                    entry = tail.snapshot.shards[-1]
                    schema = tail.snapshot.schemas[entry.schema]
                    self._journal.add_piece(lane, entry, schema, unfinished)
            except BaseException:
                tail.truncate(len(tail.snapshot.shards) - 1)
                raise
        self._lanes[lane] = tail

    def close_lane(self, lane: int, data: ShardData) -> None:
        """Keep the last piece of such an episode; see `LaneSink.close_lane`.

        Raises:
            DatasetWriteError: The file system refused.
        """
        tail, before = self._lanes[lane], self._storage.snapshot
        pieces = len(tail.snapshot.shards)
        with _wrap_write_errors():
            tail.add([data])
            try:
                self._storage.adopt(tail.snapshot)
                snapshot = self._storage.snapshot
                if self._journal is not None:
                    new_schemas = snapshot.schemas[len(before.schemas) :]
                    self._journal.close_lane(
                        lane, snapshot.shards[len(before.shards) :], new_schemas
                    )
            except BaseException:
                self._storage = self._make_storage(before)
                tail.truncate(pieces)
                raise
        del self._lanes[lane]

    def read_lane_tail(self, lane: int, group: str, count: int) -> object:
        """Read the last rows of a column group of a lane; see `LaneSink.read_lane_tail`."""
        return _read_tail(self._lanes[lane], group, count)

    def read_tail(self, group: str, count: int) -> object:
        """Read the last rows of a column group of all shards; see `ShardSink.read_tail`."""
        return _read_tail(self._storage, group, count)

    def leave(self) -> None:
        """Start afresh, and leave the folder to the process that made it."""
        if self._lock is not None:
            self._lock.forget()
        self._start_afresh()

    def _start_afresh(self) -> None:
        # A folder that does not exist yet is never read from while there are no shards.
        self._folder = _NO_FOLDER
        self._uid = uuid.uuid4().hex
        self._lock: FileLock | None = None
        self._journal: JournalWriter | None = None
        self._storage = self._make_storage()
        self._lanes: dict[int, ShardFolder] = {}

    def clear(self) -> None:
        """Remove all that is staged."""
        if self._lock is None:
            return
        folder, lock = self._folder, self._lock
        self._start_afresh()
        # Without its journal an unlocked folder is no recording that somebody might recover.
        with suppress(OSError):
            (folder / JOURNAL_NAME).unlink(missing_ok=True)
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)

    def _make_folder(self) -> None:
        started = datetime.now(timezone.utc)
        root = staging_root()
        make_folder(root)
        folder = root / f"{FOLDER_PREFIX}{started:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:8]}"
        # A power cut takes what is in it as well, so that flushing its name would cost for nothing.
        folder.mkdir()
        lock = FileLock(folder / LOCK_NAME)
        try:
            # The lock comes before the journal, which makes the folder a recording.
            if not lock.acquire():
                raise DatasetBusyError(f"{lock.path} is held by another process")
            journal = JournalWriter(folder, self._metadata, self._uid, started.isoformat())
        except BaseException:
            lock.release()
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._lock = lock
        self._journal = journal
        self._folder = folder
        self._storage = self._make_storage()


@contextmanager
def _wrap_write_errors() -> Iterator[None]:
    """Name the staging folder where the file system refused."""
    try:
        yield
    except DatasetWriteError:
        raise
    except OSError as error:
        raise make_write_error(
            f"recorded steps could not be staged in {staging_root()}",
            error,
            "they are still in memory",
        ) from error


def _read_tail(storage: ShardFolder, group: str, count: int) -> object:
    pieces: list[object] = []
    counts: list[int] = []
    for number in range(len(storage.snapshot.shards) - 1, -1, -1):
        rows, steps, _ = storage.shard_counts()[number]
        available = rows if group in ("observations", "infos", "extras") else steps
        taken = min(count, available)
        read = storage.shard(number).readers(copy=True)[group]
        pieces.insert(0, read(available - taken, available))
        counts.insert(0, taken)
        count -= taken
        if count == 0:
            break
    if group not in ("infos", "extras"):
        return join_pieces(pieces)
    # Keys, and the columns of a key, may differ from shard to shard; rows do not.
    keys = dict.fromkeys(key for piece in pieces if isinstance(piece, dict) for key in piece)
    return {
        key: [
            row
            for piece, rows in zip(pieces, counts, strict=True)
            for row in list_recorded_rows(piece.get(key) if isinstance(piece, dict) else None, rows)
        ]
        for key in keys
    }
