"""The index of episodes: maps an episode to its rows in the shards."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from minari_core.columns import Axis
from minari_core.errors import DatasetDamagedError

Piece = tuple[int, int, int]
"""The index of a shard, and the first and last + 1 row in that shard."""

# Sums below this, and twice as much, are counted in 63 bits.
_MOST_ROWS = 1 << 62


class ShardBorders:
    """The first row, step and episode of each shard, and the numbers of all; always of one state.

    A storage makes another object whenever its shards change.
    """

    __slots__ = ("_firsts",)

    def __init__(self, counts: Sequence[tuple[int, int, int]]) -> None:
        """Add up the rows, steps and episodes of each shard.

        Raises:
            DatasetDamagedError: They are more than any disk holds.
        """
        firsts = np.zeros((3, len(counts) + 1), dtype=np.int64)
        if any(sum(column) >= _MOST_ROWS for column in zip(*counts, strict=True)):
            raise DatasetDamagedError("its shards are said to have more rows than any disk holds")
        if counts:
            np.cumsum(np.array(counts).T, axis=1, out=firsts[:, 1:])
        firsts.flags.writeable = False
        self._firsts: dict[Axis, npt.NDArray[np.int64]] = {
            "rows": firsts[0],
            "steps": firsts[1],
            "episodes": firsts[2],
        }

    def __getitem__(self, axis: Axis) -> npt.NDArray[np.int64]:
        """Return those of an axis, shape (shards + 1,)."""
        return self._firsts[axis]

    def split(self, axis: Axis, start: int, stop: int) -> Iterator[Piece]:
        """Split rows, steps or episodes that follow each other by shard.

        Args:
            axis: Which these are.
            start: The first, counted through all shards.
            stop: The last + 1.
        """
        firsts = self._firsts[axis]
        shard = int(firsts.searchsorted(start, side="right")) - 1
        end = int(firsts.searchsorted(stop))
        for number, (first, following) in enumerate(
            pairwise(firsts[shard : end + 1].tolist()), shard
        ):
            if following > first:
                yield number, max(start - first, 0), min(stop, following) - first


class EpisodeIndex:
    """Map an episode to its rows in the shards.

    Rows and steps are numbered through all shards. An episode of T steps has T+1 rows of
    observations, so episode e begins at step ``sum(lengths[:e])`` and at row
    ``sum(lengths[:e]) + e``.
    """

    __slots__ = (
        "_borders",
        "_first_episodes",
        "_first_rows",
        "_first_steps",
        "lengths",
        "starts",
        "unknown_finals",
    )

    def __init__(
        self,
        lengths: npt.NDArray[np.int64],
        counts: Sequence[tuple[int, int, int]],
        unknown_finals: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Build the index.

        Args:
            lengths: The number of steps of each episode, shape (episodes,).
            counts: The rows, steps and episodes of each shard.
            unknown_finals: Whether the last row of each episode is a placeholder, because its
                final observation is not known, shape (episodes,); None if none is.

        Raises:
            DatasetDamagedError: The lengths do not add up to the rows of the shards.
        """
        self._borders = ShardBorders(counts)
        self._first_rows = list(accumulate((rows for rows, _, _ in counts), initial=0))
        self._first_steps = list(accumulate((steps for _, steps, _ in counts), initial=0))
        self._first_episodes = list(accumulate((number for _, _, number in counts), initial=0))
        steps, rows = self._first_steps[-1], self._first_rows[-1]
        shortest, longest = (lengths.min(), lengths.max()) if len(lengths) else (1, 0)
        starts = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=starts[1:])
        # A length beyond all steps is checked by itself, because sums may overflow.
        is_sound = shortest >= 1 and longest <= steps
        if not is_sound or starts[-1] != steps or rows != steps + len(lengths):
            raise DatasetDamagedError(
                f"the lengths of {len(lengths)} episodes, from {shortest} to {longest}, do not fit "
                f"the {steps} steps and {rows} rows of the shards"
            )
        starts.flags.writeable = False
        self.starts = starts
        """The first step of each episode, and the total at the end, shape (episodes + 1,)."""
        self.lengths = lengths
        """The number of steps of each episode, shape (episodes,)."""
        self.unknown_finals = unknown_finals
        """Whether the last row of each episode is a placeholder, because its final observation is
        not known, shape (episodes,); None if none is."""

    def __len__(self) -> int:
        """The number of episodes."""
        return len(self.lengths)

    def entry(self, episode: int) -> tuple[int, int]:
        """Return the shard that holds an episode's entry, and the index of the entry in it."""
        shard = bisect_right(self._first_episodes, episode) - 1
        return shard, episode - self._first_episodes[shard]

    def whole_shards(self) -> Iterator[tuple[int, int, int, int]]:
        """Find the shortest runs of shards that hold whole episodes only.

        Yields:
            The first and last + 1 shard of a run, and the first and last + 1 of its episodes.
        """
        first_shard = 0
        for shard in range(1, len(self._first_rows)):
            episode = self._first_episodes[shard]
            start = int(self.starts[episode])
            at_border = self._first_rows[shard] == start + episode
            if at_border and self._first_steps[shard] == start:
                first_episode = self._first_episodes[first_shard]
                if episode > first_episode:
                    yield first_shard, shard, first_episode, episode
                    first_shard = shard

    def locate(self, episode: int) -> tuple[list[Piece], list[Piece]]:
        """Return the rows and the steps of an episode, shard by shard.

        Returns:
            The pieces of its T+1 rows, and of its T steps; nearly always one of each.
        """
        return self.locate_run(episode, episode)

    def locate_whole(
        self, episodes: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], ...] | None:
        """Return where many episodes lie, if none of them lies in more than one shard.

        Args:
            episodes: Their indices, shape (n,).

        Returns:
            The shard of each, its first row, its first step and its entry there, and its number
            of steps, each of shape (n,); None if one lies in several shards.
        """
        borders = self._borders
        first_rows, first_steps = borders["rows"], borders["steps"]
        first_entries = borders["episodes"]
        steps, stops = self.starts.take(episodes), self.starts.take(episodes + 1)
        rows = steps + episodes
        shards = first_rows.searchsorted(rows, side="right") - 1
        following = shards + 1
        bases = first_steps.take(shards)
        is_whole = (
            (stops + episodes < first_rows.take(following))
            & (bases <= steps)
            & (stops <= first_steps.take(following))
            & (first_entries.take(shards) <= episodes)
            & (episodes < first_entries.take(following))
        )
        if not is_whole.all():
            return None
        entries = episodes - first_entries.take(shards)
        return shards, rows - first_rows.take(shards), steps - bases, entries, stops - steps

    def locate_run(self, first: int, last: int) -> tuple[list[Piece], list[Piece]]:
        """Return the rows and the steps of consecutive episodes, as `locate` does for one."""
        start, stop = int(self.starts[first]), int(self.starts[last + 1])
        return (
            _pieces(self._first_rows, start + first, stop + last + 1),
            _pieces(self._first_steps, start, stop),
        )


def _pieces(firsts: list[int], start: int, stop: int) -> list[Piece]:
    shard = bisect_right(firsts, start) - 1
    first, following = firsts[shard], firsts[shard + 1]
    if stop <= following:
        return [(shard, start - first, stop - first)]
    pieces: list[Piece] = []
    while start < stop:
        first, following = firsts[shard], firsts[shard + 1]
        end = min(stop, following)
        if end > start:
            pieces.append((shard, start - first, end - first))
            start = end
        shard += 1
    return pieces
