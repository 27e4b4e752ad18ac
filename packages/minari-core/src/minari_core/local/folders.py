"""Find and remove the folders below the datasets' root."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from heapq import heappop, heappush
from pathlib import Path

from minari_core.errors import DatasetBusyError
from minari_core.files import holds_dataset, is_out_of_descriptors, make_read_error, may_be
from minari_core.local.dataset_id import MOST_PARTS
from minari_core.local.locations import DATA_FOLDER


def walk_folders(root: Path) -> Iterator[tuple[str, bool]]:
    """Walk the folders that may be datasets or namespaces, in no order.

    Hidden folders and the contents of datasets are left out, and a folder that may not be read is
    skipped. Links are followed, but no folder is walked twice: one with several names is walked
    under its own name, else under the shortest.

    Args:
        root: The folder to begin with; it need not exist.

    Yields:
        The path of a folder relative to the root, with ``/``; and whether it looks like a dataset.

    Raises:
        DatasetBusyError: No more files can be opened.
    """
    walked: set[tuple[int, int]] = set()
    # Ordered by the number of links to a folder, its depth, and its name.
    waiting = [(0, 0, "")]
    while waiting:
        links, depth, name = heappop(waiting)
        folder = root / name
        try:
            found = os.stat(folder)
            identity = found.st_dev, found.st_ino
            if identity in walked:
                continue
            walked.add(identity)
            with os.scandir(folder) as entries:
                children = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            told = make_read_error(folder, error)
            if isinstance(told, DatasetBusyError):
                raise told from error
            continue
        for entry in children:
            if not _is_folder(entry):
                continue
            child = f"{name}/{entry.name}" if name else entry.name
            is_dataset = holds_dataset(os.path.join(entry.path, DATA_FOLDER))
            yield child, is_dataset
            if not is_dataset and depth < MOST_PARTS and entry.name != DATA_FOLDER:
                heappush(waiting, (links + entry.is_symlink(), depth + 1, child))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to where nobody may look
        return False


def has_data_folder(folder: Path) -> bool:
    """Return whether a folder is that of a dataset, complete or not.

    One that may not be read counts: opening it then raises the error that says so.
    """
    return may_be(folder / DATA_FOLDER, stat.S_ISDIR)


def remove_folder(folder: Path) -> None:
    """Remove a folder and its contents; of a link, the link alone.

    Raises:
        OSError: The file system refused.
    """
    if folder.is_symlink():
        folder.unlink()
        return
    try:
        shutil.rmtree(folder)
    except OSError as error:
        if not is_out_of_descriptors(error):
            raise
        _remove_with_one_descriptor(folder)


def _remove_with_one_descriptor(folder: Path) -> None:
    with os.scandir(folder) as entries:
        inside = list(entries)
    for entry in inside:
        if entry.is_dir(follow_symlinks=False):
            _remove_with_one_descriptor(Path(entry.path))
        else:
            os.unlink(entry)
    folder.rmdir()
