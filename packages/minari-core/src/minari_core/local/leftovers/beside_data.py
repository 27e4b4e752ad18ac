"""Find unfinished and unknown files beside the data of datasets and namespaces."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from minari_core.errors import DatasetBusyError, MinariError
from minari_core.files import LOCK_FILES, LOCK_NAME, MAIN_FILE, MANIFEST_NAME, lock_dataset
from minari_core.formats.columnar.dataset_folder import ColumnarStorage
from minari_core.formats.columnar.manifest import get_data_format, read_manifest
from minari_core.formats.public.files import STAGE_PREFIX
from minari_core.formats.registry import open_storage
from minari_core.local.folders import walk_folders
from minari_core.local.leftovers.leftover import (
    Found,
    Leftover,
    Worth,
    describe,
    describe_unclear,
)
from minari_core.local.locations import DATA_FOLDER, datasets_root
from minari_core.local.staging import find_last_change, hold_abandoned, look_abandoned
from minari_core.locks import locate_held

# As `replace_file` and writers of single files name them.
_TEMPORARY = re.compile(r"\.(?P<target>.+)\.[0-9a-f]{32}")
_SHARD = re.compile(r"shard-[0-9a-f]{32}\.h5")
# Of these, only who holds the dataset's lock has any; the others are small, and made in no time.
_LOCKED = frozenset({MANIFEST_NAME, MAIN_FILE})
_UNFINISHED_SECONDS = 3600.0


def find_beside_data() -> Iterator[Found]:
    """Find what is left in the folders of datasets and namespaces."""
    root = datasets_root()
    for name, is_dataset in walk_folders(root):
        yield from _find_temporary(root / name)
        data = root / name / DATA_FOLDER
        if is_dataset:
            yield from _find_in_data(name, data)
            yield from _find_held(name, data)
        elif set(_list_files(data)) & LOCK_FILES:
            yield from _find_alone(name, data)


def _find_temporary(folder: Path) -> Iterator[Found]:
    for name in _list_files(folder):
        if _TEMPORARY.fullmatch(name) and _is_unfinished(folder / name):
            yield _describe("temporary file", folder / name, ""), partial(_remove, folder / name)


def _find_in_data(dataset_id: str, data: Path) -> Iterator[Found]:
    yield from _find_stages(dataset_id, data)
    for name in _list_files(data):
        path = data / name
        matched = _TEMPORARY.fullmatch(name)
        if matched and matched["target"] not in _LOCKED:
            if _is_unfinished(path):
                found = _describe("temporary file", path, dataset_id)
                yield found, partial(_remove, path)
        elif matched or (_SHARD.fullmatch(name) and _is_of_no_manifest(path)):
            with suppress(MinariError, OSError):
                changed = path.stat().st_mtime
                with look_abandoned(data, [data / LOCK_NAME], changed):
                    is_left = matched or _is_of_no_manifest(path)
                if is_left:
                    found = _describe("temporary file" if matched else "shard", path, dataset_id)
                    yield found, partial(_remove_locked, path, changed)


def _find_stages(dataset_id: str, data: Path) -> Iterator[Found]:
    """Find changes that a killed process has begun."""
    for path in data.glob(f"{STAGE_PREFIX}*"):
        with suppress(MinariError, OSError):
            with look_abandoned(data, [data / LOCK_NAME], path.stat().st_mtime):
                is_left = path.exists()
            if is_left:
                yield _describe("change", path, dataset_id), partial(_finish_change, data)


def _find_alone(dataset_id: str, data: Path) -> Iterator[Found]:
    """Find the lock of a dataset that was deleted just before it was locked."""
    lock = data / LOCK_NAME
    there = lock if lock.exists() else locate_held(lock)
    with suppress(MinariError, OSError):
        if set(os.listdir(data)) <= LOCK_FILES and _is_unfinished(there):
            with look_abandoned(data, [lock], there.stat().st_mtime):
                found = _describe_lock(there, dataset_id)
            yield found, partial(_remove_alone, data)


def _find_held(dataset_id: str, data: Path) -> Iterator[Found]:
    """Find what stands for the lock of a dataset, and was left by a process that is gone."""
    held = locate_held(data / LOCK_NAME)
    if os.path.lexists(held):
        with suppress(MinariError):
            with look_abandoned(data, [data / LOCK_NAME], _find_last_write(data)):
                found = _describe_lock(held, dataset_id)
            yield found, partial(_take_over, data)


def _is_of_no_manifest(path: Path) -> bool:
    """Return whether the name of a shard is in no manifest; the dataset's lock must be held."""
    try:
        manifest = read_manifest(path.parent)
    except MinariError:
        return False
    shards = {shard.file for shard in manifest.snapshot.shards}
    is_columnar = get_data_format(manifest.metadata) == ColumnarStorage.data_format
    return is_columnar and path.name not in shards


def _is_unfinished(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_mtime > _UNFINISHED_SECONDS
    except OSError:
        return False


def _find_last_write(data: Path) -> float:
    # Whoever waits for the lock in vain changes the folder, too, but no file that stays.
    files = (path for path in data.rglob("*") if path.name not in LOCK_FILES and path.is_file())
    return max(map(find_last_change, files), default=0.0)


def _describe(kind: str, path: Path, dataset_id: str) -> Leftover:
    name = path.relative_to(datasets_root()).as_posix()
    return describe(name, kind, path, Worth(dataset_id=dataset_id))


def _describe_lock(path: Path, dataset_id: str) -> Leftover:
    name = path.relative_to(datasets_root()).as_posix()
    worth = Worth(dataset_id, describe_unclear(path.with_name(LOCK_NAME)))
    return describe(name, "lock", path, worth)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _remove_locked(path: Path, changed: float) -> None:
    with hold_abandoned(path.parent, [path.parent / LOCK_NAME], changed):
        if _SHARD.fullmatch(path.name) and not _is_of_no_manifest(path):
            raise DatasetBusyError(f"{path} belongs to its dataset by now")
        path.unlink(missing_ok=True)


def _take_over(data: Path) -> None:
    """Remove what stands for the lock of a process that is gone, for which others would wait."""
    with hold_abandoned(data, [data / LOCK_NAME], _find_last_write(data)):
        pass


def _finish_change(data: Path) -> None:
    # What has not happened yet is removed with that.
    open_storage(data).save()


def _remove_alone(data: Path) -> None:
    _take_over(data)
    # It goes with the lock when that is given up.
    with lock_dataset(data):
        pass


def _list_files(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    except OSError:
        return []
