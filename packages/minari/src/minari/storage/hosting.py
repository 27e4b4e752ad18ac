"""Remote datasets under the public Minari's module path."""

from __future__ import annotations

from minari.dataset.minari_dataset import gen_dataset_id, parse_dataset_id
from minari.storage.datasets_root_dir import get_dataset_path
from minari.storage.local import load_dataset
from minari_core.datasets.public_storage import MinariStorage
from minari_hub import download_dataset, list_remote_datasets, upload_dataset

__all__ = [
    "MinariStorage",
    "download_dataset",
    "gen_dataset_id",
    "get_dataset_path",
    "list_remote_datasets",
    "load_dataset",
    "parse_dataset_id",
    "upload_dataset",
]
