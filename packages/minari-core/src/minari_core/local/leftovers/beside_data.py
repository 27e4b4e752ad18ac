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
from minari_core.files import LOCK_FILES, LOCK_NAME, lock_dataset
from minari_core.formats.columnar.dataset_folder import ColumnarStorage
from minari_core.formats.columnar.manifest import MANIFEST_NAME, get_data_format, read_manifest
from minari_core.formats.public.files import MAIN_FILE
from minari_core.local.folders import walk_folders
from minari_core.local.leftovers.leftover import Found, Leftover, Worth, describe
from minari_core.local.locations import DATA_FOLDER, datasets_root
from minari_core.local.staging import hold_abandoned
from minari_core.locks import read_holder

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
        elif set(_list_files(data)) & LOCK_FILES:
            yield from _find_alone(name, data)


def _find_temporary(folder: Path) -> Iterator[Found]:
    for name in _list_files(folder):
        if _TEMPORARY.fullmatch(name) and _is_unfinished(folder / name):
            yield _describe("temporary file", folder / name, ""), partial(_remove, folder / name)


def _find_in_data(dataset_id: str, data: Path) -> Iterator[Found]:
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
                with hold_abandoned(data, [data / LOCK_NAME], changed):
                    is_left = matched or _is_of_no_manifest(path)
                if is_left:
                    found = _describe("temporary file" if matched else "shard", path, dataset_id)
                    yield found, partial(_remove_locked, path, changed)


def _find_alone(dataset_id: str, data: Path) -> Iterator[Found]:
    """Find the lock of a dataset that was deleted just before it was locked."""
    with suppress(OSError):
        holder = read_holder(data / LOCK_NAME)
        is_left = holder is None or holder.is_gone()
        if set(os.listdir(data)) <= LOCK_FILES and is_left and _is_unfinished(data / LOCK_NAME):
            yield _describe("lock", data / LOCK_NAME, dataset_id), partial(_remove_alone, data)


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


def _describe(kind: str, path: Path, dataset_id: str) -> Leftover:
    name = path.relative_to(datasets_root()).as_posix()
    return describe(name, kind, path, Worth(dataset_id=dataset_id))


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _remove_locked(path: Path, changed: float) -> None:
    with hold_abandoned(path.parent, [path.parent / LOCK_NAME], changed):
        if _SHARD.fullmatch(path.name) and not _is_of_no_manifest(path):
            raise DatasetBusyError(f"{path} belongs to its dataset by now")
        path.unlink(missing_ok=True)


def _remove_alone(data: Path) -> None:
    # It goes with the lock when that is given up.
    with lock_dataset(data):
        pass


def _list_files(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    except OSError:
        return []
