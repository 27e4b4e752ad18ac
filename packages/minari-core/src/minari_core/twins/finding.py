"""Find the columns of a storage: its own, or those of its twin, which is built if there is none.

A small twin is in memory. Another one lies in the cache under a key made of the dataset's files, so
that one of other files is never taken for it, and all processes build it once.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from pathlib import Path
from weakref import WeakKeyDictionary, WeakValueDictionary

from minari_core.cache.opening import open_entry
from minari_core.errors import (
    CacheError,
    DatasetBusyError,
    DatasetDamagedError,
    DatasetWriteError,
)
from minari_core.formats.columnar.dataset_folder import ColumnarStorage
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.formats.public.batching import estimate_row_nbytes
from minari_core.messages import warn_caller
from minari_core.storage.base import Storage
from minari_core.twins.building import build_in_folder, build_in_memory
from minari_core.twins.files import DatasetFiles, look_at_files

CACHE_KIND = "columns"
"""The kind of the cache's entries that are twins."""
MEMORY_NBYTES = 256 << 20
"""The size up to which a twin is in memory, and nothing of it on the disk."""
WORKER_NBYTES = 32 << 20
"""The same in a worker of another process, of which there are many with the same dataset."""
MOST_NBYTES = 1 << 30
"""The size up to which it is in memory where the cache cannot be used."""

_ATTEMPTS = 3
_NBYTES_OF_FLAGS = 10
# An image file is smaller than its pixels by more than this.
_PACKED = 2

_twins: WeakKeyDictionary[Storage, tuple[str, ShardedStorage]] = WeakKeyDictionary()
_by_key: WeakValueDictionary[str, ShardedStorage] = WeakValueDictionary()
_said: set[str] = set()
_lock = threading.RLock()


def _reset_after_fork() -> None:
    """Forget a lock that a thread may hold which is not in this process."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)


class _FilesChangedError(Exception):
    """Somebody changed the files while a twin was made of them."""


def find_columns(storage: Storage) -> ShardedStorage:
    """Find the storage whose columns hold the episodes of another one, under the same indices.

    Args:
        storage: The storage. One of shards is its own.

    Raises:
        CacheError: The twin is too large for memory, and the cache is too small or cannot be
            written.
        DataError: Dtypes differ from episode to episode, and none holds the values of all.
        DatasetBusyError: The files changed all the time.
        DatasetChangedError: Another dataset has taken its place.
    """
    if isinstance(storage, ShardedStorage):
        return storage
    with _lock:
        # A loaded dataset keeps to what was stored then, so its files are looked at once.
        stored = storage.fingerprint()
        known = _twins.get(storage)
        if known is None or known[0] != stored:
            known = _twins[storage] = stored, _find_twin(storage)
        return known[1]


def _find_twin(storage: Storage) -> ShardedStorage:
    folder = storage.data_path
    if folder is None:
        return _build_in_memory(storage, "")
    # It raises if another dataset has taken its place, whose files these would be.
    storage.newer_episodes()
    for _ in range(_ATTEMPTS):
        files = look_at_files(storage, folder)
        twin = _by_key.get(files.key)
        if twin is None:
            try:
                twin = _make_twin(storage, folder, files)
            except _FilesChangedError:
                continue
            _by_key[files.key] = twin
        return twin
    raise DatasetBusyError(
        f"{folder} was changed again and again while it was read; try again when nobody writes to "
        "it"
    )


def _make_twin(storage: Storage, folder: Path, files: DatasetFiles) -> ShardedStorage:
    row = estimate_row_nbytes(storage.observation_space) + estimate_row_nbytes(storage.action_space)
    raw = storage.total_steps * (row + _NBYTES_OF_FLAGS)
    is_packed = raw > _PACKED * files.nbytes

    def check_same() -> None:
        if look_at_files(storage, folder).key != files.key:
            raise _FilesChangedError

    def make(target: Path) -> None:
        build_in_folder(storage, target, compresses=is_packed)
        check_same()

    is_worker = multiprocessing.parent_process() is not None
    if max(raw, files.nbytes) <= (
        min(WORKER_NBYTES, MEMORY_NBYTES) if is_worker else MEMORY_NBYTES
    ):
        twin = _build_in_memory(storage, "")
        check_same()
        return twin
    try:
        opened, seconds = open_entry(
            CACHE_KIND,
            files.key,
            _name(storage),
            make,
            lambda contents: _open_mapped(contents, storage),
            expected_nbytes=files.nbytes if is_packed else raw,
        )
    # Of a full disk nothing is left behind.
    except (CacheError, DatasetWriteError) as error:
        if max(raw, files.nbytes) > MOST_NBYTES:
            raise CacheError(
                f"{_name(storage)} is sampled from a copy of its columns, which is too large for "
                f"memory, and {error}; or make a columnar dataset of it by convert_dataset"
            ) from error
        twin = _build_in_memory(storage, f", as {error}")
        check_same()
        return twin
    if seconds is not None:
        _say(storage, f"{opened.data_path.parent} ({opened.nbytes} bytes)", seconds, "")
    return opened


def _open_mapped(contents: Path, storage: Storage) -> ColumnarStorage:
    """Open a twin and map all of it, so that nothing is missed later should it be removed.

    Raises:
        DatasetDamagedError: It is not what was written.
    """
    twin = ColumnarStorage.open(contents, storage.given_spaces)
    for number in range(len(twin.shard_counts())):
        twin.shard(number)
    if twin.total_episodes != storage.total_episodes:
        raise DatasetDamagedError(f"{contents} has {twin.total_episodes} episodes")
    return twin


def _build_in_memory(storage: Storage, why: str) -> ShardedStorage:
    start = time.perf_counter()
    twin = build_in_memory(storage)
    seconds = time.perf_counter() - start
    # A worker does what its parent has said.
    if multiprocessing.parent_process() is None:
        _say(storage, f"memory ({twin.nbytes} bytes)", seconds, why)
    return twin


def _say(storage: Storage, where: str, seconds: float, why: str) -> None:
    """Warn once of each dataset."""
    name = str(storage.data_path)
    if name in _said:
        return
    _said.add(name)
    warn_caller(
        f"{_name(storage)} is stored as {storage.data_format!r}, an episode at a time. To sample "
        f"from it, its columns were copied into {where} in {seconds:.2f} s{why}. A columnar "
        "dataset, as convert_dataset makes it, needs no copy"
    )


def _name(storage: Storage) -> str:
    return str(storage.metadata.get("dataset_id") or storage.data_path or storage.data_format)
