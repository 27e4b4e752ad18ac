"""Numbers that equal episodes share, kept in sixteen bytes an episode."""

from __future__ import annotations

from array import array

import numpy as np
import numpy.typing as npt


class EpisodeKeys:
    """A number of each episode; equal episodes have the same, and others hardly ever."""

    def __init__(self) -> None:
        """Start with no episode."""
        self._keys, self._ids = array("q"), array("q")

    def add(self, key: int, episode: int) -> None:
        """Keep a number of at most 64 bits, with the id of its episode."""
        self._keys.append(key)
        self._ids.append(episode)

    def group(self) -> list[list[int]]:
        """Return the ids of the episodes of each number that several have, in their order."""
        keys, counts = np.unique(self._keys, return_counts=True)
        return list(self._find(keys[counts > 1]).values())

    def match(self, others: EpisodeKeys) -> list[tuple[list[int], list[int]]]:
        """Return the ids of the episodes, and of the others, of each number that both have."""
        common = np.intersect1d(self._keys, others._keys)
        there = others._find(common)
        return [(ids, there[key]) for key, ids in self._find(common).items()]

    def _find(self, keys: npt.NDArray[np.int64]) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for place in np.flatnonzero(np.isin(self._keys, keys)):
            found.setdefault(self._keys[place], []).append(self._ids[place])
        return found
