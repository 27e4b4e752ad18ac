"""A sum tree: draw positions in proportion to weights that may change at any time.

Each node holds the sum of its 16 children; a node is looked up, and a path of sums is made anew,
for a whole batch at once. The highest level has up to a few thousand nodes, which one cumulative
sum and a binary search handle faster than further levels would.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from minari_core.sampling.orders.rank_index import Positions

_BITS = 4
_CHILDREN = 1 << _BITS
_MOST_AT_TOP = 1 << 12
# Times the weights of a node's children, the sums before each of them and behind the last: in a
# tenth of the time that a cumulative sum along so short an axis takes.
_BEFORE = np.triu(np.ones((_CHILDREN, _CHILDREN + 1)), 1)

_Weights = npt.NDArray[np.float64]


class SumTree:
    """Weights of the positions from 0 to ``size - 1``.

    A sum is always that of what it is made of, so that rounding errors do not add up. Not safe to
    change in one thread while another reads.
    """

    __slots__ = ("_levels", "size")

    def __init__(self, weights: _Weights) -> None:
        """Build the tree.

        Args:
            weights: The weight of each position, positive and finite, shape (size,).
        """
        self.size = len(weights)
        """The number of positions."""
        # From the weights up; each level is filled up with zeros to whole nodes.
        self._levels = [_fill_up(weights)]
        while len(self._levels[-1]) > _MOST_AT_TOP:
            sums = self._levels[-1].reshape(-1, _CHILDREN).sum(axis=1)
            self._levels.append(_fill_up(sums))

    @property
    def weights(self) -> _Weights:
        """The weight of each position, not to be changed, shape (size,)."""
        shown = self._levels[0][: self.size]
        shown.flags.writeable = False
        return shown

    @property
    def total(self) -> float:
        """The sum of all weights."""
        return float(np.cumsum(self._levels[-1])[-1])

    def find(self, shares: _Weights) -> Positions:
        """Return the positions at some shares of the total weight.

        Args:
            shares: Numbers in [0, 1), shape (B,).
        """
        top = self._levels[-1]
        sums = np.cumsum(top)
        left = shares * sums[-1]
        nodes: Positions = np.searchsorted(sums, left, side="right")
        # Rounding must not reach what is only filled up.
        shift = _BITS * (len(self._levels) - 1)
        np.minimum(nodes, (self.size - 1) >> shift, out=nodes)
        left -= sums.take(nodes) - top.take(nodes)
        for level in reversed(self._levels[:-1]):
            shift -= _BITS
            before = level.reshape(-1, _CHILDREN).take(nodes, axis=0) @ _BEFORE
            # Rounding must not reach what is behind the last child either.
            before[:, -1] = np.inf
            inside = (before[:, 1:] <= left[:, None]).argmin(axis=1)
            left -= before[np.arange(len(nodes)), inside]
            nodes = np.minimum((nodes << _BITS) + inside, (self.size - 1) >> shift)
        return nodes

    def update(self, positions: Positions, weights: _Weights) -> None:
        """Change weights; of a position that is given twice, the last counts.

        Args:
            positions: From 0 to ``size - 1``, shape (B,).
            weights: Their weights, positive and finite, shape (B,).
        """
        self._levels[0][positions] = weights
        for level, above in zip(self._levels, self._levels[1:], strict=False):
            positions = positions >> _BITS
            above[positions] = level.reshape(-1, _CHILDREN).take(positions, axis=0).sum(axis=1)


def _fill_up(values: _Weights) -> _Weights:
    filled = np.zeros(-(-len(values) // _CHILDREN) * _CHILDREN)
    filled[: len(values)] = values
    return filled
