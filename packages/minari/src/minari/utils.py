"""What the public Minari keeps in ``minari.utils``; re-exports only."""

from __future__ import annotations

from minari.dataset.minari_dataset import giving_minari
from minari_core import combine_datasets as combine_core_datasets
from minari_core import create_dataset_from_buffers as create_core_dataset_from_buffers
from minari_core import get_normalized_score, split_dataset
from minari_core.environments.reference_scores import random_policy as RandomPolicy  # noqa: N812  # the public name
from minari_core.environments.reference_scores import reference_score as get_average_reference_score

combine_datasets = giving_minari(combine_core_datasets)
create_dataset_from_buffers = giving_minari(create_core_dataset_from_buffers)

__all__ = [
    "RandomPolicy",
    "combine_datasets",
    "create_dataset_from_buffers",
    "get_average_reference_score",
    "get_normalized_score",
    "split_dataset",
]
