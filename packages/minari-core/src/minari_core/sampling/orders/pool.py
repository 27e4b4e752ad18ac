"""A random order that is local: it reads a few windows of neighbouring rows at a time.

An exact permutation jumps through all of a dataset with every batch, which a remote cannot follow
from cold. Here the positions are cut into windows, and these come in a random order. Each round
of an epoch admits one window to a pool and visits a random part of every window in it, in a
random order. A window stays for 32 rounds, and gives each an equal part, so that no window is in
a batch more often than others, and none has to be kept for a few last rows.

A window shares blocks of bytes with its neighbours, which are fetched with it. So the windows of a
few dozen regions, of up to 32 neighbours each, come before those of others: the regions take turns,
so that the windows in the pool are of different ones, and what was fetched is soon visited.

At the start the pool has `FEWEST_WINDOWS` short ones of two places, which stay for fewer rounds,
so that little has to be read before the first batch; 16 short windows later all are whole. At the
end of an epoch, when no window is left to admit, one round visits all that remains.
"""

from __future__ import annotations

import numpy as np

from minari_core.sampling.orders.random_words import draw_starts, shuffle_numbers
from minari_core.sampling.orders.rank_index import Positions

FEWEST_WINDOWS = 8
"""The windows in the pool of the first round."""
MOST_WINDOWS = 32
"""The windows in the pool later; each stays for as many rounds, or until the last round."""

_WINDOW_NBYTES = 1 << 21
_FEWEST_ROWS, _MOST_ROWS = 1 << 4, 1 << 16
_MOST_COUNTED = 1 << 20
# The first window stays for so many rounds, and each of those that are there with it for one more.
_FEWEST_ROUNDS = 4
# So many neighbours are together at the start: narrow columns of them are read at once.
_NEIGHBOURS = 4
_MOST_IN_REGION = 32
# Heads of the first windows are cut off: of 8 a 32nd, of 8 an eighth, of 8 a half.
_HEAD_SHIFTS = np.repeat(np.array([5, 3, 1], dtype=np.int64), FEWEST_WINDOWS)


