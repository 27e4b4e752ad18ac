"""Normalize returns by the reference scores of a dataset."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from minari_core.datasets.dataset import MinariDataset, check_dataset
from minari_core.errors import MetadataError


def get_normalized_score(
    dataset: MinariDataset, returns: float | npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Normalize undiscounted returns by a dataset's reference scores.

    ``(return - ref_min_score) / (ref_max_score - ref_min_score)``, as D4RL defines it (Fu et
    al., 2020, https://arxiv.org/abs/2004.07219, section 6).

    Args:
        dataset: A dataset with ``ref_min_score`` and ``ref_max_score`` in its metadata.
        returns: Undiscounted returns of episodes, of any shape.

    Returns:
        The normalized scores, float64 of the same shape: 0 is ``ref_min_score``, which is that of a
        random policy, and 1 is ``ref_max_score``, that of an expert.

    Raises:
        MetadataError: The dataset has no reference scores, or they are equal.
        IncompatibleDatasetsError: It is no dataset.
    """
    check_dataset(dataset)
    scores = [dataset.metadata.get(name) for name in ("ref_min_score", "ref_max_score")]
    lowest, highest = scores
    if not isinstance(lowest, int | float) or not isinstance(highest, int | float):
        raise MetadataError(
            f"Reference score not provided for dataset {dataset.id}. Can't compute the normalized "
            f"score, which needs two numbers: ref_min_score is {lowest!r}, and ref_max_score "
            f"{highest!r}"
        )
    if lowest == highest:
        raise MetadataError(f"dataset {dataset.id!r} has equal reference scores, {lowest}")
    return (np.asarray(returns, dtype=np.float64) - lowest) / (highest - lowest)
