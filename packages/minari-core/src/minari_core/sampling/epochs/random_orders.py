"""The random order of each epoch: a permutation, a pool, or draws by weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from minari_core.arguments import check_whole_number
from minari_core.errors import SamplingError
from minari_core.sampling.gathering.fetching import WEIGHTS_AND_POOL
from minari_core.sampling.orders.permutation import Permutation
from minari_core.sampling.orders.pool import PoolOrder
from minari_core.sampling.orders.weights import EpisodeWeights, WeightedOrder

RandomOrder: TypeAlias = Permutation | PoolOrder | WeightedOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomOrders:
    """The random orders of all epochs, which depend on the seed alone."""

    size: int
    """The number of positions."""
    weights: EpisodeWeights | None
    """The shares of the episodes, to draw with replacement; each position is visited once if
    None."""
    window: int | None
    """The positions in a window of the pool order; the exact order if None."""
    pool_epochs: int | None
    """The number of epochs in the pool order, before those in the exact one; all if None."""

    def __post_init__(self) -> None:
        """Validate the options of the pool order.

        Raises:
            SamplingError: A number is out of its range, or options exclude each other.
        """
        if self.window is None:
            if self.pool_epochs is not None:
                raise SamplingError(
                    f"pool_epochs is {self.pool_epochs!r}, which belongs to the order 'pool'; this "
                    "one is 'exact'"
                )
            return
        if self.weights is not None:
            raise SamplingError(WEIGHTS_AND_POOL)
        object.__setattr__(self, "window", check_whole_number("window", self.window, 1))
        if self.pool_epochs is not None:
            checked = check_whole_number("pool_epochs", self.pool_epochs, 0)
            object.__setattr__(self, "pool_epochs", checked)

    def choose(self, seed: int, epoch: int) -> RandomOrder:
        """Return the order of an epoch."""
        if self.weights is not None:
            return WeightedOrder(self.weights, seed, epoch)
        if self.window is not None and (self.pool_epochs is None or epoch < self.pool_epochs):
            return PoolOrder(self.size, self.window, seed, epoch)
        return Permutation(self.size, seed, epoch)

    def describe(self) -> dict[str, Any]:
        """Return what tells these orders from others, in the state of batches."""
        pool = {"order": "pool", "window": self.window, "pool_epochs": self.pool_epochs}
        return {
            "weights": None if self.weights is None else self.weights.fingerprint(),
            # States of earlier releases, which had one order, do not name it.
            **({} if self.window is None else pool),
        }
