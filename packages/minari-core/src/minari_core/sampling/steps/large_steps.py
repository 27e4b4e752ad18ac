"""The steps of a whole dataset whose episodes are looked up a few shards at a time.

One is so large that an index of all steps would take too much memory, or is on a remote, of which
nothing is read that a batch does not need.
"""

from __future__ import annotations

import numpy as np

from minari_core.columns import read_whole
from minari_core.errors import DatasetDamagedError
from minari_core.formats.columnar.episode_ends import may_have_unknown_finals
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.formats.shards.entry import LENGTHS
from minari_core.sampling.orders.rank_index import Positions, RankIndex, RankIndexes
from minari_core.sampling.steps.dataset_of_episode import find_datasets

MOST_INDEXED_STEPS = 1 << 27
"""The most steps of which each is indexed, which takes a quarter byte a step."""


def are_large(storage: ShardedStorage, episodes: Positions | range) -> bool:
    """Return whether `LargeSteps` are to stand for some episodes of a storage."""
    is_large = storage.total_steps > MOST_INDEXED_STEPS or storage.fetches_rows
    if not is_large or not isinstance(episodes, range):
        return False
    borders = storage.borders
    return (
        episodes == range(storage.total_episodes)
        and np.array_equal(borders["rows"], borders["steps"] + borders["episodes"])
        and not any(map(may_have_unknown_finals, storage.schemas()))
    )


