"""Choose which neighbouring shards become one, so that small additions leave few shards.

As in a log-structured store, shards are joined by levels. Level 0 has the shards of less than
4 KiB, each further level those of up to eight times as much, and shards of `LARGEST_NBYTES` or more
are large: they are never written again. Sizes are those of the values before any compression, so
that the size of a joined shard is the sum of those it is made of.
"""

from __future__ import annotations

from collections.abc import Sequence

LEVELS = 5
"""The number of levels."""
PER_LEVEL = 8
"""So many shards of a level become one of a higher level."""
LARGEST_NBYTES = 16 << 20
"""The size from which on a shard is large."""

_SMALL_NBYTES = 1 << 20
_MOST_SMALL = 16


def find_level(nbytes: int) -> int:
    """Return the level of a shard: 0 to ``LEVELS - 1``, or `LEVELS` if it is large."""
    level, bound = LEVELS, LARGEST_NBYTES
    while level and nbytes < bound:
        level, bound = level - 1, bound // PER_LEVEL
    return level


def choose_joins(sizes: Sequence[int], added: int) -> list[range]:
    """Choose which of the last shards of a dataset to join, when shards were added to it.

    The new shards arrive one after the other. Among the last shards that are not large and have
    less than `LARGEST_NBYTES` together, a new one is joined with those before it that are of a
    lower level, eight of one level are joined, and so are all as soon as they have
    `LARGEST_NBYTES` together, or as a large one arrives behind them. So levels never rise from one
    of these shards to the next, of each there are fewer than `PER_LEVEL`, a joined shard has less
    than twice `LARGEST_NBYTES`, and what was added is written again at most ``LEVELS + 1`` times:
    once as it arrives, once for each level that it rises, and once as the others end.

    Args:
        sizes: The size of each shard in bytes, the new ones included.
        added: How many of them are new.

    Returns:
        The shards to join, ascending: ranges of two or more indices of ``sizes``.
    """
    waiting = range(_find_tail(sizes, len(sizes) - added), len(sizes) - added)
    tail = [range(index, index + 1) for index in waiting]
    done: list[range] = []

    def measure(run: range) -> int:
        return sum(sizes[run.start : run.stop])

    def join_last(count: int) -> None:
        if count > 1:
            tail[-count:] = [range(tail[-count].start, tail[-1].stop)]

    def count_below(level: int) -> int:
        """Count the last shards of a lower level."""
        count = 0
        while count < len(tail) and find_level(measure(tail[-count - 1])) < level:
            count += 1
        return count

    for index in range(len(sizes) - added, len(sizes)):
        level = find_level(sizes[index])
        if level == LEVELS:
            join_last(len(tail))
            done += tail
            tail = []
            continue
        lower = count_below(level)
        tail.append(range(index, index + 1))
        join_last(lower + 1)
        while (count := count_below(find_level(measure(tail[-1])) + 1)) >= PER_LEVEL:
            join_last(count)
        if sum(map(measure, tail)) >= LARGEST_NBYTES:
            join_last(len(tail))
            done += tail
            tail = []
    return [run for run in (*done, *tail) if len(run) > 1]


def _find_tail(sizes: Sequence[int], stop: int) -> int:
    """Find the first of the last shards before ``stop`` that are not large, nor so together."""
    start, total = stop, 0
    while start and (total := total + sizes[start - 1]) < LARGEST_NBYTES:
        start -= 1
    return start


def choose_runs(sizes: Sequence[int], added: int) -> list[range]:
    """Choose which shards to join of a dataset that is made of many at once.

    More than sixteen of less than 1 MiB cost more to open than to write once more. Neighbours
    among them become shards of at most `LARGEST_NBYTES`.

    Args:
        sizes: The size of each shard in bytes.
        added: As for `choose_joins`; it makes no difference, for nobody has opened any yet.

    Returns:
        The shards to join, ascending: ranges of two or more indices of ``sizes``.
    """
    if sum(size < _SMALL_NBYTES for size in sizes) <= _MOST_SMALL:
        return []
    runs: list[range] = []
    first, total = 0, 0
    for index, size in enumerate(sizes):
        is_small = size < _SMALL_NBYTES
        if not is_small or total + size > LARGEST_NBYTES:
            runs.append(range(first, index))
            first, total = index, 0
        if not is_small:
            first = index + 1
        else:
            total += size
    runs.append(range(first, len(sizes)))
    return [run for run in runs if len(run) > 1]