def choose_window(row_nbytes: int, size: int) -> int:
    """Return the number of positions in a window, a power of two.

    It takes about 2 MB: few requests of many bytes, and 32 of them fit in memory. With 194 bytes
    a row these are 8,192 rows, and at least 16 for large images.

    Args:
        row_nbytes: The bytes that are read for a position.
        size: The number of positions.
    """
    rows = _WINDOW_NBYTES // max(row_nbytes, 1)
    rows = min(max(rows, _FEWEST_ROWS, size // _MOST_COUNTED), max(_MOST_ROWS, size >> 20))
    return 1 << (rows.bit_length() - 1)


class PoolOrder:
    """A bijection of the numbers from 0 to ``size - 1`` whose neighbours share a few windows.

    It depends on its arguments alone. It takes some bytes a window, and those windows' numbers
    that are in the pool. Not safe to share between threads: it keeps what it computed last.
    """

    __slots__ = (
        "_firsts",
        "_known",
        "_round_firsts",
        "_rounds",
        "_shuffled",
        "_sizes",
        "_starts",
        "size",
    )

    def __init__(self, size: int, window: int, *key: int) -> None:
        """Choose an order.

        Args:
            size: The number of numbers that are ordered.
            window: The number of neighbours in a whole window.
            *key: Numbers, such as a seed and an epoch; other numbers give another order.
        """
        self.size = size
        """The number of numbers that are ordered."""
        self._starts = draw_starts(3, *key)
        self._firsts, self._sizes = self._cut(window)
        self._rounds = max(len(self._sizes) - FEWEST_WINDOWS + 1, 1)
        self._round_firsts = self._count_rounds()
        self._shuffled: dict[int, Positions] = {}
        self._known: tuple[int, Positions] | None = None

    def __call__(self, positions: Positions) -> Positions:
        """Return the number at each position of the order.

        Args:
            positions: From 0 to ``size - 1``, ascending, shape (n,).
        """
        if not len(positions):
            return positions
        first, last = map(self._find_round, (int(positions[0]), int(positions[-1])))
        borders = self._round_firsts[first : last + 1]
        parts = np.split(positions, np.searchsorted(positions, borders[1:]))
        return np.concatenate(
            [
                self._read_round(number).take(part - border)
                for number, (part, border) in enumerate(zip(parts, borders, strict=True), first)
                if len(part)
            ]
        )

    @property
    def windows(self) -> tuple[Positions, Positions]:
        """The first number of each window and the numbers in it, in the order of admission."""
        return self._firsts, self._sizes

    def find_pool(self, position: int) -> range:
        """Return which windows are in the pool when a position of the order is visited.

        The windows before are not needed any more, and those after it will be needed next.

        Args:
            position: From 0 to ``size - 1``.
        """
        return self._find_windows(self._find_round(position))

    def find_end(self, position: int) -> int:
        """Return the next position that needs a window which is not yet in the pool."""
        return int(self._round_firsts[self._find_round(position) + 1])

    def _find_windows(self, number: int) -> range:
        """Return the windows in the pool of a round."""
        early = min(number - _FEWEST_ROUNDS + 1, FEWEST_WINDOWS)
        gone = max(0, early, number - (MOST_WINDOWS - FEWEST_WINDOWS))
        return range(gone, min(number + FEWEST_WINDOWS, len(self._sizes)))

    def _find_round(self, position: int) -> int:
        return int(np.searchsorted(self._round_firsts, position, side="right")) - 1

    def _cut(self, window: int) -> tuple[Positions, Positions]:
        """Return the first number of each window and its size, in the order of admission."""
        count = -(-self.size // window)
        places = shuffle_numbers(self._starts[0], 0, count // _NEIGHBOURS)
        places = places[: FEWEST_WINDOWS // _NEIGHBOURS]
        early = (places[:, None] * _NEIGHBOURS + np.arange(_NEIGHBOURS)).reshape(-1)
        order, first = self._take_turns(count)
        # The rest of what is cut comes in its turn, which is the last one of the first regions.
        others = order[:first][::-1]
        others = others[~np.isin(others, early)]
        heads = np.concatenate((early, others))[: len(_HEAD_SHIFTS)]
        firsts = np.arange(count) * window
        sizes = np.minimum(window, self.size - firsts)
        cut = -(-sizes[heads] >> _HEAD_SHIFTS[: len(heads)])
        head_firsts = firsts[heads]
        firsts[heads] += cut
        sizes[heads] -= cut
        order = order[sizes[order] > 0]
        return np.concatenate((head_firsts, firsts[order])), np.concatenate((cut, sizes[order]))

    def _take_turns(self, count: int) -> tuple[Positions, int]:
        """Return all windows in an order, and how many of them are of the first regions."""
        start = self._starts[0]
        neighbours = min(max(count // (2 * MOST_WINDOWS), 1), _MOST_IN_REGION)
        regions = -(-count // neighbours)
        shares = max(regions // MOST_WINDOWS, 1)
        # Stable sorts keep what is random in its order: windows in a region, regions in a turn.
        windows = shuffle_numbers(start, count, count)
        windows = windows[np.argsort(windows // neighbours, kind="stable")]
        ranks = np.empty(regions, dtype=np.int64)
        ranks[shuffle_numbers(start, 2 * count, regions)] = np.arange(regions)
        turns = np.arange(count) % neighbours
        turns += ranks[windows // neighbours] * shares // regions * neighbours
        mixed = shuffle_numbers(start, 3 * count, count)
        mixed = mixed[np.argsort(turns[mixed], kind="stable")]
        return windows[mixed], int(np.count_nonzero(turns < neighbours))

    def _count_rounds(self) -> Positions:
        """Return the first position of each round, and the number of all."""
        sizes, rounds = self._sizes, self._rounds
        counts = np.zeros(len(sizes) + MOST_WINDOWS, dtype=np.int64)
        for window, size in enumerate(sizes[:FEWEST_WINDOWS].tolist()):
            stay = _FEWEST_ROUNDS + window
            counts[:stay] += np.diff(np.arange(stay + 1) * size // stay)
        later = sizes[FEWEST_WINDOWS:]
        for part in range(MOST_WINDOWS):
            drawn = later * (part + 1) // MOST_WINDOWS - later * part // MOST_WINDOWS
            counts[part + 1 : part + 1 + len(later)] += drawn
        counts[rounds - 1] += counts[rounds:].sum()
        firsts = np.zeros(rounds + 1, dtype=np.int64)
        np.cumsum(counts[:rounds], out=firsts[1:])
        return firsts

    def _read_round(self, number: int) -> Positions:
        """Return the numbers that a round visits, in its order."""
        if self._known is None or self._known[0] != number:
            windows = self._find_windows(number)
            self._shuffled = {
                window: known for window, known in self._shuffled.items() if window in windows
            }
            drawn = np.concatenate([self._draw(window, number) for window in windows])
            first = int(self._round_firsts[number])
            order = shuffle_numbers(self._starts[2], first, len(drawn))
            self._known = number, drawn[order]
        return self._known[1]

    def _draw(self, window: int, number: int) -> Positions:
        """Return the part of a window that a round visits."""
        shuffled = self._shuffled.get(window)
        if shuffled is None:
            first, size = int(self._firsts[window]), int(self._sizes[window])
            shuffled = self._shuffled[window] = (
                shuffle_numbers(self._starts[1], first, size) + first
            )
        admitted = max(0, window - FEWEST_WINDOWS + 1)
        stay = MOST_WINDOWS if window >= FEWEST_WINDOWS else _FEWEST_ROUNDS + window
        part, size = number - admitted, len(shuffled)
        stop = size if number == self._rounds - 1 else size * (part + 1) // stay
        return shuffled[size * part // stay : stop]
