"""Find the steps that ended an episode although more steps of it follow."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from minari_core.columns import StoredArray

FLAGS = ("terminations", "truncations")


def find_early_ends(
    starts: npt.NDArray[np.int64], flags: Iterable[tuple[int, StoredArray | None]]
) -> npt.NDArray[np.int64]:
    """Find the flagged steps that are not the last of their episodes; there should be none.

    Args:
        starts: The first step of each episode, and the total at the end.
        flags: Arrays of terminations or truncations, and the number of the first step of each.

    Returns:
        The steps, counted through all shards, in ascending order.
    """
    found = [
        np.flatnonzero(array) + first for first, array in flags if isinstance(array, np.ndarray)
    ]
    ended = np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)
    ended = ended[ended < starts[-1]]
    after = starts.take(np.searchsorted(starts, ended, side="right"))
    early: npt.NDArray[np.int64] = ended[ended + 1 < after].astype(np.int64)
    return early
