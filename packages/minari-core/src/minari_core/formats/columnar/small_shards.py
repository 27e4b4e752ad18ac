"""Find small neighbours among the shards of a dataset that become one."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise

from minari_core.columns import Schema
from minari_core.formats.shards.entry import ShardEntry
from minari_core.formats.shards.joining import find_joinable_runs
from minari_core.formats.shards.levels import LARGEST_NBYTES

# Earlier releases, and one addition of many shards, leave thousands.
_MOST_LOOKED_AT = 256


def find_runs(
    shards: Sequence[ShardEntry],
    schemas: Sequence[Schema],
    added: int,
    choose: Callable[[Sequence[int], int], Sequence[range]],
    kept_apart: Collection[str],
) -> list[range]:
    """Find the shards to join when some were added.

    Args:
        shards: The shards of the dataset, the new ones last.
        schemas: The schemas that they name.
        added: How many of them are new.
        choose: `choose_joins`, or another function that is given sizes as it is.
        kept_apart: The files of shards that are not joined.

    Returns:
        Ranges of indices of ``shards``, the last first.
    """
    first_added = len(shards) - added
    start = max(0, first_added - _MOST_LOOKED_AT)
    found: list[range] = []
    for run in find_joinable_runs([schemas[shard.schema] for shard in shards[start:]]):
        # A shard without rows stays with the one before it, whose entries it holds.
        numbers = range(start + run.start, start + run.stop)
        firsts = [n for n in numbers if n == numbers.start or shards[n].rows]
        units = [shards[first:stop] for first, stop in pairwise([*firsts, numbers.stop])]
        sizes = [_measure(unit, schemas, kept_apart) for unit in units]
        new = sum(first >= first_added for first in firsts)
        firsts.append(numbers.stop)
        found += [range(firsts[r.start], firsts[r.stop]) for r in choose(sizes, new) if new]
    return found[::-1]


def _measure(
    unit: Sequence[ShardEntry], schemas: Sequence[Schema], kept_apart: Collection[str]
) -> int:
    """Return the bytes of the values of shards, before any compression."""
    if any(shard.file in kept_apart for shard in unit):
        return LARGEST_NBYTES
    return sum(
        rows * spec.dtype.itemsize * math.prod(spec.row_shape)
        for shard in unit
        for spec, (_, rows) in zip(schemas[shard.schema].arrays, shard.arrays, strict=True)
    )
