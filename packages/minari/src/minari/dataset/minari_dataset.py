"""`MinariDataset` and dataset ids under the public Minari's module path."""

from __future__ import annotations

from minari_core import EpisodeBuffer, EpisodeData, MinariDataset, MinariDatasetSpec
from minari_core.datasets.public_storage import MinariStorage
from minari_core.local.dataset_id import DatasetId
from minari_core.local.dataset_id import parse_dataset_id as parse

__all__ = [
    "EpisodeBuffer",
    "EpisodeData",
    "MinariDataset",
    "MinariDatasetSpec",
    "MinariStorage",
    "gen_dataset_id",
    "parse_dataset_id",
]


def parse_dataset_id(dataset_id: str) -> tuple[str | None, str, int]:
    """Return the namespace, or None, the name and the version of a dataset id."""
    fields = parse(dataset_id)
    return fields.namespace or None, fields.name, fields.version


def gen_dataset_id(namespace: str | None, dataset_name: str, version: int | None = None) -> str:
    """Return the dataset id of a namespace, a name and a version."""
    fields = DatasetId(namespace or "", dataset_name, version or 0)
    return fields.unversioned if version is None else str(fields)
