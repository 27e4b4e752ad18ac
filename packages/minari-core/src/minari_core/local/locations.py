"""The paths of local datasets: ``<root>/<dataset id>/data``."""

from __future__ import annotations

import os
from pathlib import Path

from minari_core.local.dataset_id import parse_dataset_id

ROOT_VARIABLE = "MINARI_DATASETS_PATH"
STAGING_FOLDER = ".staging"
DATA_FOLDER = "data"


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
