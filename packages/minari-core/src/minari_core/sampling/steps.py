"""The steps of a dataset or view, numbered through its episodes from 0."""

from __future__ import annotations

import hashlib
import operator

import numpy as np
import numpy.typing as npt

from minari_core.errors import SamplingError
from minari_core.sampling.gathering import ShardNumbers
from minari_core.sampling.rank_index import Positions, RankIndex
from minari_core.sharded_storage import ShardedStorage
from minari_core.showing import shown


class EpisodeSteps:
    """Where the steps of a view's episodes lie among all rows and steps of a storage."""

    __slots__ = (
        "_firsts",
        "_identity",
        "_rank",
        "_shards",
        "episodes",
        "first_steps",
        "lengths",
        "total",
        "view_starts",
    )

    def __init__(self, storage: ShardedStorage, episodes: Positions | range) -> None:
        """Lay out the episodes of a view.

        Args:
            storage: Where they are.
            episodes: Their indices, in the view's order.
        """
        index = storage.index
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
        self._rank = RankIndex(self.lengths)
        self.total = self._rank.total
        """How many steps there are."""
        if self._identity:
            self.view_starts = self.first_steps
            """The first step of each episode, counted through the view."""
        else:
            self.view_starts = np.cumsum(self.lengths) - self.lengths
        self._firsts = index.firsts("rows"), index.firsts("steps")
        self._shards: tuple[Positions | None] | None = None

    def locate(self, positions: Positions) -> tuple[Positions, Positions]:
        """The place of each position among the view's episodes, and its step in the storage.

        Args:
            positions: Steps of the view, from 0 to ``total - 1``.
        """
        places = self._rank.runs(positions)
        if self._identity:
            return places, positions
        shift = self.first_steps.take(places) - self.view_starts.take(places)
        return places, positions + shift

    def rows(self, places: Positions, steps: Positions) -> Positions:
        """The row of the observation before each step; the one after it is the next row."""
        return steps + (places if self._identity else self.episodes.take(places))

    def shards(self) -> Positions | None:
        """The shard of each episode, shape (episodes,); None if an episode lies in several."""
        if self._shards is None:
            last_steps = self.first_steps + self.lengths - 1
            found = [
                np.searchsorted(firsts, places, side="right") - 1
                for firsts, places in (
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

    __slots__ = ("_known", "_places", "_steps")

    def __init__(self, steps: EpisodeSteps, places: Positions) -> None:
        """Take the places of the episodes in the view."""
        self._steps = steps
        self._places = places
        self._known: Positions | None = None

    def numbers(self) -> Positions | None:
        """The shard of each episode, shape (B,); None if an episode lies in more than one."""
        if self._known is None:
            shards = self._steps.shards()
            if shards is not None:
                self._known = shards.take(self._places)
        return self._known


class EpisodeWeights:
    """Draws positions so that each episode has the share that it is given.

    Within an episode all steps, or all windows, are as likely.
    """

    __slots__ = ("_borders", "_counts", "_starts")

    def __init__(
        self, weights: npt.ArrayLike | str, counts: Positions, starts: Positions | None = None
    ) -> None:
        """Prepare to draw.

        Args:
            weights: ``"episodes"`` for the same share for each episode that has a position, or
                one share an episode.
            counts: How many positions each episode has.
            starts: The first position of each; they follow one another if None.

        Raises:
            SamplingError: The shares do not fit the episodes, are negative, or are all zero.
        """
        episodes = len(counts)
        self._counts = counts
        self._starts = np.cumsum(counts) - counts if starts is None else starts
        if isinstance(weights, str):
            if weights != "episodes":
                raise SamplingError(
                    f"weights is {weights!r}; give 'transitions', 'episodes', or a number for each "
                    "episode"
                )
            shares = (counts > 0).astype(np.float64)
        else:
            shares = _numbers(weights)
        if shares.shape != (episodes,):
            raise SamplingError(f"weights of shape {shares.shape} for {episodes} episodes")
        bad = np.flatnonzero(~(np.isfinite(shares) & (shares >= 0)))
        if len(bad):
            raise SamplingError(
                f"the weight of episode {bad[0]} of the view is {shares[bad[0]]}; weights are "
                "finite and not negative"
            )
        nowhere = np.flatnonzero((shares > 0) & (counts == 0))
        if len(nowhere):
            raise SamplingError(
                f"episode {nowhere[0]} of the view has weight {shares[nowhere[0]]}, but no window "
                "fits into it; give it weight 0, or ask for padding"
            )
        # Scaled first, so that a sum of large weights does not overflow.
        largest = shares.max(initial=0.0)
        if largest == 0:
            raise SamplingError(f"the weights of all {episodes} episodes are 0")
        self._borders = np.cumsum(shares / largest)
        self._borders /= self._borders[-1]
        # Rounding must not leave a gap above the last border.
        self._borders[np.flatnonzero(shares)[-1] :] = 1.0

    def draw(self, generator: np.random.Generator, size: int) -> Positions:
        """Draw positions, with repetition."""
        places = np.searchsorted(self._borders, generator.random(size), side="right")
        within = generator.integers(0, self._counts[places])
        drawn: Positions = self._starts[places] + within
        return drawn

    def at(self, shares: npt.NDArray[np.float64], within: npt.NDArray[np.float64]) -> Positions:
        """Positions that two numbers choose.

        Args:
            shares: Choose the episodes, from 0 to below 1.
            within: Choose the positions in them, likewise.
        """
        places = np.searchsorted(self._borders, shares, side="right")
        counts = self._counts[places]
        # Rounding must not reach the position behind the last.
        inside = np.minimum((within * counts).astype(np.int64), counts - 1)
        drawn: Positions = self._starts[places] + inside
        return drawn

    def fingerprint(self) -> str:
        """Text that is the same for the same shares only."""
        return hashlib.sha256(self._borders.tobytes()).hexdigest()[:32]


def draw_positions(
    generator: np.random.Generator, total: int, size: int, weights: EpisodeWeights | None
) -> Positions:
    """Draw positions with repetition, uniformly or by weights.

    Args:
        generator: Where randomness comes from.
        total: How many positions there are.
        size: How many to draw.
        weights: How likely each episode is; by its positions if None.

    Raises:
        SamplingError: There is nothing to draw from, or the size is not a positive number.
    """
    size = whole_number("batch_size", size, 1)
    if total == 0:
        raise SamplingError("there is no step to sample: the dataset or view is empty")
    if weights is None:
        return generator.integers(0, total, size=size)
    return weights.draw(generator, size)


def checked_positions(positions: npt.ArrayLike, total: int) -> Positions:
    """Positions as an array, if all of them are there.

    Raises:
        SamplingError: They are no row of whole numbers, or one is outside.
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


def whole_number(name: str, value: object, smallest: int | None = None) -> int:
    """A number as Python's own, if it is whole and not too small.

    Raises:
        SamplingError: It is not.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # anything may come from a caller
    except TypeError as error:
        raise SamplingError(f"{name} is {shown(value)}, not a whole number") from error
    if isinstance(value, bool):
        raise SamplingError(f"{name} is {value!r}, not a whole number")
    if smallest is not None and number < smallest:
        raise SamplingError(f"{name} is {value!r}, not at least {smallest}")
    return number


def fraction(name: str, value: object) -> float:
    """A number from 0 to 1 as Python's own.

    Raises:
        SamplingError: It is not.
    """
    try:
        number = float(value)  # type: ignore[arg-type]  # anything may come from a caller
    except (TypeError, ValueError) as error:
        raise SamplingError(f"{name} is {value!r}, not a number") from error
    if not 0 <= number <= 1:
        raise SamplingError(f"{name} is {value!r}, not between 0 and 1")
    return number


def _numbers(weights: npt.ArrayLike) -> npt.NDArray[np.float64]:
    try:
        given = np.asarray(weights)
        return given.astype(
            np.float64, casting="same_kind" if given.dtype.kind == "c" else "unsafe"
        )
    except (TypeError, ValueError) as error:
        raise SamplingError(f"weights are no numbers: {error}") from error
