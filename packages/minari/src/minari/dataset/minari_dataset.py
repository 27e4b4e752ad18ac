"""`minari.MinariDataset`: that of `minari_core`, with the storage that the public Minari has."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import numpy.typing as npt

import minari_core
from minari_core import MinariDatasetSpec
from minari_core.datasets.dataset import storage_of
from minari_core.datasets.public_storage import MinariStorage
from minari_core.local.dataset_id import DatasetId
from minari_core.local.dataset_id import parse_dataset_id as parse
from minari_core.storage.base import Storage

__all__ = ["MinariDataset", "MinariDatasetSpec", "gen_dataset_id", "parse_dataset_id"]

Arguments = ParamSpec("Arguments")


class MinariDataset(minari_core.MinariDataset):
    """Episodes of a stored dataset; see `minari_core.MinariDataset`."""

    def __init__(
        self,
        data: MinariStorage | Storage | str | os.PathLike[str],
        episode_indices: npt.ArrayLike | range | None = None,
    ) -> None:
        """Open a dataset; see `minari_core.MinariDataset`."""
        given = data._inner if isinstance(data, MinariStorage) else data
        super().__init__(given, episode_indices)

    @property
    def storage(self) -> Any:
        """Where the data lies, as a `MinariStorage`."""
        return MinariStorage(self._storage)


def as_minari(dataset: minari_core.MinariDataset) -> MinariDataset:
    """The same dataset or view, with the storage that the public Minari has."""
    if isinstance(dataset, MinariDataset):
        return dataset
    return MinariDataset(storage_of(dataset), dataset._indices)


def giving_minari(
    function: Callable[Arguments, minari_core.MinariDataset],
) -> Callable[Arguments, MinariDataset]:
    """A function that makes a dataset, with the storage that the public Minari has."""

    @wraps(function)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> MinariDataset:
        return as_minari(function(*args, **kwargs))

    return call


def parse_dataset_id(dataset_id: str) -> tuple[str | None, str, int]:
    """The namespace, or None, the name and the version of a dataset id."""
    parts = parse(dataset_id)
    return parts.namespace or None, parts.name, parts.version


def gen_dataset_id(namespace: str | None, dataset_name: str, version: int | None = None) -> str:
    """A dataset id of its parts."""
    parts = DatasetId(namespace or "", dataset_name, version or 0)
    return parts.unversioned if version is None else str(parts)
