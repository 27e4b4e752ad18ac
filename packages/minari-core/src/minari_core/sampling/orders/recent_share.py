"""The share of what is drawn that is of the newest episodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minari_core.arguments import check_fraction, check_whole_number
from minari_core.sampling.orders.rank_index import Positions
from minari_core.sampling.orders.weights import EpisodeShares


@dataclass(frozen=True, slots=True)
class RecentShare(EpisodeShares):
    """Weights by which a share of what is drawn is of the newest episodes.

    The newest are all from an episode on, as those that were collected since training began, or a
    number of the last ones. Among them, and among those before them, all transitions (or windows)
    are equally likely. As long as one of the two has none, all of the draws are of the other.

    Half of each batch from old data and half from new is the symmetric sampling of RLPD (Ball et
    al., 2023, "Efficient online reinforcement learning with offline data").

    Example:
        >>> weights = RecentShare(0.5, since=1000)
        >>> batch = dataset.sample_transitions(256, weights=weights)  # doctest: +SKIP
    """

    share: float
    """The share of the newest episodes, from 0 to 1."""
    since: int
    """The index of the first of them in the dataset or view, as in ``dataset[since:]``; below 0
    it counts from the end."""

    def __post_init__(self) -> None:
        """Raise unless the share is a fraction, and the index a whole number."""
        object.__setattr__(self, "share", check_fraction("share", self.share))
        object.__setattr__(self, "since", check_whole_number("since", self.since))

    def weigh(self, counts: Positions) -> npt.NDArray[np.float64]:
        """Return the weight of each episode.

        Args:
            counts: The number of transitions or windows of each episode, shape (episodes,).
        """
        old, recent = np.split(counts.astype(np.float64), [self.since])
        totals = old.sum(), recent.sum()
        if min(totals) > 0:
            old *= (1 - self.share) / totals[0]
            recent *= self.share / totals[1]
        return np.concatenate([old, recent])
