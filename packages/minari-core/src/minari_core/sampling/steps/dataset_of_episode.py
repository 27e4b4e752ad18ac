"""The dataset that an episode of a mixture is from."""

from __future__ import annotations

import numpy as np

from minari_core.sampling.orders.rank_index import Positions


def find_datasets(starts: Positions | None, episodes: Positions) -> Positions | None:
    """Return the dataset of each stored episode of a mixture; None of one dataset.

    Args:
        starts: The first episode of each dataset, and the number of all; None of one dataset.
        episodes: The stored indices of episodes.
    """
    # Of several datasets that begin at the same episode, all but the last are empty.
    return None if starts is None else np.searchsorted(starts, episodes, side="right") - 1
