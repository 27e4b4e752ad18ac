"""The paths of local datasets: ``<root>/<dataset id>/data``."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TypeGuard

from minari_core.errors import DatasetNotFoundError
from minari_core.files import holds_dataset, may_be
from minari_core.local.dataset_id import parse_dataset_id

ROOT_VARIABLE = "MINARI_DATASETS_PATH"
STAGING_FOLDER = ".staging"
DATA_FOLDER = "data"
_PATH = re.compile(r"~|\.{0,2}[\\/]|\.{1,2}$|[A-Za-z]:[\\/]")


def datasets_root() -> Path:
    """Return the folder that holds every local dataset.

    Returns:
        ``$MINARI_DATASETS_PATH``, read anew at each call, else ``~/.minari/datasets``.
        The folder need not exist yet.
    """
    configured = os.environ.get(ROOT_VARIABLE)
    root = Path(configured).expanduser() if configured else Path.home() / ".minari" / "datasets"
    return root.absolute()


def dataset_folder(dataset_id: str) -> Path:
    """Return the folder of a dataset, which need not exist.

    Args:
        dataset_id: An id such as ``D4RL/door/human-v2``.

    Raises:
        DatasetIdError: The id is malformed; no valid id leads out of the root.
    """
    return datasets_root() / str(parse_dataset_id(dataset_id))


def staging_root() -> Path:
    """Return the hidden folder where datasets are staged, on the file system of the root."""
    return datasets_root() / STAGING_FOLDER


def is_path(dataset: object) -> TypeGuard[str | os.PathLike[str]]:
    """Return whether a dataset is given by a path: no id, and no URL, looks like one.

    Example:
        >>> is_path("./human-v2"), is_path("~/human-v2"), is_path("D4RL/door/human-v2")
        (True, True, False)
    """
    if isinstance(dataset, str):
        return _PATH.match(dataset) is not None
    return isinstance(dataset, os.PathLike)


def locate_data(path: str | os.PathLike[str]) -> Path:
    """Return the data folder of the dataset at a path, which is that folder or the one above it.

    Raises:
        DatasetNotFoundError: There is no dataset.
    """
    folder = Path(os.path.expanduser(path)).absolute()
    for data in (folder, folder / DATA_FOLDER):
        if holds_dataset(data):
            return data
    is_folder = may_be(folder, stat.S_ISDIR)
    kind = "holds no dataset, nor does its folder 'data'" if is_folder else "is no folder"
    raise DatasetNotFoundError(f"{folder} {kind}")
