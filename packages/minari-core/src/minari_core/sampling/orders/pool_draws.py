"""Draw positions from the pool without end, so that little is read for each draw."""

from __future__ import annotations

from threading import Lock

import numpy as np

from minari_core.sampling.orders.pool import PoolOrder
from minari_core.sampling.orders.rank_index import Positions
from minari_core.sampling.orders.reading_ahead import Fetch, ReadingAhead


class PoolDraws:
    """One epoch of the pool order after another, of which each draw takes what comes next.

    So each position is drawn once in an epoch. Thread-safe.
    """

    def __init__(
        self, generator: np.random.Generator, size: int, window: int, fetch: Fetch | None
    ) -> None:
        """Begin with a seed out of a generator.

        Args:
            generator: The source of the seed.
            size: The number of positions, at least 1.
            window: The positions in a window; see `choose_window`.
            fetch: Makes positions quick to read; None if all are at hand.
        """
        self._seed = int(generator.integers(2**63))
        self._window = window
        self._order = PoolOrder(size, window, self._seed, 0)
        self._epoch = self._next = 0
        self._ahead = None if fetch is None else ReadingAhead(fetch)
        self._lock = Lock()

    def draw(self, count: int) -> Positions:
        """Return the next positions; they are at hand.

        Args:
            count: How many, at least 1.

        Raises:
            Exception: What fetching them raised; they come again with the next draw.
        """
        with self._lock:
            epoch, order, first = self._epoch, self._order, self._next
            parts: list[Positions] = []
            while count:
                if first == order.size:
                    epoch, first = epoch + 1, 0
                    order = PoolOrder(order.size, self._window, self._seed, epoch)
                stop = min(first + count, order.size)
                if self._ahead is not None:
                    self._ahead.prepare(epoch, order, first, stop - 1)
                parts.append(order(np.arange(first, stop)))
                count -= stop - first
                first = stop
            self._epoch, self._order, self._next = epoch, order, first
        return np.concatenate(parts)
