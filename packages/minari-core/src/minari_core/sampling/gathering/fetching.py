"""Choose the order of what is sampled, and fetch what it is read from before it is read."""

from __future__ import annotations

from itertools import zip_longest
from typing import Protocol
from weakref import WeakSet

from minari_core.errors import SamplingError
from minari_core.formats.columnar.episode_index import Piece
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.messages import warn_caller
from minari_core.sampling.gathering.needs import Needs

WEIGHTS_AND_POOL = (
    "weights draw from all episodes with each batch, and the order 'pool' holds a part of them at "
    "a time; with weights, the order is 'exact'"
)
"""Why the two do not go together."""

_BYTES_PER_SECOND = 10**8

# The streams of which it was said what the exact order takes.
_warned: WeakSet[ShardedStorage] = WeakSet()


class KnowsNeeds(Protocol):
    """A sampler that knows what it reads."""

    def find_needs(self, start: int, stop: int) -> Needs:
        """Return what the reading of neighbouring positions needs."""
        ...


def fetch_positions(storage: ShardedStorage, sampler: KnowsNeeds, start: int, stop: int) -> None:
    """Fetch what neighbouring positions are read from.

    Args:
        storage: The storage of the sampler.
        sampler: The sampler that will read them.
        start: The first position.
        stop: The last + 1.
    """
    if storage.is_at_hand:
        return
    needs = sampler.find_needs(start, stop)
    rows = [list(storage.borders.split("rows", *run)) for run in needs.rows]
    steps = [list(storage.borders.split("steps", *run)) for run in needs.steps]
    none: list[Piece] = []
    # Nearly always one run of each; those of a view may be many.
    for some_rows, some_steps in zip_longest(rows, steps, fillvalue=none):
        storage.fetch_rows(needs.columns, some_rows, some_steps)


def choose_for_epochs(
    columns: ShardedStorage, order: str | None, *, is_random: bool, stays: bool
) -> bool:
    """Return whether epochs are in the pool order, and warn if a stream is read in the exact one.

    Args:
        columns: The storage that is read.
        order: The order that is asked for.
        is_random: Whether everything is visited once, in random order.
        stays: Whether the pool order is that of all epochs.
    """
    _check_order(order)
    if order is None:
        order = "pool" if columns.fetches_rows and is_random else "exact"
    if columns.fetches_rows and is_random and (order == "exact" or not stays):
        warn_of_exact(columns)
    return order == "pool"


def choose_for_draws(columns: ShardedStorage, order: str | None, *, is_weighted: bool) -> bool:
    """Return whether single batches are drawn from the pool.

    Args:
        columns: The storage that is read.
        order: The order that is asked for.
        is_weighted: Whether they are drawn by weights.

    Raises:
        SamplingError: The order is none, or does not go with weights.
    """
    _check_order(order)
    if order == "pool" and is_weighted:
        raise SamplingError(WEIGHTS_AND_POOL)
    return order == "pool" or (order is None and columns.fetches_rows and not is_weighted)


def warn_of_exact(storage: ShardedStorage) -> None:
    """Warn once of a stream that a permutation of everything soon needs all of it."""
    if storage in _warned:
        return
    _warned.add(storage)
    nbytes = storage.nbytes
    seconds = nbytes / _BYTES_PER_SECOND
    # Of a small one, neither may read as nothing.
    size = f"{nbytes / 1e9:.3g} GB" if nbytes >= 1e9 else f"{nbytes / 1e6:.3g} MB"
    time = f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.2g}"
    warn_caller(
        "the exact order jumps through the whole stream with each batch, and soon needs all of its "
        f"{size}, which take about {time} s at 100 MB/s; "
        "the order 'pool' reads some MB at a time"
    )


def _check_order(order: object) -> None:
    """Raise a `SamplingError` if this is no order."""
    if order not in (None, "exact", "pool"):
        raise SamplingError(f"order is {order!r}, not 'exact' or 'pool'")
