"""The names of the public Minari's ``minari.utils``; re-exports only."""

from __future__ import annotations

from minari_core import (
    combine_datasets,
    create_dataset_from_buffers,
    get_normalized_score,
    split_dataset,
)
from minari_core.environments.reference_scores import (
    compute_reference_score as get_average_reference_score,
)
from minari_core.environments.reference_scores import make_random_policy as RandomPolicy  # noqa: N812  # the public name

__all__ = [
    "RandomPolicy",
    "combine_datasets",
    "create_dataset_from_buffers",
    "get_average_reference_score",
    "get_normalized_score",
    "split_dataset",
]
