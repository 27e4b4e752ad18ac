"""Which positions of an epoch's order each rank reads, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minari_core.arguments import check_whole_number
from minari_core.errors import SamplingError
from minari_core.sampling.orders.rank_index import Positions


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """An epoch among ranks: rank r takes every ``world_size``-th position from r on.

    Of each epoch, ranks of an earlier division may have visited the beginning.
    """

    batch_size: int
    """The number of positions in a batch, of this rank."""
    rank: int
    """The rank of this process, from 0."""
    world_size: int
    """The number of ranks."""
    size: int
    """The number of positions."""
    drop_last: bool
    """Whether a last batch that is not full is left out, and all ranks have equally many."""

    def __post_init__(self) -> None:
        """Validate the numbers.

        Raises:
            SamplingError: One is out of its range.
        """
        for name, smallest in (("batch_size", 1), ("rank", 0), ("world_size", 1)):
            checked = check_whole_number(name, getattr(self, name), smallest)
            object.__setattr__(self, name, checked)
        if self.rank >= self.world_size:
            raise SamplingError(
                f"rank is {self.rank}, but {self.world_size} ranks have 0 to {self.world_size - 1}"
            )

    def count_batches(self, visited: int) -> int:
        """Return how many batches this rank has of an epoch of which so much was visited before."""
        left = self.size - visited
        if self.drop_last:
            return left // self.world_size // self.batch_size
        mine = max(0, left - self.rank + self.world_size - 1) // self.world_size
        return -(-mine // self.batch_size)

    def find_first(self, batch: int, visited: int) -> int:
        """Return the first place of a batch in the epoch's order, which no other batch has."""
        return visited + batch * self.batch_size * self.world_size + self.rank

    def find_last(self, batch: int, visited: int) -> int:
        """Return the last place of a batch in the epoch's order."""
        last = self.find_first(batch, visited) + (self.batch_size - 1) * self.world_size
        return min(last, self.size - 1)

    def list_places(self, first: int, count: int, visited: int) -> Positions:
        """Return the places of some batches in the epoch's order.

        Args:
            first: The first batch.
            count: How many batches; fewer if there are no more.
            visited: How much of the epoch was visited before.
        """
        start = first * self.batch_size
        # The number of places of this rank.
        own = -((self.rank + visited - self.size) // self.world_size)
        stop = max(min(start + count * self.batch_size, own), start)
        return np.arange(start, stop, dtype=np.int64) * self.world_size + self.rank + visited
