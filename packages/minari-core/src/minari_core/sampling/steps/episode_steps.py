"""The steps of a dataset or view, numbered through its episodes from 0."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from minari_core.arguments import check_whole_number
from minari_core.errors import SamplingError
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.sampling.gathering.gatherers import Gatherer
from minari_core.sampling.gathering.returns import ReturnsToGo, find_reward_scale
from minari_core.sampling.gathering.selection import ShardNumbers
from minari_core.sampling.options.keywords import AnyOptions
from minari_core.sampling.orders.rank_index import Positions, RankIndex
from minari_core.sampling.orders.weights import EpisodeWeights
from minari_core.sampling.steps.dataset_of_episode import find_datasets
from minari_core.sampling.steps.large_steps import LargeSteps

EMPTY = (
    "the dataset or view is empty, or each of its episodes has one step, whose next observation "
    "is not known (include_unknown_final takes these)"
)
"""Why there may be nothing to sample."""


class EpisodeSteps:
    """The steps of a view's episodes, and where they lie among the rows and steps of a storage.

    Where a stored episode has an end before its last step, and nothing may reach across it, the
    parts between these ends take the place of the episode in all that follows.
    """

    __slots__ = (
        "_dataset_starts",
        "_firsts",
        "_holders",
        "_identity",
        "_parents",
        "_rank",
        "_shards",
        "counts",
        "episode_starts",
        "episodes",
        "first_steps",
        "known_lengths",
        "lengths",
        "total",
        "view_starts",
    )

    def __init__(
        self,
        storage: ShardedStorage,
        episodes: Positions | range,
        *,
        include_unknown_final: bool = False,
        cut_at_ends: bool = False,
    ) -> None:
        """Lay out the episodes of a view.

        Args:
            storage: The storage of the episodes.
            episodes: Their stored indices, in the view's order.
            include_unknown_final: Whether the last step of an episode is sampled although nobody
                knows the observation after it.
            cut_at_ends: Whether to cut episodes at terminations and truncations inside them.
        """
        index = storage.index
        self._dataset_starts = storage.dataset_starts
        lengths, starts = index.lengths, index.starts
        self._identity = isinstance(episodes, range) and episodes == range(len(lengths))
        if isinstance(episodes, range):
            episodes = np.arange(episodes.start, episodes.stop, episodes.step, dtype=np.int64)
        self.episodes = episodes
        """The stored index of each episode, shape (episodes,)."""
        self.lengths = lengths if self._identity else lengths[self.episodes]
        """The steps of each episode."""
        self.first_steps = starts[:-1] if self._identity else starts[self.episodes]
        """The first step of each episode, counted through the storage."""
        self.episode_starts = self.first_steps
        """The step that time steps are counted from; also where an episode was cut."""
        self._parents: Positions | None = None
        unknown = None if index.unknown_finals is None else index.unknown_finals[self.episodes]
        early = storage.early_ends() if cut_at_ends else ()
        if len(early):
            is_last = self._cut(np.asarray(early))
            unknown = None if unknown is None else unknown[self._parents] & is_last
        self.known_lengths = self.lengths
        """The steps of each episode after which the observation is known: all, or all but one."""
        if unknown is not None and unknown.any():
            self.known_lengths = self.lengths - unknown
        self.counts = self.lengths if include_unknown_final else self.known_lengths
        """The steps of each episode that are sampled, from its first on."""
        # Only an episode of one step may have none; then the others are indexed alone.
        self._holders: Positions | None = None
        if self.counts is not self.lengths:
            self._identity = False
            if self.counts.min() == 0:
                self._holders = np.flatnonzero(self.counts)
        held = self.counts if self._holders is None else self.counts[self._holders]
        self._rank = RankIndex(held)
        self.total = self._rank.total
        """The number of steps that are sampled."""
        if self._identity:
            self.view_starts = self.first_steps
            """The first step of each episode, counted through those that are sampled."""
        else:
            self.view_starts = np.cumsum(self.counts) - self.counts
        self._firsts = storage.borders["rows"], storage.borders["steps"]
        self._shards: tuple[Positions | None] | None = None

    def _cut(self, early: Positions) -> npt.NDArray[np.bool_]:
        """Cut the episodes behind some steps; return which parts are the last of theirs."""
        stops = self.first_steps + self.lengths
        first_cut = np.searchsorted(early, self.first_steps)
        cuts = np.searchsorted(early, stops) - first_cut
        parents = np.repeat(np.arange(len(cuts)), cuts + 1)
        number = np.arange(len(parents)) - np.repeat(np.cumsum(cuts + 1) - (cuts + 1), cuts + 1)
        is_first = number == 0
        is_last: npt.NDArray[np.bool_] = number == cuts[parents]
        cut = np.append(early + 1, 0)  # the step after each cut; the last is never looked at
        ending = first_cut[parents] + number
        starts = np.where(is_first, self.first_steps[parents], cut[ending - 1])
        self.lengths = (
            np.where(is_last, stops[parents], cut[np.minimum(ending, len(early))]) - starts
        )
        self.episode_starts = self.first_steps[parents]
        self.first_steps = starts
        self.episodes = self.episodes[parents]
        self._parents = parents
        self._identity = False
        return is_last

    def join_parts(self, counts: Positions, starts: Positions) -> tuple[Positions, Positions]:
        """Return for each episode of the view what is given for each part of one.

        Args:
            counts: The number of positions of each part.
            starts: The first position of each part.
        """
        if self._parents is None:
            return counts, starts
        firsts = np.flatnonzero(np.diff(self._parents, prepend=-1))
        return np.add.reduceat(counts, firsts), starts[firsts]

    @property
    def are_consecutive(self) -> bool:
        """False: the view may be of any episodes."""
        return False

    def locate(self, positions: Positions) -> tuple[Positions, Positions]:
        """Return the index in the view of each position's episode, and its step in the storage.

        Args:
            positions: Steps of the view, from 0 to ``total - 1``.
        """
        indices = self._rank.runs(positions)
        if self._holders is not None:
            indices = self._holders.take(indices)
        if self._identity:
            return indices, positions
        shift = self.first_steps.take(indices) - self.view_starts.take(indices)
        return indices, positions + shift

    def rows(self, indices: Positions, steps: Positions) -> Positions:
        """Return the row of the observation before each step; the one after it is the next row."""
        return steps + (indices if self._identity else self.episodes.take(indices))

    def find_datasets(self, indices: Positions) -> Positions | None:
        """Return the dataset of each of some episodes of the view, if they are of a mixture."""
        return find_datasets(self._dataset_starts, self.episodes.take(indices))

    def last_known_rows(self, indices: Positions) -> Positions:
        """Return the row of the last observation of each episode that is known."""
        steps = self.first_steps.take(indices) + self.known_lengths.take(indices)
        return self.rows(indices, steps)

    def find_shards(self, indices: Positions) -> Positions | None:
        """Return the shard of each of some episodes of the view; None if one lies in several."""
        shards = self._find_all_shards()
        return None if shards is None else shards.take(indices)

    def _find_all_shards(self) -> Positions | None:
        if self._shards is None:
            last_steps = self.first_steps + self.lengths - 1
            found = [
                np.searchsorted(firsts, points, side="right") - 1
                for firsts, points in (
                    (self._firsts[1], self.first_steps),
                    (self._firsts[1], last_steps),
                    (self._firsts[0], self.first_steps + self.episodes),
                    (self._firsts[0], last_steps + self.episodes + 1),
                )
            ]
            is_whole = all(np.array_equal(found[0], others) for others in found[1:])
            self._shards = (found[0] if is_whole else None,)
        return self._shards[0]


class ShardsOfSteps(ShardNumbers):
    """The shards of the episodes of a batch, looked up when the first column asks."""

    __slots__ = ("_indices", "_known", "_steps")

    def __init__(self, steps: EpisodeSteps | LargeSteps, indices: Positions) -> None:
        """Take the indices of the episodes in the view."""
        self._steps = steps
        self._indices = indices
        self._known: Positions | None = None

    def numbers(self) -> Positions | None:
        """Return the shard of each episode, shape (B,); None if an episode lies in several."""
        if self._known is None:
            self._known = self._steps.find_shards(self._indices)
        return self._known


def bind_returns(
    options: AnyOptions,
    rewards: Gatherer,
    steps: EpisodeSteps | LargeSteps,
) -> tuple[ReturnsToGo | None, float]:
    """Return the returns-to-go that options ask for, if any, and the factor of rewards."""
    if isinstance(steps, LargeSteps):
        # Options that reach beyond a step are never given these.
        return None, float(options.reward_scale)
    episodes = steps.first_steps, steps.lengths
    scale = options.reward_scale
    if scale == "return_range":
        scale = find_reward_scale(rewards, *episodes)
    if not options.returns_to_go:
        return None, scale
    return ReturnsToGo(rewards, *episodes, options.discount), scale


def draw_positions(
    generator: np.random.Generator, total: int, size: int, weights: EpisodeWeights | None
) -> Positions:
    """Draw positions with replacement, uniformly or by weights.

    Args:
        generator: The source of randomness.
        total: The number of positions.
        size: The number of draws.
        weights: The probabilities of the episodes; in proportion to their positions if None.

    Raises:
        SamplingError: There is nothing to draw from, or the size is not a positive number.
    """
    size = check_whole_number("batch_size", size, 1)
    if total == 0:
        raise SamplingError(f"there is no step to sample: {EMPTY}")
    if weights is None:
        return generator.integers(0, total, size=size)
    return weights.draw(generator, size)


def check_positions(positions: npt.ArrayLike, total: int) -> Positions:
    """Validate positions, and return them as an int64 array of shape (B,).

    Raises:
        SamplingError: They are not whole numbers in one dimension, or one is outside.
    """
    given = np.asarray(positions)
    if given.ndim != 1 or (given.dtype.kind not in "iu" and given.size):
        raise SamplingError(
            f"positions are {given.dtype} of shape {given.shape}, not whole numbers of shape (B,)"
        )
    if given.size:
        smallest, largest = int(given.min()), int(given.max())
        if smallest < 0 or largest >= total:
            raise SamplingError(
                f"positions run from {smallest} to {largest}, but there are only 0 to {total - 1}"
            )
    return given.astype(np.int64, copy=False)