class LargeSteps:
    """The steps of a storage as `EpisodeSteps` gives them, of the episodes that were located.

    The manifest tells the shard of a step, and the lengths in that shard tell its episode. They
    are read when the first step of the shard is located, if the shard says that it holds whole
    episodes only. When one does not say so, the lengths of all episodes are read. An episode takes
    8 bytes of memory once its shard was read. Steps are located nearly as quickly as `EpisodeSteps`
    does, if they are few enough to be indexed.

    Thread-safe: what two threads read is the same.
    """

    __slots__ = (
        "_borders",
        "_has_cuts",
        "_is_read",
        "_located",
        "_rank",
        "_ranks",
        "_shard_of",
        "_shards",
        "_starts",
        "_storage",
        "counts",
        "episode_starts",
        "episodes",
        "first_steps",
        "known_lengths",
        "lengths",
        "total",
    )

    def __init__(self, storage: ShardedStorage) -> None:
        """Read nothing yet."""
        self._storage = storage
        self._shards = storage.open_shards
        self._borders = storage.borders
        self._is_read = np.zeros(len(storage.shard_counts()), dtype=np.bool_)
        self._has_cuts = False
        self._rank: RankIndex | None = None
        self._ranks: RankIndexes | None = None
        if storage.total_steps <= MOST_INDEXED_STEPS:
            self._ranks = RankIndexes(np.diff(self._borders["steps"]))
        # What was located last: episodes, and their shards, which are asked for next.
        self._located: tuple[Positions, Positions] | None = None
        self._shard_of: Positions | None = None
        self.total = storage.total_steps
        """The number of steps that are sampled."""
        # Memory that nobody has written to takes no room.
        self._starts = np.empty(storage.total_episodes + 1, dtype=np.int64)
        self.first_steps = self.episode_starts = self._starts[:-1]
        """The first step of each episode that was located, counted through the storage."""
        self.lengths = self.counts = self.known_lengths = _Differences(self._starts)
        """The steps of each episode that was located."""
        self.episodes = _Identity()
        """The stored index of each episode."""

    @property
    def are_consecutive(self) -> bool:
        """True: they are all steps of the storage, in its order."""
        return True

    def locate(self, positions: Positions) -> tuple[Positions, Positions]:
        """Return the episode of each step, and the step itself.

        Args:
            positions: Steps of the storage, of any shape.

        Raises:
            DatasetDamagedError: A shard has other episodes than its manifest and its trailer say.
        """
        if self._rank is not None:
            return self._rank.runs(positions), positions
        shards = np.searchsorted(self._borders["steps"], positions, side="right") - 1
        if not self._has_cuts and not self._is_read.take(shards).all():
            for number in np.unique(shards[~self._is_read.take(shards)]).tolist():
                self._read_shard(number)
        if self._has_cuts:
            return np.searchsorted(self._starts, positions, side="right") - 1, positions
        firsts = self._borders["episodes"]
        if self._ranks is not None:
            inside = positions - self._borders["steps"].take(shards)
            indices = self._ranks.runs(shards, inside) + firsts.take(shards)
            self._located = indices, shards
            return indices, positions
        # A binary search for all at once, of each among the episodes of its shard.
        low, high = firsts.take(shards), firsts.take(shards + 1)
        for _ in range(int((high - low).max(initial=0)).bit_length()):
            middle = (low + high) >> 1
            is_later = self._starts.take(middle) <= positions
            low, high = np.where(is_later, middle, low), np.where(is_later, high, middle)
        return low, positions

    def rows(self, indices: Positions, steps: Positions) -> Positions:
        """Return the row of the observation before each step; the one after it is the next row."""
        return steps + indices

    def last_known_rows(self, indices: Positions) -> Positions:
        """Return the row of the last observation of each episode."""
        return self._starts.take(indices + 1) + indices

    def find_datasets(self, indices: Positions) -> Positions | None:
        """Return the dataset of each of some episodes, if they are of a mixture."""
        return find_datasets(self._storage.dataset_starts, indices)

    def find_shards(self, indices: Positions) -> Positions | None:
        """Return the shard of each episode; None if one may lie in several."""
        if self._has_cuts:
            return None
        if self._shard_of is not None:
            return self._shard_of.take(indices)
        known = self._located
        if known is not None and known[0] is indices:
            return known[1]
        return np.searchsorted(self._borders["episodes"], indices, side="right") - 1

    def _read_shard(self, number: int) -> None:
        shard = self._shards[number]
        # What the system would read ahead for each of a batch's steps is more than memory holds.
        shard.expect_random_reads()
        _, steps, episodes = shard.counts
        index, lengths = shard.read_episode_starts(), read_whole(shard.array(LENGTHS))
        if index is None:
            self._read_all()
            return
        if (
            lengths is None
            or lengths.shape != (episodes,)
            or lengths.dtype.kind not in "iu"
            or lengths.min(initial=1) < 1
            or int(lengths.max(initial=1)) > steps
            or not index.fits(lengths.astype(np.int64))
        ):
            raise DatasetDamagedError(
                f"{shard.name}: its {episodes} episodes do not have the {steps} steps that its "
                "manifest and its trailer say"
            )
        first, start = int(self._borders["episodes"][number]), int(self._borders["steps"][number])
        # Written at once: another thread may be looking at the same numbers.
        self._starts[first] = start
        self._starts[first + 1 : first + 1 + episodes] = np.cumsum(lengths, dtype=np.int64) + start
        if self._ranks is not None:
            self._ranks.add(number, lengths.astype(np.int64))
        self._is_read[number] = True
        if self._is_read.all():
            self._index_all()

    def _read_all(self) -> None:
        self._starts[:] = self._storage.index.starts[: len(self._starts)]
        self._has_cuts = True
        self._index_all()

    def _index_all(self) -> None:
        if self.total <= MOST_INDEXED_STEPS:
            counts = np.diff(self._borders["episodes"])
            self._shard_of = np.repeat(np.arange(len(counts)), counts)
            self._rank = RankIndex(np.diff(self._starts))


class _Differences:
    """The differences of neighbours in an array, computed where they are asked for."""

    __slots__ = ("_borders",)

    def __init__(self, borders: Positions) -> None:
        self._borders = borders

    def take(self, indices: Positions) -> Positions:
        lengths: Positions = self._borders.take(indices + 1) - self._borders.take(indices)
        return lengths


class _Identity:
    """The numbers from 0 on, as an array would give them."""

    __slots__ = ()

    def take(self, indices: Positions) -> Positions:
        return indices
