"""Find episodes of a stream in the shards that have them, without the lengths of all others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from minari_core.episodes.final_observation import is_final_observation_known
from minari_core.formats.columnar.episode_ends import may_have_unknown_finals
from minari_core.formats.columnar.episode_entry import decode_entry
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.formats.shards.entries_apart import ENTRIES
from minari_core.formats.shards.reader import ShardReader
from minari_core.formats.streamed.arrays import Span
from minari_core.formats.streamed.shard import StreamedShard


@dataclass(frozen=True, slots=True)
class EpisodeRun:
    """Neighbouring episodes in one shard, which has all of each."""

    shard: int
    """The index of the shard."""
    entry: int
    """The index of the first of them in the shard."""
    starts: npt.NDArray[np.int64]
    """The first step of each in the shard, and at the end the step behind the last."""

    @property
    def steps(self) -> Span:
        """The first step of all, and the last + 1."""
        return int(self.starts[0]), int(self.starts[-1])

    @property
    def rows(self) -> Span:
        """The first row of all, and the last + 1; each episode has one more than it has steps."""
        start, stop = self.steps
        return start + self.entry, stop + self.entry + len(self.starts) - 1

    @property
    def entries(self) -> Span:
        """The first entry of all, and the last + 1."""
        return self.entry, self.entry + len(self.starts) - 1

    def list_episodes(self, shard: ShardReader) -> Iterator[tuple[int, int, int, int, bool]]:
        """List what the reader of an episode is given for each; see `EpisodeReader`.

        Args:
            shard: The shard.
        """
        unknown = self.find_unknown_finals(shard)
        for entry, (start, stop) in enumerate(pairwise(self.starts.tolist()), self.entry):
            yield start + entry, start, entry, stop - start, unknown[entry - self.entry]

    def find_unknown_finals(self, shard: ShardReader) -> list[bool]:
        """Return whether the last row of each episode is a placeholder."""
        if not may_have_unknown_finals(shard.schema):
            return [False] * (len(self.starts) - 1)
        entries = shard.read(ENTRIES, *self.entries, copy=False)
        metadata = (decode_entry(entries, row)[2] for row in range(len(self.starts) - 1))
        return [not is_final_observation_known(each) for each in metadata]


def find_runs(storage: ShardedStorage, first: int, last: int) -> list[EpisodeRun] | None:
    """Find consecutive episodes by the small indices that shards have of their episodes.

    Args:
        storage: The storage of a stream.
        first: The first episode.
        last: The last episode.

    Returns:
        The episodes, shard by shard; None where this takes the lengths of all episodes, because
        one may lie in several shards, or because a shard has no such index.

    Raises:
        DatasetDamagedError: An index and lengths do not fit each other.
    """
    borders = storage.borders
    if not np.array_equal(borders["rows"], borders["steps"] + borders["episodes"]):
        return None
    runs: list[EpisodeRun] = []
    for number, start, stop in borders.split("episodes", first, last + 1):
        shard = storage.shard(number)
        starts = shard.find_starts(start, stop) if isinstance(shard, StreamedShard) else None
        if starts is None:
            return None
        runs.append(EpisodeRun(number, start, starts))
    return runs
